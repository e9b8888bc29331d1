//! `scheduler_config.json` as diffusers writes it; absent keys take the defaults of diffusers' class, and keys that a class
//! does not know are left alone, as by diffusers.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::betas;
use super::config::{
    Clipping, DdpmConfig, DpmConfig, EulerConfig, HeunConfig, Kind, LcmConfig, Midway, Prediction,
    ScheduleConfig, Spacing, Spread, UniPcConfig, Variance,
};
use crate::error::{Error, Result};
use crate::json::read_json;
use crate::limits;

/// Classes of schedulers that this engine knows.
pub const SCHEDULERS: [&str; 13] = [
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "DDIMScheduler",
    "DDPMScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "UniPCMultistepScheduler",
    "LCMScheduler",
    "TCDScheduler",
    "PNDMScheduler",
    "LMSDiscreteScheduler",
    "HeunDiscreteScheduler",
    "DPMSolverSDEScheduler",
];

#[derive(Deserialize)]
#[serde(default)]
struct Wire {
    num_train_timesteps: usize,
    beta_start: Option<f64>,
    beta_end: Option<f64>,
    beta_schedule: Option<String>,
    trained_betas: Option<Vec<f32>>,
    prediction_type: String,
    timestep_spacing: Option<String>,
    steps_offset: usize,
    rescale_betas_zero_snr: bool,
    final_sigmas_type: String,
    clip_sample: Option<bool>,
    clip_sample_range: f64,
    set_alpha_to_one: Option<bool>,
    use_karras_sigmas: Option<bool>,
    use_exponential_sigmas: Option<bool>,
    use_beta_sigmas: Option<bool>,
    sigma_min: Option<f64>,
    sigma_max: Option<f64>,
    solver_order: usize,
    algorithm_type: String,
    solver_type: Option<String>,
    lower_order_final: Option<bool>,
    euler_at_final: bool,
    lambda_min_clipped: Value,
    predict_x0: bool,
    disable_corrector: Vec<usize>,
    original_inference_steps: usize,
    timestep_scaling: f64,
    variance_type: Option<String>,
    noise_sampler_seed: Option<u64>,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            num_train_timesteps: 1000,
            beta_start: None,
            beta_end: None,
            beta_schedule: None,
            trained_betas: None,
            prediction_type: "epsilon".to_string(),
            timestep_spacing: None,
            steps_offset: 0,
            rescale_betas_zero_snr: false,
            final_sigmas_type: "zero".to_string(),
            clip_sample: None,
            clip_sample_range: 1.0,
            set_alpha_to_one: None,
            use_karras_sigmas: None,
            use_exponential_sigmas: None,
            use_beta_sigmas: None,
            sigma_min: None,
            sigma_max: None,
            solver_order: 2,
            algorithm_type: "dpmsolver++".to_string(),
            solver_type: None,
            lower_order_final: None,
            euler_at_final: false,
            lambda_min_clipped: Value::from("-Infinity"),
            predict_x0: true,
            disable_corrector: Vec::new(),
            original_inference_steps: 50,
            timestep_scaling: 10.0,
            variance_type: None,
            noise_sampler_seed: None,
        }
    }
}

/// What a class is like where its configuration says nothing, and which keys it knows.
struct Class {
    name: &'static str,
    /// β from, to and how.
    betas: (f64, f64, &'static str),
    spacing: &'static str,
    /// Whether it knows `karras`, `exponential` and `beta` sigmas.
    spreads: bool,
    /// Whether it knows `sigma_min` and `sigma_max`.
    bounds: bool,
    /// Whether it knows `rescale_betas_zero_snr`.
    rescales: bool,
    /// Keys that change the arithmetic, and the values (as JSON) that this engine implements, the default first.
    only: &'static [(&'static str, &'static [&'static str])],
}

const LINEAR: (f64, f64, &str) = (0.0001, 0.02, "linear");
const THRESHOLDING: (&str, &[&str]) = ("thresholding", &["false"]);
const FLOW: (&str, &[&str]) = ("use_flow_sigmas", &["false", "null"]);
const ALGORITHM: (&str, &[&str]) = ("algorithm_type", &["\"dpmsolver++\"", "\"sde-dpmsolver++\""]);
const VARIANCE: (&str, &[&str]) = ("variance_type", &["null"]);

