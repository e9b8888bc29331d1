//! What a run's device can do at most, and what any engine must do for an answer: the floor below which no answer is
//! believed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use edgemaxx_candle::Accelerator;
use edgemaxx_contract::contest::Residency;
use edgemaxx_contract::floor::{Passes, Peaks, Work};
use edgemaxx_contract::plan::{PipelinePlan, Plan, Role};
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

/// Bytes of the weights of all processes that are in memory at once, at least, as far as checkpoints tell; `None`: one process
/// is at a time, or nobody knows of any.
pub fn weights_at_once(plan: &Plan, work: &BTreeMap<String, Work>) -> Option<u64> {
    if plan.measurement.residency != Residency::Together {
        return None;
    }
    let of = |pipeline: &PipelinePlan| work.get(&pipeline.name).map(weights);
    let shared = plan.is_shared();
    let others = plan.candidates().iter().filter(|other| !shared || other.role == Role::Candidate);
    let mut others: Vec<u64> = others.filter_map(of).collect();
    others.sort_unstable_by(|a, b| b.cmp(a));
    others.truncate(if shared { plan.measurement.block as usize } else { 1 });
    let always = [Some(plan.baseline()), plan.control().filter(|_| shared)];
    always.into_iter().flatten().filter_map(of).chain(others).reduce(u64::saturating_add)
}

/// Weights of one process, bytes. What follows for further units is done with what was read for the first.
fn weights(work: &Work) -> u64 {
    let each = work.parts.iter().filter(|part| part.passes != Passes::FurtherUnits);
    each.map(|part| part.bytes).sum()
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

#[cfg(test)]
mod tests {
    use edgemaxx_contract::contest::Contest;
    use edgemaxx_contract::digest::Digest;
    use edgemaxx_contract::dtype::Dtype;
    use edgemaxx_contract::floor::Part;
    use edgemaxx_contract::plan::{Extent, PlanInputs, draw_plan};

    use super::*;

    const CONTEST: &str = r#"
format = 1
name = "c"
[device]
kind = "cpu"
[request]
prompts = "p.txt"
width = 64
height = 64
[baseline]
checkpoint = "m"
generation = { steps = 20, guidance_scale = 5.0 }
[measurement]
MEASUREMENT
[quality]
"#;

    /// The least that is in memory at once, where the baseline and the control have 100 bytes, and candidates so many.
    fn at_once(measurement: &str, candidates: &[u64]) -> Option<u64> {
        let contest = Contest::parse(&CONTEST.replace("MEASUREMENT", measurement)).unwrap();
        let pipeline = |name: String, role| PipelinePlan {
            digest: Digest::of(&name),
            name,
            role,
            description: String::new(),
            checkpoint: contest.baseline.checkpoint.clone(),
            settings: contest.baseline.settings.clone(),
            engine: contest.baseline.engine.clone(),
        };
        let mut pipelines = vec![
            pipeline("baseline".to_owned(), Role::Baseline),
            pipeline("control".to_owned(), Role::Control),
        ];
        let names = candidates.iter().map(|bytes| format!("c{bytes}"));
        pipelines.extend(names.map(|name| pipeline(name, Role::Candidate)));
        let plan = draw_plan(PlanInputs {
            contest: &contest,
            prompts_file: "p.txt",
            prompts: "a\nb\nc\n",
            pipelines: &pipelines,
            day: &"2026-11-22".parse().unwrap(),
            entropy: &"x".parse().unwrap(),
            extent: Extent::Full,
            encoder: None,
        })
        .unwrap();
        let part = |name: &str, passes, bytes| Part {
            name: name.to_owned(),
            passes,
            flops: 0,
            conv_flops: 0,
            bytes,
            at_once: 1,
        };
        let of = |bytes| Work {
            dtype: Dtype::F32,
            parts: vec![
                part("one", Passes::Each(1), bytes - 1),
                part("other", Passes::Each(20), 1),
                part("again", Passes::FurtherUnits, bytes),
            ],
        };
        let all = [("baseline".to_owned(), 100), ("control".to_owned(), 100)].into_iter();
        let all = all.chain(candidates.iter().map(|bytes| (format!("c{bytes}"), *bytes)));
        weights_at_once(&plan, &all.map(|(name, bytes)| (name, of(bytes))).collect())
    }

    #[test]
    fn what_is_in_memory_at_once_is_the_heaviest_block_or_session() {
        assert_eq!(at_once("", &[50, 70, 300]), Some(400), "a session's two");
        assert_eq!(at_once("", &[50]), Some(200), "the control is one of them");
        assert_eq!(at_once("block = 2", &[50, 70, 300]), Some(570), "baseline, control and the two heaviest");
        assert_eq!(at_once("block = 12", &[50, 70, 300]), Some(620), "all there are");
        assert_eq!(at_once("residency = \"alternating\"\nblock = 12", &[50, 70, 300]), None, "one at a time");
    }
}
