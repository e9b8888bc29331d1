//! Sessions, failures, stops, budget, interruption.

mod common;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{MemoryDisk, launcher, plan, run, run_with};
use edgemaxx_contract::plan::{Plan, Side};
use edgemaxx_contract::sample::{Attempt, FailureKind, LaunchOutcome, Log, Outcome, Phase, Record, Stop};
use edgemaxx_engine::FakeClock;
use edgemaxx_engine::mock::{Asked, Cheat, MockScript};
use edgemaxx_measure::{Event, MeasureError, NoStops, Observer, Progress, Silent, StopRule};

fn attempts(log: &Log) -> Vec<&Attempt> {
    log.records
        .iter()
        .filter_map(|r| if let Record::Attempt(attempt) = r { Some(attempt) } else { None })
        .collect()
}

fn faulty(fault: &str) -> MockScript {
    MockScript { faults: vec![fault.parse().expect("a fault")], ..MockScript::default() }
}

#[test]
fn every_pair_is_asked_in_the_plans_order_and_every_picture_is_kept() {
    let plan = plan(2, 3, "");
    let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
    let summary = run(&plan, &disk, &clock, &mut launcher(&clock)).expect("finished");
    assert_eq!((summary.complete, summary.aborted, summary.failures), (4, 0, 0));
    let log = disk.parsed(&plan);
    assert_eq!(summary.head, Some(log.chain.head()));

    for (planned, recorded) in plan.sessions.iter().zip(log.sessions(&plan)) {
        let asked: Vec<(u32, Side, u32)> = recorded
            .attempts
            .iter()
            .filter_map(|a| match a.phase {
                Phase::Measured { pair } => Some((pair, a.side, a.request)),
                Phase::Warmup { .. } | Phase::Repeat { .. } => None,
            })
            .collect();
        let expected: Vec<(u32, Side, u32)> = (0u32..)
            .zip(&planned.pairs)
            .flat_map(|(i, p)| Side::both_from(p.first).map(|side| (i, side, p.request)))
            .collect();
        assert_eq!(asked, expected);
        assert_eq!(
            recorded.launches.iter().map(|l| l.side).collect::<Vec<_>>(),
            Side::both_from(planned.first)
        );
        let end = recorded.end.expect("an end");
        assert!(end.steady && end.baseline_peak_rss_bytes.is_some());
        // 3.5 ms, 1.5 ms, 1 ms, 1 ms: four warm-ups until two are alike
        let warmups = recorded.attempts.iter().filter(|a| matches!(a.phase, Phase::Warmup { .. })).count();
        assert_eq!(warmups, 2 * 4);
        assert_eq!(recorded.complete_pairs(planned.pairs.len() as u32).count(), planned.pairs.len());
    }
    for attempt in attempts(&log) {
        let Outcome::Answered { answer, .. } = &attempt.outcome else { panic!("a failure") };
        assert!(disk.files.borrow().contains_key(&format!("artefacts/{answer}.png")));
    }
}

#[test]
fn alternating_sides_are_launched_and_asked_one_after_the_other() {
    let plan = plan(2, 3, "residency = \"alternating\"\nblock = 1");
    let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
    let summary = run(&plan, &disk, &clock, &mut launcher(&clock)).expect("finished");
    assert_eq!((summary.complete, summary.aborted, summary.failures), (4, 0, 0));
    let log = disk.parsed(&plan);
    for (planned, recorded) in plan.sessions.iter().zip(log.sessions(&plan)) {
        let of_session = log.records.iter().filter(|r| match r {
            Record::Launch(launch) => launch.session == planned.index,
            Record::Attempt(attempt) => attempt.session == planned.index,
            _ => false,
        });
        // a launch, four warm-ups, three pairs, one of them again; then the other side's
        let sides: Vec<Side> = of_session
            .map(|r| match r {
                Record::Launch(launch) => launch.side,
                Record::Attempt(attempt) => attempt.side,
                _ => unreachable!("filtered"),
            })
            .collect();
        let [first, second] = Side::both_from(planned.first);
        assert_eq!(sides, [[first; 9], [second; 9]].concat());
        let end = recorded.end.expect("an end");
        assert!(
            end.steady && end.baseline_peak_rss_bytes.is_some() && end.candidate_peak_rss_bytes.is_some()
        );
        assert_eq!(recorded.complete_pairs(3).count(), 3);
    }
}