impl Class {
    const fn plain(name: &'static str, spacing: &'static str) -> Self {
        Self { name, betas: LINEAR, spacing, spreads: false, bounds: false, rescales: true, only: &[] }
    }

    fn of(name: &str) -> Option<Self> {
        let known = SCHEDULERS.iter().find(|known| **known == name)?;
        let plain = |spacing| Self::plain(known, spacing);
        Some(match name {
            "EulerDiscreteScheduler" => Self {
                spreads: true,
                bounds: true,
                only: &[("interpolation_type", &["\"linear\""]), ("timestep_type", &["\"discrete\""])],
                ..plain("linspace")
            },
            "EulerAncestralDiscreteScheduler" => Self {
                only: &[("prediction_type", &["\"epsilon\"", "\"v_prediction\""])],
                ..plain("linspace")
            },
            "DDIMScheduler" => Self { only: &[THRESHOLDING], ..plain("leading") },
            "DDPMScheduler" => Self {
                only: &[
                    THRESHOLDING,
                    ("variance_type", &["\"fixed_small\"", "\"fixed_small_log\"", "\"fixed_large\""]),
                ],
                ..plain("leading")
            },
            "DPMSolverMultistepScheduler" => Self {
                spreads: true,
                only: &[
                    THRESHOLDING,
                    FLOW,
                    ALGORITHM,
                    VARIANCE,
                    ("use_lu_lambdas", &["false", "null"]),
                    ("solver_order", &["2", "1", "3"]),
                ],
                ..plain("linspace")
            },
            "DPMSolverSinglestepScheduler" => Self {
                spreads: true,
                rescales: false,
                only: &[THRESHOLDING, FLOW, ALGORITHM, VARIANCE, ("solver_order", &["2", "1"])],
                ..plain("linspace")
            },
            "UniPCMultistepScheduler" => Self {
                spreads: true,
                bounds: true,
                only: &[
                    THRESHOLDING,
                    FLOW,
                    ("solver_p", &["null"]),
                    ("shift_terminal", &["null"]),
                    ("solver_order", &["2", "1", "3", "4"]),
                ],
                ..plain("linspace")
            },
            "LCMScheduler" | "TCDScheduler" => {
                Self { betas: (0.00085, 0.012, "scaled_linear"), only: &[THRESHOLDING], ..plain("leading") }
            }
            "PNDMScheduler" => Self {
                rescales: false,
                // absent means false, whose first steps are Runge–Kutta's
                only: &[
                    ("skip_prk_steps", &["true"]),
                    ("prediction_type", &["\"epsilon\"", "\"v_prediction\""]),
                ],
                ..plain("leading")
            },
            "DPMSolverSDEScheduler" => Self {
                betas: (0.00085, 0.012, "linear"),
                spreads: true,
                rescales: false,
                only: &[("prediction_type", &["\"epsilon\"", "\"v_prediction\""])],
                ..plain("linspace")
            },
            "LMSDiscreteScheduler" => Self { spreads: true, rescales: false, ..plain("linspace") },
            _ => Self {
                betas: (0.00085, 0.012, "linear"),
                spreads: true,
                rescales: false,
                ..plain("linspace")
            },
        })
    }

