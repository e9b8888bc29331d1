//! A run on several lanes: dealt by the plan, measured at the same time, pooled and verified as one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::{Plan, Side};
use edgemaxx_contract::sample::{Log, SessionStatus};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::{Playground, alice_in, candidate, derive, edgemaxx, failure, retime_lanes};

/// Whether two lanes can have a processor each here; says so where not.
fn two_cores() -> bool {
    let enough = std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() >= 2);
    if !enough {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "SKIPPED: two lanes need two processors");
    }
    enough
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn log(run: &Path, plan: &Plan, lane: u32) -> Log {
    let text = fs::read_to_string(run.join(format!("lanes/{lane}/samples.jsonl"))).unwrap();
    Log::parse_for(&text, &plan.of_lane(lane)).unwrap()
}

/// A finished run of two lanes.
fn measured(ground: &Playground) -> std::path::PathBuf {
    let output = ground.run("out").args(["--lanes", "2"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
    assert!(said.contains("lane 0: ") && said.contains("lane 1: "), "{said}");
    ground.path("out")
}

#[test]
fn lanes_are_measured_each_by_itself_and_verified_as_one_run() {
    if !two_cores() {
        return;
    }
    let two = candidate("fast", &["--latency-us", "1000"]) + &candidate("slow", &["--latency-us", "6000"]);
    let ground = Playground::new(&two);
    let run = measured(&ground);
    let plan = Plan::from_json(&fs::read_to_string(run.join("plan.json")).unwrap()).unwrap();
    assert!(plan.lanes == 2 && !run.join("samples.jsonl").exists() && !run.join("environment.json").exists());

    // Each lane has what its rounds hold, of every candidate alike, on cores of its own.
    let mut cores: BTreeSet<u64> = BTreeSet::new();
    for lane in 0..2 {
        let (own, log) = (plan.of_lane(lane), log(&run, &plan, lane));
        let ended = log.sessions(&own).into_iter().filter_map(|session| session.end);
        assert_eq!(ended.filter(|end| end.status == SessionStatus::Complete).count(), own.sessions.len());
        for candidate in plan.candidates() {
            let sessions = own.sessions.iter().filter(|session| session.candidate == candidate.name);
            assert_eq!(sessions.count(), if lane == 0 { 3 } else { 2 }, "{}", candidate.name);
        }
        let bounds = &json(&run.join(format!("lanes/{lane}/environment.json")))["bounds"];
        let of = |name: &str| bounds[name].as_array().unwrap().iter().map(|core| core.as_u64().unwrap());
        let here: BTreeSet<u64> = of("cores").chain(of("harness_cores")).collect();
        assert!(!here.is_empty() && here.is_disjoint(&cores), "{here:?} {cores:?}");
        cores.extend(here);
    }
    let estimates = json(&run.join("estimates.json"));
    for candidate in estimates["candidates"].as_array().unwrap() {
        assert_eq!((candidate["sessions"].as_u64(), candidate["pairs"].as_u64()), (Some(5), Some(15)));
    }
    let again = edgemaxx().arg("measure").arg(&run).arg("--resume").output().unwrap();
    assert!(String::from_utf8_lossy(&again.stderr).contains("nothing is left"), "{again:?}");

    // Python finds the same head.
    let read = format!("import edgemaxx; print(len(edgemaxx.read_run({run:?}, frames='rows').samples))");
    if let Some(output) = crate::python::python(&["-c", &read]) {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    // Sealed with its lanes, and verified: every byte of it.
    retime_lanes(&run, 1, |_, side, name| if side == Side::Candidate && name == "fast" { 0.5 } else { 1.0 });
    derive(&run);
    assert_eq!(json(&run.join("ranking.json"))["winner"], "fast");
    let lanes = json(&run.join("estimates.json"))["lanes"].clone();
    for (lane, sessions) in [(0, 9), (1, 6)] {
        assert_eq!(
            (lanes[lane]["lane"].as_u64(), lanes[lane]["sessions"].as_u64()),
            (Some(lane as u64), Some(sessions))
        );
        assert!(lanes[lane]["control"]["point"].is_number() && lanes[lane]["dropped"].is_null(), "{lanes}");
    }
    assert_eq!(fs::read_to_string(run.join("lanes.csv")).unwrap().lines().count(), 3);
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(
        page.contains("id=\"lanes\"") && page.contains("--lanes 2") && page.contains("lanes/1/samples.jsonl")
    );
    // A lane that is slower on everything is seen, and changes nothing.
    let slower = |lane: u32, side: Side, name: &str| {
        let own = if side == Side::Candidate && name == "fast" { 0.5 } else { 1.0 };
        if lane == 1 { 1.3 * own } else { own }
    };
    retime_lanes(&run, 1, slower);
    derive(&run);
    assert_eq!(json(&run.join("ranking.json"))["winner"], "fast");
    let lanes = json(&run.join("estimates.json"))["lanes"].clone();
    let ms = |lane: usize| lanes[lane]["baseline_ms"].as_f64().unwrap();
    assert!(
        ms(1) / ms(0) > 1.25 && lanes[1]["dropped"].is_null() && lanes[1]["differs"].is_null(),
        "{lanes}"
    );
    alice_in(&ground.path("seed"));
    let seal = || edgemaxx().arg("seal").arg(&run).arg("--key").arg(ground.path("seed")).assert().success();
    seal();
    let verify = || failure(edgemaxx().arg("verify").arg(&run));
    let (code, said) = verify();
    assert_eq!(code, 0, "{said}");
    let sealed: Vec<String> = json(&run.join("manifest.json"))["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap().to_owned())
        .filter(|path| path.starts_with("lanes/"))
        .collect();
    assert_eq!(sealed.len(), 6, "{sealed:?}");

    // What a lane measured is the run's, whole and in its place, or the run is not verified.
    let path = |lane: u32, name: &str| run.join(format!("lanes/{lane}/{name}"));
    let whole = [fs::read(path(0, "samples.jsonl")).unwrap(), fs::read(path(1, "samples.jsonl")).unwrap()];
    let cut = |bytes: &[u8]| {
        let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        lines[..lines.len() - 1].concat()
    };
    fs::write(path(1, "samples.jsonl"), cut(&whole[1])).unwrap();
    assert_eq!(verify().0, 1);
    let (code, said) = failure(edgemaxx().arg("analyze").arg(&run));
    assert!(code == 2 && said.contains("quality.jsonl"), "{said}");
    fs::write(path(1, "samples.jsonl"), &whole[0]).unwrap();
    let (code, said) = failure(edgemaxx().arg("quality").arg(&run));
    assert!(code == 2 && said.contains("belongs to plan"), "another lane's log: {said}");
    fs::write(path(1, "samples.jsonl"), &whole[1]).unwrap();

    // Of another machine, it cannot be pooled.
    let text = fs::read_to_string(path(1, "environment.json")).unwrap();
    let cpu = json(&path(1, "environment.json"))["cpu"].as_str().unwrap().to_owned();
    fs::write(path(1, "environment.json"), text.replace(&cpu, "Another Processor")).unwrap();
    let (code, said) = failure(edgemaxx().arg("analyze").arg(&run));
    assert!(code == 2 && said.contains("lane 1") && said.contains("Another Processor"), "{said}");
}

/// What all lanes measured decides, layer by layer, and each lane decides the same; killed and gone on with, too.
#[test]
fn lanes_that_may_end_candidates_early_decide_together() {
    if !two_cores() {
        return;
    }
    let bad = candidate("bad", &["--fault", "refuse@1"]);
    let ground = Playground::new(&(candidate("fast", &["--latency-us", "1000"]) + &bad));
    ground.replace("contest.toml", "sessions = 5", "sessions = 12");
    let output = ground.run("out").args(["--lanes", "2", "--until", "99%"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3 | 4)), "{said}");
    let run = ground.path("out");
    let plan = Plan::from_json(&fs::read_to_string(run.join("plan.json")).unwrap()).unwrap();
    let ended = |lane: u32, name: &str| {
        let (own, log) = (plan.of_lane(lane), log(&run, &plan, lane));
        let sessions = own.sessions.iter().zip(log.sessions(&own));
        sessions.filter(|(planned, found)| planned.candidate == name && found.end.is_some()).count()
    };
    let stops = |lane: u32| -> Vec<(String, String)> {
        log(&run, &plan, lane).stops().map(|stop| (stop.candidate.clone(), stop.reason.clone())).collect()
    };
    // Who failed leaves after the first layer, on both lanes alike; the others when they are known so well, after as
    // many layers on each.
    assert_eq!(stops(0), stops(1), "{said}");
    assert!(stops(0).iter().any(|(name, reason)| name == "bad" && reason.contains("it failed")), "{said}");
    assert_eq!((ended(0, "bad"), ended(1, "bad")), (1, 1));
    assert_eq!(ended(0, "fast"), ended(1, "fast"));
    let stopped = json(&run.join("estimates.json"))["candidates"][0]["stopped"].clone();
    assert!(stopped.is_null() || !stopped["reason"].as_str().unwrap().contains("on lane"), "{stopped}");

    // Cut in the middle of a layer, both lanes decide again what they decided before.
    let before = [stops(0), stops(1)];
    for lane in 0..2 {
        let path = run.join(format!("lanes/{lane}/samples.jsonl"));
        let text = fs::read_to_string(&path).unwrap();
        let at =
            text.find("\"record\":\"stop\"").map_or(text.len(), |at| text[..at].rfind('\n').unwrap() + 1);
        fs::write(&path, &text[..at]).unwrap();
    }
    let output = edgemaxx().arg("measure").arg(&run).arg("--resume").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(stops(0)[0], before[0][0]);
    assert_eq!(stops(0), stops(1));
    derive(&run);
}

#[test]
fn an_interrupted_lane_goes_on_and_the_other_is_left_alone() {
    if !two_cores() {
        return;
    }
    let ground = Playground::new(&candidate("fast", &["--latency-us", "1000"]));
    let run = measured(&ground);
    let path = |lane: u32| run.join(format!("lanes/{lane}/samples.jsonl"));
    let before = [fs::read(path(0)).unwrap(), fs::read(path(1)).unwrap()];
    let lines: Vec<&[u8]> = before[1].split_inclusive(|byte| *byte == b'\n').collect();
    let mut torn = lines[..lines.len() / 2].concat();
    torn.extend(b"{\"prev\"");
    fs::write(path(1), torn).unwrap();
    // One lane by itself, as on a host of its own.
    let output = edgemaxx().arg("measure").arg(&run).args(["--lane", "1", "--resume"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read(path(0)).unwrap(), before[0]);
    let plan = Plan::from_json(&fs::read_to_string(run.join("plan.json")).unwrap()).unwrap();
    let ends = log(&run, &plan, 1).sessions(&plan.of_lane(1)).iter().filter(|s| s.end.is_some()).count();
    assert_eq!(ends, plan.of_lane(1).sessions.len());
    derive(&run);
    let (code, said) = failure(edgemaxx().arg("measure").arg(&run).args(["--lane", "2", "--resume"]));
    assert!(code == 2 && said.contains("lanes 0 to 1"), "{said}");
}

#[test]
fn lanes_end_with_the_run_that_started_them() {
    if !two_cores() {
        return;
    }
    let ground = Playground::new(&candidate("slow", &["--latency-us", "300000"]));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_edgemaxx"));
    command.arg("run").arg(ground.contest()).arg("--out").arg(ground.path("out")).args(["--lanes", "2"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let lane = |lane: u32| fs::File::open(ground.path(&format!("out/lanes/{lane}/samples.jsonl")));
    let soon = |what: &str, look: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !look() {
            assert!(began.elapsed() < Duration::from_secs(300), "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    soon("both lanes measure", &|| {
        (0..2).all(|number| lane(number).is_ok_and(|file| file.metadata().unwrap().len() > 0))
    });
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    // Who measures holds the log.
    soon("the lanes end", &|| (0..2).all(|number| lane(number).is_ok_and(|file| file.try_lock().is_ok())));
}

#[test]
fn what_no_lane_could_say_anything_of_is_refused() {
    let ground = Playground::new(&candidate("fast", &["--latency-us", "1000"]));
    let refused = |arguments: &[&str], words: &[&str]| {
        let (code, said) = failure(ground.run("out").args(arguments));
        assert!(code == 2 && words.iter().all(|word| said.contains(word)), "{arguments:?}: {said}");
        assert!(!ground.path("out/lanes").exists());
    };
    refused(&["--lanes", "3"], &["5 rounds", "3 lanes", "take 2 at most"]);
    refused(&["--lanes", "3", "--devices", "0,1"], &["--devices names another number"]);
    refused(&["--devices", "0,1"], &["--devices", "processor", "--lanes N"]);
    // One lane is what it always was.
    let plan = |out: &str, lanes: &[&str]| {
        let mut plan = edgemaxx();
        plan.arg("plan").arg(ground.contest()).arg("--out").arg(ground.path(out)).args(lanes);
        plan.args(["--day", "2026-11-22"]).assert().success();
        fs::read_to_string(ground.path(out).join("plan.json")).unwrap()
    };
    let (usual, one, two) = (plan("a", &[]), plan("b", &["--lanes", "1"]), plan("c", &["--lanes", "2"]));
    assert!(usual == one && !usual.contains("\"lanes\""));
    assert_eq!(two.replace("  \"lanes\": 2,\n", ""), usual, "the deal draws nothing");
}
