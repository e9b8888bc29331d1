//! While nothing is asked of an engine, nothing of it runs, however it tries.

mod common;

use std::time::Duration;

use common::{generate, processes_with, python, ready, sandbox, soon, unsandboxed, zoo};
use edgemaxx_engine::{Engine as _, ProcessEngine};

/// Work that goes on when the answer is out.
const BURNERS: [&str; 8] = [
    "burn-fork",
    "burn-threads",
    "burn-clone",
    "burn-ghosts",
    "burn-orphans",
    "burn-memory",
    "burn-disk",
    "burn-alarm",
];

/// Processor time that a fifth of a second brings.
fn busy(engine: &ProcessEngine) -> Duration {
    let before = engine.cpu_ns().expect("it is counted");
    std::thread::sleep(Duration::from_millis(200));
    Duration::from_nanos(engine.cpu_ns().expect("it is counted").saturating_sub(before))
}

#[test]
fn whoever_rests_uses_no_processor() {
    let Some(status) = sandbox().filter(|_| python()) else { return };
    for name in BURNERS {
        let tag = format!("tag-rest-{name}");
        let mut engine = ready(&zoo(status.clone(), name, &[&tag])).expect("ready");
        generate(&mut engine, 1).expect("a picture");
        assert!(soon(|| busy(&engine) > Duration::ZERO), "{name} works");
        for id in 2..6 {
            engine.rest().expect("at rest");
            let used = busy(&engine);
            assert!(used < Duration::from_millis(1), "{name} used {used:?} at rest");
            engine.wake().expect("awake");
            generate(&mut engine, id).expect("another picture");
        }
        engine.rest().expect("at rest");
        engine.close();
        assert!(soon(|| processes_with(&tag).is_empty()), "{name} left a process");
    }
}

#[test]
fn a_tree_without_a_control_group_is_stopped() {
    if !python() {
        return;
    }
    for name in ["honest", "burn-fork", "burn-threads", "burn-memory", "burn-disk"] {
        let mut engine = ready(&zoo(unsandboxed(), name, &[])).expect("ready");
        for id in 1..4 {
            generate(&mut engine, id).expect("a picture");
            engine.rest().expect("at rest");
            let used = busy(&engine);
            assert!(used < Duration::from_millis(1), "{name} used {used:?} at rest");
            engine.wake().expect("awake");
        }
        engine.close();
    }
}

#[test]
fn an_engine_that_died_at_rest_is_told_from_one_that_rests() {
    if !python() {
        return;
    }
    let mut engine = ready(&zoo(unsandboxed(), "honest", &[])).expect("ready");
    engine.rest().expect("at rest");
    engine.rest().expect("twice is once");
    engine.wake().expect("awake");
    engine.wake().expect("twice is once");
    generate(&mut engine, 1).expect("a picture");
    engine.rest().expect("at rest");
    engine.close();
    engine.rest().expect("nothing is left to rest");
    engine.wake().expect("or to wake");
}
