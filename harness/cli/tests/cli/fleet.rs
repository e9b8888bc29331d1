//! A run on other hosts: what comes of it is that of its plan, whoever measures which lane.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::Side;
use edgemaxx_contract::sample::Log;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::common::{candidate, derive, edgemaxx, failure, retime_lanes, soon};
use crate::fleet_yard::{PATIENCE, Process, Yard, assert_whole, json, seal_and_verify};

#[test]
fn a_run_on_two_hosts_is_that_of_its_plan_and_a_host_of_another_engine_gets_no_lane() {
    let Some(yard) = Yard::new(3, &candidate("fast", &["--latency-us", "1000"])) else { return };
    let _server = yard.serve();
    // One byte more is another program.
    let other = yard.path("another-engine");
    fs::copy(env!("CARGO_BIN_EXE_edgemaxx"), &other).unwrap();
    fs::OpenOptions::new()
        .append(true)
        .open(&other)
        .map(|mut file| std::io::Write::write_all(&mut file, b"\n"))
        .unwrap()
        .unwrap();
    let mut odd = Command::new(&other);
    odd.args(yard.worker_command(2, yard.port).get_args());
    let mut coordinator = yard.coordinator(2);
    let _first = yard.worker(0);
    yard.hears(&mut coordinator, "goes to box-0");
    let odd = yard.begin(&mut odd, "worker-2.log");
    yard.hears(&mut coordinator, "box-2 is refused: another engine");
    drop(odd);
    fs::remove_file(&other).unwrap();
    let status = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edgemaxx"));
        command.args(["fleet", "status"]).args(flags);
        yard.place(&mut command, yard.port, "coordinator");
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let _second = yard.worker(1);
    yard.finish(&mut coordinator);
    let said: Value = serde_json::from_str(&status(&["--json"])).unwrap();
    let names: Vec<&str> = said.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(BTreeSet::from_iter(names), ["box-0", "box-1", "box-2"].into());
    assert!(status(&[]).contains("pairs/min"));

    let (run, plan) = (yard.path("out"), yard.plan("out"));
    let fleet = yard.fleet();
    assert!(
        fleet.lanes.iter().all(|lane| lane.done && lane.attempt == 1) && fleet.kept.is_empty(),
        "{fleet:?}"
    );
    assert_ne!(fleet.lanes[0].worker, fleet.lanes[1].worker);
    // What a host measures with was fetched once, and what it measured is gone when the run has it.
    let model = Digest::of("not read by the mock").to_string();
    for number in 0..2 {
        assert!(yard.path(&format!("spool-{number}/content/{model}")).is_file());
        soon(PATIENCE, "the spool is empty", || {
            fs::read_dir(yard.path(&format!("spool-{number}/lanes"))).unwrap().next().is_none().then_some(())
        });
    }
    for lane in 0..2 {
        for name in ["environment.json", "samples.jsonl", "telemetry.jsonl"] {
            assert!(run.join(format!("lanes/{lane}/{name}")).is_file());
        }
        assert!(plan.of_lane(lane).sessions.iter().any(|session| session.candidate == "fast"));
    }
    seal_and_verify(&yard, &run);
    // Nobody goes on here with what a worker has begun.
    let text =
        fs::read_to_string(run.join("fleet.json")).unwrap().replacen("\"done\": true", "\"done\": false", 1);
    fs::write(run.join("fleet.json"), text).unwrap();
    let (code, said) = failure(edgemaxx().arg("measure").arg(&run).arg("--resume"));
    assert!(code == 2 && said.contains("--fleet"), "{said}");
}

/// What the server notes of each stream in its store, and so which bounds it has.
fn stream_bounds(folder: &Path) -> BTreeMap<PathBuf, i64> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.file_name().is_some_and(|name| name == "obs") {
            continue;
        }
        if path.is_dir() {
            found.extend(stream_bounds(&path));
        } else if path.file_name().is_some_and(|name| name == "meta.inf") {
            found.insert(path.clone(), json(&path)["max_bytes"].as_i64().unwrap());
        }
    }
    found
}

