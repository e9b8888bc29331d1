//! A day of many candidates whose true speeds are known, on a clock that nobody waits for: scheduler,
//! pictures, stopping rule and statistics are the real ones, only the engines are scripted.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::{Extent, PipelinePlan, Plan, PlanInputs, Role, draw_plan};
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::{CONTEST_FILE, ENVIRONMENT_FILE, PLAN_FILE, PROMPTS_FILE, SAMPLES_FILE};
use edgemaxx_contract::sample::{Log, Outcome, Record, Stop};
use edgemaxx_engine::mock::{MockLauncher, MockScript};
use edgemaxx_engine::{Clock as _, FakeClock};
use edgemaxx_measure::telemetry::NoTelemetry;
use edgemaxx_measure::{Disk, Io, MeasureError, Silent, StopRule as _, execute};

use super::{Stops, TIME_OVER, check};
use crate::folder::RunFolder;
use crate::stage::{analyze::analyze_run, quality::judge_run, rank::rank_run};
use crate::task::kit;

const SESSIONS: u32 = 12;
const PAIRS: u32 = 2;
const CANDIDATES: usize = 64;
/// One picture of the baseline, seconds.
const BASELINE_S: f64 = 1.0;

/// Name, true speedup, and whether its pictures are good.
fn truth() -> Vec<(String, f64, bool)> {
    let speed = |index: usize| match index {
        0 => (2.0, true),
        1 => (1.9, true),
        // Fastest of all, with pictures of something else.
        2..7 => (3.0, false),
        // Slower than the baseline by 5 to 40%.
        7..35 => (0.6 + 0.35 * (index - 7) as f64 / 28.0, true),
        // Faster, but never the fastest.
        _ => (1.05 + 0.6 * (index - 35) as f64 / 29.0, true),
    };
    (0..CANDIDATES).map(|index| (format!("c{index:03}"), speed(index).0, speed(index).1)).collect()
}

/// −1 to 1, always the same for the same words.
fn chance(words: &str) -> f64 {
    let digest = Digest::of(words);
    f64::from(u16::from_le_bytes([digest.as_bytes()[0], digest.as_bytes()[1]])) / 32767.5 - 1.0
}

/// Processes that differ by up to ±0.5%, requests by ±1%.
fn scripts(name: &str, latency_s: f64, good: bool, launches: u32) -> Vec<MockScript> {
    let script = |launch: u32| MockScript {
        name: format!("{name}-{launch}"),
        load_us: 5_000_000,
        latency_us: (latency_s * 1e6 * (1.0 + 0.005 * chance(&format!("{name} {launch}")))) as u64,
        jitter: 0.01,
        noise: if good { 0 } else { 120 },
        ..MockScript::default()
    };
    (0..launches).map(script).collect()
}

/// The log in memory, pictures in a folder; nothing is waited for.
struct Fast<'a> {
    log: String,
    folder: &'a Path,
}

impl Disk for Fast<'_> {
    fn read_log(&mut self) -> Result<String, MeasureError> {
        Ok(self.log.clone())
    }
    fn cut_log(&mut self, bytes: usize) -> Result<(), MeasureError> {
        self.log.truncate(bytes);
        Ok(())
    }
    fn append(&mut self, line: &str) -> Result<(), MeasureError> {
        self.log.push_str(line);
        Ok(())
    }
    fn has(&self, name: &str) -> bool {
        self.folder.join(name).exists()
    }
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), MeasureError> {
        std::fs::write(self.folder.join(name), bytes).unwrap();
        Ok(())
    }
    fn get(&self, name: &str) -> Result<Vec<u8>, MeasureError> {
        Ok(std::fs::read(self.folder.join(name)).unwrap())
    }
    fn log_path(&self) -> &Path {
        self.folder
    }
}

struct Day {
    dir: tempfile::TempDir,
    folder: RunFolder,
    contest: Contest,
    plan: Plan,
    log: Log,
    /// Measured time, seconds.
    spent_s: f64,
}

