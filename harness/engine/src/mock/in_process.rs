//! The mock without a process or a wait.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::PipelinePlan;
use edgemaxx_contract::sample::{EngineInfo, Failure, FailureKind};
use edgemaxx_protocol::{Load, Object};

use super::act;
use super::script::{Cheat, Misdeed, MockScript, When};
use crate::clock::{Clock as _, FakeClock};
use crate::engine::{Answer, Ask, Closed, Engine, Launched, Launcher, Loaded, Part};

/// Memory a mock claims to have used, bytes.
const PEAK_RSS_BYTES: u64 = 50 << 20;
/// Time a mock that hangs takes, nanoseconds.
const HANG_NS: u64 = 120_000_000_000;

/// What was asked of mocks, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// A launch of a pipeline.
    Launch(String),
    /// A request to a pipeline.
    Request {
        /// The pipeline.
        pipeline: String,
        /// What was asked.
        ask: Object,
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
    task: String,
    seen: BTreeSet<Digest>,
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
            Misdeed::WrongSize => FailureKind::Answer,
            Misdeed::Garbage
            | Misdeed::HugeFrame
            | Misdeed::WrongId
            | Misdeed::PartUnasked
            | Misdeed::AnswerTwice
            | Misdeed::WrongVersion => FailureKind::Protocol,
        };
        self.dead = !matches!(kind, FailureKind::Refused | FailureKind::Answer);
        Failure { kind, detail: format!("as scripted, during {what}") }
    }
}

impl Engine for MockEngine {
    fn load(&mut self, load: &Load) -> Result<Loaded, Failure> {
        self.task.clone_from(&load.task);
        let load_ns = self.script.load_us * 1000;
        self.clock.advance(load_ns);
        if let Some(misdeed) = self.script.misdeed(When::Load) {
            return Err(self.commit(misdeed, "load"));
        }
        Ok(Loaded { ready: act::ready(&self.task, &self.script), load_ns })
    }

    fn ask(&mut self, ask: &Ask<'_>) -> Result<Answer, Failure> {
        let asked = Asked::Request { pipeline: self.pipeline.clone(), ask: ask.header.clone() };
        self.asked.borrow_mut().push(asked);
        if self.dead || self.closed {
            return Err(Failure { kind: FailureKind::Died, detail: "ended before".to_owned() });
        }
        let index = self.requests;
        self.requests += 1;
        let what = format!("request {}", ask.id);
        if self.answered_twice {
            return Err(self.commit(Misdeed::AnswerTwice, &what));
        }
        let mut latency_ns = self.script.latency_ns(self.launch, index);
        let new = self.seen.insert(act::key(&ask.header, ask.payload));
        if self.script.cheat == Some(Cheat::Cache) && !new {
            latency_ns = 1000;
        }
        match self.script.misdeed(When::Request(index)) {
            Some(Misdeed::AnswerTwice) => self.answered_twice = true,
            Some(misdeed) => return Err(self.commit(misdeed, &what)),
            None => {}
        }
        self.clock.advance(latency_ns);
        let refused = |detail| Failure { kind: FailureKind::Refused, detail };
        let reply = act::answer(&self.task, &ask.header, ask.payload, &self.script).map_err(refused)?;
        let (parts, payload) = act::divide(reply.payload, self.script.parts);
        let count = parts.len() as u64 + 1;
        let at_ns = |index: u64| latency_ns / count * (index + 1);
        let parts: Vec<Part> = (0..)
            .zip(parts)
            .map(|(index, payload)| Part { at_ns: at_ns(index), payload, ..Part::default() })
            .collect();
        Ok(Answer {
            latency_ns,
            first_ns: parts.iter().find(|part| part.carries_something()).map(|part| part.at_ns),
            parts,
            engine_ns: Some(latency_ns),
            header: reply.header,
            payload,
        })
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
#[derive(Debug, Clone)]
pub struct MockLauncher {
    task: String,
    scripts: BTreeMap<String, Vec<MockScript>>,
    launches: BTreeMap<String, u64>,
    clock: FakeClock,
    asked: Rc<RefCell<Vec<Asked>>>,
}

impl MockLauncher {
    /// Launches on `clock`, to make pictures.
    pub fn new(clock: FakeClock) -> Self {
        Self::of_task("picture", clock)
    }

    /// Launches on `clock`, for a task: but for pictures, mocks answer with what they were asked.
    pub fn of_task(task: &str, clock: FakeClock) -> Self {
        let (scripts, launches, asked) = Default::default();
        Self { task: task.to_owned(), scripts, launches, clock, asked }
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
            task: String::new(),
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
        let load = Load {
            checkpoint: String::new(),
            replaced: BTreeMap::new(),
            threads: 1,
            task: self.task.clone(),
            settings: Object::new(),
        };
        Ok(Launched { engine: Box::new(engine), info, launch_ns, load })
    }
}
