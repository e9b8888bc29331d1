//! Several candidates against one launch of the baseline.

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use common::{MemoryDisk, launcher, plan_with, run, run_with};
use edgemaxx_contract::plan::{Plan, Side, turns};
use edgemaxx_contract::sample::{Chain, Log, LogError, Outcome, Phase, Record, SessionStatus, Stop};
use edgemaxx_engine::FakeClock;
use edgemaxx_engine::mock::{MockLauncher, MockScript};
use edgemaxx_measure::{Silent, StopRule, Summary};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn blocks(residency: &str) -> Plan {
    plan_with(&NAMES, 3, 3, &format!("residency = {residency:?}\nblock = 2"))
}

fn scripted(clock: &FakeClock) -> MockLauncher {
    let mut launcher = launcher(clock);
    for name in NAMES {
        launcher.insert(name, vec![MockScript { latency_us: 1500, ..MockScript::default() }]);
    }
    launcher
}

fn measured(plan: &Plan, launcher: impl FnOnce(&mut MockLauncher)) -> (Log, Summary) {
    let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
    let mut mocks = scripted(&clock);
    launcher(&mut mocks);
    let summary = run(plan, &disk, &clock, &mut mocks).expect("finished");
    (disk.parsed(plan), summary)
}

fn formed(log: &Log) -> Vec<Vec<u32>> {
    let block = |record: &Record| match record {
        Record::Block(block) => Some(block.sessions.clone()),
        _ => None,
    };
    log.records.iter().filter_map(block).collect()
}

#[test]
fn one_baseline_answers_for_all_of_its_block() {
    for residency in ["together", "alternating"] {
        let plan = blocks(residency);
        let (log, summary) = measured(&plan, |_| {});
        // Five candidates in blocks of two: three blocks of 2, 2 and 1 a round, each with the control.
        assert_eq!(formed(&log).iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 2].repeat(3));
        assert_eq!((summary.complete, summary.aborted, summary.stopped.len()), (24, 0, 0));
        let recorded = log.sessions(&plan);
        for block in formed(&log) {
            assert_eq!(plan.sessions[block[0] as usize].candidate, "clone");
            let baseline = |session: u32| {
                let all = recorded[session as usize].attempts.iter();
                all.filter(|a| a.side == Side::Baseline).map(|a| a.started_ns).collect::<Vec<_>>()
            };
            for &session in &block {
                assert_eq!(recorded[session as usize], log.session(session));
                assert_eq!(recorded[session as usize].complete_pairs(3).count(), 3);
                assert_eq!(baseline(session), baseline(block[0]), "the same samples");
            }
            // In the log they stand once, in the order that was drawn for all, the baseline among them.
            let asked: Vec<(u32, Side)> = log
                .records
                .iter()
                .filter_map(|record| match record {
                    Record::Attempt(a) if block.contains(&a.session) => {
                        (a.phase == Phase::Measured { pair: 1 }).then_some((a.session, a.side))
                    }
                    _ => None,
                })
                .collect();
            let order = if residency == "together" { Some(1) } else { None };
            assert_eq!(asked, turns(&plan, &block, order));
        }
        let attempts = log.records.iter().filter(|record| matches!(record, Record::Attempt(_))).count();
        assert_eq!(attempts, summary.attempts as usize);
    }
}

#[test]
fn everybody_is_first_and_last_by_chance() {
    let plan = plan_with(&NAMES, 40, 3, "block = 4");
    let (log, _) = measured(&plan, |_| {});
    let mut places: BTreeMap<usize, u32> = BTreeMap::new();
    for block in formed(&log) {
        let launched = turns(&plan, &block, None);
        *places.entry(launched.iter().position(|(_, side)| *side == Side::Baseline).unwrap()).or_default() +=
            1;
        let mut pairs: Vec<usize> = (0..3)
            .map(|pair| {
                let turns = turns(&plan, &block, Some(pair));
                assert_eq!(turns.len(), block.len() + 1);
                turns.iter().position(|(_, side)| *side == Side::Baseline).unwrap()
            })
            .collect();
        pairs.dedup();
        assert!(pairs.len() > 1, "another place in another pair");
    }
    assert!((3..=5).all(|place| places.contains_key(&(place - 3))), "{places:?}");
    assert!(places.values().all(|count| *count < 50), "{places:?}");
}

