//! Looking at a contest without measuring it: as far as it is on this machine it is planned, and what a plan is refused
//! for is said.

use std::path::Path;

use edgemaxx_contract::contest::{CheckpointSpec, Contest, EngineSpec};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::{PipelinePlan, Plan, Role};

use crate::error::{InFile as _, Result, RunError, Within as _};
use crate::floor;
use crate::open::open_all;
use crate::progress::Observer;
use crate::resolve::{Resolved, baseline, candidate, control, engine_files, prompts, rehearse, unreadable};
use crate::sources::{checkpoint_files, source_folder};
use crate::stage::plan::Draw;
use crate::text_file::read_text;

/// A contest, and what is known of it without measuring.
#[derive(Debug)]
pub struct Looked {
    /// The contest.
    pub contest: Contest,
    /// See [`floor::weights_at_once`]; `None` also where the baseline is not on this machine.
    pub weights_bytes: Option<u64>,
}

/// Looks at the contest at `path` as far as it is here, without digests of checkpoints and without fetching anything: what it
/// asks for, the checkpoints that are on this machine, files and programs of engines, prompts; and draws a plan of that.
///
/// # Errors
/// Its own words cannot be done, the baseline cannot answer, or a file of it is missing.
pub fn look(path: &Path, observer: &dyn Observer) -> Result<Looked> {
    let text = read_text(path)?;
    let contest = Contest::parse(&text).in_file(path)?;
    contest.can_be_won().in_file(path)?;
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    let context = || path.display().to_string();
    rehearse(&contest, &base, &[]).within(context)?;
    let here = |checkpoint: &CheckpointSpec| {
        let unet = checkpoint.unet.as_ref().is_none_or(|unet| base.join(unet).is_dir());
        source_folder(&base, &checkpoint.source).is_ok_and(|folder| folder.is_dir()) && unet
    };
    let looked = Digest::of("not digested");
    engine_files(Some(&contest.baseline.engine), &base).within(|| "baseline".to_owned()).within(context)?;
    let mut pipelines = Vec::new();
    if here(&contest.baseline.checkpoint) {
        pipelines.push(baseline(&contest, contest.baseline.checkpoint.clone(), looked));
        pipelines.push(control(&contest, &pipelines[0]));
    }
    for spec in contest.candidates.iter().filter(|spec| !spec.control) {
        engine_files(spec.engine.as_ref(), &base)
            .within(|| format!("candidate {:?}", spec.name))
            .within(context)?;
        if here(&spec.checkpoint) {
            let plain = checkpoint_files(&source_folder(&base, &spec.checkpoint.source)?).is_ok();
            let digest = if plain { looked } else { unreadable() };
            pipelines
                .push(candidate(&contest, &base, spec, spec.checkpoint.clone(), digest).within(context)?);
        }
    }
    needed(&pipelines, observer).within(context)?;
    let (prompts_file, prompts) = prompts(&contest, &base, path)?;
    let encoder =
        open_all(&contest, &base, &pipelines, (&prompts_file, &prompts), observer).within(context)?;
    if !here(&contest.baseline.checkpoint) {
        return Ok(Looked { contest, weights_bytes: None });
    }
    let resolved = Resolved { contest, text, base, prompts_file, prompts, pipelines, encoder };
    let (Resolved { contest, base, .. }, plan) =
        Draw::today(path.to_owned(), false)?.draw_resolved(resolved)?;
    Ok(Looked { weights_bytes: weights_at_once(&plan, &base)?, contest })
}

/// Warns of candidates whose engines need programs that are not installed here.
///
/// # Errors
/// The baseline's engine does.
fn needed(pipelines: &[PipelinePlan], observer: &dyn Observer) -> Result<()> {
    for pipeline in pipelines.iter().filter(|pipeline| pipeline.role != Role::Control) {
        let EngineSpec::Command(engine) = &pipeline.engine else { continue };
        match edgemaxx_engine::needs(&engine.needs) {
            Ok(()) => {}
            Err(why) if pipeline.role == Role::Baseline => {
                return Err(RunError::input(format!("baseline.engine: {why}")));
            }
            Err(why) => {
                observer.note(&format!("warning: candidate {:?} cannot start here: {why}", pipeline.name));
            }
        }
    }
    Ok(())
}

/// What a plan has in memory at once, see [`floor::weights_at_once`].
///
/// # Errors
/// Nobody knows the plan's task.
pub fn weights_at_once(plan: &Plan, base: &Path) -> Result<Option<u64>> {
    Ok(floor::weights_at_once(plan, &floor::work(plan, base)?))
}
