//! What each pipeline of a plan is started with: its checkpoint, derived where the plan says so,
//! and its process.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use edgemaxx_candle::derive::{self, Noise, Storage, derive};
use edgemaxx_candle::{Accelerator, CheckpointSource};
use edgemaxx_contract::contest::{CommandSpec, EngineSpec, Recipe, Residency, Resources};
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_contract::plan::{PipelinePlan, Plan, Role};
use edgemaxx_contract::run_files::{CHECKPOINTS_FOLDER, PLAN_FILE};
use edgemaxx_contract::sample::{Failure as Failed, FailureKind};
use edgemaxx_devices::{Pins, vendor};
use edgemaxx_engine::{Limits, Load, ProcessLauncher, ProcessSpec, SandboxStatus};

use crate::built_in_engine::accelerator;
use crate::error::{Class, InFile as _, Result, RunError};
use crate::folder::{RunFolder, own_folder};
use crate::resolve::FolderDigests;
use crate::sources::{own_file, source_folder};
use crate::task::{Asked, kit};
use crate::{kernel_cache, open};

/// How engines are started on this machine.
#[derive(Debug, Clone)]
pub struct Host {
    /// What each is told, and which card it sees.
    pub pins: Pins,
    /// How it is confined.
    pub sandbox: SandboxStatus,
}

/// A launcher that knows all pipelines of the plan.
///
/// # Errors
/// A checkpoint is not the one that was planned.
pub fn launcher(folder: &RunFolder, plan: &Plan, base: &Path, host: &Host) -> Result<ProcessLauncher> {
    let moves = || match &host.pins.card {
        Some(card) => vendor(card.kind).hold(card, true).map(drop),
        None => Err("no card was chosen".to_owned()),
    };
    if plan.measurement.residency == Residency::Swapped
        && let Err(why) = moves()
    {
        return Err(RunError::of(Class::Environment, format!("measurement.residency is \"swapped\": {why}")));
    }
    let mut launcher = ProcessLauncher::new();
    let mut digests = FolderDigests::default();
    let encoder = kit(plan.task)?.recalled(plan)?;
    let asked =
        Asked { request: &plan.request, device: accelerator(plan.device.kind), encoder: encoder.as_deref() };
    for pipeline in &plan.pipelines {
        let source = match checkpoint(folder, plan, &asked, pipeline, base, &mut digests)? {
            Ok(source) => source,
            Err(failure) => {
                launcher.insert_failed(&pipeline.name, failure);
                continue;
            }
        };
        let (mut process, load) = start(plan, pipeline, &source, base, host)?;
        process.kernels = kernel_cache::own(folder, plan, pipeline)?;
        launcher.insert(&pipeline.name, process, load);
    }
    Ok(launcher)
}

/// The pipeline's checkpoint on this machine, checked against the plan and opened; or, where it is not what was planned,
/// cannot be loaded, or nothing can be derived from it, this pipeline's failure. Of the baseline all run's.
fn checkpoint(
    folder: &RunFolder,
    plan: &Plan,
    asked: &Asked<'_>,
    pipeline: &PipelinePlan,
    base: &Path,
    digests: &mut FolderDigests,
) -> Result<Result<CheckpointSource, Failed>> {
    let spec = &pipeline.checkpoint;
    let fails = |why: String| match pipeline.role {
        Role::Candidate => Ok(Err(Failed { kind: FailureKind::Spawn, detail: why })),
        Role::Baseline | Role::Control => {
            Err(RunError::input(format!("pipeline {:?}: {why}", pipeline.name)))
        }
    };
    let found = match digests.of(base, spec) {
        Err(RunError::Folder(error)) => return fails(error.to_string()),
        found => found?,
    };
    if found != pipeline.digest {
        return fails(format!(
            "the checkpoint changed since the run was planned ({PLAN_FILE} names {}, the files are {}); restore it, or plan anew",
            pipeline.digest.short(),
            found.short()
        ));
    }
    let source = open::source(base, pipeline)?;
    if let Err(why) = open::open(plan.task, asked, pipeline, &source) {
        return fails(why);
    }
    let source = open::at_its_real_place(source)?;
    let Some(recipe) = spec.derive else { return Ok(Ok(source)) };
    let derived = folder.file(CHECKPOINTS_FOLDER);
    std::fs::create_dir_all(&derived).in_file(&derived)?;
    // What an earlier attempt left there is not trusted.
    let out = derived.join(own_folder(pipeline));
    if out.exists() {
        std::fs::remove_dir_all(&out).in_file(&out)?;
    }
    if let Err(error) = derive(&source, &recipe_of(recipe), &out) {
        let _ = std::fs::remove_dir_all(&out);
        if is_ours(&error, &out) {
            return Err(RunError::of(Class::Environment, error.to_string()));
        }
        let detail = open::underivable(recipe, &error);
        return Ok(Err(Failed { kind: FailureKind::Spawn, detail }));
    }
    let root = std::fs::canonicalize(&out).in_file(&out)?;
    Ok(Ok(CheckpointSource { root, unet: None }))
}

