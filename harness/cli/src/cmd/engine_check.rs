//! `edgemaxx engine check`: the conformance kit for anybody's engine.

use std::path::{Path, PathBuf};

use edgemaxx_candle::CheckpointSource;
use edgemaxx_contract::contest::{CommandSpec, Device, DeviceKind, EngineSpec, Timeouts};
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_contract::environment::Card;
use edgemaxx_contract::input::Input;
use edgemaxx_contract::task::{self, RequestSpec, Settings};
use edgemaxx_devices::{Ask, Chosen, Pins, choose};
use edgemaxx_engine::{
    Check, Codec, Examination, Load, Object, ProcessSpec, SandboxStatus, Verdict, check, detect_sandbox,
};
use edgemaxx_run::candidate_file::{own_engine, own_settings};
use edgemaxx_run::open::linked;
use edgemaxx_run::prepare::{command, limits, path_text, replaced};
use edgemaxx_run::sources::unet_folder;
use edgemaxx_run::task::{of_checkpoint, of_name};
use serde::Serialize;
use serde_json::{Value, json};

use super::generate::dtype;
use crate::error::{Exit, Failure, InFile as _};
use crate::terminal::{answer_json, answer_lines, note};

/// Puts an engine through the protocol and says in words what is wrong.
///
/// The engine is started as in a contest: confined where this machine can, with a scrubbed
/// environment, reading its own folder, the checkpoint and the system only.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx engine check --checkpoint fixtures/models/emoji-sdxl edgemaxx engine candle
  edgemaxx engine check --checkpoint my-model              the engine that my-model/edgemaxx.toml names
  edgemaxx engine check --checkpoint my-model -- python3 my-model/engine.py --fast
  edgemaxx engine check --width 64 --height 64 --json ./engine | jq .checks

Verdicts: good · doubtful (allowed, but likely a mistake) · bad (a contest would record a failure)
Exit code: 0 nothing bad · 1 something bad, such as a program that cannot be started · 2 a folder is missing")]
pub(crate) struct Args {
    /// The engine: a program and its arguments; files among them are found in this folder.
    /// Without one, what the checkpoint's edgemaxx.toml names, else the built-in engine.
    #[arg(required_unless_present = "checkpoint", trailing_var_arg = true, allow_hyphen_values = true)]
    #[arg(value_name = "CMD")]
    words: Vec<String>,
    /// Checkpoint it is to load [default: an empty folder].
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Folder whose UNet replaces the checkpoint's.
    #[arg(long, value_name = "DIR")]
    unet: Option<PathBuf>,
    /// Another file or folder it may read, such as a Python environment; repeatable.
    #[arg(long, value_name = "PATH")]
    read: Vec<PathBuf>,
    /// What it is asked for, as contests name it [default: what the checkpoint is laid out for, else picture].
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// Width in pixels [default: the checkpoint's own, else 512].
    #[arg(long, value_parser = clap::value_parser!(u32).range(8..=8192))]
    width: Option<u32>,
    /// Height in pixels [default: the checkpoint's own, else 512].
    #[arg(long, value_parser = clap::value_parser!(u32).range(8..=8192))]
    height: Option<u32>,
    /// Denoising steps [default: as the checkpoint's edgemaxx.toml says, else 20].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    steps: Option<u32>,
    /// Classifier-free guidance; 1 or less: none [default: as the checkpoint's edgemaxx.toml says, else 5].
    #[arg(long)]
    guidance_scale: Option<f64>,
    /// Scheduler class instead of the checkpoint's own.
    #[arg(long, value_name = "CLASS")]
    scheduler: Option<String>,
    /// Number format to compute in [default: as the checkpoint's edgemaxx.toml says, else f32].
    #[arg(long, value_parser = dtype)]
    dtype: Option<Dtype>,
    /// Have the VAE decode in tiles.
    #[arg(long)]
    vae_tiling: bool,
    /// Threads it may compute with.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: u32,
    /// NVIDIA GPU it may see, as numbered by bus [default: none].
    #[arg(long, value_name = "N")]
    device: Option<u32>,
    /// Seconds for launch and load.
    #[arg(long, default_value_t = 600.0, value_parser = seconds)]
    load_timeout: f64,
    /// Seconds for each answer.
    #[arg(long, default_value_t = 120.0, value_parser = seconds)]
    request_timeout: f64,
    /// Seconds to leave after goodbye.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    exit_timeout: f64,
    /// Do not confine it: shows whether the sandbox is what breaks an engine of your own.
    #[arg(long)]
    unsandboxed: bool,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.1..=86_400.0).contains(seconds))
        .ok_or_else(|| "expected seconds from 0.1 to 86400".to_owned())
}

#[derive(Serialize)]
struct Answer<'a> {
    command: &'a [String],
    sandbox: String,
    verdict: Verdict,
    checks: &'a [Check],
}

