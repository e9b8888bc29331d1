//! Whether the lanes of a run agree: a one-way analysis of variance of session means, with the lane as a fixed effect.
//!
//! What a lane does to both sides cancels in every pair. What it does to one side alone is looked for in the means of
//! sessions: the spread within lanes, pooled over them with sessions − lanes degrees of freedom, is what lanes are
//! compared by. *Assumes* normal means of equal spread on every lane.

use edgemaxx_contract::plan::lane_of;
use statrs::distribution::{ContinuousCDF as _, FisherSnedecor};

use super::pairwise::Series;
use crate::estimators::{Method, Summary, student};

/// Session means by lane.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LaneMeans {
    /// Of each lane, those there are.
    lanes: Vec<Vec<f64>>,
}

impl LaneMeans {
    /// A series, whose keys are rounds, on so many lanes.
    pub(crate) fn of(series: &Series, lanes: u32) -> Self {
        let mut own = vec![Vec::new(); lanes as usize];
        for (key, mean) in series.keys.iter().zip(&series.means) {
            if let Some(lane) = own.get_mut(lane_of(*key, lanes) as usize) {
                lane.push(*mean);
            }
        }
        Self { lanes: own }
    }

    /// The same without these lanes.
    #[must_use]
    pub(crate) fn without(&self, lanes: &[usize]) -> Self {
        let keep = |(lane, means): (usize, &Vec<f64>)| match lanes.contains(&lane) {
            true => Vec::new(),
            false => means.clone(),
        };
        Self { lanes: self.lanes.iter().enumerate().map(keep).collect() }
    }

    /// How many sessions a lane has.
    pub(crate) fn sessions(&self, lane: usize) -> usize {
        self.lanes[lane].len()
    }

    /// Variance within lanes, and its degrees of freedom; `None` where nothing is left of them.
    fn within(&self) -> Option<(f64, f64)> {
        let lanes = self.lanes.iter().filter(|lane| !lane.is_empty());
        let count: usize = lanes.clone().map(|lane| lane.len() - 1).sum();
        if count == 0 {
            return None;
        }
        let squares = |lane: &Vec<f64>| {
            let mean = student::mean(lane);
            lane.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
        };
        let variance = lanes.map(squares).sum::<f64>() / count as f64;
        // Equal to the last digit: how far they are from the truth is not known.
        (variance > 0.0).then_some((variance, count as f64))
    }

    /// The mean of a lane with its interval and the test of "it is zero".
    pub(crate) fn mean(&self, lane: usize, level: f64) -> Option<Summary> {
        let (own, (variance, freedom)) = (&self.lanes[lane], self.within()?);
        let (n, mean) = (own.len(), student::mean(own));
        (n > 0).then(|| {
            student::from_error(mean, (variance / n as f64).sqrt(), freedom, level, n, Method::Student)
        })
    }

    /// By how much a lane's mean lies above that of all the others' sessions together.
    pub(crate) fn apart(&self, lane: usize, level: f64) -> Option<Summary> {
        let own = &self.lanes[lane];
        let others: Vec<f64> = self
            .lanes
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != lane)
            .flat_map(|(_, l)| l.clone())
            .collect();
        if own.is_empty() || others.is_empty() {
            return None;
        }
        let (variance, freedom) = self.within()?;
        let error = (variance * (1.0 / own.len() as f64 + 1.0 / others.len() as f64)).sqrt();
        let difference = student::mean(own) - student::mean(&others);
        Some(student::from_error(difference, error, freedom, level, own.len(), Method::Student))
    }

    /// The p-value of "all lanes have one mean": F of the means' variance over that within lanes. `None`: fewer than two
    /// lanes have sessions, or nothing is known of their spread.
    pub(crate) fn heterogeneity(&self) -> Option<f64> {
        let (variance, freedom) = self.within()?;
        let lanes: Vec<&Vec<f64>> = self.lanes.iter().filter(|lane| !lane.is_empty()).collect();
        let more = lanes.len().checked_sub(1).filter(|more| *more > 0)? as f64;
        let all = student::mean(&lanes.iter().flat_map(|lane| lane.iter().copied()).collect::<Vec<_>>());
        let between = lanes.iter().map(|lane| lane.len() as f64 * (student::mean(lane) - all).powi(2));
        let f = between.sum::<f64>() / more / variance;
        FisherSnedecor::new(more, freedom).ok().map(|distribution| distribution.sf(f))
    }
}