#[test]
fn candidates_end_early_on_a_fleet_though_a_host_fails_and_no_second_coordinator_comes_in() {
    let contest = candidate("fast", &["--latency-us", "1000"]) + &candidate("bad", &["--fault", "refuse@1"]);
    let Some(yard) = Yard::new(3, &contest) else { return };
    yard.ground.replace("contest.toml", "sessions = 5", "sessions = 12");
    let _server = yard.serve();
    let mut workers: Vec<Process> = (0..2).map(|number| yard.worker(number)).collect();
    let mut command = yard.coordinator_command(2);
    let mut coordinator = yard.begin(command.args(["--until", "99%"]), "coordinator.log");
    let run = yard.path("out");
    let log =
        |lane: u32| fs::read_to_string(run.join(format!("lanes/{lane}/samples.jsonl"))).unwrap_or_default();
    soon(PATIENCE, "both lanes are begun", || {
        assert!(coordinator.0.try_wait().unwrap().is_none(), "{}", yard.said("coordinator.log"));
        (0..2).all(|lane| log(lane).contains("\"session\"")).then_some(())
    });
    // Whoever has a lane of this run is left alone by another's.
    let refused = |command| failure(&mut assert_cmd::Command::from_std(command));
    let mut again = yard.coordinator_command(2);
    again.args(["--until", "99%"]);
    let (code, said) = refused(again);
    assert!(code == 3 && said.contains("another process hands its lanes out"), "{said}");
    let mut other = Command::new(env!("CARGO_BIN_EXE_edgemaxx"));
    other.arg("run").arg(yard.ground.contest()).arg("--out").arg(yard.path("other"));
    // It would need less room: what the run that goes on needs is not cut to that.
    other.args(["--day", "2026-11-23", "--lanes", "1"]);
    yard.place(&mut other, yard.port, "coordinator");
    let bounds = stream_bounds(&yard.path("nats"));
    assert_eq!(bounds.len(), 5, "{bounds:?}");
    let (code, said) = refused(other);
    assert!(code == 3 && said.contains("another coordinator hands out lanes at this server"), "{said}");
    assert_eq!(stream_bounds(&yard.path("nats")), bounds);

    // One host is gone for good; another measures its lane anew.
    let holder = yard.fleet().lanes[1].name.clone().unwrap();
    let gone: usize = holder.trim_start_matches("box-").parse().unwrap();
    workers[gone].kill();
    let _heir = yard.worker(2);
    yard.finish_as(&mut coordinator, &[0, 3, 4]);
    let (plan, fleet) = (yard.plan("out"), yard.fleet());
    assert!(fleet.lanes.iter().all(|lane| lane.done), "{fleet:?}");
    let logs: Vec<Log> =
        (0..2).map(|lane| Log::parse_for(&log(lane), &plan.of_lane(lane)).unwrap()).collect();
    // Who failed left on both, and cost neither the sessions that were spared.
    for (lane, log) in (0..).zip(&logs) {
        assert!(log.stops().any(|stop| stop.candidate == "bad"), "{fleet:?}");
        let own = plan.of_lane(lane);
        let ended = log.sessions(&own).into_iter().filter(|session| session.end.is_some()).count();
        assert!(ended < own.sessions.len(), "lane {lane}: {ended}");
    }
    seal_and_verify(&yard, &run);
}