#[test]
fn a_pair_of_each_session_is_asked_again_at_its_end() {
    let plan = plan(2, 3, "");
    let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
    let mut launcher = launcher(&clock);
    let script = |cheat| MockScript { latency_us: 1000, cheat: Some(cheat), ..MockScript::default() };
    launcher.insert("fast", vec![script(Cheat::Cache), script(Cheat::Busy)]);
    run(&plan, &disk, &clock, &mut launcher).expect("finished");
    let log = disk.parsed(&plan);
    let mut of_fast = Vec::new();
    for (planned, recorded) in plan.sessions.iter().zip(log.sessions(&plan)) {
        let last: Vec<(Phase, Side)> =
            recorded.attempts.iter().rev().take(2).rev().map(|a| (a.phase, a.side)).collect();
        let [repeat] = planned.repeats[..] else { panic!("one for three pairs") };
        let phase = Phase::Repeat { pair: repeat.pair };
        assert_eq!(last, Side::both_from(repeat.first).map(|side| (phase, side)));
        let ns = |attempt: &Attempt| match attempt.outcome {
            Outcome::Answered { latency_ns, .. } => latency_ns,
            Outcome::Failed(_) => panic!("a failure"),
        };
        let again = recorded.attempts.iter().find(|a| a.side == Side::Candidate && a.phase == phase);
        let [baseline, candidate] = [Side::Baseline, Side::Candidate]
            .map(|side| *recorded.idle.iter().copied().find(|idle| idle.side == side).expect("recorded"));
        assert!(baseline.waited_ns > 0 && baseline.busy_ns == 0);
        if planned.candidate == "fast" {
            of_fast
                .push((ns(again.expect("repeated")), candidate.busy_ns as f64 / candidate.waited_ns as f64));
        }
    }
    // the first launch answers from memory, the second one works while the baseline is asked
    assert_eq!(of_fast, [(1000, 0.0), (1_000_000, 1.0)]);
}

#[test]
fn warm_up_ends_at_its_cap_and_says_so() {
    let plan = plan(1, 1, "");
    let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
    let mut launcher = launcher(&clock);
    let slow = MockScript { latency_us: 100, warmup_us: vec![800, 400, 200, 100], ..MockScript::default() };
    launcher.insert("fast", vec![slow]);
    run(&plan, &disk, &clock, &mut launcher).expect("finished");
    let log = disk.parsed(&plan);
    for (planned, recorded) in plan.sessions.iter().zip(log.sessions(&plan)) {
        assert_eq!(recorded.end.expect("an end").steady, planned.candidate != "fast");
    }
}

#[test]
fn a_candidate_that_dies_twice_is_stopped_and_the_others_go_on() {
    let plan = plan(4, 2, "");
    let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
    let mut launcher = launcher(&clock);
    launcher.insert("fast", vec![faulty("die@5")]);
    let summary = run(&plan, &disk, &clock, &mut launcher).expect("finished");
    assert_eq!((summary.complete, summary.aborted, summary.failures), (4, 2, 2));
    assert_eq!(summary.stopped.len(), 1);
    let log = disk.parsed(&plan);
    let stop = log.stops().next().expect("a stop");
    assert_eq!((stop.candidate.as_str(), stop.after_sessions, stop.sessions_saved), ("fast", 2, 2));
    let launches = launcher.asked().iter().filter(|a| **a == Asked::Launch("fast".to_owned())).count();
    assert_eq!(launches, 2);
    let closes = launcher.asked().iter().filter(|a| matches!(a, Asked::Close(_))).count();
    let all = launcher.asked().iter().filter(|a| matches!(a, Asked::Launch(_))).count();
    assert_eq!(closes, all, "every engine is closed");
}

