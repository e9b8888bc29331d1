//! `scheduler_config.json` as diffusers writes it; absent keys take diffusers' defaults.
use super::betas;
use crate::error::{Error, Result};
use crate::json::read_json;
use crate::limits;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

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

/// What only `DDIMScheduler` knows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DdimConfig {
    /// Whether the step before time 0 is noiseless (else as noisy as time 0).
    pub last_alpha_one: bool,
    /// Largest magnitude of the predicted picture, where it is clipped.
    pub clip: Option<f64>,
}

/// A schedule, independent of the number of steps.
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
    /// What the model predicts.
    pub prediction: Prediction,
    /// Whether the last σ is that of time 0 instead of zero (Euler).
    pub last_sigma_min: bool,
    /// `Some` for DDIM, `None` for Euler.
    pub ddim: Option<DdimConfig>,
}

#[derive(Deserialize)]
#[serde(default)]
struct Wire {
    num_train_timesteps: usize,
    beta_start: f64,
    beta_end: f64,
    beta_schedule: String,
    trained_betas: Option<Vec<f32>>,
    prediction_type: String,
    timestep_spacing: Option<String>,
    steps_offset: usize,
    rescale_betas_zero_snr: bool,
    final_sigmas_type: String,
    clip_sample: bool,
    clip_sample_range: f64,
    set_alpha_to_one: bool,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            num_train_timesteps: 1000,
            beta_start: 0.0001,
            beta_end: 0.02,
            beta_schedule: "linear".to_string(),
            trained_betas: None,
            prediction_type: "epsilon".to_string(),
            timestep_spacing: None,
            steps_offset: 0,
            rescale_betas_zero_snr: false,
            final_sigmas_type: "zero".to_string(),
            clip_sample: true,
            clip_sample_range: 1.0,
            set_alpha_to_one: true,
        }
    }
}

/// Classes of schedulers that this engine knows.
pub const SCHEDULERS: [&str; 2] = ["EulerDiscreteScheduler", "DDIMScheduler"];

/// Keys that change the arithmetic, and the value (as JSON) this engine implements, which is the default.
const ONLY: &[(&str, &[&str])] = &[
    ("interpolation_type", &["\"linear\""]),
    ("timestep_type", &["\"discrete\""]),
    ("use_karras_sigmas", &["false", "null"]),
    ("use_exponential_sigmas", &["false", "null"]),
    ("use_beta_sigmas", &["false", "null"]),
    ("thresholding", &["false"]),
];

