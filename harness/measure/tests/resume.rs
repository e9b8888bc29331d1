//! A kill at any byte loses nothing that was recorded and repeats nothing.

mod common;

use std::collections::BTreeSet;

use common::{MemoryDisk, launcher, plan, plan_with, run};
use edgemaxx_contract::contest::Residency;
use edgemaxx_contract::plan::{Plan, Side};
use edgemaxx_contract::sample::{LogError, Mark, Phase, Record, SessionStatus};
use edgemaxx_engine::FakeClock;
use edgemaxx_engine::mock::MockScript;
use edgemaxx_engine::task::picture::PICTURE;
use edgemaxx_measure::{FolderDisk, MeasureError};

/// A finished log in which a candidate died and was stopped too.
fn finished(plan: &Plan) -> Vec<u8> {
    let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
    run(plan, &disk, &clock, &mut scripted(&clock)).expect("finished");
    disk.text().into_bytes()
}

fn scripted(clock: &FakeClock) -> edgemaxx_engine::mock::MockLauncher {
    let mut launcher = launcher(clock);
    let dying = MockScript { faults: vec!["die@4".parse().expect("a fault")], ..MockScript::default() };
    launcher.insert("fast", vec![dying]);
    for name in ["a", "b", "c"] {
        launcher.insert(name, vec![MockScript { latency_us: 1500, ..MockScript::default() }]);
    }
    launcher
}

/// Goes on from the first `bytes` of a log and checks what came of it.
fn resume(plan: &Plan, whole: &[u8], bytes: usize) {
    let disk = MemoryDisk::with_log(&whole[..bytes]);
    let clock = FakeClock::default();
    run(plan, &disk, &clock, &mut scripted(&clock)).unwrap_or_else(|e| panic!("cut at {bytes}: {e}"));
    let kept = whole[..bytes].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    assert!(disk.log.borrow().starts_with(&whole[..kept]), "cut at {bytes}: recorded lines were changed");

    let log = disk.parsed(plan);
    let mut seen = BTreeSet::new();
    for record in &log.records {
        if let Record::Attempt(attempt) = record
            && let Phase::Measured { pair } = attempt.phase
        {
            assert!(seen.insert((attempt.session, pair, attempt.side)), "cut at {bytes}: asked twice");
        }
    }
    for (planned, recorded) in plan.sessions.iter().zip(log.sessions(plan)) {
        let stopped = log.stops().any(|stop| stop.candidate == planned.candidate);
        assert!(recorded.end.is_some() || stopped, "cut at {bytes}: session {} has no end", planned.index);
        let spare = stopped && recorded.attempts.is_empty();
        if planned.candidate == "clone" && !spare {
            let pairs = planned.pairs.len() as u32;
            assert_eq!(recorded.complete_pairs(pairs).count(), planned.pairs.len(), "cut at {bytes}");
        }
        for (_, baseline, candidate) in recorded.complete_pairs(planned.pairs.len() as u32) {
            let split = baseline.launch != candidate.launch;
            let marked = [baseline, candidate].map(|a| a.marks.contains(&Mark::Split));
            // A baseline that others wait for is marked for all who share it.
            let exact = !plan.is_shared() || !marked[0];
            assert!(!split || marked[0] || marked[1], "cut at {bytes}: split pairs are marked");
            assert!(split || !exact || !marked[1], "cut at {bytes}: others are not");
        }
        let baseline = recorded.attempts.iter().filter(|a| a.side == Side::Baseline).count();
        let aborted = recorded.end.is_some_and(|end| end.status != SessionStatus::Complete);
        assert!(baseline > 0 || stopped || aborted, "cut at {bytes}: {recorded:#?}");
    }
    // Resumed while alternating, it may be asked too little to die before its last session.
    let stops = if plan.measurement.residency == Residency::Together { 1..=1 } else { 0..=1 };
    assert!(
        stops.contains(&log.stops().filter(|stop| stop.candidate == "fast").count()),
        "cut at {bytes}: the dying candidate is stopped, once"
    );
}

#[test]
fn cut_after_every_record() {
    for residency in ["together", "alternating"] {
        let plan = plan(3, 2, &format!("residency = {residency:?}\nblock = 1"));
        let whole = finished(&plan);
        let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').map(|at| at + 1).collect();
        assert!(ends.len() > 50);
        for bytes in ends {
            resume(&plan, &whole, bytes);
        }
    }
}

#[test]
fn blocks_cut_after_every_record() {
    for residency in ["together", "alternating"] {
        let more = format!("residency = {residency:?}\nblock = 2");
        let plan = plan_with(&["a", "b", "c"], 3, 2, &more);
        let whole = finished(&plan);
        let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').map(|at| at + 1).collect();
        assert!(ends.len() > 100);
        for bytes in ends {
            resume(&plan, &whole, bytes);
        }
    }
}

