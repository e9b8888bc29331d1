//! The steps of one picture.

use candle_core::{DType, Device, Tensor};

use super::config::{Kind, ScheduleConfig};
use super::ddim::{Ddim, Ddpm};
use super::dpm::Dpm;
use super::euler::Euler;
use super::heun::Heun;
use super::lcm::Lcm;
use super::lms::Lms;
use super::noise::Noise;
use super::pndm::Pndm;
use super::sde::Sde;
use super::solver::Solver;
use super::unipc::UniPc;
use crate::error::{Error, Result};

/// The calls of the model for one picture: which time it is asked about, how its input is scaled, how its answer is used.
pub struct Schedule(Box<dyn Solver>);

impl Schedule {
    /// The schedule for `steps` steps, which can take more calls of the model than that.
    ///
    /// # Errors
    /// [`Error::Request`] where `steps` is zero, beyond the training schedule or too many for the solver.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Result<Self> {
        if steps == 0 || steps > config.train_steps {
            return Err(Error::Request {
                field: "steps",
                found: steps.to_string(),
                expected: format!("1 to {}", config.train_steps),
            });
        }
        let c = config;
        Ok(Self(match &config.kind {
            Kind::Euler(euler) => Box::new(Euler::new(c, *euler, steps)),
            Kind::Ddim(ddim) => Box::new(Ddim::new(c, *ddim, steps)?),
            Kind::Ddpm(ddpm) => Box::new(Ddpm::new(c, *ddpm, steps)?),
            Kind::Dpm(dpm) => Box::new(Dpm::new(c, *dpm, steps)?),
            Kind::UniPc(unipc) => Box::new(UniPc::new(c, unipc.clone(), steps)),
            Kind::Lcm(lcm) => Box::new(Lcm::new(c, *lcm, steps)?),
            Kind::Tcd { original_steps } => Box::new(Ddim::of_distilled(c, *original_steps, steps)?),
            Kind::Pndm { last_alpha_one } => Box::new(Pndm::new(c, *last_alpha_one, steps)?),
            Kind::Lms => Box::new(Lms::new(c, steps)),
            Kind::Heun(heun) => Box::new(Heun::new(c, *heun, steps)),
            Kind::Sde { seed } => Box::new(Sde::new(c, *seed, steps)),
        }))
    }

    /// Goes the whole way of a picture of one number, to see whether any step makes what is no number of it.
    ///
    /// # Errors
    /// Those of [`Self::new`]; [`Error::Request`] names the step, and the keys of the configuration that are at fault.
    pub fn rehearse(config: &ScheduleConfig, steps: usize) -> Result<()> {
        let mut schedule = Self::new(config, steps)?;
        let one = Tensor::ones((1, 1, 1, 1), DType::F32, &Device::Cpu)?;
        let number = |x: &Tensor| -> Result<bool> { Ok(x.sum_all()?.to_scalar::<f32>()?.is_finite()) };
        let mut noise = Noise::new(0);
        let mut x = (&one * f64::from(schedule.initial_scale()))?;
        for (i, time) in schedule.times().to_vec().into_iter().enumerate() {
            let input = schedule.scale_input(&x, i)?;
            x = schedule.step(&one, i, &x, &mut noise)?;
            if !(time.is_finite() && number(&input)? && number(&x)?) {
                let last = i + 1 == schedule.times().len();
                let keys = config.to_blame(schedule.times(), last);
                return Err(Error::Request {
                    field: "steps",
                    found: format!("{steps}, of which that at time {time} makes what is no number"),
                    expected: format!(
                        "a scheduler_config.json with another {keys}, or another number of steps"
                    ),
                });
            }
        }
        Ok(())
    }

    /// Times to ask the model about, one per call.
    pub fn times(&self) -> &[f32] {
        self.0.times()
    }

    /// Factor of the initial noise.
    pub fn initial_scale(&self) -> f32 {
        self.0.initial_scale()
    }

    /// The model's input at call `i`.
    ///
    /// # Errors
    /// The computation fails.
    pub fn scale_input(&self, sample: &Tensor, i: usize) -> Result<Tensor> {
        self.0.scale_input(sample, i)
    }

    /// The sample after call `i`, from the one before it and the model's output; both f32, `[batch, h, w, channels]`.
    /// Calls are made in their order.
    ///
    /// # Errors
    /// The computation fails.
    pub fn step(&mut self, output: &Tensor, i: usize, sample: &Tensor, noise: &mut Noise) -> Result<Tensor> {
        self.0.step(output, i, sample, noise)
    }
}