/// Whether a derivation failed for want of a place to write to, which is nobody's checkpoint's fault.
fn is_ours(error: &edgemaxx_candle::Error, out: &Path) -> bool {
    let edgemaxx_candle::Error::Io { path, source } = error else { return false };
    path.starts_with(out) || edgemaxx_files::is_full(source)
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
    host: &Host,
) -> Result<(ProcessSpec, Load)> {
    let mut read_only = Vec::new();
    for folder in std::iter::once(&source.root).chain(&source.unet) {
        read_only.push(folder.clone());
        read_only.extend(open::linked(folder)?);
    }
    let mut process = match &pipeline.engine {
        EngineSpec::Native => native("candle", plan, host)?,
        EngineSpec::CandleTransformers => native(EngineSpec::CANDLE_TRANSFORMERS, plan, host)?,
        EngineSpec::Command(engine) => {
            let own = if pipeline.checkpoint.derive.is_some() {
                let folder = source_folder(base, &pipeline.checkpoint.source)?;
                folder.canonicalize().in_file(&folder)?
            } else {
                source.root.clone()
            };
            commanded(engine, base, own, plan, host)?
        }
    };
    process.read_only.append(&mut read_only);
    let codec = kit(plan.task)?.codec();
    let load = Load {
        checkpoint: path_text(&source.root)?,
        replaced: replaced(source.unet.as_deref())?,
        threads: plan.measurement.threads,
        task: codec.task().to_owned(),
        settings: codec.settings(&plan.request, &pipeline.settings).map_err(RunError::input)?,
    };
    Ok((process, load))
}

/// What of a checkpoint is read elsewhere, as the protocol names it.
///
/// # Errors
/// A path is not UTF-8.
pub fn replaced(unet: Option<&Path>) -> Result<BTreeMap<String, String>> {
    unet.map(|folder| Ok(("unet".to_owned(), path_text(folder)?))).into_iter().collect()
}

/// A process without limits of its own.
fn process(command: Vec<OsString>, plan: &Plan, host: &Host) -> ProcessSpec {
    ProcessSpec {
        command,
        folder: None,
        read_only: Vec::new(),
        kernels: None,
        set_aside: plan.measurement.residency == Residency::Swapped,
        needs: Vec::new(),
        pins: host.pins.clone(),
        limits: Limits::default(),
        timeouts: plan.measurement.timeouts,
        sandbox: host.sandbox.clone(),
    }
}

/// What decides bits and speed of the built-in engine on the plan's device, `engine.NAME=VALUE` sorted, as a process of
/// its own says it: this one is to open no GPU. Empty on the CPU.
///
/// # Errors
/// The device cannot be used: exit code 3, in the engine's words.
pub fn engine_settings(plan: &Plan, pins: &Pins) -> Result<Vec<String>> {
    if accelerator(plan.device.kind) == Accelerator::Cpu {
        return Ok(Vec::new());
    }
    let Some(engine) = kit(plan.task)?.native() else { return Ok(Vec::new()) };
    let mut dtypes = BTreeSet::new();
    for pipeline in plan.pipelines.iter().filter(|pipeline| pipeline.engine == EngineSpec::Native) {
        dtypes.insert(dtype_name(engine.dtype(&pipeline.settings)?));
    }
    let unfit = |why: String| RunError::of(Class::Environment, why);
    let program =
        std::env::current_exe().map_err(|error| unfit(format!("this program cannot be found: {error}")))?;
    let mut lines = BTreeSet::new();
    for dtype in dtypes {
        let words = ["engine", "candle", "--device", "cuda", "--settings", "--dtype", dtype];
        let mut process = std::process::Command::new(&program);
        process.args(words).env_clear().envs(pins.variables());
        let said = process.output().map_err(|error| unfit(format!("the built-in engine: {error}")))?;
        if !said.status.success() {
            let why = String::from_utf8_lossy(&said.stderr);
            return Err(unfit(format!("the built-in engine: {}", why.trim().trim_start_matches("error: "))));
        }
        let text = String::from_utf8_lossy(&said.stdout);
        lines.extend(
            text.lines().filter(|line| !line.is_empty()).map(|line| format!("engine.{dtype}.{line}")),
        );
    }
    Ok(lines.into_iter().collect())
}