/// Measures the day within `budget_s`.
fn measured(budget_s: f64) -> Day {
    let mut text = format!(
        "format = 1\nname = \"day\"\n[device]\nkind = \"cpu\"\n[request]\nprompts = \"p.txt\"\nwidth = 16\nheight = 16\n\
         [baseline]\nname = \"base\"\ncheckpoint = \"m\"\ngeneration = {{ steps = 20, guidance_scale = 5.0 }}\n\
         [measurement]\nsessions = {SESSIONS}\npairs = {PAIRS}\nwarmup_max = 2\nbudget_s = {budget_s}\n\
         [quality]\n[[quality.gate]]\nmetric = \"ssim_gray\"\nat_least = 0.5\nreason = \"a test\"\n\
         [score]\nsimilarity = \"ssim-gray\"\n"
    );
    for (name, ..) in truth() {
        text += &format!("[[candidate]]\nname = \"{name}\"\n");
    }
    let contest = Contest::parse(&text).unwrap();
    let prompts: String = (0..40).map(|n| format!("prompt {n}\n")).collect();
    let base = PipelinePlan {
        name: contest.baseline.name.clone(),
        role: Role::Baseline,
        description: String::new(),
        checkpoint: contest.baseline.checkpoint.clone(),
        digest: Digest::of("m"),
        settings: contest.baseline.settings.clone(),
        engine: contest.baseline.engine.clone(),
    };
    let others = contest.candidates.iter().map(|candidate| PipelinePlan {
        name: candidate.name.clone(),
        role: if candidate.control { Role::Control } else { Role::Candidate },
        ..base.clone()
    });
    let mut pipelines: Vec<PipelinePlan> = std::iter::once(base.clone()).chain(others).collect();
    if pipelines.iter().all(|pipeline| pipeline.role != Role::Control) {
        pipelines.push(PipelinePlan { name: "control".to_owned(), role: Role::Control, ..base.clone() });
    }
    let inputs = PlanInputs {
        contest: &contest,
        prompts_file: "p.txt",
        prompts: &prompts,
        pipelines: &pipelines,
        day: &"2026-11-22".parse().unwrap(),
        entropy: &"test".parse().unwrap(),
        extent: Extent::Full,
        encoder: None,
    };
    let plan = draw_plan(inputs).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(&dir.path().join("run")).unwrap();
    std::fs::create_dir_all(folder.artefacts()).unwrap();
    folder.write(CONTEST_FILE, &text).unwrap();
    folder.write(PROMPTS_FILE, &prompts).unwrap();
    folder.write(PLAN_FILE, plan.to_json()).unwrap();
    folder.write_document(ENVIRONMENT_FILE, &Environment::mock()).unwrap();

    let clock = FakeClock::default();
    let mut launcher = MockLauncher::new(clock.clone());
    let launches = plan.sessions.len() as u32;
    launcher.insert(&base.name, scripts("base", BASELINE_S, true, launches));
    for control in plan.pipelines.iter().filter(|pipeline| pipeline.role == Role::Control) {
        launcher.insert(&control.name, scripts(&control.name, BASELINE_S, true, SESSIONS));
    }
    for (name, speedup, good) in truth() {
        launcher.insert(&name, scripts(&name, BASELINE_S / speedup, good, SESSIONS));
    }
    let mut disk = Fast { log: String::new(), folder: folder.path() };
    let mut io = Io {
        codec: kit(plan.task).unwrap().codec(),
        disk: &mut disk,
        clock: &clock,
        telemetry: &mut NoTelemetry,
        unix_ms: 0,
    };
    let mut rule = Stops::of(&folder, &plan, &contest, None, Arc::default()).unwrap();
    execute(&plan, &mut io, &mut launcher, &mut rule, &mut Silent, &AtomicBool::new(false)).unwrap();
    folder.write(SAMPLES_FILE, &disk.log).unwrap();
    let log = Log::parse_for(&disk.log, &plan).unwrap();
    Day { dir, folder, contest, plan, log, spent_s: clock.now_ns() as f64 / 1e9 }
}

impl Day {
    /// Sessions of each candidate that ended.
    fn sessions(&self) -> BTreeMap<String, u32> {
        let mut counts: BTreeMap<String, u32> =
            self.plan.candidates().iter().map(|candidate| (candidate.name.clone(), 0)).collect();
        for record in &self.log.records {
            if let Record::Session(end) = record {
                *counts.get_mut(&self.plan.sessions[end.session as usize].candidate).unwrap() += 1;
            }
        }
        counts
    }

    /// Why each candidate was stopped.
    fn reasons(&self) -> BTreeMap<String, String> {
        self.log.stops().map(|stop| (stop.candidate.clone(), stop.reason.clone())).collect()
    }

    fn ranking(&self) -> Ranking {
        judge_run(&self.folder, crate::stage::quality::Models::default(), &crate::progress::Silent).unwrap();
        analyze_run(&self.folder).unwrap();
        rank_run(&self.folder).unwrap()
    }

    /// What a rule that knows nothing yet decides on the log's first records.
    fn decided_on(&self, records: usize) -> Vec<(String, String)> {
        let mut log = self.log.clone();
        log.records.truncate(records);
        let known: Vec<String> = log.stops().map(|stop| stop.candidate.clone()).collect();
        let mut rule = Stops::of(&self.folder, &self.plan, &self.contest, None, Arc::default()).unwrap();
        let wanted = rule.after_session(&self.plan, &log).into_iter();
        wanted.filter(|stop| !known.contains(&stop.candidate)).map(|s| (s.candidate, s.reason)).collect()
    }
}

/// Seconds that all sessions would take: loads, warm-up, pairs and a repeated pair.
fn full_s() -> f64 {
    let requests = f64::from(2 + PAIRS + 1);
    let session = |speedup: f64| 10.0 + requests * BASELINE_S * (1.0 + 1.0 / speedup);
    let all: f64 = truth().iter().map(|(_, speedup, _)| session(*speedup)).sum::<f64>() + session(1.0);
    all * f64::from(SESSIONS)
}

