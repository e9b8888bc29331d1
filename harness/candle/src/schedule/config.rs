//! A schedule, independent of the number of steps.

/// How the times of a picture are spread over the training schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// From the last time to zero, evenly, possibly fractional.
    Linspace,
    /// Multiples of an integer stride, plus an offset.
    Leading,
    /// Counted down from the end.
    Trailing,
}

/// How the noise levels of a picture are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// They are those of the picture's times.
    AtTimes,
    /// Evenly in their seventh root (Karras et al. 2022).
    Karras,
    /// Evenly in their logarithm.
    Exponential,
    /// By the quantiles of a beta distribution (Lee et al. 2024).
    Beta,
}

/// What the model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prediction {
    /// The noise.
    Epsilon,
    /// The velocity.
    Velocity,
    /// The picture.
    Sample,
}

/// A schedule as a `scheduler_config.json` describes it ([`ScheduleConfig::read`]).
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleConfig {
    /// Times of the training schedule.
    pub train_steps: usize,
    /// Cumulative products of 1 − β, one per time.
    pub alphas: Vec<f32>,
    /// Spread of the times.
    pub spacing: Spacing,
    /// Offset of the leading times.
    pub offset: usize,
    /// Spread of the noise levels.
    pub spread: Spread,
    /// The smallest noise level that is spread to, instead of the schedule's own.
    pub sigma_min: Option<f64>,
    /// The largest.
    pub sigma_max: Option<f64>,
    /// What the model predicts.
    pub prediction: Prediction,
    /// What only the class's solver knows.
    pub(super) kind: Kind,
}

impl ScheduleConfig {
    /// The keys that are at fault where a step at one of these times, maybe the last, makes what is no number.
    pub(super) fn to_blame(&self, times: &[f32], last: bool) -> &'static str {
        if times.iter().any(|time| *time >= self.train_steps as f32) {
            "steps_offset"
        } else if last && self.alphas[0] < 1.0 {
            "final_sigmas_type, algorithm_type or predict_x0"
        } else {
            "beta_start, beta_end or trained_betas"
        }
    }
}

/// The solver, by diffusers' class.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Euler(EulerConfig),
    Ddim(Clipping),
    Ddpm(DdpmConfig),
    Dpm(DpmConfig),
    UniPc(UniPcConfig),
    Lcm(LcmConfig),
    Tcd { original_steps: usize },
    Pndm { last_alpha_one: bool },
    Lms,
    Heun(HeunConfig),
    Sde { seed: Option<u64> },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct EulerConfig {
    /// Whether the last level is that of time 0 instead of none.
    pub(super) last_sigma_min: bool,
    /// Whether noise is put back after each step.
    pub(super) ancestral: bool,
}

/// What becomes of a picture that is told before its last step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Clipping {
    /// Whether the step before time 0 is noiseless (else as noisy as time 0).
    pub(super) last_alpha_one: bool,
    /// Largest magnitude of the picture, where it is clipped.
    pub(super) clip: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct DdpmConfig {
    pub(super) clip: Option<f64>,
    pub(super) variance: Variance,
}

/// How much noise DDPM puts back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variance {
    /// That of the posterior, given the picture.
    Small,
    /// All that the step takes away.
    Large,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct DpmConfig {
    /// 1 to 3.
    pub(super) order: usize,
    /// Whether noise is put back after each call.
    pub(super) stochastic: bool,
    /// Whether a step of several calls begins anew from its beginning instead of going on from the last one's end.
    pub(super) singlestep: bool,
    pub(super) midway: Midway,
    pub(super) lower_order_final: bool,
    pub(super) euler_at_final: bool,
    pub(super) last_sigma_min: bool,
    /// Whether Karras' times are rounded instead of cut.
    pub(super) rounded: bool,
    /// Times noisier than this λ are left out.
    pub(super) least_lambda: f64,
}

/// Where a second-order step looks for its slope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Midway {
    Midpoint,
    Heun,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct UniPcConfig {
    pub(super) order: usize,
    /// Whether the picture is told of the model's answers, or else the noise.
    pub(super) predicts_picture: bool,
    /// B(h) = h instead of eʰ − 1.
    pub(super) bh1: bool,
    pub(super) lower_order_final: bool,
    pub(super) last_sigma_min: bool,
    /// Steps whose samples are not corrected.
    pub(super) uncorrected: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LcmConfig {
    /// Times that the model was distilled at.
    pub(super) original_steps: usize,
    pub(super) clip: Option<f64>,
    /// Factor of the time in the boundary condition.
    pub(super) scaling: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct HeunConfig {
    pub(super) clip: Option<f64>,
}
