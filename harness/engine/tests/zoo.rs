//! Hostile engines: each is contained and named, costs its time-out at most, and leaves nothing.

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{generate, processes_with, python, ready, sandbox, skipped, soon, unsandboxed, zoo};
use edgemaxx_contract::sample::{Failure, FailureKind};
use edgemaxx_engine::{Engine as _, ProcessEngine, SandboxStatus, User};

fn statuses() -> Vec<SandboxStatus> {
    std::iter::once(unsandboxed()).chain(sandbox()).collect()
}

/// Checks a failure and that it took no longer than launch, request and exit may, and 5 s.
#[track_caller]
fn expect(failure: Failure, kind: FailureKind, words: &str, since: Instant) {
    assert_eq!(failure.kind, kind, "{failure:?}");
    assert!(failure.detail.contains(words), "{failure:?}");
    assert!(since.elapsed() < Duration::from_secs_f64(5.0 + 1.5 + 0.5 + 5.0), "{:?}", since.elapsed());
    assert!(peak_mib() <= 200, "the harness itself held {} MiB", peak_mib());
}

/// Peak resident memory of this process, which is the harness of all tests here; 0 where unknown.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// What is mounted where, on the machine.
fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mounts").unwrap_or_default()
}

#[test]
fn failures_before_ready() {
    if !python() {
        return;
    }
    let cases = [
        ("die-at-start", FailureKind::Died, "cannot start"),
        ("silent-at-start", FailureKind::Timeout, "no answer to launch"),
        ("no-magic", FailureKind::Protocol, "HTTP/1.1"),
        ("wrong-version", FailureKind::Protocol, "protocol 9.0"),
        ("die-at-load", FailureKind::Died, "exited with status 9 during load"),
        ("refuse-load", FailureKind::Refused, "no such checkpoint"),
        ("hang-at-load", FailureKind::Timeout, "no answer to load"),
        ("flood-at-load", FailureKind::Protocol, "heartbeats"),
    ];
    for (name, kind, words) in cases {
        let (tag, since) = (format!("tag-{name}"), Instant::now());
        let failure = ready(&zoo(unsandboxed(), name, &[&tag])).err().expect(name);
        // a fast machine floods out the limit of frames, a slow one the time
        let kind = if name == "flood-at-load" && failure.kind == FailureKind::Timeout {
            FailureKind::Timeout
        } else {
            kind
        };
        let words = if kind == FailureKind::Timeout && name == "flood-at-load" { "load" } else { words };
        expect(failure, kind, words, since);
        assert!(soon(|| processes_with(&tag).is_empty()), "{name} left a process");
    }
}

#[test]
fn failures_of_the_first_request() {
    if !python() {
        return;
    }
    let cases = [
        ("die", FailureKind::Died, "exited with status 3 during request 1; it printed last: out of ideas"),
        ("exit-zero", FailureKind::Died, "exited with status 0"),
        ("segfault", FailureKind::Died, "SIGSEGV"),
        ("silent", FailureKind::Timeout, "no answer to request 1"),
        ("stubborn", FailureKind::Timeout, "no answer"),
        ("half-frame", FailureKind::Timeout, "no answer"),
        ("slow-loris", FailureKind::Timeout, "no answer"),
        ("huge-frame", FailureKind::Protocol, "at most"),
        ("garbage", FailureKind::Protocol, "frame"),
        ("flood", FailureKind::Protocol, "heartbeat"),
        ("stale-id", FailureKind::Protocol, "request 8 where one to 1"),
        ("part-unasked", FailureKind::Protocol, "no parts are allowed"),
        ("nested", FailureKind::Protocol, "nested deeper than 16"),
    ];
    for (name, kind, words) in cases {
        let (tag, since) = (format!("tag-{name}"), Instant::now());
        let mut engine = ready(&zoo(unsandboxed(), name, &[&tag])).expect("ready");
        expect(generate(&mut engine, 1).expect_err(name), kind, words, since);
        assert!(generate(&mut engine, 2).is_err(), "{name} is not asked again");
        engine.close();
        assert!(soon(|| processes_with(&tag).is_empty()), "{name} left a process");
    }
}

