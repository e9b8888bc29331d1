#![allow(dead_code, reason = "each test binary uses part of it")]
//! Starts the Python engines of `fixtures/engines`, confined where that is possible.

use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use edgemaxx_contract::contest::Timeouts;
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_contract::plan::PlannedRequest;
use edgemaxx_contract::sample::{Failure, FailureKind};
use edgemaxx_contract::task::{RequestSpec, Settings, picture};
use edgemaxx_devices::Pins;
use edgemaxx_engine::task::picture::{PICTURE, Ready};
use edgemaxx_engine::{
    Answer, AnswerLimits, Artefact, Ask, Check, Codec as _, Engine as _, Examination, Limits, Load, Object,
    ProcessEngine, ProcessSpec, Question, SandboxStatus, check, detect_sandbox,
};

/// Side of the test pictures in pixels.
pub(crate) const SIDE: u32 = 64;

/// Root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// Says what is not tested, and why; past the capture of what passing tests print.
pub(crate) fn skipped(why: impl Display) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Whether Python is where engines look for programs; says so if not.
pub(crate) fn python() -> bool {
    let found = Pins::PATH.split(':').any(|folder| Path::new(folder).join("python3").exists());
    if !found {
        skipped(format_args!("no python3 in {}; install it to run this test", Pins::PATH));
    }
    found
}

/// The sandbox of this machine; says so if there is none.
pub(crate) fn sandbox() -> Option<SandboxStatus> {
    let status = detect_sandbox();
    if status.is_sandboxed() {
        return Some(status);
    }
    skipped(status);
    None
}

pub(crate) fn unsandboxed() -> SandboxStatus {
    SandboxStatus::Unsandboxed { reason: "a test without one".to_owned() }
}

/// `zoo.py NAME ARGUMENTS` with short time-outs and small limits.
pub(crate) fn zoo(sandbox: SandboxStatus, name: &str, arguments: &[&str]) -> ProcessSpec {
    let script = root().join("fixtures/engines/zoo.py");
    let mut command = vec!["python3".into(), script.clone().into(), name.into()];
    command.extend(arguments.iter().map(Into::into));
    ProcessSpec {
        command,
        folder: None,
        read_only: vec![root().join("fixtures/engines"), root().join("harness/sdk/python")],
        kernels: None,
        set_aside: false,
        needs: Vec::new(),
        pins: Pins::processor(1),
        limits: Limits {
            memory_bytes: 256 << 20,
            processes: 32,
            file_bytes: 64 << 20,
            open_files: 64,
            tmp_bytes: 16 << 20,
        },
        timeouts: Timeouts { load_s: 5.0, request_s: 1.5, exit_s: 0.5 },
        sandbox,
    }
}

pub(crate) fn request() -> RequestSpec {
    let (prompts, negative_prompt) = Default::default();
    picture::Request { prompts, negative_prompt, width: SIDE, height: SIDE }.checked().expect("a request")
}

pub(crate) fn settings() -> Settings {
    let (steps, guidance_scale, dtype) = (1, 1.0, Dtype::F32);
    let settings = picture::Settings { steps, guidance_scale, scheduler: None, dtype, vae_tiling: false };
    settings.checked().expect("settings")
}

pub(crate) fn load() -> Load {
    Load {
        checkpoint: root().join("fixtures/engines").display().to_string(),
        replaced: Default::default(),
        threads: 1,
        task: PICTURE.task().to_owned(),
        settings: PICTURE.settings(&request(), &settings()).expect("settings"),
    }
}

/// Puts an engine through the protocol; `own_ready` is what its checkpoint says.
pub(crate) fn examined(spec: &ProcessSpec, own_ready: Option<&Object>) -> Vec<Check> {
    let (load, request, settings) = (load(), request(), settings());
    check(&Examination {
        spec,
        load: &load,
        codec: &PICTURE,
        request: &request,
        settings: &settings,
        own_ready,
    })
}

/// Asks for a picture: the answer.
pub(crate) fn ask(engine: &mut ProcessEngine, id: u64) -> Result<Answer, Failure> {
    asked(engine, id).map(|(answer, _)| answer)
}

/// Asks for a picture: what is kept of it.
pub(crate) fn generate(engine: &mut ProcessEngine, id: u64) -> Result<Artefact, Failure> {
    asked(engine, id).map(|(_, artefact)| artefact)
}

fn asked(engine: &mut ProcessEngine, id: u64) -> Result<(Answer, Artefact), Failure> {
    let (request, settings) = (request(), settings());
    let ask = picture::Ask { prompt: "a red apple".to_owned() };
    let planned = PlannedRequest { id: 0, seed: 1, ask: ask.checked().expect("an ask") };
    let question = Question { request: &request, settings: &settings, planned: &planned };
    let ready = Ready { latent_channels: 4, vae_scale_factor: 8 }.object();
    let payload = PICTURE.payload(&request, &planned, &ready).expect("noise");
    let header = PICTURE.header(question, &ready).expect("a request");
    let limits = PICTURE.limits(&request);
    assert_eq!(limits, AnswerLimits { answer_bytes: 64 * 64 * 4 + 65536, ..AnswerLimits::default() });
    let answer = engine.ask(&Ask { id, header, payload: &payload, limits })?;
    match PICTURE.artefact(question, &answer) {
        Ok(artefact) => Ok((answer, artefact)),
        Err(problem) => Err(Failure { kind: FailureKind::Answer, detail: engine.with_last_words(problem) }),
    }
}

/// Launches and loads.
pub(crate) fn ready(spec: &ProcessSpec) -> Result<ProcessEngine, Failure> {
    let (mut engine, _, _) = ProcessEngine::launch(spec)?;
    engine.load(&load())?;
    Ok(engine)
}

/// Command lines of all processes that mention `word`.
pub(crate) fn processes_with(word: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(word))
        .collect()
}

/// Whether `check` holds within twenty seconds: at once, but on a machine that is busy.
pub(crate) fn soon(check: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        if check() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    check()
}
