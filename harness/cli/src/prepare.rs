//! What each pipeline of a plan is started with: its checkpoint, derived where the plan says so,
//! and its process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use edgemaxx_candle::CheckpointSource;
use edgemaxx_candle::derive::{self, Noise, Storage, derive};
use edgemaxx_contract::contest::{DeviceKind, EngineSpec, Recipe};
use edgemaxx_contract::plan::{PipelinePlan, Plan};
use edgemaxx_engine::{Limits, Pins, ProcessLauncher, ProcessSpec, SandboxStatus};
use edgemaxx_protocol::{Load, Settings};

use crate::error::{Exit, Failure, InFile as _};
use crate::folder::RunFolder;
use crate::native::wire_dtype;
use crate::resolve::{FolderDigests, source_folder, unet_folder};

/// The environment of every engine of a plan.
pub(crate) fn pins(plan: &Plan) -> Pins {
    Pins { threads: plan.measurement.threads, gpu: (plan.device.kind == DeviceKind::Cuda).then_some(0) }
}

/// A launcher that knows all pipelines of the plan.
pub(crate) fn launcher(
    folder: &RunFolder,
    plan: &Plan,
    base: &Path,
    sandbox: &SandboxStatus,
) -> anyhow::Result<ProcessLauncher> {
    let mut launcher = ProcessLauncher::new();
    let mut digests = FolderDigests::default();
    for pipeline in &plan.pipelines {
        let source = checkpoint(folder, pipeline, base, &mut digests)?;
        let (process, load) = start(plan, pipeline, &source, base, sandbox)?;
        launcher.insert(&pipeline.name, process, load);
    }
    Ok(launcher)
}

/// The pipeline's checkpoint on this machine, checked against the plan.
fn checkpoint(
    folder: &RunFolder,
    pipeline: &PipelinePlan,
    base: &Path,
    digests: &mut FolderDigests,
) -> anyhow::Result<CheckpointSource> {
    let spec = &pipeline.checkpoint;
    let found = digests.of(base, spec)?;
    if found != pipeline.digest {
        return Err(Failure::input(format!(
            "pipeline {:?}: the checkpoint changed since the run was planned (plan.json names {}, the files are {}); restore it, or plan anew",
            pipeline.name,
            pipeline.digest.short(),
            found.short()
        )));
    }
    let source = CheckpointSource {
        root: source_folder(base, &spec.source)?,
        unet: spec.unet.as_deref().map(|unet| unet_folder(base, unet)).transpose()?,
    };
    let Some(recipe) = spec.derive else { return Ok(source) };
    let out = folder.file("checkpoints").join(&pipeline.name);
    if !out.exists() {
        // Under another name until it is whole: an interrupted derivation is begun anew.
        let part = folder.file("checkpoints").join(format!(".{}.part", pipeline.name.replace('/', "-")));
        if part.exists() {
            std::fs::remove_dir_all(&part).in_file(&part)?;
        }
        if let Some(parent) = out.parent() {
            std::fs::create_dir_all(parent).in_file(parent)?;
        }
        derive(&source, &recipe_of(recipe), &part).map_err(|error| Failure::input(error.to_string()))?;
        std::fs::rename(&part, &out).in_file(&out)?;
    }
    let root = std::fs::canonicalize(&out).in_file(&out)?;
    Ok(CheckpointSource { root, unet: None })
}

fn recipe_of(recipe: Recipe) -> derive::Recipe {
    let storage = match recipe {
        Recipe::Int8 => Some(Storage::Int8),
        Recipe::F16 => Some(Storage::F16),
        Recipe::Bf16 => Some(Storage::Bf16),
        Recipe::Noise { .. } => None,
    };
    let noise = match recipe {
        Recipe::Noise { sigma, seed } => Some(Noise { sigma, seed }),
        _ => None,
    };
    derive::Recipe { storage, noise }
}

/// The process of a pipeline, and what it is to load.
fn start(
    plan: &Plan,
    pipeline: &PipelinePlan,
    source: &CheckpointSource,
    base: &Path,
    sandbox: &SandboxStatus,
) -> anyhow::Result<(ProcessSpec, Load)> {
    let text = |path: &Path| {
        path.to_str()
            .map(str::to_owned)
            .ok_or_else(|| Failure::input(format!("{}: expected a path in UTF-8", path.display())))
    };
    let program = std::env::current_exe().map_err(|error| {
        Failure::error(Exit::Environment, format!("this program cannot be found: {error}"))
    })?;
    let mut read_only: Vec<PathBuf> =
        std::iter::once(source.root.clone()).chain(source.unet.clone()).collect();
    let (command, start_in) = match &pipeline.engine {
        EngineSpec::Native => {
            read_only.push(program.clone());
            (vec![program.into_os_string(), OsString::from("engine"), OsString::from("candle")], None)
        }
        EngineSpec::Command(words) => {
            let own = if pipeline.checkpoint.derive.is_some() {
                source_folder(base, &pipeline.checkpoint.source)?
            } else {
                source.root.clone()
            };
            let (command, folders) = command(words, base, &own);
            read_only.extend(folders);
            (command, Some(own))
        }
    };
    let generation = &pipeline.generation;
    let load = Load {
        checkpoint: text(&source.root)?,
        unet: source.unet.as_deref().map(text).transpose()?,
        settings: Settings {
            steps: generation.steps,
            guidance_scale: generation.guidance_scale,
            scheduler: generation.scheduler.clone(),
            dtype: wire_dtype(generation.dtype),
            threads: plan.measurement.threads,
            width: plan.request.width,
            height: plan.request.height,
        },
    };
    let process = ProcessSpec {
        command,
        folder: start_in,
        read_only,
        pins: pins(plan),
        limits: Limits::default(),
        timeouts: plan.measurement.timeouts,
        sandbox: sandbox.clone(),
    };
    Ok((process, load))
}

/// A contest's command, and the folders its files lie in: `edgemaxx` is this program; a word that
/// names a file in the candidate's folder or beside the contest becomes its path.
fn command(words: &[String], base: &Path, own: &Path) -> (Vec<OsString>, Vec<PathBuf>) {
    let mut folders = Vec::new();
    let mut path_of = |index: usize, word: &String| -> Option<PathBuf> {
        if index == 0 && word == "edgemaxx" {
            let program = std::env::current_exe().ok()?;
            folders.push(program.clone());
            return Some(program);
        }
        let file = [own, base].into_iter().map(|folder| folder.join(word)).find(|path| path.is_file())?;
        folders.extend(file.parent().map(Path::to_owned));
        Some(file)
    };
    let command = words
        .iter()
        .enumerate()
        .map(|(index, word)| path_of(index, word).map_or_else(|| word.into(), PathBuf::into_os_string))
        .collect();
    (command, folders)
}