impl ScheduleConfig {
    /// Reads and checks a `scheduler_config.json`; `class` stands for the class that it names, as in diffusers'
    /// `from_config`.
    pub fn read(path: &Path, class: Option<&str>) -> Result<Self> {
        let raw: Map<String, Value> = read_json(path)?;
        let bad = |field: &str, found: &dyn std::fmt::Display, expected: &str| {
            Error::config(path, field, found, expected)
        };
        let own = raw.get("_class_name").and_then(Value::as_str);
        let class = class.or(own).unwrap_or_default();
        if !SCHEDULERS.contains(&class) {
            let expected = format!("`{}`, the supported schedulers", SCHEDULERS.join("` or `"));
            return Err(bad("_class_name", &format!("`{class}`"), &expected));
        }
        let is_ddim = class == "DDIMScheduler";
        for (key, allowed) in ONLY {
            let found = raw.get(*key).map_or_else(|| allowed[0].to_string(), Value::to_string);
            if !allowed.contains(&found.as_str()) {
                return Err(bad(key, &found, &allowed.join(" or ")));
            }
        }
        let w: Wire = read_json(path)?;
        Error::bound(path, "num_train_timesteps", w.num_train_timesteps, limits::TIMES)?;
        if w.steps_offset > limits::TIMES {
            return Err(bad("steps_offset", &w.steps_offset, &format!("at most {}", limits::TIMES)));
        }
        let betas = match (w.trained_betas, w.beta_schedule.as_str()) {
            (Some(betas), _) => betas,
            (None, "linear") => betas::linspace(w.beta_start, w.beta_end, w.num_train_timesteps),
            (None, "scaled_linear") => betas::scaled_linear(w.beta_start, w.beta_end, w.num_train_timesteps),
            (None, "squaredcos_cap_v2") => betas::squared_cosine(w.num_train_timesteps),
            (None, other) => {
                return Err(bad(
                    "beta_schedule",
                    &format!("`{other}`"),
                    "`linear`, `scaled_linear` or `squaredcos_cap_v2`",
                ));
            }
        };
        if betas.len() != w.num_train_timesteps || betas.is_empty() {
            let found = format!("{} betas for {} times", betas.len(), w.num_train_timesteps);
            return Err(bad("num_train_timesteps", &found, "as many as there are betas, at least 1"));
        }
        // Every step adds some noise and leaves some of the picture, to the last.
        let noised = betas.iter().all(|beta| (0.0..1.0).contains(beta)) && betas[0] > 0.0;
        if !noised || betas::cumulative_alphas(&betas).last().is_none_or(|alpha| *alpha < 1e-20) {
            let found = format!("betas from {} to {}", betas[0], betas[betas.len() - 1]);
            let expected =
                "each above 0 and below 1, and together so small that something of the picture is left";
            return Err(bad("beta_start, beta_end or trained_betas", &found, expected));
        }
        let betas = if w.rescale_betas_zero_snr { betas::zero_terminal_snr(&betas) } else { betas };
        let mut alphas = betas::cumulative_alphas(&betas);
        if w.rescale_betas_zero_snr
            && !is_ddim
            && let Some(last) = alphas.last_mut()
        {
            // keeps Euler's first σ finite, as in diffusers
            *last = 2f32.powi(-24);
        }
        let spacing = w.timestep_spacing.as_deref().unwrap_or(if is_ddim { "leading" } else { "linspace" });
        let read = Self {
            train_steps: w.num_train_timesteps,
            alphas,
            spacing: match spacing {
                "linspace" => Spacing::Linspace,
                "leading" => Spacing::Leading,
                "trailing" => Spacing::Trailing,
                other => {
                    return Err(bad(
                        "timestep_spacing",
                        &format!("`{other}`"),
                        "`linspace`, `leading` or `trailing`",
                    ));
                }
            },
            offset: w.steps_offset,
            prediction: match w.prediction_type.as_str() {
                "epsilon" => Prediction::Epsilon,
                "v_prediction" => Prediction::Velocity,
                "sample" => Prediction::Sample,
                other => {
                    return Err(bad(
                        "prediction_type",
                        &format!("`{other}`"),
                        "`epsilon`, `v_prediction` or `sample`",
                    ));
                }
            },
            last_sigma_min: match w.final_sigmas_type.as_str() {
                "zero" => false,
                "sigma_min" => true,
                other => {
                    return Err(bad("final_sigmas_type", &format!("`{other}`"), "`zero` or `sigma_min`"));
                }
            },
            ddim: is_ddim.then_some(DdimConfig {
                last_alpha_one: w.set_alpha_to_one,
                clip: w.clip_sample.then_some(w.clip_sample_range),
            }),
        };
        // By whole strides from zero, no usual number of steps reaches the last time.
        let reaches_the_last = read.spacing != Spacing::Leading;
        if w.rescale_betas_zero_snr && read.prediction == Prediction::Epsilon && reaches_the_last {
            return Err(bad(
                "rescale_betas_zero_snr",
                &"true with prediction_type `epsilon`",
                "`v_prediction` or `sample`: nothing of the picture is left at the first step, and noise alone does not tell what it was",
            ));
        }
        Ok(read)
    }

    /// The class that a `scheduler_config.json` names, where it names one.
    pub fn class(path: &Path) -> Result<Option<String>> {
        let raw: Map<String, Value> = read_json(path)?;
        Ok(raw.get("_class_name").and_then(Value::as_str).map(str::to_string))
    }

    /// Whether the picture would have to be told from its noise where nothing of it is left.
    pub(super) fn starts_from_nothing(&self) -> bool {
        self.prediction == Prediction::Epsilon && self.alphas.last() == Some(&0.0)
    }
}
