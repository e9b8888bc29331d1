//! Simulated measurements, each kind with a trouble of real machines, and none with a difference
//! between the sides: the true log ratio is zero.

use crate::random::Stream;

/// A kind of noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generator {
    /// Log-normal latencies, 2% per request.
    LogNormal,
    /// AR(1) with φ = 0.6 along each process, 1% per request.
    Autocorrelated,
    /// Each process has its own speed (SD 0.5%), each request 0.5% more.
    ProcessVariance,
    /// The device slows by 1% from the first to the last request of the run, 0.2% per request.
    Drift,
    /// 5% of requests on either side take 8 standard deviations (of 1%) longer.
    Outliers,
    /// The device switches between two clocks 3% apart and stays at one for ten requests on
    /// average; 0.5% per request.
    BimodalClocks,
    /// Each process finds itself at one of two clocks 1% apart; 0.5% per request.
    BimodalProcesses,
}

impl Generator {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::LogNormal,
        Self::Autocorrelated,
        Self::ProcessVariance,
        Self::Drift,
        Self::Outliers,
        Self::BimodalClocks,
        Self::BimodalProcesses,
    ];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::LogNormal => "log-normal",
            Self::Autocorrelated => "AR(1) φ=.6",
            Self::ProcessVariance => "process SD .5%",
            Self::Drift => "drift 1%",
            Self::Outliers => "outliers +8σ 5%",
            Self::BimodalClocks => "bimodal clocks",
            Self::BimodalProcesses => "bimodal processes",
        }
    }

    /// The log ratios of every pair, session by session: requests of a pair in random order.
    pub fn draw(self, sessions: usize, pairs: usize, stream: &mut Stream) -> Vec<Vec<f64>> {
        let requests = 2 * sessions * pairs;
        let mut times = (0..requests).map(|request| request as f64 / requests as f64);
        (0..sessions)
            .map(|_| {
                let mut state = State::new(self, 2, stream);
                (0..pairs)
                    .map(|_| {
                        let first = usize::from(stream.chance(0.5));
                        let mut ln = [0.0; 2];
                        for (side, time) in [first, 1 - first].into_iter().zip(&mut times) {
                            ln[side] = state.request(side, time, stream);
                        }
                        ln[1] - ln[0]
                    })
                    .collect()
            })
            .collect()
    }
}

/// What the processes of a session or a block and their device remember from request to request.
pub(super) struct State {
    kind: Generator,
    /// By process: its own level, or its last deviation.
    own: Vec<f64>,
    slow_clock: bool,
}

impl State {
    /// Processes that were just launched.
    pub(super) fn new(kind: Generator, processes: usize, stream: &mut Stream) -> Self {
        let mut own = |_| match kind {
            Generator::ProcessVariance => 0.005 * stream.normal(),
            Generator::Autocorrelated => 0.01 * stream.normal(),
            Generator::BimodalProcesses => 0.01 * f64::from(stream.chance(0.5)),
            _ => 0.0,
        };
        let own = (0..processes).map(&mut own).collect();
        Self { kind, own, slow_clock: stream.chance(0.5) }
    }

    /// The log latency of one request at `time` in [0, 1) of the run.
    pub(super) fn request(&mut self, process: usize, time: f64, stream: &mut Stream) -> f64 {
        let noise = stream.normal();
        match self.kind {
            Generator::LogNormal => 0.02 * noise,
            Generator::Autocorrelated => {
                self.own[process] = 0.6 * self.own[process] + 0.8 * 0.01 * noise;
                self.own[process]
            }
            Generator::ProcessVariance | Generator::BimodalProcesses => self.own[process] + 0.005 * noise,
            Generator::Drift => 0.01 * time + 0.002 * noise,
            Generator::Outliers => 0.01 * noise + if stream.chance(0.05) { 0.08 } else { 0.0 },
            Generator::BimodalClocks => {
                self.slow_clock ^= stream.chance(0.1);
                0.005 * noise + if self.slow_clock { 0.03 } else { 0.0 }
            }
        }
    }
}

/// Log ratios like those of a run: its own residuals, resampled.
#[derive(Debug, Clone, PartialEq)]
pub struct Residuals {
    /// Deviations of session means from their candidate's mean, inflated to be unbiased.
    between: Vec<f64>,
    /// By session, in order: deviations from the session's mean.
    within: Vec<Vec<f64>>,
}