    /// What the class's solver knows beside what all know.
    fn kind(&self, w: &Wire) -> Kind {
        let clip = |usual: bool| w.clip_sample.unwrap_or(usual).then_some(w.clip_sample_range);
        let last_sigma_min = w.final_sigmas_type == "sigma_min";
        let original_steps = w.original_inference_steps;
        let singlestep = self.name == "DPMSolverSinglestepScheduler";
        let dpm = DpmConfig {
            order: w.solver_order,
            stochastic: w.algorithm_type == "sde-dpmsolver++",
            singlestep,
            midway: if w.solver_type.as_deref() == Some("heun") { Midway::Heun } else { Midway::Midpoint },
            lower_order_final: w.lower_order_final.unwrap_or(!singlestep),
            euler_at_final: w.euler_at_final,
            last_sigma_min,
            rounded: singlestep || w.beta_schedule.as_deref() != Some("squaredcos_cap_v2"),
            least_lambda: w.lambda_min_clipped.as_f64().unwrap_or(f64::NEG_INFINITY),
        };
        match self.name {
            "EulerDiscreteScheduler" => Kind::Euler(EulerConfig { last_sigma_min, ancestral: false }),
            "EulerAncestralDiscreteScheduler" => {
                Kind::Euler(EulerConfig { last_sigma_min: false, ancestral: true })
            }
            "DDIMScheduler" => {
                Kind::Ddim(Clipping { last_alpha_one: w.set_alpha_to_one.unwrap_or(true), clip: clip(true) })
            }
            "DDPMScheduler" => Kind::Ddpm(DdpmConfig {
                clip: clip(true),
                variance: match w.variance_type.as_deref() {
                    Some("fixed_large") => Variance::Large,
                    _ => Variance::Small,
                },
            }),
            "DPMSolverMultistepScheduler" | "DPMSolverSinglestepScheduler" => Kind::Dpm(dpm),
            "UniPCMultistepScheduler" => Kind::UniPc(UniPcConfig {
                order: w.solver_order,
                predicts_picture: w.predict_x0,
                bh1: w.solver_type.as_deref() == Some("bh1"),
                lower_order_final: w.lower_order_final.unwrap_or(true),
                last_sigma_min,
                uncorrected: w.disable_corrector.clone(),
            }),
            "LCMScheduler" => {
                Kind::Lcm(LcmConfig { original_steps, clip: clip(false), scaling: w.timestep_scaling })
            }
            "TCDScheduler" => Kind::Tcd { original_steps },
            "PNDMScheduler" => Kind::Pndm { last_alpha_one: w.set_alpha_to_one.unwrap_or(false) },
            "LMSDiscreteScheduler" => Kind::Lms,
            "DPMSolverSDEScheduler" => Kind::Sde { seed: w.noise_sampler_seed },
            _ => Kind::Heun(HeunConfig { clip: clip(false) }),
        }
    }

    /// How noise levels are spread.
    fn spread(&self, path: &Path, w: &Wire) -> Result<Spread> {
        let said = [
            ("use_karras_sigmas", w.use_karras_sigmas, Spread::Karras),
            ("use_exponential_sigmas", w.use_exponential_sigmas, Spread::Exponential),
            ("use_beta_sigmas", w.use_beta_sigmas, Spread::Beta),
        ];
        let mut wanted = said.iter().filter(|(_, wanted, _)| self.spreads && *wanted == Some(true));
        let spread = wanted.next().map_or(Spread::AtTimes, |(_, _, spread)| *spread);
        match wanted.next() {
            Some((key, _, _)) => Err(Error::config(path, key, "true", "at most one of the kinds of sigmas")),
            None => Ok(spread),
        }
    }
}