#[test]
fn unusable_pictures_leave_the_engine_usable() {
    if !python() {
        return;
    }
    for (name, words) in [
        ("wrong-size", "8×8 pixels; 64×64 were asked for"),
        ("wrong-length", "64×64×3 = 12288"),
        ("bad-png", "a PNG that cannot be read"),
        ("seen-through", "4096 of 4096 pixels"),
    ] {
        let mut engine = ready(&zoo(unsandboxed(), name, &[])).expect("ready");
        for id in 1..3 {
            expect(generate(&mut engine, id).expect_err(name), FailureKind::Answer, words, Instant::now());
        }
        engine.close();
    }
}

#[test]
fn answers_nobody_asked_for_are_found_at_the_next_request() {
    if !python() {
        return;
    }
    for name in ["twice", "early"] {
        let mut engine = ready(&zoo(unsandboxed(), name, &[])).expect("ready");
        generate(&mut engine, 1).expect("the first answer is good");
        std::thread::sleep(Duration::from_millis(50));
        let failure = generate(&mut engine, 2).expect_err(name);
        expect(failure, FailureKind::Protocol, "nobody asked for, before request 2", Instant::now());
    }
}

#[test]
fn whoever_will_not_leave_is_made_to() {
    if !python() {
        return;
    }
    for status in statuses() {
        for name in ["never-leaves", "daemonise"] {
            let (tag, mounted) = (format!("tag-{name}"), mounts());
            let mut engine = ready(&zoo(status.clone(), name, &[&tag])).expect("ready");
            generate(&mut engine, 1).expect("a picture");
            let since = Instant::now();
            engine.close();
            assert!(since.elapsed() < Duration::from_secs(6));
            assert!(soon(|| processes_with(&tag).is_empty()), "{name} left a process, {status}");
            assert_eq!(mounts(), mounted, "{name} left a mount, {status}");
        }
    }
}

/// What an engine reports to have reached, in the sandbox.
fn reached(name: &str, arguments: &[&str]) -> Option<String> {
    let status = sandbox().filter(|_| python())?;
    let mut engine = ready(&zoo(status, name, arguments)).expect("ready");
    let failure = generate(&mut engine, 1).expect_err("it reports");
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    engine.close();
    Some(failure.detail.lines().next().unwrap_or_default().to_owned())
}

#[track_caller]
fn nothing(report: Option<String>) {
    let Some(report) = report else { return };
    let report = report.split("; it printed last").next().expect("a part");
    assert_eq!(report, "reached: nothing");
}

#[test]
fn no_secrets_and_no_other_candidates_are_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("secret"), "x").expect("write");
    let path = folder.path().display().to_string();
    let Some(report) = reached("files", &[&path]) else { return };
    // of /work or wherever the repository is, only the way to the engine's own folder is there
    let own = common::root()
        .components()
        .nth(1)
        .map(|c| format!("/{}", c.as_os_str().display()))
        .unwrap_or_default();
    let others: Vec<&str> = report
        .trim_start_matches("reached: ")
        .split("; it printed last")
        .next()
        .unwrap_or_default()
        .split("; ")
        .filter(|part| *part != "nothing" && !part.starts_with(&format!("{own}:")))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn no_network_is_reached() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    nothing(reached("network", &[&port]));
}

/// Who may not is stopped by runtimes that end without it (OpenVINO) or read no settings of the system.
#[test]
fn what_runtimes_read_of_the_system_is_there() {
    let Some(report) = reached("system", &[]) else { return };
    assert!(report.starts_with("denied: nothing"), "{report}");
}

#[test]
fn no_powers_are_left() {
    nothing(reached("powers", &[&std::process::id().to_string()]));
}

#[test]
fn the_checkpoint_cannot_be_changed() {
    let script = common::root().join("fixtures/engines/zoo.py");
    let before = std::fs::read(&script).expect("read");
    nothing(reached("vandal", &[&script.display().to_string()]));
    assert_eq!(std::fs::read(&script).expect("still there"), before);
}