#[test]
fn the_best_of_many_is_found_in_a_quarter_of_the_time() {
    let day = measured(0.6 * full_s());
    let (sessions, reasons) = (day.sessions(), day.reasons());
    let saved = 1.0 - day.spent_s / full_s();
    let asked: u32 = sessions.values().sum();
    assert!((0.75..0.85).contains(&saved), "{saved}: {asked} of {} sessions", day.plan.sessions.len());
    for (name, speedup, good) in truth() {
        let (n, why) = (sessions[&name], reasons.get(&name).map_or("", String::as_str));
        match (good, speedup) {
            (false, _) => assert!(n <= 5 && why.contains("misses the gate"), "{name}: {n} {why}"),
            // Two sessions of each of many tell who is far behind.
            (true, s) if s < 1.7 => assert!(n <= 3 && why.contains("score"), "{name}: {n} {why}"),
            (true, s) if s < 2.0 => assert!((3..=6).contains(&n), "{name}: {n} {why}"),
            _ => assert_eq!(n, SESSIONS, "{name}: {why}"),
        }
    }
    assert_eq!(reasons.get("c000"), None, "the best has all its sessions");
    assert_eq!(sessions["c000"], SESSIONS);
    let ranking = day.ranking();
    assert_eq!(ranking.winner.as_deref(), Some("c000"), "{}", ranking.verdict);
    // Who left is ranked by what it had proven until then: the second best is second, and paid.
    assert_eq!((ranking.entries[1].name.as_str(), ranking.entries[1].tier), ("c001", Some(2)));

    // An auditor derives every stop again, and no other.
    let judged = day.folder.quality(&day.plan, &day.log).unwrap().0.records;
    let audit = |change: &dyn Fn(&mut Vec<Record>)| {
        let mut log = day.log.clone();
        change(&mut log.records);
        check(&day.plan, &day.contest, &log, &judged)
    };
    assert_eq!(audit(&|_| ()), Ok(reasons.len()));
    let place =
        |records: &[Record]| records.iter().position(|record| matches!(record, Record::Stop(_))).unwrap();
    let stop = |change: &dyn Fn(&mut Stop)| {
        audit(&|records| {
            let at = place(records);
            if let Record::Stop(stop) = &mut records[at] {
                change(stop);
            }
        })
        .unwrap_err()
    };
    assert!(stop(&|stop| stop.candidate = "c000".to_owned()).contains("\"c000\" is stopped after"));
    assert!(
        stop(&|stop| stop.reason = "its speedup is known to ±1%".to_owned()).contains("no rule gives that")
    );
    let alone = stop(&|stop| (stop.reason, stop.beaten_by) = (TIME_OVER.to_owned(), None));
    assert!(alone.contains("that is for all, and"), "{alone}");
    assert!(stop(&|stop| stop.after_sessions += 1).contains("but it had ended"));
    let kept = audit(&|records| drop(records.remove(place(records)))).unwrap_err();
    assert!(kept.contains("did not leave after"), "{kept}");

    // Whoever resumes decides what was decided: right after a session, and in the middle of the next.
    let ends: Vec<usize> = (0..day.log.records.len())
        .filter(|at| matches!(day.log.records[*at], Record::Session(_)))
        .map(|at| at + 1)
        .collect();
    for at in ends.iter().copied().filter(|at| at % 7 == 0).step_by(12) {
        let written = day.log.records[at..].iter().map_while(|record| match record {
            Record::Stop(stop) => Some((stop.candidate.clone(), stop.reason.clone())),
            _ => None,
        });
        let written: Vec<_> = written.collect();
        assert_eq!(day.decided_on(at), written);
        let middle = at + written.len() + 6;
        let still = day.log.records[at..middle].iter().all(|record| !matches!(record, Record::Session(_)));
        assert!(!still || day.decided_on(middle).is_empty(), "an open session decides nothing");
    }
    drop(day.dir);
}

#[test]
fn a_budget_too_small_for_all_goes_to_those_who_can_win() {
    let day = measured(3.4 * full_s() / f64::from(SESSIONS));
    let sessions = day.sessions();
    for (name, _, good) in truth() {
        let n = sessions[&name];
        assert!(n >= if good { 2 } else { 1 }, "{name}: {n}");
    }
    let (best, all) = (sessions["c000"], sessions.values().sum::<u32>());
    assert!(best >= 5 && all < 4 * CANDIDATES as u32, "{best} of {all}");
    let failed = day.log.records.iter().any(
        |record| matches!(record, Record::Attempt(attempt) if matches!(attempt.outcome, Outcome::Failed(_))),
    );
    assert!(!failed);
    let ranking = day.ranking();
    assert_eq!(ranking.entries[0].name, "c000", "{}", ranking.verdict);
    assert!(ranking.entries[0].score > 0.0);
    let judged = day.folder.quality(&day.plan, &day.log).unwrap().0.records;
    let left = day.log.stops().count();
    assert_eq!(check(&day.plan, &day.contest, &day.log, &judged), Ok(left), "the budget ends all at once");
}
