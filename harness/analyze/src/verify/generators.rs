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
}
