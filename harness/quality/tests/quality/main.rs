//! The metrics and judges against their originals. One binary, so that its tests run side by side.

mod common;

mod clip;
mod metrics;
mod pictures;
mod real_shapes;
mod resample;
mod second_opinion;
