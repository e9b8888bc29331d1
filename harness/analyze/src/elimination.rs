//! Who can surely not become first any more: bounds that borrow their spread from the field; [`crate::stages::Race`] asks
//! for them.
//!
//! Two sessions of one candidate tell nearly nothing about how its sessions scatter; two sessions of
//! each of many tell how candidates of this contest do. So a candidate that scatters no more than
//! half again as much as the field is bounded with the field's spread (the moderated t of Smyth 2004,
//! with all weight on the field), and whoever scatters more with its own (Student's t).
//!
//! Against the one that scatters much more and does not show it yet, what is drawn out of the field
//! has a guard: the bound is as wide as makes "seems so quiet, and is so unlucky" as rare as the look
//! allows, for every spread up to `NOISIEST` times the field's. All looks together lose a candidate
//! that is the best with at most [`RISK`].
//!
//! For a candidate's own baseline this needs none: what the baselines of the round tell in common is
//! used as far as they predict one another (a control variate), which nearly halves the variance
//! where processes differ by chance, and nothing is changed where the machine is troubled.
//!
//! Nothing here is a claim, and nobody is paid by it: it ends measuring.

use std::collections::BTreeMap;

use statrs::distribution::{ChiSquared, ContinuousCDF as _, Normal};

use crate::estimators::student;

/// The chance that the best candidate is taken for beaten, at all looks together.
pub const RISK: f64 = 0.015;
/// Up to how many times the field's spread a candidate's may be for that to hold.
const NOISIEST: f64 = 5.0;
/// Up to how many times the field's spread a candidate seems to be one of it.
const LIKE_THE_FIELD: f64 = 1.5;
/// Degrees of freedom from which the field's spread is known well enough.
const ENOUGH: usize = 10;
/// The fewest sessions on which somebody leaves.
const FIRST: usize = 2;
/// How the risk is shared over the looks after 2, 3, 4, 5 and 6 sessions, and all later ones
/// together: where leaving saves most.
const SHARES: [f64; 6] = [0.04, 0.28, 0.30, 0.16, 0.10, 0.12];
/// Of a look's share, what goes to candidates that scatter like the field.
const QUIET: f64 = 0.6;

/// What one session says of speed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionSpeed {
    /// Its round.
    pub round: u32,
    /// Mean of ln(candidate's latency).
    pub candidate: f64,
    /// Mean of ln(baseline's latency) over the same requests.
    pub baseline: f64,
}

/// Between which logarithms of the speedup a candidate is, for the purpose of leaving.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpeedRange {
    /// Surely at least this.
    pub low: f64,
    /// Surely at most this.
    pub high: f64,
}

impl SpeedRange {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };
}

/// How far bounds reach, in standard errors; depends on the most sessions planned alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Reaches {
    /// After 2, 3, … sessions: for who scatters like the field, and for who does not.
    after: Vec<(f64, f64)>,
}

impl Reaches {
    /// For a contest of at most `last` sessions each; nobody leaves after the last.
    pub fn new(last: usize) -> Self {
        let looks: Vec<usize> = (FIRST..last).collect();
        let later = looks.len().saturating_sub(SHARES.len() - 1).max(1);
        let share = |n: usize| match SHARES[..SHARES.len() - 1].get(n - FIRST) {
            Some(share) => *share,
            None => SHARES[SHARES.len() - 1] / later as f64,
        };
        let all: f64 = looks.iter().map(|&n| share(n)).sum();
        let reach = |&n: &usize| {
            let risk = RISK * share(n) / all;
            (guarded(n, QUIET * risk), student::one_sided_critical((1.0 - QUIET) * risk, (n - 1) as f64))
        };
        Self { after: looks.iter().map(reach).collect() }
    }

    fn get(&self, n: usize) -> Option<(f64, f64)> {
        self.after.get(n.checked_sub(FIRST)?).or(self.after.last()).copied()
    }
}

/// The reach with which "n sessions that scatter like the field, and a mean that is further off" has
/// at most the chance `risk`, whatever the spread is up to [`NOISIEST`] times the field's.
fn guarded(n: usize, risk: f64) -> f64 {
    let Ok(chi) = ChiSquared::new((n - 1) as f64) else { return f64::INFINITY };
    let normal = Normal::standard();
    const STEPS: u32 = 40;
    let spreads: Vec<(f64, f64)> = (0..=STEPS)
        .map(|step| 1.0 + (NOISIEST - 1.0) * f64::from(step) / f64::from(STEPS))
        .map(|spread| (spread, chi.cdf((n - 1) as f64 * (LIKE_THE_FIELD / spread).powi(2))))
        .collect();
    let chance = |reach: f64| {
        let unlucky = spreads.iter().map(|(spread, quiet)| normal.cdf(-reach / spread) * quiet);
        unlucky.fold(0.0, f64::max)
    };
    let (mut low, mut high) = (0.0, 60.0);
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        if chance(middle) > risk { low = middle } else { high = middle }
    }
    high
}