#[test]
fn workers_of_a_run_that_was_ended_measure_the_next_one() {
    let Some(yard) = Yard::new(2, &candidate("fast", &["--latency-us", "1000"])) else { return };
    let _server = yard.serve();
    let _workers = [yard.worker(0), yard.worker(1)];
    let begun = |run: &str| {
        let log = |lane: u32| yard.path(run).join(format!("lanes/{lane}/samples.jsonl"));
        (0..2).all(|lane| log(lane).is_file())
    };
    // Too long to be over before it is ended.
    yard.ground.replace("contest.toml", "sessions = 5", "sessions = 200");
    let mut coordinator = yard.coordinator(2);
    soon(PATIENCE, "both lanes are begun", || begun("out").then_some(()));
    coordinator.signal(Signal::SIGTERM);
    let status = soon(PATIENCE, "the run ends", || coordinator.0.try_wait().unwrap());
    assert!(!status.success() && !yard.path("out/report.html").exists(), "{status}");
    // Another plan. Both workers still have their lanes of the first.
    yard.ground.replace("contest.toml", "sessions = 200", "sessions = 5");
    fs::rename(yard.path("out"), yard.path("ended")).unwrap();
    yard.finish(&mut yard.coordinator(2));
    assert!(begun("ended") && yard.fleet().lanes.iter().all(|lane| lane.attempt == 1), "{:?}", yard.fleet());
    assert_whole(&yard.path("out"), &yard.plan("out"));
}

#[test]
fn a_lane_that_slows_candidates_alone_is_named_and_one_that_slows_everything_changes_nothing() {
    let Some(yard) = Yard::new(2, &candidate("fast", &["--latency-us", "1000"])) else { return };
    yard.ground.replace("contest.toml", "sessions = 5", "sessions = 12");
    let _server = yard.serve();
    let _workers = [yard.worker(0), yard.worker(1)];
    yard.finish(&mut yard.coordinator(2));
    let run = yard.path("out");
    let derived = |factor: &dyn Fn(u32, Side, &str) -> f64| {
        retime_lanes(&run, 1, |lane, side, name| {
            let own = if side == Side::Candidate && name == "fast" { 0.5 } else { 1.0 };
            own * factor(lane, side, name)
        });
        derive(&run);
        let (estimates, ranking) = (json(&run.join("estimates.json")), json(&run.join("ranking.json")));
        let page = fs::read_to_string(run.join("report.html")).unwrap();
        (estimates, ranking, page)
    };
    let named = |estimates: &Value| {
        let warnings: Vec<&str> =
            estimates["warnings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        warnings.iter().any(|words| words.starts_with("lane 1 differs: \"fast\" is"))
    };
    let (usual, ranked, page) = derived(&|_, _, _| 1.0);
    assert!(!named(&usual) && ranked["winner"] == "fast" && !page.contains("lane 1 differs"));

    // As another driver would: a tenth slower, for candidates only; its A/A control is a tie all the same.
    let (estimates, ranking, page) = derived(&|lane, side, name| {
        if lane == 1 && side == Side::Candidate && name == "fast" { 1.1 } else { 1.0 }
    });
    assert!(named(&estimates) && page.contains("lane 1 differs"), "{}", estimates["warnings"]);
    let lane = &estimates["lanes"][1];
    assert!(lane["differs"].as_str().unwrap().contains("slower") && lane["dropped"].is_null(), "{lane}");
    assert_eq!(ranking["winner"], "fast");

    // A host that is slower on everything is seen, and changes no verdict.
    let (estimates, ranking, _) = derived(&|lane, _, _| if lane == 1 { 1.3 } else { 1.0 });
    let ms = |lane: usize| estimates["lanes"][lane]["baseline_ms"].as_f64().unwrap();
    assert!(ms(1) / ms(0) > 1.25 && !named(&estimates), "{}", estimates["lanes"]);
    let verdict = |ranking: &Value| {
        let entries = ranking["entries"].as_array().unwrap().iter();
        let entries: Vec<Value> = entries
            .map(|entry| serde_json::json!([entry["name"], entry["tier"], entry["standing"]]))
            .collect();
        (ranking["winner"].clone(), entries)
    };
    assert_eq!(verdict(&ranking), verdict(&ranked));
}
