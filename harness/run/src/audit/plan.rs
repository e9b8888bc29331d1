//! The plan: drawn again from the contest, the candidates' digests, the day and the entropy.

use edgemaxx_contract::contest::{CheckpointSpec, Contest};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::{PipelinePlan, Plan, PlanInputs, Role, draw_plan};
use edgemaxx_contract::run_files::{CONTEST_FILE, PLAN_FILE, PROMPTS_FILE};

use super::check::{Held, Means};
use crate::error::{InFile as _, Result, RunError};
use crate::folder::RunFolder;
use crate::resolve::FolderDigests;
use crate::sources::source_folder;
use crate::task::kit;

/// The plan is what contest, prompts, candidates, day and entropy make of it.
pub(super) fn drawn(folder: &RunFolder, means: &Means) -> Result<Held> {
    let plan = folder.plan()?;
    let mut contest = folder.contest(&plan)?;
    let prompts = folder.read(PROMPTS_FILE)?;
    if Digest::of(prompts.as_bytes()) != plan.prompts.digest {
        return Err(RunError::input("prompts.txt: not the prompts that plan.json names"));
    }
    pipelines(&plan, &contest)?;
    // Asked for on the command line, as are lanes, where it was: what it may change is how long is measured.
    contest.measurement.stopping = plan.measurement.stopping;
    // Without the baseline, what its tokenizer made of the prompts is the plan's word.
    let here =
        means.base.as_ref().and_then(|base| source_folder(base, &plan.baseline().checkpoint.source).ok());
    let encoder = match &here {
        Some(baseline) => kit(plan.task)?.encoder(baseline)?,
        None => kit(plan.task)?.recalled(&plan)?,
    };
    let drawn = draw_plan(PlanInputs {
        contest: &contest,
        prompts_file: &plan.prompts.file,
        prompts: &prompts,
        pipelines: &plan.pipelines,
        day: &plan.day,
        entropy: &plan.entropy,
        extent: plan.extent,
        encoder: encoder.as_deref(),
    })
    .in_file(&folder.file(PLAN_FILE))?
    .in_lanes(plan.lanes)
    .in_file(&folder.file(PLAN_FILE))?;
    if drawn.to_json() != *folder.read(PLAN_FILE)? {
        return Err(RunError::input(format!(
            "{PLAN_FILE}: not what its contest, its candidates, the day {} and the entropy {:?} make of it",
            plan.day,
            plan.entropy.as_str()
        )));
    }
    let here = checkpoints(&plan, means)?;
    Ok(Held::Yes(format!(
        "drawn again from {} and {:?}: {} sessions; {here} of {} checkpoints are here and the same",
        plan.day,
        plan.entropy.as_str(),
        plan.sessions.len(),
        plan.pipelines.len()
    )))
}

/// The pipelines are the contest's, as far as it says what they are.
fn pipelines(plan: &Plan, contest: &Contest) -> Result<()> {
    let foreign = |name: &str, field: &str| {
        Err(RunError::input(format!(
            "{PLAN_FILE}: pipeline {name:?}: {field} is not what {CONTEST_FILE} says"
        )))
    };
    let baseline = plan.baseline();
    let same = |pipeline: &PipelinePlan| {
        pins(&pipeline.checkpoint, &contest.baseline.checkpoint)
            && pipeline.settings == contest.baseline.settings
            && pipeline.engine == contest.baseline.engine
            && pipeline.digest == baseline.digest
    };
    if baseline.name != contest.baseline.name || !same(baseline) {
        return foreign(&baseline.name, "the baseline");
    }
    let mut wanted = contest.candidates.iter().filter(|candidate| !candidate.control);
    for pipeline in plan.candidates() {
        match pipeline.role {
            Role::Baseline => return foreign(&pipeline.name, "its role"),
            Role::Control if !same(pipeline) => return foreign(&pipeline.name, "the control"),
            Role::Control => {}
            Role::Candidate => {
                let Some(spec) = wanted.next().filter(|spec| spec.name == pipeline.name) else {
                    return foreign(&pipeline.name, "its place");
                };
                if !pins(&pipeline.checkpoint, &spec.checkpoint) {
                    return foreign(&pipeline.name, "its checkpoint");
                }
                let patched = plan.task.patched(&pipeline.settings, &spec.settings);
                if patched.ok().as_ref() != Some(&pipeline.settings) {
                    return foreign(&pipeline.name, "its generation");
                }
                if spec.engine.as_ref().is_some_and(|engine| *engine != pipeline.engine) {
                    return foreign(&pipeline.name, "its engine");
                }
            }
        }
    }
    match wanted.next() {
        Some(spec) => foreign(&spec.name, "its absence"),
        None => Ok(()),
    }
}

/// Whether `planned` is what the contest asked for: a repository is planned at a full revision.
fn pins(planned: &CheckpointSpec, asked: &CheckpointSpec) -> bool {
    let repository = asked.source.split('@').next().unwrap_or_default();
    let same = planned.source == asked.source
        || planned.source.strip_prefix(repository).is_some_and(|rest| rest.starts_with('@'));
    same && planned.unet == asked.unet && planned.derive == asked.derive
}

/// How many checkpoints are on this machine; they must be the plan's.
fn checkpoints(plan: &Plan, means: &Means) -> Result<u32> {
    let Some(base) = &means.base else { return Ok(0) };
    let mut digests = FolderDigests::default();
    let mut here = 0;
    for pipeline in &plan.pipelines {
        match digests.of(base, &pipeline.checkpoint) {
            Ok(digest) if digest == pipeline.digest => here += 1,
            Ok(digest) => {
                return Err(RunError::input(format!(
                    "{PLAN_FILE}: pipeline {:?}: names {}, but the checkpoint in {} is {}",
                    pipeline.name,
                    pipeline.digest.short(),
                    base.display(),
                    digest.short()
                )));
            }
            Err(_) => {}
        }
    }
    Ok(here)
}
