//! A small plan, mocks, and a disk in memory that can be made to fail.
#![allow(dead_code)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::{Extent, PipelinePlan, Plan, PlanInputs, Role, draw_plan};
use edgemaxx_contract::sample::Log;
use edgemaxx_engine::mock::{MockLauncher, MockScript};
use edgemaxx_engine::task::picture::PICTURE;
use edgemaxx_engine::{FakeClock, Launcher};
use edgemaxx_measure::telemetry::NoTelemetry;
use edgemaxx_measure::{Disk, Io, MeasureError, NoStops, Observer, Silent, StopRule, Summary, execute};

/// Two candidates, `sessions` rounds of `pairs` pairs, 1 to 4 warm-ups, pictures of 8×8.
pub(crate) fn plan(sessions: u32, pairs: u32, extra: &str) -> Plan {
    plan_with(&[], sessions, pairs, extra)
}

/// The same with more candidates.
pub(crate) fn plan_with(others: &[&str], sessions: u32, pairs: u32, extra: &str) -> Plan {
    let others: String = others.iter().map(|name| format!("[[candidate]]\nname = {name:?}\n")).collect();
    let toml = format!(
        r#"
        format = 1
        name = "test"
        [device]
        kind = "cpu"
        [request]
        prompts = "p.txt"
        width = 8
        height = 8
        [baseline]
        checkpoint = "model"
        generation = {{ steps = 2, guidance_scale = 5.0 }}
        [[candidate]]
        name = "fast"
        generation = {{ steps = 1 }}
        [[candidate]]
        name = "clone"
        control = true
        {others}
        [measurement]
        sessions = {sessions}
        pairs = {pairs}
        warmup_min = 1
        warmup_max = 4
        {extra}
        [quality]
        gate = [{{ metric = "ssim_gray", at_least = 0.5, reason = "a test" }}]
        "#
    );
    let contest = Contest::parse(&toml).expect("contest");
    let pipelines = pipelines(&contest);
    draw_plan(PlanInputs {
        contest: &contest,
        prompts_file: "p.txt",
        prompts: "a red apple\na dog\na house\nthe sea\na pink heart\n",
        pipelines: &pipelines,
        day: &"2026-01-02".parse().expect("day"),
        entropy: &"test".parse().expect("entropy"),
        extent: Extent::Full,
        encoder: None,
    })
    .expect("plan")
}

/// The baseline of a contest, and all others with the same checkpoint.
pub(crate) fn pipelines(contest: &Contest) -> Vec<PipelinePlan> {
    let base = &contest.baseline;
    let baseline = PipelinePlan {
        name: base.name.clone(),
        role: Role::Baseline,
        description: String::new(),
        checkpoint: base.checkpoint.clone(),
        digest: Digest::of("base"),
        settings: base.settings.clone(),
        engine: base.engine.clone(),
    };
    let others = contest.candidates.iter().map(|candidate| PipelinePlan {
        name: candidate.name.clone(),
        role: if candidate.control { Role::Control } else { Role::Candidate },
        settings: contest.task.patched(&base.settings, &candidate.settings).expect("settings"),
        ..baseline.clone()
    });
    std::iter::once(baseline.clone()).chain(others).collect()
}

/// Mocks for the plan: the first latencies are slow, `fast` takes half the time.
pub(crate) fn launcher(clock: &FakeClock) -> MockLauncher {
    let mut launcher = MockLauncher::new(clock.clone());
    let script = |latency_us| MockScript {
        latency_us,
        warmup_us: vec![3000, 500],
        jitter: 0.005,
        ..MockScript::default()
    };
    launcher.insert("baseline", vec![script(2000)]);
    launcher.insert("fast", vec![script(1000)]);
    launcher.insert("clone", vec![script(2000)]);
    launcher
}

/// A folder in memory; clones share it, so that it survives the one who writes to it.
#[derive(Clone, Default)]
pub(crate) struct MemoryDisk {
    pub(crate) log: Rc<RefCell<Vec<u8>>>,
    pub(crate) files: Rc<RefCell<BTreeMap<String, Vec<u8>>>>,
    /// Bytes that still fit; a write beyond them is torn.
    pub(crate) room: Rc<RefCell<Option<usize>>>,
}

impl MemoryDisk {
    pub(crate) fn with_log(log: &[u8]) -> Self {
        let disk = Self::default();
        disk.log.borrow_mut().extend_from_slice(log);
        disk
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.log.borrow().clone()).expect("UTF-8")
    }

    pub(crate) fn parsed(&self, plan: &Plan) -> Log {
        Log::parse_for(&self.text(), plan).expect("a log of this plan")
    }

    /// How many of `bytes` may be written.
    fn take(&self, bytes: usize) -> usize {
        let mut room = self.room.borrow_mut();
        let Some(left) = room.as_mut() else { return bytes };
        let taken = bytes.min(*left);
        *left -= taken;
        taken
    }
}

fn full(name: &str) -> MeasureError {
    MeasureError::Io { path: name.into(), action: "write", source: io::ErrorKind::StorageFull.into() }
}

impl Disk for MemoryDisk {
    fn read_log(&mut self) -> Result<String, MeasureError> {
        Ok(String::from_utf8_lossy(&self.log.borrow()).into_owned())
    }
    fn cut_log(&mut self, bytes: usize) -> Result<(), MeasureError> {
        self.log.borrow_mut().truncate(bytes);
        Ok(())
    }
    fn append(&mut self, line: &str) -> Result<(), MeasureError> {
        let taken = self.take(line.len());
        self.log.borrow_mut().extend_from_slice(&line.as_bytes()[..taken]);
        if taken < line.len() { Err(full("samples.jsonl")) } else { Ok(()) }
    }
    fn has(&self, name: &str) -> bool {
        self.files.borrow().contains_key(name)
    }
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), MeasureError> {
        if self.take(bytes.len()) < bytes.len() {
            return Err(full(name));
        }
        self.files.borrow_mut().insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }
    fn get(&self, name: &str) -> Result<Vec<u8>, MeasureError> {
        Ok(self.files.borrow()[name].clone())
    }
    fn log_path(&self) -> &Path {
        Path::new("samples.jsonl")
    }
}

pub(crate) fn run(
    plan: &Plan,
    disk: &MemoryDisk,
    clock: &FakeClock,
    launcher: &mut dyn Launcher,
) -> Result<Summary, MeasureError> {
    run_with(plan, disk, clock, launcher, &mut NoStops, &mut Silent, &AtomicBool::new(false))
}

pub(crate) fn run_with(
    plan: &Plan,
    disk: &MemoryDisk,
    clock: &FakeClock,
    launcher: &mut dyn Launcher,
    rule: &mut dyn StopRule,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Summary, MeasureError> {
    let mut disk = disk.clone();
    let mut io = Io { codec: &PICTURE, disk: &mut disk, clock, telemetry: &mut NoTelemetry, unix_ms: 0 };
    execute(plan, &mut io, launcher, rule, observer, interrupt)
}
