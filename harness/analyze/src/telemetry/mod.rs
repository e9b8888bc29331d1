//! What telemetry says of each request: a pure function of samples and telemetry, so that both can
//! be published and every number of it found again.

mod derive;
mod series;

pub use derive::Derived;