#[test]
fn a_candidate_that_fails_leaves_its_block_alone() {
    for residency in ["together", "alternating"] {
        let plan = blocks(residency);
        let dying = MockScript { faults: vec!["die@4".parse().expect("a fault")], ..MockScript::default() };
        let (log, summary) = measured(&plan, |mocks| mocks.insert("a", vec![dying.clone()]));
        assert_eq!(summary.stopped.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "clone"]);
        for (planned, recorded) in plan.sessions.iter().zip(log.sessions(&plan)) {
            let Some(end) = recorded.end else { continue };
            let expected = match planned.candidate.as_str() {
                "a" => SessionStatus::Aborted { side: Side::Candidate },
                _ => SessionStatus::Complete,
            };
            assert_eq!(end.status, expected);
        }
        // Four are left in the last round: two blocks, and the third one's control is spared.
        assert_eq!(formed(&log).iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 2, 3, 3, 2, 3, 3]);
        let refusing =
            MockScript { faults: vec!["refuse@2".parse().expect("a fault")], ..MockScript::default() };
        let (log, _) = measured(&plan, |mocks| mocks.insert("b", vec![refusing.clone()]));
        for (planned, recorded) in plan.sessions.iter().zip(log.sessions(&plan)) {
            let failed = recorded.attempts.iter().any(|a| matches!(a.outcome, Outcome::Failed(_)));
            assert_eq!(failed, planned.candidate == "b", "{planned:?}");
        }
    }
}

#[test]
fn a_baseline_that_dies_is_launched_anew_with_its_block() {
    for residency in ["together", "alternating"] {
        let plan = plan_with(&NAMES, 3, 5, &format!("residency = {residency:?}\nblock = 2"));
        let dying = MockScript { faults: vec!["die@4".parse().expect("a fault")], ..MockScript::default() };
        let sound = MockScript { latency_us: 2000, ..MockScript::default() };
        let (log, summary) =
            measured(&plan, |mocks| mocks.insert("baseline", vec![dying.clone(), sound.clone()]));
        assert_eq!((summary.aborted, summary.complete), (0, 24));
        // The pair at which it died is lost for all of its block, and no other.
        let pairs =
            log.sessions(&plan).iter().map(|recorded| recorded.complete_pairs(5).count()).collect::<Vec<_>>();
        assert!(pairs.iter().all(|pairs| *pairs == 5 || *pairs == 4) && pairs.contains(&4), "{pairs:?}");
        let launches = log.sessions(&plan).iter().map(|recorded| recorded.launches.len()).max();
        assert_eq!(launches, Some(if residency == "together" { 4 } else { 3 }));
    }
}

/// Stops some after their first session.
struct After(Vec<&'static str>);

impl StopRule for After {
    fn after_session(&mut self, plan: &Plan, log: &Log) -> Vec<Stop> {
        let sessions = log.sessions(plan);
        let ended = |name: &str| {
            plan.sessions.iter().zip(&sessions).any(|(p, r)| p.candidate == name && r.end.is_some())
        };
        let stop = |name: &&str| Stop {
            candidate: (*name).to_owned(),
            after_sessions: 0,
            reason: "enough".to_owned(),
            sessions_saved: 0,
            beaten_by: None,
        };
        self.0.iter().filter(|name| ended(name)).map(stop).collect()
    }
}

#[test]
fn who_is_left_fills_the_blocks() {
    let plan = blocks("alternating");
    let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
    let mut rule = After(vec!["a", "c", "d"]);
    let never = AtomicBool::new(false);
    let summary = run_with(&plan, &disk, &clock, &mut scripted(&clock), &mut rule, &mut Silent, &never)
        .expect("finished");
    let log = disk.parsed(&plan);
    assert_eq!(formed(&log).iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 2, 3, 3]);
    let last = summary.stopped.last().expect("a stop");
    assert_eq!(last, &("clone".to_owned(), "no candidate is left to be measured beside it".to_owned()));
    assert_eq!(edgemaxx_measure::finished(&plan, &log), Some(summary));
}

#[test]
fn blocks_that_the_plan_does_not_make_are_refused() {
    let plan = blocks("together");
    let (log, _) = measured(&plan, |_| {});
    let altered = |change: &dyn Fn(&mut Vec<Record>)| {
        let mut records = log.records.clone();
        change(&mut records);
        let mut chain = Chain::default();
        let header = std::iter::once(Record::Header(log.header.clone()));
        let text: String = header.chain(records).map(|record| chain.append(record)).collect();
        Log::parse_for(&text, &plan).expect_err("altered").to_string()
    };
    let swapped = altered(&|records| {
        if let Some(Record::Block(block)) = records.first_mut() {
            block.sessions.swap(1, 2);
        }
    });
    assert!(swapped.contains("line 2: block") && swapped.contains("is due"), "{swapped}");
    let unnamed = altered(&|records| drop(records.remove(0)));
    assert!(unnamed.contains("outside of a block"), "{unnamed}");
    let twice = altered(&|records| {
        let of_other = |record: &Record| matches!(record, Record::Attempt(a) if a.side == Side::Candidate);
        let at = records.iter().rposition(of_other).expect("an attempt");
        if let Record::Attempt(attempt) = &mut records[at] {
            attempt.side = Side::Baseline;
            attempt.session = formed(&log).last().expect("a block")[1];
        }
    });
    assert!(twice.contains("which shares that of session"), "{twice}");
    let error = Log::parse_for("", &plan).expect_err("empty");
    assert!(matches!(error, LogError::Order { .. }));
}