/// The range of everybody's ln speedup after the sessions so far, of all who run or ran, the
/// control among them.
pub fn ranges(runners: &[&[SessionSpeed]], reaches: &Reaches) -> Vec<SpeedRange> {
    let speeds = speeds(runners);
    let spreads: Vec<Option<(f64, f64)>> = speeds
        .iter()
        .map(|values| {
            student::mean_and_error(values).map(|(mean, error)| (mean, error * (values.len() as f64).sqrt()))
        })
        .collect();
    let freedom: usize = speeds.iter().map(|values| values.len().saturating_sub(1)).sum();
    let field = field_spread(&speeds, &spreads).filter(|_| freedom >= ENOUGH);
    let Some(field) = field else { return vec![SpeedRange::UNKNOWN; runners.len()] };
    // The best of many looks better than it is by about as much.
    let luck = Normal::standard().inverse_cdf(1.0 - 1.0 / runners.len().max(2) as f64);
    let range = |(values, spread): (&Vec<f64>, &Option<(f64, f64)>)| {
        let (Some((mean, own)), Some((quiet, noisy))) = (*spread, reaches.get(values.len())) else {
            return SpeedRange::UNKNOWN;
        };
        let root = (values.len() as f64).sqrt();
        if own <= LIKE_THE_FIELD * field {
            return SpeedRange { low: mean - luck * field / root, high: mean + quiet * field / root };
        }
        SpeedRange { low: mean - noisy * own / root, high: mean + noisy * own / root }
    };
    speeds.iter().zip(&spreads).map(range).collect()
}

/// The field's spread of session values: its median, in which a few noisy ones do not count.
fn field_spread(speeds: &[Vec<f64>], spreads: &[Option<(f64, f64)>]) -> Option<f64> {
    // Few numbers of sessions occur, and a quantile of χ² takes long.
    let mut medians: BTreeMap<usize, f64> = BTreeMap::new();
    let scaled = |(values, spread): (&Vec<f64>, &Option<(f64, f64)>)| {
        let freedom = values.len() - 1;
        let median = medians.entry(freedom).or_insert_with(|| {
            ChiSquared::new(freedom as f64).map_or(f64::NAN, |chi| chi.inverse_cdf(0.5) / freedom as f64)
        });
        Some(spread.as_ref()?.1.powi(2) / *median)
    };
    let pairs = speeds.iter().zip(spreads).filter(|(values, _)| values.len() >= FIRST);
    let mut variances: Vec<f64> = pairs.filter_map(scaled).collect();
    variances.sort_by(f64::total_cmp);
    let (middle, odd) = (variances.len() / 2, variances.len() % 2 == 1);
    let upper = *variances.get(middle)?;
    let median = if odd { upper } else { (upper + variances[middle - 1]) / 2.0 };
    Some(median.sqrt())
}

