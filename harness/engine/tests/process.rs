//! A real process behind a real socket, with and without the sandbox.

mod common;

use common::{ask, examined, load, processes_with, python, ready, sandbox, soon, unsandboxed, zoo};
use edgemaxx_contract::sample::FailureKind;
use edgemaxx_engine::task::picture::Ready;
use edgemaxx_engine::{Engine as _, ProcessEngine, SandboxStatus, Verdict};

fn both() -> Vec<SandboxStatus> {
    std::iter::once(unsandboxed()).chain(sandbox()).collect()
}

#[test]
fn an_honest_engine_is_timed_and_leaves() {
    if !python() {
        return;
    }
    for status in both() {
        let spec = zoo(status, "honest", &["tag-honest"]);
        let (mut engine, info, launch_ns) = ProcessEngine::launch(&spec).expect("hello");
        assert_eq!((info.name.as_str(), info.version.as_str()), ("zoo-honest", "1"));
        let loaded = engine.load(&load()).expect("ready");
        let ready = Ready { latent_channels: 4, vae_scale_factor: 8 };
        assert_eq!(Ready::parse(&loaded.ready), Ok(ready));
        assert!(launch_ns > 0 && loaded.load_ns > 0);
        let answer = ask(&mut engine, 1).expect("a picture");
        assert_eq!(answer.payload.len(), 64 * 64 * 3);
        assert_eq!((answer.first_ns, answer.parts.len()), (None, 0));
        assert_eq!(answer.payload, ask(&mut engine, 2).expect("another").payload);
        assert!(answer.latency_ns < 1_000_000_000);
        assert!(!processes_with("tag-honest").is_empty());
        let closed = engine.close();
        assert!(!closed.forced);
        // a Python interpreter needs some MiB, not GiB
        let peak = closed.peak_rss_bytes.expect("/proc was read");
        assert!((4 << 20..1 << 30).contains(&peak), "{peak}");
        assert_eq!(engine.close(), closed);
        assert!(soon(|| processes_with("tag-honest").is_empty()));
    }
}

#[test]
fn a_dropped_engine_leaves_nothing() {
    if !python() {
        return;
    }
    for status in both() {
        drop(ready(&zoo(status, "honest", &["tag-dropped"])).expect("ready"));
        assert!(soon(|| processes_with("tag-dropped").is_empty()));
    }
}

#[test]
fn a_program_that_is_missing_is_a_failure_to_start() {
    for status in both() {
        let mut spec = zoo(status.clone(), "honest", &[]);
        spec.command[0] = "no-such-program".into();
        let failure = ProcessEngine::launch(&spec).err().expect("no program");
        assert_eq!(failure.kind, FailureKind::Spawn);
        assert!(failure.detail.contains("no-such-program"), "{}", failure.detail);
        let mut spec = zoo(status, "honest", &[]);
        spec.read_only.push("/no/such/checkpoint".into());
        let failure = ProcessEngine::launch(&spec).err().expect("no checkpoint");
        assert!(failure.detail.contains("/no/such/checkpoint"), "{}", failure.detail);
    }
}

#[test]
fn only_the_pins_are_in_the_environment() {
    for status in both() {
        let mut spec = zoo(status, "", &[]);
        spec.command = vec!["/usr/bin/env".into()];
        let failure = ProcessEngine::launch(&spec).err().expect("env is no engine");
        assert_eq!(failure.kind, FailureKind::Died);
        let printed = failure.detail.split("it printed last: ").nth(1).expect("output");
        let mut names: Vec<&str> =
            printed.lines().filter_map(|line| line.split_once('=')).map(|p| p.0).collect();
        names.retain(|name| !["EDGEMAXX_SOCKET", "PWD"].contains(name));
        names.sort_unstable();
        let pins: Vec<&str> = spec.pins.variables().iter().map(|(name, _)| *name).collect();
        assert_eq!(names, pins);
    }
}

#[test]
fn the_conformance_kit_praises_and_blames() {
    if !python() {
        return;
    }
    let verdicts = |name: &str| {
        let checks = examined(&zoo(unsandboxed(), name, &[]), None);
        checks.into_iter().map(|c| (c.what, c.verdict, c.detail)).collect::<Vec<_>>()
    };
    // two prompts of another length give other pictures; so every check is good, however busy the machine is
    let honest = verdicts("honest");
    assert!(honest.iter().all(|check| check.1 == Verdict::Good), "{honest:?}");
    assert_eq!(honest.len(), 11, "{honest:?}");
    for (name, what, words) in [
        ("stale-id", "first picture", "broke the protocol"),
        ("wrong-version", "hello", "protocol 9.0"),
        ("die-at-load", "load", "status 9"),
        ("twice", "picture", "nobody asked"),
        ("seen-through", "first picture", "alpha down to 0"),
    ] {
        let last = verdicts(name).pop().expect("a verdict");
        assert_eq!((last.0, last.1), (what, Verdict::Bad), "{last:?}");
        assert!(last.2.contains(words), "{last:?}");
    }
    let leaving = verdicts("never-leaves").pop().expect("a verdict");
    assert_eq!((leaving.0, leaving.1), ("bye", Verdict::Bad));
}

#[test]
fn what_the_checkpoint_says_of_itself_must_be_what_the_engine_says() {
    if !python() {
        return;
    }
    let spec = zoo(unsandboxed(), "honest", &[]);
    let own = |channels| Ready { latent_channels: channels, vae_scale_factor: 8 }.object();
    let ready = |channels| {
        let checks = examined(&spec, Some(&own(channels)));
        assert_eq!(checks.last().map(|check| check.what), Some("bye"), "it goes on");
        checks.into_iter().find(|check| check.what == "ready")
    };
    assert!(ready(4).is_none(), "nothing is in doubt");
    let other = ready(16).expect("a verdict");
    assert_eq!(other.verdict, Verdict::Doubtful, "{other}");
    assert!(other.detail.contains("\"latent_channels\":16"), "{other}");
}

#[test]
fn the_c_example_conforms() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = folder.path().join("engine");
    let source = common::root().join("harness/sdk/c/engine.c");
    let compiled = std::process::Command::new("cc").arg("-o").arg(&engine).arg(source).status();
    if compiled.is_err() {
        common::skipped("no cc; install a C compiler to run this test");
        return;
    }
    assert!(compiled.is_ok_and(|status| status.success()), "it compiles");
    for status in both() {
        let mut spec = zoo(status, "", &[]);
        spec.command = vec![engine.clone().into()];
        let checks = examined(&spec, None);
        // its pictures do not depend on the prompt
        let doubtful: Vec<&str> =
            checks.iter().filter(|c| c.verdict != Verdict::Good).map(|c| c.what).collect();
        assert_eq!((checks.len(), doubtful), (11, vec!["other prompt"]), "{checks:?}");
    }
}