/// See [`Examination`].
struct Start {
    spec: ProcessSpec,
    load: Load,
    codec: &'static dyn Codec,
    request: RequestSpec,
    settings: Settings,
    own_ready: Option<Object>,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        if self.guidance_scale.is_some_and(|scale| !scale.is_finite()) {
            return Err(Failure::input("--guidance-scale: expected a finite number"));
        }
        let sandbox = if self.unsandboxed {
            SandboxStatus::Unsandboxed { reason: "as asked by --unsandboxed".to_owned() }
        } else {
            detect_sandbox()
        };
        if !self.unsandboxed && !sandbox.is_sandboxed() {
            note(&format!("warning: the engine is not confined ({sandbox})"));
        }
        if let Some(gap) = sandbox.gap() {
            note(&format!("warning: {gap}"));
        }
        let empty = tempfile::tempdir().in_file(Path::new("a temporary folder"))?;
        let Start { spec, load, codec, request, settings, own_ready } = self.start(&sandbox, empty.path())?;
        let checks = check(&Examination {
            spec: &spec,
            load: &load,
            codec,
            request: &request,
            settings: &settings,
            own_ready: own_ready.as_ref(),
        });
        let verdict = checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Bad);
        if self.json {
            let sandbox = sandbox.to_string();
            answer_json(&Answer { command: &self.words, sandbox, verdict, checks: &checks })?;
        } else {
            let lines: Vec<String> = checks.iter().map(Check::to_string).collect();
            answer_lines(&lines)?;
        }
        if verdict == Verdict::Bad {
            return Err(Failure::error(
                Exit::No,
                "the engine does not conform: a contest would record a failure (see harness/docs/PROTOCOL.md)",
            ));
        }
        Ok(())
    }

    /// The card it may see, if any.
    fn card(&self) -> anyhow::Result<Option<Card>> {
        let Some(asked) = self.device else { return Ok(None) };
        let any = Device { kind: DeviceKind::Cuda, name: None, free_memory_mib: None, driver: None };
        match choose(&any, Ask::Number(asked)).map_err(|error| Failure::input(error.to_string()))? {
            Chosen::Card(card) => Ok(Some(card)),
            Chosen::Missing(why) => {
                Err(Failure::error(Exit::Environment, format!("--device {asked}: {why}")))
            }
            Chosen::Processor => Ok(None),
        }
    }

    /// What the engine is started with, is to load, and is asked.
    fn start(&self, sandbox: &SandboxStatus, empty: &Path) -> anyhow::Result<Start> {
        let here = Path::new(".").canonicalize().in_file(Path::new("."))?;
        let folder = |path: &PathBuf| path.canonicalize().in_file(path);
        let checkpoint = self.checkpoint.as_ref().map(folder).transpose()?;
        let checkpoint = checkpoint.unwrap_or_else(|| empty.to_owned());
        let unet = self.unet.as_deref().map(unet_folder).transpose()?;
        let unet = unet.as_ref().map(folder).transpose()?;
        let kit = match &self.task {
            Some(name) => of_name(name)?,
            None => of_checkpoint(&checkpoint),
        };
        let source = CheckpointSource { root: checkpoint.clone(), unet: unet.clone() };
        let alone = kit.alone(&source);
        let engine = match self.words.is_empty() {
            true => own_engine(&checkpoint)?.unwrap_or(EngineSpec::Native),
            false => {
                EngineSpec::Command(CommandSpec { command: self.words.clone(), ..CommandSpec::default() })
            }
        };
        let built_in = |name: &str| {
            let command = command(&["edgemaxx", "engine", name].map(str::to_owned), &[], true);
            (command, CommandSpec::default())
        };
        let ((command, mut read_only), engine) = match engine {
            EngineSpec::Native => built_in("candle"),
            EngineSpec::CandleTransformers => built_in(EngineSpec::CANDLE_TRANSFORMERS),
            EngineSpec::Command(engine) => {
                let place = if engine.own { &checkpoint } else { &here };
                (command(&engine.command, &[place], engine.own), engine)
            }
        };
        for folder in std::iter::once(&checkpoint).chain(&unet) {
            read_only.push(folder.clone());
            read_only.extend(linked(folder)?);
        }
        for path in &self.read {
            read_only.push(folder(path)?);
        }
        let asked = named_object([("width", json!(self.width)), ("height", json!(self.height))]);
        let asked = alone.request.replaced_by(&asked);
        let prompts = task::Object::from_iter([("prompts", json!(""))]);
        let request = kit.task().request(&Input::json("request", &asked.replaced_by(&prompts).to_value()))?;
        let asked = named_object([
            ("steps", json!(self.steps)),
            ("guidance_scale", json!(self.guidance_scale)),
            ("scheduler", json!(self.scheduler)),
            ("dtype", json!(self.dtype)),
            ("vae_tiling", json!(self.vae_tiling.then_some(true))),
        ]);
        let settings = own_settings(&checkpoint, kit.task(), &alone.settings, &asked)?;
        let load = Load {
            checkpoint: path_text(&checkpoint)?,
            replaced: replaced(unet.as_deref())?,
            threads: self.threads,
            task: kit.task().name().to_owned(),
            settings: kit.codec().settings(&request, &settings).map_err(Failure::input)?,
        };
        let timeouts = Timeouts {
            load_s: self.load_timeout,
            request_s: self.request_timeout,
            exit_s: self.exit_timeout,
        };
        let spec = ProcessSpec {
            command,
            folder: engine.own.then(|| checkpoint.clone()),
            read_only,
            kernels: None,
            set_aside: false,
            needs: engine.needs,
            pins: Pins { threads: self.threads, card: self.card()? },
            limits: limits(engine.resources, true),
            timeouts,
            sandbox: sandbox.clone(),
        };
        Ok(Start { spec, load, codec: kit.codec(), request, settings, own_ready: alone.ready })
    }
}

/// What of it was named on the command line.
fn named_object<const N: usize>(options: [(&str, Value); N]) -> task::Object {
    options.into_iter().filter(|(_, value)| !value.is_null()).collect()
}
