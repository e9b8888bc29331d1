//! Noise schedules of diffusers, from `scheduler_config.json`.

mod alphas;
mod betas;
mod brownian;
mod config;
mod ddim;
mod dpm;
mod euler;
mod heun;
mod lcm;
mod lms;
mod noise;
mod pndm;
mod predict;
mod read;
mod sde;
mod sigmas;
mod solver;
mod steps;
mod times;
mod unipc;

pub use config::{Prediction, ScheduleConfig, Spacing, Spread};
pub use noise::Noise;
pub use read::SCHEDULERS;
pub use steps::Schedule;
