//! What a run's device can do at most, and what any engine must do for an answer: the floor below which no answer is
//! believed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use edgemaxx_candle::Accelerator;
use edgemaxx_contract::floor::{Peaks, Work};
use edgemaxx_contract::plan::Plan;
use edgemaxx_devices::Pins;

use crate::error::{Class, Result, RunError};
use crate::open;
use crate::task::kit;

/// How long a device is measured before a run.
pub const BEFORE_A_RUN: Duration = Duration::from_millis(400);
/// How long it is where nothing else is wanted.
pub const ALONE: Duration = Duration::from_secs(5);

/// Measures the device in a process of its own, with the pins that engines get: this one is to open no card.
///
/// # Errors
/// The device cannot be used, in words.
pub fn peaks(device: Accelerator, pins: &Pins, budget: Duration) -> Result<Peaks> {
    let unfit = |why: String| RunError::of(Class::Environment, format!("what the device can do: {why}"));
    let program = std::env::current_exe().map_err(|error| unfit(error.to_string()))?;
    let mut process = Command::new(program);
    process.args(["engine", "peaks", "--device", device.name()]);
    process.args(["--threads", &pins.threads.to_string(), "--ms", &budget.as_millis().to_string()]);
    let said =
        process.env_clear().envs(pins.variables()).output().map_err(|error| unfit(error.to_string()))?;
    if !said.status.success() {
        return Err(unfit(String::from_utf8_lossy(&said.stderr).trim().to_owned()));
    }
    serde_json::from_slice(&said.stdout).map_err(|error| unfit(error.to_string()))
}

/// What any engine must do for an answer, by pipeline, as far as checkpoints tell: those of engines that lay their files
/// out otherwise do not.
///
/// # Errors
/// Nobody knows the plan's task.
pub fn work(plan: &Plan, base: &Path) -> Result<BTreeMap<String, Work>> {
    let Some(native) = kit(plan.task)?.native() else { return Ok(BTreeMap::new()) };
    let of = |pipeline| native.work(&open::source(base, pipeline).ok()?, plan, pipeline).ok();
    Ok(plan.pipelines.iter().filter_map(|pipeline| Some((pipeline.name.clone(), of(pipeline)?))).collect())
}