impl ScheduleConfig {
    /// Reads and checks a `scheduler_config.json`; `class` stands for the class that it names, as in diffusers'
    /// `from_config`.
    ///
    /// # Errors
    /// Names the file, the key, what was found and what is implemented; of a class that was asked for, the setting.
    pub fn read(path: &Path, class: Option<&str>) -> Result<Self> {
        let raw: Map<String, Value> = read_json(path)?;
        let bad = |field: &str, found: &dyn std::fmt::Display, expected: &str| {
            Error::config(path, field, found, expected)
        };
        let own = raw.get("_class_name").and_then(Value::as_str);
        let name = class.or(own).unwrap_or_default();
        let Some(class) = Class::of(name) else {
            let expected = format!("`{}`, the supported schedulers", SCHEDULERS.join("` or `"));
            let found = format!("`{name}`");
            return Err(match class {
                Some(_) => Error::Request { field: "generation.scheduler", found, expected },
                None => bad("_class_name", &found, &expected),
            });
        };
        for (key, allowed) in class.only {
            let absent = if *key == "skip_prk_steps" { "false" } else { allowed[0] };
            let found = raw.get(*key).map_or_else(|| absent.to_string(), Value::to_string);
            if !allowed.contains(&found.as_str()) {
                return Err(bad(key, &found, &allowed.join(" or ")));
            }
        }
        let mut w: Wire = read_json(path)?;
        w.rescale_betas_zero_snr &= class.rescales;
        Error::bound(path, "num_train_timesteps", w.num_train_timesteps, limits::TIMES)?;
        if w.steps_offset > limits::TIMES {
            return Err(bad("steps_offset", &w.steps_offset, &format!("at most {}", limits::TIMES)));
        }
        for (key, value) in [("sigma_min", w.sigma_min), ("sigma_max", w.sigma_max)] {
            if value.is_some_and(|sigma| !(sigma > 0.0 && sigma < 1e6)) {
                return Err(bad(key, &value.unwrap_or_default(), "above 0 and below 1,000,000"));
            }
        }
        let spacing = match class.name {
            "DPMSolverSinglestepScheduler" => "linspace",
            _ => w.timestep_spacing.as_deref().unwrap_or(class.spacing),
        };
        let spacing = match spacing {
            "linspace" => Spacing::Linspace,
            "leading" => Spacing::Leading,
            "trailing" => Spacing::Trailing,
            other => {
                let expected = "`linspace`, `leading` or `trailing`";
                return Err(bad("timestep_spacing", &format!("`{other}`"), expected));
            }
        };
        let prediction = match w.prediction_type.as_str() {
            "epsilon" => Prediction::Epsilon,
            "v_prediction" => Prediction::Velocity,
            "sample" => Prediction::Sample,
            other => {
                let expected = "`epsilon`, `v_prediction` or `sample`";
                return Err(bad("prediction_type", &format!("`{other}`"), expected));
            }
        };
        if !["zero", "sigma_min"].contains(&w.final_sigmas_type.as_str()) {
            let found = format!("`{}`", w.final_sigmas_type);
            return Err(bad("final_sigmas_type", &found, "`zero` or `sigma_min`"));
        }
        let read = Self {
            train_steps: w.num_train_timesteps,
            alphas: alphas(path, &class, &w)?,
            spacing,
            offset: w.steps_offset,
            spread: class.spread(path, &w)?,
            sigma_min: w.sigma_min.filter(|_| class.bounds),
            sigma_max: w.sigma_max.filter(|_| class.bounds),
            prediction,
            kind: class.kind(&w),
        };
        // By whole strides from zero, no usual number of steps reaches the last time; distilled models begin at it.
        let distilled = matches!(read.kind, Kind::Lcm(_) | Kind::Tcd { .. });
        let reaches_the_last = read.spacing != Spacing::Leading || distilled;
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
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn class(path: &Path) -> Result<Option<String>> {
        let raw: Map<String, Value> = read_json(path)?;
        Ok(raw.get("_class_name").and_then(Value::as_str).map(str::to_string))
    }
}

/// What is left of the picture, time by time.
fn alphas(path: &Path, class: &Class, w: &Wire) -> Result<Vec<f32>> {
    let bad = |field: &str, found: &str, expected: &str| Error::config(path, field, found, expected);
    let (start, end) = (w.beta_start.unwrap_or(class.betas.0), w.beta_end.unwrap_or(class.betas.1));
    let n = w.num_train_timesteps;
    let betas = match (&w.trained_betas, w.beta_schedule.as_deref().unwrap_or(class.betas.2)) {
        (Some(betas), _) => betas.clone(),
        (None, "linear") => betas::linspace(start, end, n),
        (None, "scaled_linear") => betas::scaled_linear(start, end, n),
        (None, "squaredcos_cap_v2") => betas::squared_cosine(n),
        (None, other) => {
            let expected = "`linear`, `scaled_linear` or `squaredcos_cap_v2`";
            return Err(bad("beta_schedule", &format!("`{other}`"), expected));
        }
    };
    if betas.len() != n || betas.is_empty() {
        let found = format!("{} betas for {n} times", betas.len());
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
    // keeps the first σ of those that reckon in it finite, as in diffusers
    let finite = !matches!(class.name, "DDIMScheduler" | "DDPMScheduler" | "LCMScheduler" | "TCDScheduler");
    if w.rescale_betas_zero_snr
        && finite
        && let Some(last) = alphas.last_mut()
    {
        *last = 2f32.powi(-24);
    }
    Ok(alphas)
}