fn dtype_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "f32",
        Dtype::F16 => "f16",
        Dtype::Bf16 => "bf16",
    }
}

/// A built-in engine, by the verb's name: this program.
///
/// # Errors
/// This program cannot be found.
pub fn native(engine: &str, plan: &Plan, host: &Host) -> Result<ProcessSpec> {
    let program = std::env::current_exe().map_err(|error| {
        RunError::of(Class::Environment, format!("this program cannot be found: {error}"))
    })?;
    let device = accelerator(plan.device.kind).name();
    let words = std::iter::once(program.clone().into_os_string())
        .chain(["engine", engine, "--device", device].map(OsString::from))
        .collect();
    Ok(ProcessSpec { read_only: vec![program], ..process(words, plan, host) })
}

/// The null engine: this program too.
///
/// # Errors
/// This program cannot be found.
pub fn null(plan: &Plan, host: &Host) -> Result<ProcessSpec> {
    let mut process = native("candle", plan, host)?;
    process.command.truncate(1);
    process.command.extend(["engine", "null"].map(OsString::from));
    Ok(process)
}

/// An engine that the contest names, or a candidate in its folder `own`.
fn commanded(
    engine: &CommandSpec,
    base: &Path,
    own: PathBuf,
    plan: &Plan,
    host: &Host,
) -> Result<ProcessSpec> {
    let places = if engine.own { vec![own.as_path()] } else { vec![own.as_path(), base] };
    let (command, mut read_only) = command(&engine.command, &places, engine.own);
    // A candidate's files lie in its folder, which it reads anyway.
    if !engine.own {
        for file in &engine.files {
            read_only.push(own_file(base, file)?);
        }
    }
    Ok(ProcessSpec {
        read_only,
        needs: engine.needs.clone(),
        limits: limits(engine.resources, engine.own),
        folder: Some(own),
        ..process(command, plan, host)
    })
}

/// The usual limits with what is asked for; who is not trusted can only lower them.
pub fn limits(asked: Resources, only_lower: bool) -> Limits {
    let usual = Limits::default();
    let pick = |asked: Option<u64>, usual: u64| match asked {
        Some(asked) if only_lower => asked.min(usual),
        Some(asked) => asked,
        None => usual,
    };
    Limits {
        memory_bytes: pick(asked.memory_mib.map(|mib| mib << 20), usual.memory_bytes),
        processes: pick(asked.processes, usual.processes),
        tmp_bytes: pick(asked.tmp_mib.map(|mib| mib << 20), usual.tmp_bytes),
        ..usual
    }
}

/// A path as the protocol can name it.
///
/// # Errors
/// It is not UTF-8.
pub fn path_text(path: &Path) -> Result<String> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| RunError::input(format!("{}: expected a path in UTF-8", path.display())))
}

/// A command, and what it needs to read: `edgemaxx` is this program; a word that names a file in
/// one of `places` becomes its path, and that file's folder can be read. With `stay_inside`, files
/// outside of `places` are left alone.
pub fn command(words: &[String], places: &[&Path], stay_inside: bool) -> (Vec<OsString>, Vec<PathBuf>) {
    let mut folders = Vec::new();
    let mut path_of = |index: usize, word: &String| -> Option<PathBuf> {
        if index == 0 && word == "edgemaxx" {
            let program = std::env::current_exe().ok()?;
            folders.push(program.clone());
            return Some(program);
        }
        let file = places.iter().map(|place| (place, place.join(word))).find_map(|(place, path)| {
            let inside = || path.canonicalize().ok()?.starts_with(place.canonicalize().ok()?).then_some(());
            (path.is_file() && (!stay_inside || inside().is_some())).then_some(path)
        })?;
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