#[test]
fn a_candidate_that_cannot_load_is_recorded_as_such() {
    for (fault, kind) in [
        ("refuse@load", FailureKind::Refused),
        ("die@hello", FailureKind::Died),
        ("garbage@load", FailureKind::Protocol),
    ] {
        let plan = plan(3, 1, "");
        let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
        let mut launcher = launcher(&clock);
        launcher.insert("fast", vec![faulty(fault)]);
        let summary = run(&plan, &disk, &clock, &mut launcher).expect("finished");
        assert_eq!((summary.complete, summary.aborted), (3, 2), "{fault}");
        let failed: Vec<FailureKind> = disk
            .parsed(&plan)
            .records
            .iter()
            .filter_map(|r| match r {
                Record::Launch(l) => match &l.outcome {
                    LaunchOutcome::Failed(failure) => Some(failure.kind),
                    LaunchOutcome::Ready { .. } => None,
                },
                _ => None,
            })
            .collect();
        assert_eq!(failed, [kind, kind], "{fault}");
    }
}

#[test]
fn a_refused_request_costs_its_pair_only() {
    let plan = plan(1, 3, "");
    let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
    let mut launcher = launcher(&clock);
    launcher.insert("fast", vec![faulty("refuse@4")]);
    let summary = run(&plan, &disk, &clock, &mut launcher).expect("finished");
    assert_eq!((summary.complete, summary.failures), (2, 1));
    let log = disk.parsed(&plan);
    let fast = plan.sessions.iter().find(|s| s.candidate == "fast").expect("a session").index;
    assert_eq!(log.session(fast).complete_pairs(3).count(), 2);
}

#[test]
fn a_candidate_that_refuses_everything_is_aborted_in_warm_up() {
    let plan = plan(2, 3, "");
    let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
    let mut launcher = launcher(&clock);
    launcher.insert("fast", vec![faulty("wrong-size@every")]);
    let summary = run(&plan, &disk, &clock, &mut launcher).expect("finished");
    assert_eq!((summary.complete, summary.aborted), (2, 2));
    let kinds: Vec<FailureKind> = attempts(&disk.parsed(&plan))
        .iter()
        .filter_map(|a| if let Outcome::Failed(f) = &a.outcome { Some(f.kind) } else { None })
        .collect();
    assert!(!kinds.is_empty() && kinds.iter().all(|k| *k == FailureKind::Answer));
}

