//! The mock without a process or a wait.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use edgemaxx_contract::plan::PipelinePlan;
use edgemaxx_contract::sample::{EngineInfo, Failure, FailureKind};
use edgemaxx_protocol::{Dtype, Load, Ready, Settings};

use super::picture::{Scene, paint};
use super::script::{Cheat, Misdeed, MockScript, When};
use crate::clock::{Clock as _, FakeClock};
use crate::engine::{Answer, Closed, Engine, Launched, Launcher, Loaded, Request};

/// Memory a mock claims to have used, bytes.
const PEAK_RSS_BYTES: u64 = 50 << 20;
/// Time a mock that hangs takes, nanoseconds.
const HANG_NS: u64 = 120_000_000_000;

/// What was asked of mocks, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A launch of a pipeline.
    Launch(String),
    /// A request to a pipeline: its prompt and seed.
    Request {
        /// The pipeline.
        pipeline: String,
        /// The prompt.
        prompt: String,
        /// The seed.
        seed: u64,
    },
    /// A pipeline's engine was closed.
    Close(String),
}

/// A mock engine in the harness itself.
pub struct MockEngine {
    pipeline: String,
    script: MockScript,
    clock: FakeClock,
    asked: Rc<RefCell<Vec<Asked>>>,
    launch: u64,
    requests: u64,
    seen: BTreeSet<(String, u64)>,
    answered_twice: bool,
    dead: bool,
    closed: bool,
}

impl MockEngine {
    fn commit(&mut self, misdeed: Misdeed, what: &str) -> Failure {
        let kind = match misdeed {
            Misdeed::Die | Misdeed::ExitZero => FailureKind::Died,
            Misdeed::Hang | Misdeed::SlowLoris | Misdeed::HalfFrame => {
                self.clock.advance(HANG_NS);
                FailureKind::Timeout
            }
            Misdeed::Refuse => FailureKind::Refused,
            Misdeed::WrongSize => FailureKind::Picture,
            Misdeed::Garbage
            | Misdeed::HugeFrame
            | Misdeed::WrongId
            | Misdeed::AnswerTwice
            | Misdeed::WrongVersion => FailureKind::Protocol,
        };
        self.dead = !matches!(kind, FailureKind::Refused | FailureKind::Picture);
        Failure { kind, detail: format!("as scripted, during {what}") }
    }
}

impl Engine for MockEngine {
    fn load(&mut self, _: &Load) -> Result<Loaded, Failure> {
        let load_ns = self.script.load_us * 1000;
        self.clock.advance(load_ns);
        if let Some(misdeed) = self.script.misdeed(When::Load) {
            return Err(self.commit(misdeed, "load"));
        }
        let ready = Ready {
            latent_channels: self.script.latent_channels,
            vae_scale_factor: self.script.vae_scale_factor,
        };
        Ok(Loaded { ready, load_ns })
    }

    fn generate(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        self.asked.borrow_mut().push(Asked::Request {
            pipeline: self.pipeline.clone(),
            prompt: request.prompt.to_owned(),
            seed: request.seed,
        });
        if self.dead || self.closed {
            return Err(Failure { kind: FailureKind::Died, detail: "ended before".to_owned() });
        }
        let index = self.requests;
        self.requests += 1;
        let what = format!("request {}", request.id);
        if self.answered_twice {
            return Err(self.commit(Misdeed::AnswerTwice, &what));
        }
        let mut latency_ns = self.script.latency_ns(self.launch, index);
        let new = self.seen.insert((request.prompt.to_owned(), request.seed));
        if self.script.cheat == Some(Cheat::Cache) && !new {
            latency_ns = 1000;
        }
        match self.script.misdeed(When::Request(index)) {
            Some(Misdeed::AnswerTwice) => self.answered_twice = true,
            Some(misdeed) => return Err(self.commit(misdeed, &what)),
            None => {}
        }
        self.clock.advance(latency_ns);
        let scene = Scene {
            prompt: request.prompt,
            seed: request.seed,
            width: request.width,
            height: request.height,
            shape: request.latent_shape,
            latents: request.latents,
        }
        .seen_by(self.script.cheat);
        Ok(Answer { latency_ns, engine_ns: Some(latency_ns), rgb: paint(&scene, self.script.noise) })
    }

    fn cpu_ns(&self) -> Option<u64> {
        Some(if self.script.cheat == Some(Cheat::Busy) { self.clock.now_ns() } else { 0 })
    }

    fn close(&mut self) -> Closed {
        if !self.closed {
            self.closed = true;
            self.asked.borrow_mut().push(Asked::Close(self.pipeline.clone()));
        }
        Closed { peak_rss_bytes: Some(PEAK_RSS_BYTES), forced: self.script.stubborn, clean_exit: !self.dead }
    }
}

/// Launches mocks by the pipeline's name.
#[derive(Debug, Clone, Default)]
pub struct MockLauncher {
    scripts: BTreeMap<String, Vec<MockScript>>,
    launches: BTreeMap<String, u64>,
    clock: FakeClock,
    asked: Rc<RefCell<Vec<Asked>>>,
}

impl MockLauncher {
    /// Launches on `clock`.
    pub fn new(clock: FakeClock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// Adds a pipeline: its first launch follows the first script, and so on; further launches
    /// follow the last one.
    pub fn insert(&mut self, pipeline: &str, scripts: Vec<MockScript>) {
        self.scripts.insert(pipeline.to_owned(), scripts);
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }
}

impl Launcher for MockLauncher {
    fn launch(&mut self, pipeline: &PipelinePlan) -> Result<Launched, Failure> {
        let name = pipeline.name.clone();
        self.asked.borrow_mut().push(Asked::Launch(name.clone()));
        let launch = self.launches.entry(name.clone()).or_default();
        let scripts = self.scripts.get(&name).map(Vec::as_slice).unwrap_or_default();
        let at = usize::try_from(*launch).unwrap_or(usize::MAX).min(scripts.len().saturating_sub(1));
        let Some(script) = scripts.get(at).cloned() else {
            return Err(Failure { kind: FailureKind::Spawn, detail: format!("no script for {name:?}") });
        };
        let mut engine = MockEngine {
            pipeline: name,
            script,
            clock: self.clock.clone(),
            asked: Rc::clone(&self.asked),
            launch: *launch,
            requests: 0,
            seen: BTreeSet::new(),
            answered_twice: false,
            dead: false,
            closed: false,
        };
        *launch += 1;
        if let Some(misdeed) = engine.script.misdeed(When::Hello) {
            return Err(engine.commit(misdeed, "launch"));
        }
        let launch_ns = 1_000_000;
        self.clock.advance(launch_ns);
        let info = EngineInfo { name: engine.script.name.clone(), version: "1".to_owned() };
        let generation = &pipeline.generation;
        let load = Load {
            checkpoint: String::new(),
            unet: None,
            settings: Settings {
                steps: generation.steps,
                guidance_scale: generation.guidance_scale,
                scheduler: generation.scheduler.clone(),
                dtype: Dtype::F32,
                vae_tiling: generation.vae_tiling,
                threads: 1,
                width: 8,
                height: 8,
            },
        };
        Ok(Launched { engine: Box::new(engine), info, launch_ns, load })
    }
}
