//! What engines say, untimed, of the baseline's answers: asked once, after the last pair, and of no consequence for speed.

mod common;

use std::sync::atomic::AtomicBool;

use common::{MemoryDisk, pipelines};
use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::plan::{Extent, PipelinePlan, Plan, PlanInputs, Side, draw_plan};
use edgemaxx_contract::sample::{
    EngineInfo, Failure, FailureKind, Log, Record, Scores, ScoresOutcome, SessionStatus,
};
use edgemaxx_contract::task::Encoder;
use edgemaxx_contract::task::text::Scores as Lists;
use edgemaxx_engine::task::text::{Ids, Ready, ScoreAsk, TEXT};
use edgemaxx_engine::{Answer, Ask, Closed, Engine, FakeClock, Launched, Launcher, Load, Loaded};
use edgemaxx_measure::telemetry::NoTelemetry;
use edgemaxx_measure::{Io, NoStops, Silent, Summary, execute};

const ROUNDS: u32 = 3;
const SCORED: u32 = 2;

/// A token a byte.
#[derive(Debug)]
struct Bytes;

impl Encoder for Bytes {
    fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        Ok(text.bytes().map(u32::from).collect())
    }
    fn ends(&self) -> Vec<u32> {
        vec![0]
    }
    fn size(&self) -> u32 {
        256
    }

    fn largest(&self) -> u32 {
        255
    }
}

fn plan(measurement: &str) -> Plan {
    let toml = format!(
        r#"
        format = 1
        name = "test"
        task = "text"
        [device]
        kind = "cpu"
        [request]
        prompts = "p.txt"
        prompt_tokens = 8
        max_new_tokens = 3
        ignore_eos = true
        scored = {SCORED}
        [baseline]
        checkpoint = "model"
        generation = {{ weights = "f32" }}
        [[candidate]]
        name = "a"
        [[candidate]]
        name = "b"
        [[candidate]]
        name = "clone"
        control = true
        [measurement]
        sessions = {ROUNDS}
        pairs = 3
        warmup_min = 1
        warmup_max = 1
        {measurement}
        [quality]
        gate = [{{ metric = "kl_change", at_most = 0.5, reason = "a test" }}]
        "#
    );
    let contest = Contest::parse(&toml).expect("contest");
    let prompts: String = ('A'..='Z').map(|letter| format!("{letter} tale\n")).collect();
    draw_plan(PlanInputs {
        contest: &contest,
        prompts_file: "p.txt",
        prompts: &prompts,
        pipelines: &pipelines(&contest),
        day: &"2026-01-02".parse().expect("day"),
        entropy: &"test".parse().expect("entropy"),
        extent: Extent::Full,
        encoder: Some(&Bytes),
    })
    .expect("plan")
}

/// How an engine takes being asked for scores.
#[derive(Clone, Copy, PartialEq)]
enum Nature {
    Scores,
    DoesNot,
    Dies,
    Nonsense,
}

struct Writer {
    clock: FakeClock,
    nature: Nature,
    is_dead: bool,
}

impl Engine for Writer {
    fn load(&mut self, _: &Load) -> Result<Loaded, Failure> {
        let ready = Ready { vocabulary: 256, positions: 64, scores: self.nature != Nature::DoesNot };
        Ok(Loaded { ready: ready.object(), load_ns: 1 })
    }

    fn ask(&mut self, ask: &Ask<'_>) -> Result<Answer, Failure> {
        let died = || Failure { kind: FailureKind::Died, detail: "out of ideas".to_owned() };
        if self.is_dead {
            return Err(died());
        }
        let latency_ns = 1_000_000;
        self.clock.advance(latency_ns);
        let Some(asked) = ScoreAsk::parse(&ask.header).expect("a question") else {
            let header = Ids::object(&[7, 8, 9]);
            return Ok(Answer { latency_ns, header, ..Answer::default() });
        };
        assert_eq!((asked.ids.as_slice(), asked.top), (&[7, 8, 9][..], 64), "the baseline's answer");
        assert!(self.nature != Nature::DoesNot, "who does not score is not asked");
        if self.nature == Nature::Dies {
            self.is_dead = true;
            return Err(died());
        }
        let even = if self.nature == Nature::Nonsense { -0.1 } else { (1f32 / 64.0).ln() };
        let lists = asked.ids.iter().map(|_| (0..64).map(|token| (token, even)).collect()).collect();
        Ok(Answer { latency_ns, payload: ScoreAsk::payload(&Lists(lists)), ..Answer::default() })
    }

    fn close(&mut self) -> Closed {
        Closed::default()
    }
}

/// Everybody scores but `a`.
struct Writers(FakeClock, Nature);

impl Launcher for Writers {
    fn launch(&mut self, pipeline: &PipelinePlan) -> Result<Launched, Failure> {
        let nature = if pipeline.name == "a" { self.1 } else { Nature::Scores };
        Ok(Launched {
            engine: Box::new(Writer { clock: self.0.clone(), nature, is_dead: false }),
            info: EngineInfo { name: "writer".to_owned(), version: "1".to_owned() },
            launch_ns: 1,
            load: Load {
                checkpoint: String::new(),
                replaced: Default::default(),
                threads: 1,
                task: "text".to_owned(),
                settings: Default::default(),
            },
        })
    }
}

