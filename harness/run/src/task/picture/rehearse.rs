//! What a contest of pictures asks for that would fail only after everything is measured, found out before.

use std::path::Path;

use edgemaxx_candle::schedule::SCHEDULERS;
use edgemaxx_candle::vae::VaeConfig;
use edgemaxx_contract::contest::{Contest, EngineSpec};
use edgemaxx_contract::metric::Model;
use edgemaxx_contract::plan::PipelinePlan;
use edgemaxx_contract::task::{Settings, picture};
use edgemaxx_picture::Picture;
use edgemaxx_quality::picture::clip::ClipEmbedder;
use edgemaxx_quality::picture::lpips::Lpips;

use crate::error::{Result, RunError};
use crate::sources::{is_same_folder, source_folder};
use crate::task::kit::Rehearsal;

/// A picture of this side is as good as a larger one to find out whether LPIPS can judge it.
const LPIPS_SIDE: u32 = 64;

/// Refuses a contest whose own words cannot be done: its judges on pictures of its size, the built-in engine's
/// schedulers, and its size on the baseline's VAE. A candidate's own folder is no part of it: what is wrong there is
/// that candidate's failure.
///
/// # Errors
/// Names the field, what was expected, and what was found.
pub(super) fn rehearse(rehearsal: &Rehearsal<'_>) -> Result<()> {
    let Rehearsal { contest, base, resolved } = *rehearsal;
    schedulers(contest, base, resolved)?;
    size(contest, base, resolved)?;
    judges(contest, base)
}

fn schedulers(contest: &Contest, base: &Path, resolved: &[PipelinePlan]) -> Result<()> {
    let known = |scheduler: Option<&String>| scheduler.is_none_or(|name| SCHEDULERS.contains(&name.as_str()));
    let refuse = |field: String, found: Option<&String>| {
        Err(RunError::input(format!(
            "{field}: expected {}, the built-in engine's schedulers, found {:?}",
            SCHEDULERS.join(" or "),
            found.map_or("none", String::as_str)
        )))
    };
    let of = |settings: &Settings| -> Result<Option<String>> {
        Ok(settings.view::<picture::Settings>()?.scheduler)
    };
    let theirs = of(&contest.baseline.settings)?;
    let theirs = theirs.as_ref();
    if contest.baseline.engine == EngineSpec::Native && !known(theirs) {
        return refuse("baseline.generation.scheduler".to_owned(), theirs);
    }
    for (index, candidate) in contest.candidates.iter().enumerate().filter(|(_, c)| !c.control) {
        let patch: picture::SettingsPatch = candidate.settings.view()?;
        let named = patch.scheduler.as_ref();
        let pipeline = resolved.iter().find(|pipeline| pipeline.name == candidate.name);
        // A folder of its own may name another engine, and another scheduler than the baseline's.
        let alone = is_same_folder(base, &candidate.checkpoint.source, &contest.baseline.checkpoint.source);
        let (native, inherits) = match (pipeline, &candidate.engine) {
            (Some(pipeline), _) => {
                (pipeline.engine == EngineSpec::Native, of(&pipeline.settings)?.as_ref() == theirs)
            }
            (None, Some(engine)) => (*engine == EngineSpec::Native, alone),
            (None, None) => (alone, alone),
        };
        let scheduler = named.or(theirs.filter(|_| inherits));
        if native && !known(scheduler) {
            return refuse(
                format!("candidate[{index}] {:?} generation.scheduler", candidate.name),
                scheduler,
            );
        }
    }
    Ok(())
}

/// Whether the built-in engine can make pictures of the contest's size with the baseline's VAE, as far as it is here.
fn size(contest: &Contest, base: &Path, resolved: &[PipelinePlan]) -> Result<()> {
    if contest.baseline.engine != EngineSpec::Native {
        return Ok(());
    }
    let checkpoint = resolved.first().map_or(&contest.baseline.checkpoint, |baseline| &baseline.checkpoint);
    let Ok(folder) = source_folder(base, &checkpoint.source) else { return Ok(()) };
    let vae = VaeConfig::read(&folder.join("vae/config.json"))
        .map_err(|error| RunError::input(format!("baseline.checkpoint: {error}")))?;
    let factor = vae.factor() as u32;
    let request: picture::Request = contest.request.view()?;
    for (field, side) in [("width", request.width), ("height", request.height)] {
        if !side.is_multiple_of(factor) {
            return Err(RunError::input(format!(
                "request.{field}: expected a multiple of {factor}, as the baseline's VAE asks for, found {side}"
            )));
        }
    }
    Ok(())
}

/// Has the models judge an empty picture.
fn judges(contest: &Contest, base: &Path) -> Result<()> {
    let refused = |model: Model, folder: &str, why: String| {
        RunError::input(format!("quality.{model}: expected {}, found {folder}: {why}", model.folder()))
    };
    let folder = |relative: &String| {
        let folder = base.join(relative);
        if folder.is_dir() { Ok(folder) } else { Err("no such folder".to_owned()) }
    };
    let picture::Request { width, height, .. } = contest.request.view()?;
    let empty = |width: u32, height: u32| {
        let bytes = width as usize * height as usize * 3;
        Picture::from_rgb(width, height, vec![0; bytes])
    };
    if let Some(clip) = contest.quality.models.get(&Model::Clip) {
        let judge =
            |folder: &Path| ClipEmbedder::load(folder)?.embed_pictures(&[empty(width, height)?]).map(drop);
        folder(clip)
            .and_then(|folder| judge(&folder).map_err(|error| error.to_string()))
            .map_err(|why| refused(Model::Clip, clip, why))?;
    }
    if let Some(lpips) = contest.quality.models.get(&Model::Lpips) {
        let judge = |folder: &Path| {
            let empty = empty(width.min(LPIPS_SIDE), height.min(LPIPS_SIDE))?;
            Lpips::load(folder)?.distance(&empty, &empty).map(drop)
        };
        folder(lpips)
            .and_then(|folder| judge(&folder).map_err(|error| error.to_string()))
            .map_err(|why| refused(Model::Lpips, lpips, why))?;
    }
    Ok(())
}