#[test]
fn nothing_is_cached_from_launch_to_launch() {
    for _ in 0..2 {
        let Some(report) = reached("cache", &[]) else { return };
        assert!(report.starts_with("found: nothing"), "{report}");
    }
}

#[test]
fn bombs_are_contained() {
    let Some(status) = sandbox().filter(|_| python()) else { return };
    let since = Instant::now();
    let mut engine = ready(&zoo(status, "memory-bomb", &["tag-memory"])).expect("ready");
    let failure = generate(&mut engine, 1).expect_err("256 MiB are allowed");
    assert_eq!(failure.kind, FailureKind::Died, "{failure:?}");
    engine.close();
    assert!(since.elapsed() < Duration::from_secs(12), "{:?}", since.elapsed());
    assert!(soon(|| processes_with("tag-memory").is_empty()));
    let Some(report) = reached("disk-filler", &[]) else { return };
    // /tmp and /dev/shm hold 16 MiB each; everything else is read-only
    let report = report.split("; it printed last").next().unwrap_or_default().to_owned();
    assert_eq!(report, "wrote MiB: [('/dev/shm', 16), ('/tmp', 16)]");
}

/// Calls by which engines could pass notes on, stop others or work while stopped; by their numbers on this architecture.
#[test]
#[cfg(target_arch = "x86_64")]
fn calls_that_no_engine_needs_are_refused() {
    nothing(reached("calls", &[]));
}

#[test]
fn memory_that_is_in_nobodys_resident_set_is_bounded_too() {
    let Some(status) = sandbox().filter(|_| python()) else { return };
    if let Some(report) = reached("memory-pipes", &[]) {
        let kept = report.trim_start_matches("kept MiB: ").split(';').next().unwrap_or_default().to_owned();
        assert!(kept.parse::<u64>().is_ok_and(|kept| kept <= 8), "{report}");
    }
    if let Some(gap) = status.gap() {
        skipped(format_args!("the limit of memory without a process: {gap}"));
        return;
    }
    let mut engine = ready(&zoo(status, "memory-memfd", &["tag-memfd"])).expect("ready");
    let failure = generate(&mut engine, 1).expect_err("256 MiB are allowed");
    match failure.kind {
        FailureKind::Died => assert!(failure.detail.contains("more memory than it may have"), "{failure:?}"),
        other => assert_eq!(other, FailureKind::Timeout, "{failure:?}"),
    }
    engine.close();
    assert!(soon(|| processes_with("tag-memfd").is_empty()));
}

/// The contest allows one thread.
#[test]
fn eight_threads_have_one_core() {
    let Some(status) = sandbox().filter(|_| python()) else { return };
    let mut spec = zoo(status, "eight-threads", &[]);
    spec.timeouts.request_s = 60.0;
    let mut engine = ready(&spec).expect("ready");
    let used = |engine: &ProcessEngine| engine.cpu_ns().expect("it is counted");
    let (before, since) = (used(&engine), Instant::now());
    generate(&mut engine, 1).expect("a picture");
    let (busy, wall) = (used(&engine) - before, since.elapsed().as_nanos() as u64);
    assert!(busy <= wall + wall / 10 + 20_000_000, "{busy} ns of processor in {wall} ns");
    engine.close();
}

/// At most 128 processes at once, and 32 where they are limited: for root by a cgroup, if it may
/// make one, for everybody else by the user's own limit.
#[test]
fn processes_are_limited_for_root_too() {
    let Some(status) = sandbox().filter(|_| python()) else { return };
    let SandboxStatus::Bubblewrap { program, disable_userns, .. } = &status else { return };
    if nix::unistd::geteuid().is_root() {
        // what is done where no cgroup can be made
        let (program, disable_userns) = (program.clone(), *disable_userns);
        let (user, place) = (User::StrangerThroughout, None);
        let stranger = SandboxStatus::Bubblewrap { program, disable_userns, user, place };
        match ready(&zoo(stranger.clone(), "honest", &[])) {
            Ok(_) => fork_bomb(stranger, "tag-stranger-forks"),
            Err(failure) => skipped(format_args!("the limit of another user: {}", failure.detail)),
        }
    }
    fork_bomb(status, "tag-forks");
}

