//! Telemetry: a thread of its own reads the machine while a plan is executed and appends what it
//! finds to `telemetry.jsonl`. It never touches `samples.jsonl`; the two meet in `analyze`.
//!
//! [`Recorder`] is the thread; what it reads from, `edgemaxx-devices` has.

mod file;
mod recorder;

pub use file::TELEMETRY_FILE;
pub use recorder::{NoTelemetry, Recorder, Settings, Telemetry};