impl Residuals {
    /// The residuals of all candidates of a run; `None` unless some have two sessions.
    pub fn of(table: &crate::samples::SampleTable) -> Option<Self> {
        let mut residuals = Self { between: Vec::new(), within: Vec::new() };
        for candidate in table.candidates.iter().filter(|candidate| candidate.sessions.len() >= 2) {
            let series = candidate.series();
            let n = series.means.len() as f64;
            let mean = series.mean();
            for (session, session_mean) in candidate.sessions.iter().zip(&series.means) {
                residuals.between.push((session_mean - mean) * (n / (n - 1.0)).sqrt());
                residuals
                    .within
                    .push(session.pairs.iter().map(|pair| pair.log_ratio() - session_mean).collect());
            }
        }
        (!residuals.within.is_empty()).then_some(residuals)
    }

    /// Sessions that existed, shifted at random: a session's mean from one, its pairs, in their
    /// order (whatever correlation they have), from another.
    pub fn draw(&self, sessions: usize, pairs: usize, stream: &mut Stream) -> Vec<Vec<f64>> {
        (0..sessions)
            .map(|_| {
                let mean = self.between[stream.below(self.between.len() as u32) as usize];
                let source = &self.within[stream.below(self.within.len() as u32) as usize];
                let sign = if stream.chance(0.5) { 1.0 } else { -1.0 };
                let start = stream.below(source.len() as u32) as usize;
                let residual = |pair: usize| source[(start + pair) % source.len()];
                let raw: Vec<f64> = (0..pairs).map(residual).collect();
                // Residuals of a whole session sum to zero: its mean is in `mean` already.
                let own = if pairs == source.len() { 0.0 } else { raw.iter().sum::<f64>() / pairs as f64 };
                raw.into_iter().map(|value| sign * (mean + value - own)).collect()
            })
            .collect()
    }
}