fn measured(plan: &Plan, disk: &MemoryDisk, nature: Nature) -> (Log, Summary) {
    let clock = FakeClock::default();
    let mut writers = Writers(clock.clone(), nature);
    let mut kept = disk.clone();
    let mut io = Io { codec: &TEXT, disk: &mut kept, clock: &clock, telemetry: &mut NoTelemetry, unix_ms: 0 };
    let done = execute(plan, &mut io, &mut writers, &mut NoStops, &mut Silent, &AtomicBool::new(false));
    (disk.parsed(plan), done.expect("finished"))
}

/// In how many sessions of a candidate everything was said.
fn complete(plan: &Plan, log: &Log, candidate: &str) -> usize {
    let sessions = plan.sessions.iter().zip(log.sessions(plan));
    let own = sessions.filter(|(planned, _)| planned.candidate == candidate);
    own.filter(|(planned, recorded)| recorded.all_scores(plan.scored(planned)).len() == SCORED as usize)
        .count()
}

/// What was said of `a`, or by it.
fn of_a(plan: &Plan, log: &Log) -> Vec<ScoresOutcome> {
    let said = log.records.iter().filter_map(|record| match record {
        Record::Scores(Scores { session, side: Side::Candidate, outcome, .. }) => Some((*session, outcome)),
        _ => None,
    });
    let own = said.filter(|(session, _)| plan.sessions[*session as usize].candidate == "a");
    own.map(|(_, outcome)| outcome.clone()).collect()
}

const WAYS: [&str; 3] = ["", "residency = \"alternating\"", "block = 2"];

#[test]
fn each_is_asked_once_after_the_last_pair_of_a_session() {
    for way in WAYS {
        let plan = plan(way);
        let (log, summary) = measured(&plan, &MemoryDisk::default(), Nature::Scores);
        assert_eq!((summary.aborted, summary.failures), (0, 0), "{way}");
        for name in ["a", "b", "clone"] {
            assert_eq!(complete(&plan, &log, name), 1, "{way}: {name}");
        }
        // Nothing is timed between the first question and the end of the session, or of this side of it.
        let mut asked = None;
        for record in &log.records {
            match record {
                Record::Scores(_) => asked = Some(()),
                Record::Launch(_) | Record::Session(_) | Record::Block(_) => asked = None,
                Record::Attempt(attempt) => assert_eq!(asked, None, "{way}: {attempt:?}"),
                _ => {}
            }
        }
    }
}

#[test]
fn who_fails_to_score_has_failed_in_nothing_else() {
    for (nature, kind) in [(Nature::Dies, FailureKind::Died), (Nature::Nonsense, FailureKind::Answer)] {
        for way in WAYS {
            let plan = plan(way);
            let (log, summary) = measured(&plan, &MemoryDisk::default(), nature);
            assert_eq!((summary.aborted, summary.failures), (0, 0), "{way}");
            let [ScoresOutcome::Failed(failure)] = &of_a(&plan, &log)[..] else {
                panic!("{way}: asked once: {:?}", of_a(&plan, &log));
            };
            assert_eq!(failure.kind, kind, "{way}");
            for (planned, recorded) in plan.sessions.iter().zip(log.sessions(&plan)) {
                let name = &planned.candidate;
                assert_eq!(
                    recorded.end.map(|end| end.status.clone()),
                    Some(SessionStatus::Complete),
                    "{way}: {name}"
                );
                assert_eq!(recorded.complete_pairs(3).count(), 3, "{way}: {name}");
            }
            assert_eq!(["a", "b", "clone"].map(|name| complete(&plan, &log, name)), [0, 1, 1], "{way}");
        }
    }
}

#[test]
fn who_does_not_score_is_not_asked() {
    let plan = plan("");
    let (log, _) = measured(&plan, &MemoryDisk::default(), Nature::DoesNot);
    assert_eq!(of_a(&plan, &log), []);
    assert_eq!(["a", "b", "clone"].map(|name| complete(&plan, &log, name)), [0, 1, 1]);
}

#[test]
fn a_run_that_is_resumed_asks_what_is_left() {
    for way in WAYS {
        let plan = plan(way);
        let whole = MemoryDisk::default();
        measured(&plan, &whole, Nature::Scores);
        let text = whole.text();
        for (at, _) in text.match_indices('\n') {
            let disk = MemoryDisk::with_log(&text.as_bytes()[..=at]);
            disk.files.borrow_mut().extend(whole.files.borrow().clone());
            let (log, _) = measured(&plan, &disk, Nature::Scores);
            let each = ["a", "b", "clone"].map(|name| complete(&plan, &log, name));
            assert_eq!(each, [1; 3], "{way}: cut at {at}");
        }
    }
}