/// Lanes that differ from the others, one after the other, the clearest first: by any of these series, at the
/// family-wise error `alpha` over all series and lanes that are left (Bonferroni). Each is named and left out before the
/// next is looked for, as it pulls the others' mean to its side. Where two are left and differ, nobody can say which of
/// them is the odd one: both are named. With each the place of the series that shows it most clearly, and its p-value.
pub(crate) fn odd_lanes(series: &[LaneMeans], alpha: f64) -> Vec<(usize, usize, f64)> {
    let (mut found, mut gone): (Vec<(usize, usize, f64)>, Vec<usize>) = (Vec::new(), Vec::new());
    let Some(lanes) = series.first().map(|first| first.lanes.len()) else { return found };
    loop {
        let left: Vec<LaneMeans> = series.iter().map(|one| one.without(&gone)).collect();
        let active: Vec<usize> = (0..lanes).filter(|lane| !gone.contains(lane)).collect();
        let tests = left.iter().enumerate().flat_map(|(at, one)| {
            active.iter().filter_map(move |&lane| Some((lane, at, one.apart(lane, 0.95)?.p_value?)))
        });
        let tests: Vec<(usize, usize, f64)> = tests.collect();
        let Some(&(lane, at, p)) = tests.iter().min_by(|a, b| a.2.total_cmp(&b.2)) else { return found };
        if (p * tests.len() as f64) > alpha {
            return found;
        }
        if active.len() == 2 {
            found.extend(active.iter().map(|&lane| (lane, at, p)));
            return found;
        }
        found.push((lane, at, p));
        gone.push(lane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Seed, Stream};

    const SPREAD: f64 = 0.003;

    /// Sessions of four rounds on each of `shifts`' lanes, dealt in turn.
    fn series(shifts: &[f64], rounds: u32, stream: &mut Stream) -> Series {
        let lanes = shifts.len() as u32;
        let keys: Vec<u32> = (0..rounds * lanes).collect();
        let means =
            keys.iter().map(|key| shifts[(key % lanes) as usize] + SPREAD * stream.normal()).collect();
        Series { keys, means, blur: 0.0 }
    }

    fn on_lanes(series: &Series, lanes: u32) -> LaneMeans {
        LaneMeans::of(series, lanes)
    }

    #[test]
    fn known_values_agree_with_scipy() {
        // scipy 1.17.1: stats.f_oneway([1, 2, 4], [2, 3, 5], [8, 9, 13]).pvalue
        let known = LaneMeans { lanes: vec![vec![1.0, 2.0, 4.0], vec![2.0, 3.0, 5.0], vec![8.0, 9.0, 13.0]] };
        assert!(
            (known.heterogeneity().unwrap() - 0.006121138695027637).abs() < 1e-9,
            "{:?}",
            known.heterogeneity()
        );
        // Two lanes: the square of t with pooled variance is F. stats.ttest_ind([1, 2, 4], [2, 3, 5]).pvalue
        let two = known.without(&[2]);
        assert!((two.heterogeneity().unwrap() - 0.4676047546093972).abs() < 1e-9);
        assert!((two.apart(0, 0.95).unwrap().p_value.unwrap() - 0.4676047546093972).abs() < 1e-9);
        assert_eq!(two.without(&[1]).heterogeneity(), None);
        let flat = LaneMeans { lanes: vec![vec![0.1, 0.1], vec![0.2, 0.2]] };
        assert_eq!(
            (flat.heterogeneity(), flat.mean(0, 0.95)),
            (None, None),
            "nothing is known of their spread"
        );
    }

    #[test]
    fn a_lane_that_slows_one_side_is_named_and_no_other() {
        let seed = Seed::of("a planted lane");
        for (lanes, planted) in [(4usize, 2usize), (3, 0), (8, 7)] {
            for repetition in 0..100 {
                let mut stream = seed.stream(repetition);
                let mut shifts = vec![0.0; lanes];
                shifts[planted] = 0.1_f64.ln_1p();
                let drawn: Vec<LaneMeans> =
                    (0..8).map(|_| on_lanes(&series(&shifts, 2, &mut stream), lanes as u32)).collect();
                let named: Vec<usize> = odd_lanes(&drawn, 0.01).into_iter().map(|odd| odd.0).collect();
                assert!(named.contains(&planted), "{lanes} lanes, {repetition}: {named:?}");
                assert!(named.len() <= 2, "{lanes} lanes, {repetition}: {named:?}");
            }
        }
        // Of two nobody can say which.
        let mut stream = seed.stream(1000);
        let two: Vec<LaneMeans> = (0..8).map(|_| on_lanes(&series(&[0.0, 0.1], 4, &mut stream), 2)).collect();
        assert_eq!(odd_lanes(&two, 0.01).into_iter().map(|odd| odd.0).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn lanes_that_are_alike_are_hardly_ever_named() {
        let seed = Seed::of("lanes alike");
        let (mut named, mut unequal) = (0, 0);
        for repetition in 0..2000 {
            let mut stream = seed.stream(repetition);
            let drawn: Vec<LaneMeans> =
                (0..4).map(|_| on_lanes(&series(&[0.0; 4], 2, &mut stream), 4)).collect();
            named += u32::from(!odd_lanes(&drawn, 0.01).is_empty());
            unequal += u32::from(drawn[0].heterogeneity().unwrap() <= 0.05);
        }
        assert!(named <= 34, "{named} of 2000 (1% is 20, three errors 14)");
        assert!((70..=130).contains(&unequal), "{unequal} of 2000 (5% is 100, three errors 30)");
    }

    #[test]
    fn the_interval_over_all_lanes_holds_whatever_lanes_do() {
        let seed = Seed::of("coverage on lanes");
        let covered = |shifts: &[f64]| {
            let truth = student::mean(shifts);
            let holds = |repetition| {
                let drawn = series(shifts, 2, &mut seed.stream(repetition));
                student::interval(&drawn.means, 0.95).covers(truth)
            };
            (0..4000).filter(|repetition| holds(*repetition)).count()
        };
        let alike = covered(&[0.0; 4]);
        assert!((3745..=3855).contains(&alike), "{alike} of 4000 (95% is 3800, four errors 55)");
        // What lanes differ by widens it: more than 95%, never less.
        for shifts in [[0.0, 0.0, 0.0, 0.1], [0.0, 0.002, -0.002, 0.001], [0.0, 0.01, 0.02, 0.03]] {
            let found = covered(&shifts);
            assert!(found >= 3745, "{shifts:?}: {found} of 4000");
        }
    }
}