/// The means of sessions of log ratios.
pub(super) fn means(sessions: &[Vec<f64>]) -> Vec<f64> {
    sessions.iter().map(|pairs| pairs.iter().sum::<f64>() / pairs.len() as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;
    use crate::samples::{CandidateSamples, Pair, SampleTable, Session};
    use edgemaxx_contract::digest::Digest;

    /// Standard deviation of session means, over many sessions.
    fn spread(kind: Generator, pairs: usize) -> f64 {
        let drawn = kind.draw(4000, pairs, &mut Seed::of("spread").stream(kind as u64));
        let means = means(&drawn);
        (means.iter().map(|m| m * m).sum::<f64>() / means.len() as f64).sqrt()
    }

    #[test]
    fn session_means_spread_as_the_kinds_say() {
        // √2·2%/√4; process: √(2·(.5%² + .5%²/16)); outliers: √(2·(1%² + .05·.95·8%²)/16)
        for (kind, pairs, expected) in [
            (Generator::LogNormal, 4, 0.014142),
            (Generator::ProcessVariance, 16, 0.0072887),
            (Generator::Outliers, 16, 0.0071079),
        ] {
            let found = spread(kind, pairs);
            assert!((found / expected - 1.0).abs() < 0.06, "{kind:?}: {found} instead of {expected}");
        }
        // AR(1), φ = .6: the variance of a mean of 40 is 3.8125 times that of independent values
        let inflation = crate::estimators::autocorrelation::variance_inflation(0.6, 40);
        let expected = 0.01 * (2.0 * inflation / 40.0).sqrt();
        assert!((spread(Generator::Autocorrelated, 40) / expected - 1.0).abs() < 0.06);
        // Pairs cancel drift: what is left is the noise and half a step of drift per pair.
        assert!(spread(Generator::Drift, 16) < 0.00075);
    }
    /// The log latencies of one process, from its own level and the noise, as each kind says.
    #[test]
    fn requests_take_what_their_kind_says() {
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        let mut stream = Seed::of("requests").stream(0);
        let mut same = stream.clone();
        for (kind, level, scale) in [
            (Generator::LogNormal, 0.0, 0.02),
            (Generator::Autocorrelated, 0.6 * 0.7, 0.008),
            (Generator::ProcessVariance, 0.7, 0.005),
            (Generator::BimodalProcesses, 0.7, 0.005),
            (Generator::Drift, 0.0025, 0.002),
        ] {
            let mut state = State { kind, own: vec![0.3, 0.7], slow_clock: true };
            let expected = level + scale * same.normal();
            close(state.request(1, 0.25, &mut stream), expected);
            let own = if kind == Generator::Autocorrelated { expected } else { 0.7 };
            assert_eq!(state.own[0], 0.3);
            close(state.own[1], own);
        }
        let state = |kind| State { kind, own: vec![0.0], slow_clock: false };
        let (mut outliers, mut clocks) = (state(Generator::Outliers), state(Generator::BimodalClocks));
        let (mut late, mut slow, mut switches) = (0, false, 0);
        for _ in 0..200 {
            let noise = same.normal();
            let outlier = same.chance(0.05);
            late += u32::from(outlier);
            close(outliers.request(0, 0.5, &mut stream), 0.01 * noise + 0.08 * f64::from(outlier));
            let noise = same.normal();
            let switched = same.chance(0.1);
            switches += u32::from(switched);
            slow = slow != switched;
            close(clocks.request(0, 0.5, &mut stream), 0.005 * noise + 0.03 * f64::from(slow));
        }
        assert!(late > 2 && switches > 4, "{late} {switches}");
    }

    #[test]
    fn kinds_have_names_of_their_own() {
        assert_eq!(
            Generator::ALL.map(Generator::name),
            [
                "log-normal",
                "AR(1) φ=.6",
                "process SD .5%",
                "drift 1%",
                "outliers +8σ 5%",
                "bimodal clocks",
                "bimodal processes",
            ]
        );
    }

    /// Sessions of a candidate with these log ratios.
    fn candidate(sessions: &[&[f64]]) -> CandidateSamples {
        let pair = |log: &f64| Pair { baseline_ms: 1.0, candidate_ms: log.exp(), throttled: false };
        let session = |(key, pairs): (usize, &&[f64])| Session {
            key: key as u32,
            pairs: pairs.iter().map(pair).collect(),
        };
        CandidateSamples::whole("one", sessions.iter().enumerate().map(session).collect())
    }

    fn table(candidates: Vec<CandidateSamples>) -> SampleTable {
        SampleTable {
            baseline: "old".to_owned(),
            candidates,
            warnings: Vec::new(),
            digest: Digest::of("a run"),
        }
    }

    #[test]
    fn residuals_are_deviations_from_the_mean_of_the_candidate_and_of_the_session() {
        let alone = candidate(&[&[0.5, 0.7]]);
        assert_eq!(Residuals::of(&table(vec![alone.clone()])), None);
        let three = candidate(&[&[0.0, 0.2], &[0.1, 0.1, 0.4], &[0.6]]);
        let two = candidate(&[&[0.3], &[0.5]]);
        let found = Residuals::of(&table(vec![three, alone, two])).unwrap();
        let close = |found: &[f64], expected: &[f64]| {
            assert_eq!(found.len(), expected.len());
            let mut both = found.iter().zip(expected);
            assert!(both.all(|(found, expected)| (found - expected).abs() < 1e-12), "{found:?} {expected:?}");
        };
        // The means .1, .2 and .6 around .3, times √(3/2); and .3 and .5 around .4, times √2.
        let (of_three, of_two) = (1.5_f64.sqrt(), 2_f64.sqrt());
        close(
            &found.between,
            &[-0.2 * of_three, -0.1 * of_three, 0.3 * of_three, -0.1 * of_two, 0.1 * of_two],
        );
        let within: [&[f64]; 5] = [&[-0.1, 0.1], &[-0.1, -0.1, 0.2], &[0.0], &[0.0], &[0.0]];
        assert_eq!(found.within.len(), within.len());
        for (found, expected) in found.within.iter().zip(within) {
            close(found, expected);
        }
    }

    /// Every one of them is drawn at some time, and nothing else: a mean of a session with the pairs of one from any of its
    /// pairs on, turned around or not.
    #[test]
    fn drawn_sessions_are_the_residuals_from_any_pair_on_with_either_sign() {
        let residuals = Residuals { between: vec![8.0, 32.0], within: vec![vec![1.0, 2.0, 5.0]] };
        // A part of a session, or more than one, is centred by its own mean: 1.5, 3.5 and 3; 2.25, 2.5 and 3.25.
        for (pairs, from_each) in [
            (3, vec![vec![1.0, 2.0, 5.0], vec![2.0, 5.0, 1.0], vec![5.0, 1.0, 2.0]]),
            (2, vec![vec![-0.5, 0.5], vec![-1.5, 1.5], vec![2.0, -2.0]]),
            (
                4,
                vec![
                    vec![-1.25, -0.25, 2.75, -1.25],
                    vec![-0.5, 2.5, -1.5, -0.5],
                    vec![1.75, -2.25, -1.25, 1.75],
                ],
            ),
        ] {
            let mut expected = Vec::new();
            for mean in [8.0, 32.0] {
                for own in &from_each {
                    for sign in [1.0, -1.0] {
                        expected.push(own.iter().map(|own| sign * (mean + own)).collect::<Vec<f64>>());
                    }
                }
            }
            let drawn = residuals.draw(400, pairs, &mut Seed::of("drawn").stream(0));
            assert_eq!(drawn.len(), 400);
            for session in &drawn {
                assert!(expected.contains(session), "{session:?}");
            }
            for session in &expected {
                assert!(drawn.contains(session), "never {session:?}");
            }
        }
    }
}