/// ln speedup by session: against the session's own baseline as far as it predicts the candidate
/// better than all baselines of the round do.
fn speeds(runners: &[&[SessionSpeed]]) -> Vec<Vec<f64>> {
    let rounds = runners.iter().flat_map(|sessions| sessions.iter());
    let count = rounds.clone().map(|session| session.round as usize + 1).max().unwrap_or(0);
    let mut sums = vec![(0.0, 0.0); count];
    for session in rounds {
        let (sum, n) = &mut sums[session.round as usize];
        *sum += session.baseline;
        *n += 1.0;
    }
    let common = |session: &SessionSpeed| sums[session.round as usize].0 / sums[session.round as usize].1;
    // Against the round's baselines, and how far the own one was from them.
    let parts: Vec<Vec<(f64, f64)>> = runners
        .iter()
        .map(|sessions| {
            let part = |s: &SessionSpeed| (common(s) - s.candidate, s.baseline - common(s));
            sessions.iter().map(part).collect()
        })
        .collect();
    let (mut together, mut own) = (0.0, 0.0);
    for sessions in &parts {
        let mean =
            |side: fn(&(f64, f64)) -> f64| sessions.iter().map(side).sum::<f64>() / sessions.len() as f64;
        let (speed, off) = (mean(|part| part.0), mean(|part| part.1));
        for part in sessions {
            together += (speed - part.0) * (part.1 - off);
            own += (part.1 - off).powi(2);
        }
    }
    let weight = if own > 0.0 { (together / own).clamp(0.0, 1.0) } else { 1.0 };
    parts.iter().map(|sessions| sessions.iter().map(|(speed, off)| speed + weight * off).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    /// Sessions of candidates with these ln speedups and spreads; processes of the baseline scatter
    /// by one, and the round by `common`.
    fn draw(truth: &[(f64, f64)], rounds: u32, common: f64, path: u64) -> Vec<Vec<SessionSpeed>> {
        let mut stream = Seed::of("field").stream(path);
        let mut runners = vec![Vec::new(); truth.len()];
        for round in 0..rounds {
            for (runner, (speed, spread)) in runners.iter_mut().zip(truth) {
                let trouble = common * stream.normal();
                let baseline = trouble + stream.normal();
                let candidate = trouble - speed + spread * stream.normal();
                runner.push(SessionSpeed { round, candidate, baseline });
            }
        }
        runners
    }

    fn found(runners: &[Vec<SessionSpeed>], last: usize) -> Vec<SpeedRange> {
        let runners: Vec<&[SessionSpeed]> = runners.iter().map(Vec::as_slice).collect();
        ranges(&runners, &Reaches::new(last))
    }

    #[test]
    fn looks_share_the_risk() {
        // An independent program (Simpson's rule for χ and t) gave these for a risk of 2%: see
        // [`Reaches`]; after two sessions nearly nothing is spent.
        let reach = |n: usize, risk: f64| guarded(n, QUIET * risk) / (n as f64).sqrt();
        assert!((reach(2, 0.0008) - 10.16).abs() < 0.02, "{}", reach(2, 0.0008));
        assert!((reach(3, 0.0056) - 5.09).abs() < 0.02, "{}", reach(3, 0.0056));
        assert!((reach(4, 0.006) - 3.20).abs() < 0.02, "{}", reach(4, 0.006));
        let reaches = Reaches::new(12);
        assert_eq!((reaches.after.len(), reaches.get(1), reaches.get(12)), (10, None, reaches.get(11)));
        assert_eq!(Reaches::new(2).get(2), None, "the last session ends nobody");
    }

    #[test]
    fn the_baselines_of_the_round_help_where_they_tell_the_same() {
        let spread = |common: f64| {
            let runners = draw(&[(0.0, 1.0); 60], 5, common, 7);
            let runners: Vec<&[SessionSpeed]> = runners.iter().map(Vec::as_slice).collect();
            let speeds = speeds(&runners);
            let square = |values: &Vec<f64>| student::mean_and_error(values).unwrap().1.powi(2) * 5.0;
            (speeds.iter().map(square).sum::<f64>() / 60.0).sqrt()
        };
        // Quiet machine: the candidate's own spread alone. Troubled: both sides', √2, and not the trouble's.
        assert!((spread(0.0) - 1.0).abs() < 0.12, "{}", spread(0.0));
        assert!((spread(20.0) - 2f64.sqrt()).abs() < 0.17, "{}", spread(20.0));
    }

    #[test]
    fn a_noisy_candidate_is_bounded_by_its_own_spread() {
        let mut truth = [(0.0, 1.0); 40];
        truth[0] = (0.0, 30.0);
        let ranges = found(&draw(&truth, 4, 0.0, 3), 12);
        let width = |range: &SpeedRange| range.high - range.low;
        assert!(width(&ranges[0]) > 5.0 * width(&ranges[1]), "{:?}", &ranges[..2]);
        // 3.4 and 1.0 standard errors of about one half
        assert!(width(&ranges[1]) < 6.0, "{:?}", ranges[1]);
    }

    #[test]
    fn a_small_field_tells_nothing() {
        let truth = [(0.0, 1.0), (50.0, 1.0), (-50.0, 1.0)];
        assert!(found(&draw(&truth, 4, 0.0, 1), 12).iter().all(|range| *range == SpeedRange::UNKNOWN));
        let ranges = found(&draw(&truth, 5, 0.0, 1), 12);
        assert!(ranges[0].high < ranges[1].low && ranges[2].high < ranges[0].low, "{ranges:?}");
        assert!(found(&[], 12).is_empty());
        assert_eq!(found(&draw(&truth, 1, 0.0, 1), 12)[0], SpeedRange::UNKNOWN);
    }

    #[test]
    fn the_fields_spread_is_the_median_of_what_each_number_of_sessions_tells() {
        // Medians of χ² over its degrees of freedom, from a table: of one and of two.
        const MEDIANS: [f64; 2] = [0.454_936, std::f64::consts::LN_2];
        let field = |found: &[(usize, f64)]| {
            let speeds: Vec<Vec<f64>> = found.iter().map(|(sessions, _)| vec![0.0; *sessions]).collect();
            let spreads: Vec<_> =
                found.iter().map(|(sessions, own)| (*sessions > 1).then_some((7.0, *own))).collect();
            field_spread(&speeds, &spreads)
        };
        let near = |found: Option<f64>, expected: f64| (found.unwrap() / expected - 1.0).abs() < 1e-5;
        assert!(near(field(&[(3, 3.0), (3, 1.0), (1, 0.0), (3, 2.0)]), (4.0 / MEDIANS[1]).sqrt()));
        assert!(near(field(&[(3, 4.0), (3, 1.0), (3, 3.0), (3, 2.0)]), (6.5 / MEDIANS[1]).sqrt()));
        assert!(near(field(&[(3, 3.0), (2, 2.0)]), f64::midpoint(9.0 / MEDIANS[1], 4.0 / MEDIANS[0]).sqrt()));
        assert_eq!(field(&[(1, 0.0)]), None);
    }

    /// Sessions of one candidate: round, ln of its latency, and of its baseline's.
    fn sessions(found: [(u32, f64, f64); 2]) -> Vec<SessionSpeed> {
        found.map(|(round, candidate, baseline)| SessionSpeed { round, candidate, baseline }).into()
    }

    #[test]
    fn an_own_baseline_counts_as_far_as_it_predicts_the_candidate() {
        let of = |runners: [Vec<SessionSpeed>; 2]| speeds(&runners.each_ref().map(Vec::as_slice));
        // The rounds' baselines are 3 and 5. By them speeds are 2, 3 and 1, 3, the own baselines off by -2, 0 and 2, 0, and
        // their slope is 1 of 4.
        let found = of([sessions([(1, 1.0, 1.0), (2, 2.0, 5.0)]), sessions([(1, 2.0, 5.0), (2, 2.0, 5.0)])]);
        assert_eq!(found, [[1.5, 3.0], [1.5, 3.0]]);
        // Where it is always off by the same, it is the one to be compared with.
        let found = of([sessions([(0, 0.0, 1.0), (1, 0.5, 1.0)]), sessions([(0, 1.0, 3.0), (1, 2.0, 3.0)])]);
        assert_eq!(found, [[1.0, 0.5], [2.0, 1.0]]);
    }

    #[test]
    fn bounds_reach_as_far_as_the_fields_spread_or_a_noisy_ones_own_tells() {
        let reaches = Reaches { after: vec![(100.0, 100.0), (4.0, 9.0)] };
        let spreads = [1.0, 1.75, 1.0, 2.2, 1.0, 10.0, 1.0];
        let runner = |(at, spread): (u32, f64)| -> Vec<SessionSpeed> {
            let session = |(round, step): (u32, f64)| SessionSpeed {
                round,
                candidate: -f64::from(at) - step * spread,
                baseline: 0.0,
            };
            (0..).zip([-1.0, 0.0, 1.0]).map(session).collect()
        };
        let runners: Vec<_> = (0..).zip(spreads).map(runner).collect();
        let found = ranges(&runners.iter().map(Vec::as_slice).collect::<Vec<_>>(), &reaches);
        // Who scatters less than half again as much as the field is one of it; the best of seven is as lucky as the quantile
        // of 6 in 7 says.
        let (field, luck, root) = (std::f64::consts::LN_2.sqrt().recip(), 1.067_570_523_878_14, 3_f64.sqrt());
        for ((at, spread), range) in (0..).zip(spreads).zip(found) {
            let mean = f64::from(at);
            let (low, high) = match spread > 1.5 * field {
                true => (mean - 9.0 * spread / root, mean + 9.0 * spread / root),
                false => (mean - luck * field / root, mean + 4.0 * field / root),
            };
            assert!((range.low - low).abs() < 1e-9 && (range.high - high).abs() < 1e-9, "{at}: {range:?}");
        }
    }
}