#[test]
fn cut_at_any_byte() {
    let plan = plan(3, 2, "");
    let whole = finished(&plan);
    // A prime step: cuts fall everywhere in a line
    for bytes in (0..whole.len()).step_by(397) {
        resume(&plan, &whole, bytes);
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let plan = plan(2, 2, "");
    let need = {
        let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
        *disk.room.borrow_mut() = Some(usize::MAX);
        run(&plan, &disk, &clock, &mut launcher(&clock)).expect("finished");
        usize::MAX - disk.room.borrow().expect("a number")
    };
    for room in (0..need).step_by(1511) {
        let (disk, clock) = (MemoryDisk::default(), FakeClock::default());
        *disk.room.borrow_mut() = Some(room);
        let error = run(&plan, &disk, &clock, &mut launcher(&clock)).expect_err("full");
        assert!(matches!(error, MeasureError::Io { .. }), "{error}");
        assert!(error.to_string().contains("--resume"), "{error}");
        let kept = disk.text();
        let kept = &kept[..kept.rfind('\n').map_or(0, |at| at + 1)];
        *disk.room.borrow_mut() = None;
        let summary = run(&plan, &disk, &clock, &mut launcher(&clock)).expect("there is room again");
        assert_eq!(summary.complete, 4);
        assert!(disk.text().starts_with(kept));
    }
}

#[test]
fn a_log_of_another_plan_or_an_altered_one_is_refused() {
    let plan_a = plan(1, 1, "");
    let whole = finished(&plan_a);
    let clock = FakeClock::default();
    let other = MemoryDisk::with_log(&whole);
    let error = run(&plan(2, 1, ""), &other, &clock, &mut launcher(&clock)).expect_err("another plan");
    assert!(matches!(error, MeasureError::Log { source: LogError::Plan { .. }, .. }), "{error}");

    let text = String::from_utf8(whole).expect("UTF-8").replacen("\"latency_ns\":4", "\"latency_ns\":3", 1);
    let altered = MemoryDisk::with_log(text.as_bytes());
    let error = run(&plan_a, &altered, &clock, &mut launcher(&clock)).expect_err("altered");
    assert!(matches!(error, MeasureError::Log { source: LogError::Chain { .. }, .. }), "{error}");
}

#[test]
fn a_folder_is_measured_in_by_one_process_and_survives_its_closing() {
    let plan = plan(1, 1, "");
    let folder = tempfile::tempdir().expect("a folder");
    let clock = FakeClock::default();
    {
        let mut disk = FolderDisk::open(folder.path()).expect("open");
        assert!(matches!(FolderDisk::open(folder.path()), Err(MeasureError::Locked { .. })));
        let mut telemetry = edgemaxx_measure::telemetry::NoTelemetry;
        let mut io = edgemaxx_measure::Io {
            codec: &PICTURE,
            disk: &mut disk,
            clock: &clock,
            telemetry: &mut telemetry,
            unix_ms: 7,
        };
        let flag = std::sync::atomic::AtomicBool::new(false);
        let mut launcher = launcher(&clock);
        edgemaxx_measure::execute(
            &plan,
            &mut io,
            &mut launcher,
            &mut edgemaxx_measure::NoStops,
            &mut edgemaxx_measure::Silent,
            &flag,
        )
        .expect("finished");
    }
    let text = std::fs::read_to_string(folder.path().join("samples.jsonl")).expect("the log");
    let log = edgemaxx_contract::sample::Log::parse_for(&text, &plan).expect("whole");
    let mut pictures = 0;
    for record in &log.records {
        let Record::Attempt(attempt) = record else { continue };
        let edgemaxx_contract::sample::Outcome::Answered { answer, .. } = &attempt.outcome else { continue };
        let path = folder.path().join(format!("artefacts/{answer}.png"));
        let rgb = image::open(&path).expect("a picture").into_rgb8().into_raw();
        assert_eq!(edgemaxx_contract::digest::Digest::of(&rgb), *answer, "named by its pixels");
        pictures += 1;
    }
    assert!(pictures > 0);
    // a torn last line is cut off when the folder is opened again
    std::fs::write(folder.path().join("samples.jsonl"), [text.as_bytes(), b"{\"prev\":\"\xe2"].concat())
        .expect("write");
    let mut disk = FolderDisk::open(folder.path()).expect("unlocked when dropped");
    let read = edgemaxx_measure::Disk::read_log(&mut disk).expect("read");
    assert!(read.starts_with(&text));
}
