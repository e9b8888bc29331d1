//! Checkpoints opened as their engines would, before anything is planned on them or measured with them.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use edgemaxx_candle::{CheckpointSource, derive};
use edgemaxx_contract::contest::{CheckpointSpec, Contest, Recipe};
use edgemaxx_contract::plan::{PipelinePlan, Role};
use edgemaxx_contract::task::{Encoder, Grammar, TaskRef};

use crate::built_in_engine::accelerator;
use crate::error::{InFile as _, Result, RunError};
use crate::progress::Observer;
use crate::sources::{checkpoint_files, is_same_folder, source_folder, unet_folder};
use crate::task::{Asked, kit};

/// The folders of a pipeline's checkpoint.
///
/// # Errors
/// They are not here.
pub fn source(base: &Path, pipeline: &PipelinePlan) -> Result<CheckpointSource> {
    let spec = &pipeline.checkpoint;
    Ok(CheckpointSource {
        root: source_folder(base, &spec.source)?,
        unet: spec.unet.as_ref().map(|unet| unet_folder(&base.join(unet))).transpose()?,
    })
}

/// Opens a pipeline's checkpoint as the built-in engine would, where that is its engine; of any, looks through its folders,
/// whether an engine that is started here may read them, and whether what the contest derives from it can be derived.
/// What is odd about it, and keeps it from nothing.
///
/// # Errors
/// In words, why it cannot answer.
pub fn open(
    task: TaskRef,
    asked: &Asked<'_>,
    pipeline: &PipelinePlan,
    source: &CheckpointSource,
) -> Result<Vec<String>, String> {
    let mut read = Vec::new();
    for folder in std::iter::once(&source.root).chain(&source.unet) {
        let files = checkpoint_files(folder).map_err(|error| error.to_string())?;
        read.push(folder.clone());
        read.extend(files.into_iter().filter_map(|file| file.target));
    }
    let read: Vec<&Path> = read.iter().map(PathBuf::as_path).collect();
    if let Some(why) = edgemaxx_engine::unreadable(&read) {
        return Err(why);
    }
    let kit = kit(task).map_err(|error| error.to_string())?;
    let remarks = match kit.built_in(&pipeline.engine) {
        Some(native) => native.open(source, asked, &pipeline.settings).map_err(|error| error.to_string())?,
        None if pipeline.engine.is_built_in() => {
            return Err(format!(
                "engine.native: candle-transformers does not do the task {task} here; use `native = true`"
            ));
        }
        None => Vec::new(),
    };
    match pipeline.checkpoint.derive.map(|recipe| (recipe, derive::look(source))) {
        Some((recipe, Err(error))) => Err(underivable(recipe, &error)),
        _ => Ok(remarks),
    }
}

/// Why nothing comes of a recipe.
pub fn underivable(recipe: Recipe, error: &edgemaxx_candle::Error) -> String {
    format!("{recipe} cannot be derived from its checkpoint: {error}")
}

/// Opens the checkpoints of all pipelines that are here, the baseline's first, and looks at what of the prompts it would
/// read: warns of what is wrong with a candidate, which is that candidate's failure. What turns prompts into what engines
/// are asked, where they are not asked in words and the baseline is here.
///
/// # Errors
/// The baseline cannot answer, or two prompts are the same to it.
pub fn open_all(
    contest: &Contest,
    base: &Path,
    pipelines: &[PipelinePlan],
    prompts: (&str, &str),
    observer: &dyn Observer,
) -> Result<Option<Box<dyn Encoder>>> {
    let read = looked_at(prompts)?;
    let kit = kit(contest.task)?;
    let mut encoder: Option<Box<dyn Encoder>> = None;
    let mut of_baseline = None;
    for pipeline in pipelines.iter().filter(|pipeline| pipeline.role != Role::Control) {
        let baseline = pipeline.role == Role::Baseline;
        let source = source(base, pipeline)?;
        let who = if baseline { "the baseline".to_owned() } else { format!("candidate {:?}", pipeline.name) };
        let device = accelerator(contest.device.kind);
        let asked = Asked { request: &contest.request, device, encoder: encoder.as_deref() };
        match open(contest.task, &asked, pipeline, &source) {
            // Said of the baseline already.
            Ok(_)
                if !baseline
                    && of_baseline.is_some_and(|of| says_the_same(base, of, &pipeline.checkpoint)) => {}
            Ok(remarks) => {
                remarks.iter().for_each(|remark| observer.note(&format!("warning: {who}: {remark}")));
            }
            Err(why) if baseline => {
                return Err(RunError::input(format!("baseline.checkpoint: {why}")));
            }
            Err(why) => {
                observer.note(&format!("warning: {who} cannot answer, and will be ranked as failed: {why}"));
            }
        }
        if baseline {
            let said = kit.prompts(&source, &contest.request, (prompts.0, &read))?;
            said.iter().for_each(|warning| observer.note(&format!("warning: {warning}")));
            encoder = kit.encoder(&source.root)?;
            of_baseline = Some(&pipeline.checkpoint);
        }
    }
    Ok(encoder)
}

/// Whether what is said of one checkpoint is said of the other, too: the same folders, however they are spelled.
fn says_the_same(base: &Path, one: &CheckpointSpec, other: &CheckpointSpec) -> bool {
    is_same_folder(base, &one.source, &other.source)
        && CheckpointSpec { source: other.source.clone(), ..one.clone() } == *other
}

/// The prompts that are looked at: all there are, and of a grammar the longest of each form.
fn looked_at<'a>((file, text): (&str, &'a str)) -> Result<Cow<'a, str>> {
    // Of a file that is not here yet there is no text.
    if text.is_empty() || !Grammar::is_one(file) {
        return Ok(text.into());
    }
    let grammar = Grammar::parse(file, text).map_err(|error| RunError::input(error.to_string()))?;
    Ok(grammar.samples().join("\n").into())
}

/// A checkpoint at its real place, since an engine sees nothing else: from there its links lead where they should, and no
/// link leads to it.
///
/// # Errors
/// It is gone.
pub fn at_its_real_place(source: CheckpointSource) -> Result<CheckpointSource> {
    let real = |folder: PathBuf| folder.canonicalize().in_file(&folder);
    Ok(CheckpointSource { root: real(source.root)?, unet: source.unet.map(real).transpose()? })
}

/// What must be readable beside a checkpoint's folder: where its links lead to.
///
/// # Errors
/// The folder is no checkpoint's.
pub fn linked(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(checkpoint_files(folder)?.into_iter().filter_map(|file| file.target).collect())
}