#[test]
fn other_latents_than_the_baselines_are_the_candidates_fault() {
    let plan = plan(2, 1, "");
    let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
    let mut launcher = launcher(&clock);
    launcher.insert("fast", vec![MockScript { latent_channels: 16, ..MockScript::default() }]);
    let summary = run(&plan, &disk, &clock, &mut launcher).expect("finished");
    assert_eq!((summary.complete, summary.aborted), (2, 2));
    assert!(disk.text().contains(r#"it says {\"latent_channels\":16"#));
}

#[test]
fn the_baseline_is_launched_anew_once_then_the_run_ends_and_can_go_on() {
    let plan = plan(1, 3, "");
    let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
    let mut once = launcher(&clock);
    once.insert("baseline", vec![faulty("die@3"), MockScript::default()]);
    let summary = run(&plan, &disk, &clock, &mut once).expect("finished");
    assert_eq!((summary.complete, summary.aborted, summary.failures), (2, 0, 1));

    let disk = MemoryDisk::default();
    let mut always = launcher(&clock);
    always.insert("baseline", vec![faulty("die@3")]);
    let error = run(&plan, &disk, &clock, &mut always).expect_err("the baseline fails");
    assert!(matches!(error, MeasureError::Baseline { .. }), "{error}");
    let kept = disk.text();
    let summary = run(&plan, &disk, &clock, &mut launcher(&clock)).expect("mended");
    assert_eq!((summary.complete, summary.failures), (2, 2));
    assert!(disk.text().starts_with(&kept));
}

/// The baseline's processes of the sessions beside `fast` die; those of the others do not.
#[test]
fn a_baseline_that_fails_beside_one_candidate_alone_is_that_candidates_failure() {
    let plan = plan(3, 2, "");
    let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
    // In the plan's order, but that another candidate's session follows one in which it failed.
    let (mut poisoned, mut left) = (Vec::new(), plan.sessions.iter().collect::<Vec<_>>());
    let mut blamed = 0;
    while !left.is_empty() {
        if left.remove(0).candidate != "fast" {
            poisoned.push(MockScript::default());
        } else if blamed < 2 {
            // It is tried twice; after two such sessions the candidate is stopped.
            poisoned.extend([faulty("die@1"), faulty("die@1")]);
            blamed += 1;
            if let Some(next) = left.iter().position(|session| session.candidate != "fast") {
                left.remove(next);
                poisoned.push(MockScript::default());
            }
        }
    }
    let mut launcher = launcher(&clock);
    launcher.insert("baseline", poisoned);
    let summary = run(&plan, &disk, &clock, &mut launcher).expect("finished");
    assert_eq!((summary.complete, summary.aborted), (3, 2), "{summary:?}");
    let [(name, reason)] = &summary.stopped[..] else { panic!("{summary:?}") };
    assert!(name == "fast" && reason.contains("the baseline, beside it alone, failed"), "{reason}");
}

#[test]
fn the_budget_starts_no_further_session() {
    let plan = plan(8, 2, "budget_s = 1.0");
    let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
    let mut launcher = launcher(&clock);
    for name in ["baseline", "fast", "clone"] {
        launcher.insert(name, vec![MockScript { latency_us: 50_000, ..MockScript::default() }]);
    }
    let summary = run(&plan, &disk, &clock, &mut launcher).expect("finished");
    // a session: 2×2 warm-ups, 2×2 measured and 2 repeats of 50 ms, two launches of 1 ms: two make 1 s
    assert_eq!(summary.complete, 2);
    assert_eq!(summary.stopped.len(), 2);
    assert!(summary.stopped.iter().all(|(_, reason)| reason.contains("budget")));
}

/// Stops a candidate after its first session.
struct First(&'static str);

impl StopRule for First {
    fn after_session(&mut self, plan: &Plan, log: &Log) -> Vec<Stop> {
        let ended = log
            .sessions(plan)
            .iter()
            .zip(&plan.sessions)
            .any(|(r, p)| r.end.is_some() && p.candidate == self.0);
        let stop = Stop {
            candidate: self.0.to_owned(),
            after_sessions: 0,
            reason: "precise".to_owned(),
            sessions_saved: 0,
            beaten_by: None,
        };
        if ended { vec![stop] } else { Vec::new() }
    }
}

#[test]
fn a_stop_rule_ends_a_candidate_once() {
    let plan = plan(3, 1, "");
    let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
    let interrupt = AtomicBool::new(false);
    let summary =
        run_with(&plan, &disk, &clock, &mut launcher(&clock), &mut First("clone"), &mut Silent, &interrupt)
            .expect("finished");
    assert_eq!(summary.complete, 4);
    assert_eq!(summary.stopped, [("clone".to_owned(), "precise".to_owned())]);
    let log = disk.parsed(&plan);
    let stop = log.stops().next().expect("a stop");
    assert_eq!((stop.after_sessions, stop.sessions_saved), (1, 2));
}

/// Sets the interrupt flag after some attempts, and keeps the last progress.
struct Interrupter<'a> {
    after: Cell<u32>,
    flag: &'a AtomicBool,
    last: Progress,
}

impl Observer for Interrupter<'_> {
    fn on(&mut self, event: &Event<'_>, progress: &Progress) {
        self.last = *progress;
        if matches!(event, Event::Attempt(_)) {
            self.after.set(self.after.get().saturating_sub(1));
            self.flag.store(self.after.get() == 0, Ordering::Relaxed);
        }
    }
}

#[test]
fn an_interrupted_run_goes_on_where_it_was() {
    let plan = plan(2, 3, "");
    let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
    let flag = AtomicBool::new(false);
    let mut interrupter = Interrupter { after: Cell::new(13), flag: &flag, last: Progress::default() };
    let error = run_with(&plan, &disk, &clock, &mut launcher(&clock), &mut NoStops, &mut interrupter, &flag)
        .expect_err("interrupted");
    assert!(matches!(error, MeasureError::Interrupted));
    assert_eq!(attempts(&disk.parsed(&plan)).len(), 13, "no request after the flag");
    assert!(interrupter.last.pairs_done > 0 && interrupter.last.pairs_done < interrupter.last.pairs_total);

    flag.store(false, Ordering::Relaxed);
    interrupter.after.set(u32::MAX);
    let summary =
        run_with(&plan, &disk, &clock, &mut launcher(&clock), &mut NoStops, &mut interrupter, &flag)
            .expect("finished");
    assert_eq!(summary.complete, 4);
    assert_eq!(interrupter.last.sessions_done, interrupter.last.sessions_total);
    assert_eq!(interrupter.last.pairs_done, interrupter.last.pairs_total);
}