fn fork_bomb(status: SandboxStatus, tag: &str) {
    let gap = status.gap().filter(|gap| gap.contains("number of an engine's processes"));
    let mut engine = ready(&zoo(status, "fork-bomb", &[tag])).expect("ready");
    let forks = || {
        let lines = processes_with(tag);
        lines.iter().filter(|line| line.contains("/python3 ") && !line.contains("bwrap")).count()
    };
    let (done, most) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                most.fetch_max(forks(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let failure = generate(&mut engine, 1).expect_err("it hangs, or is ended");
        assert!(matches!(failure.kind, FailureKind::Timeout | FailureKind::Died), "{failure:?}");
        done.store(true, Ordering::Relaxed);
    });
    engine.close();
    assert!(soon(|| processes_with(tag).is_empty()), "every child is ended");
    if let Some(gap) = gap {
        skipped(format_args!("the limit itself: {gap}"));
        return;
    }
    let most = most.into_inner();
    assert!((8..=32).contains(&most), "{most} at once");
}

#[test]
fn a_bad_engine_does_not_disturb_another() {
    if !python() {
        return;
    }
    for status in statuses() {
        let mut good = ready(&zoo(status.clone(), "honest", &["tag-good"])).expect("ready");
        let first = generate(&mut good, 1).expect("a picture");
        for name in ["segfault", "garbage", "stubborn", "daemonise"] {
            let mut bad = ready(&zoo(status.clone(), name, &["tag-bad"])).expect("ready");
            let _ = generate(&mut bad, 1);
            bad.close();
        }
        assert_eq!(generate(&mut good, 2).expect("another"), first);
        assert!(!good.close().forced);
        assert!(soon(|| processes_with("tag-bad").is_empty()));
    }
}

#[test]
fn the_socket_is_the_only_descriptor_passed_on() {
    if !python() {
        return;
    }
    for status in statuses() {
        let mut spec = zoo(status, "", &[]);
        // ls itself opens one more, the folder
        spec.command = vec!["sh".into(), "-c".into(), "ls /proc/self/fd".into()];
        let failure = ProcessEngine::launch(&spec).err().expect("ls is no engine");
        let printed = failure.detail.split("it printed last: ").nth(1).expect("output").lines().count();
        assert_eq!(printed, 5, "0, 1, 2, the socket, the folder: {failure:?}");
    }
}

/// Not a test of its own: the harness that the next test kills.
#[test]
fn a_harness_to_be_killed() {
    let Ok(tag) = std::env::var("EDGEMAXX_TEST_TAG") else { return };
    let engines: Vec<_> = statuses()
        .into_iter()
        .map(|status| {
            let mut engine = ready(&zoo(status, "daemonise", &[&tag])).expect("ready");
            generate(&mut engine, 1).expect("a picture");
            engine.rest().expect("at rest");
            engine
        })
        .collect();
    std::thread::sleep(Duration::from_secs(60));
    drop(engines);
}

#[test]
fn a_killed_harness_leaves_no_engine() {
    if !python() {
        return;
    }
    let tag = "tag-orphan";
    let mut harness = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "a_harness_to_be_killed"])
        .env("EDGEMAXX_TEST_TAG", tag)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("a second harness");
    let engines = statuses().len();
    let since = Instant::now();
    // an engine and its daemon each, and what started them
    let is_engine = |line: &&String| line.contains("/python3 ") && !line.contains("bwrap");
    while processes_with(tag).iter().filter(is_engine).count() < 2 * engines {
        assert!(since.elapsed() < Duration::from_secs(20), "{:?}", processes_with(tag));
        std::thread::sleep(Duration::from_millis(20));
    }
    harness.kill().expect("SIGKILL");
    harness.wait().expect("reaped");
    assert!(soon(|| processes_with(tag).is_empty()), "{:?}", processes_with(tag));
}
