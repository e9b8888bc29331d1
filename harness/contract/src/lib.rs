//! The shared vocabulary of EdgeMaxx: contest, plan, samples, quality, estimates, ranking. Pure, no I/O.

pub mod comparison;
pub mod contest;
pub mod digest;
pub mod environment;
pub mod estimate;
pub mod format;
pub mod latents;
pub mod plan;
pub mod quality;
pub mod ranking;
pub mod sample;
pub mod telemetry;
