//! A validator's day on a fleet: real runtime, hub and server on this machine, and two workers as processes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use edgemaxx_contract::fleet::Fleet;
use edgemaxx_contract::format::Document as _;
use edgemaxx_engine::detect_sandbox;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::{Playground, copy_folder, edgemaxx, failure, repository, soon};
use crate::fleet_yard::{PATIENCE, Yard};
use crate::node::{Node, Seed};
use crate::validator::{Subnet, read};

/// A contest whose files lie in its folder, as other hosts need it.
fn ground() -> (Playground, PathBuf) {
    let ground = Playground::new("");
    let checkpoint = ground.path("model");
    fs::remove_dir_all(&checkpoint).unwrap();
    copy_folder(&repository("fixtures/models/emoji-sdxl"), &checkpoint);
    ground.replace("contest.toml", "[score]", "[rewards]\nnoise_floor = 10.0\n[score]");
    ground.replace("contest.toml", "\"4000\"", "\"80000\"");
    // Long enough to be seen in the status, and to be killed in the middle, on a machine with nothing else to do.
    ground.replace("contest.toml", "sessions = 5", "sessions = 40");
    (ground, checkpoint)
}

/// A page over HTTP; `None`: nobody listens yet.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200").then_some(answer)
}

#[test]
fn a_day_on_a_fleet_goes_on_where_its_validator_was_killed() {
    let Some(yard) = Yard::new(2, "") else { return };
    let Some(node) = Node::start("Instant") else { return };
    let (ground, checkpoint) = ground();
    let subnet = Subnet::of(node, ground, checkpoint);
    subnet.node.seed(&Seed { rate_limit: 0, min_weights: 1, ..Seed::default() });
    subnet.submit(3, "fast", "10000");
    let _server = yard.serve();
    let worker = |number: usize| {
        let mut command = yard.worker_command(number, yard.port);
        command.env("HF_ENDPOINT", &subnet.hub.url).env("HF_HOME", subnet.path(&format!("hf-{number}")));
        yard.begin(&mut command, &format!("worker-{number}.log"))
    };
    let _workers = [worker(0), worker(1)];
    let pages = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let validator = |listens: bool| {
        let mut command = subnet.validator("now");
        if listens {
            // The same words but the one that it shall not listen.
            let words: Vec<_> = command.get_args().filter(|word| *word != "--no-listen").collect();
            let mut other = Command::new(command.get_program());
            other.args(words).args(["--listen", &format!("127.0.0.1:{pages}")]);
            for (name, value) in command.get_envs() {
                other.env(name, value.unwrap_or_default());
            }
            command = other;
        }
        yard.place(&mut command, yard.port, "coordinator");
        command.args(["--lanes", "2"]);
        command
    };
    let mut first = validator(true);
    first.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut first = first.spawn().unwrap();
    let days = subnet.path("validator").join("days");
    let logs = |day: &PathBuf| {
        let log = |lane: u32| fs::read_to_string(day.join(format!("lanes/{lane}/samples.jsonl")));
        [0, 1].map(|lane| log(lane).unwrap_or_default())
    };
    let day = soon(PATIENCE, "a round is taken in", || {
        assert!(first.try_wait().unwrap().is_none(), "the validator ended by itself");
        let day = fs::read_dir(&days).ok()?.flatten().next()?.path();
        logs(&day).iter().any(|log| log.contains("\"session\"")).then_some(day)
    });
    // The running validator tells who measures.
    let status = subnet.path("validator").join("status.json");
    let worker = soon(PATIENCE, "the status names a worker that measures", || {
        let status: Value = serde_json::from_slice(&fs::read(&status).ok()?).ok()?;
        status["workers"].as_array()?.iter().find(|worker| worker["lane"].is_u64()).cloned()
    });
    assert!(worker["name"].as_str().unwrap().starts_with("box-") && worker["seen_s"].is_u64(), "{worker}");
    let shown =
        edgemaxx().args(["validator", "status", "--data"]).arg(subnet.path("validator")).output().unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains("worker box-"), "{shown:?}");
    // And Prometheus.
    let key = worker["key"].as_str().unwrap();
    let line = soon(PATIENCE, "the metrics name that worker while it measures", || {
        let text = get(pages, "/metrics")?;
        text.lines()
            .find(|line| {
                line.starts_with("edgemaxx_worker_measuring{") && line.contains(key) && line.ends_with(" 1")
            })
            .map(str::to_owned)
    });
    assert!(line.contains("worker=\"box-") && !line.contains("lane=\"\""), "{line}");
    kill(Pid::from_raw(first.id().cast_signed()), Signal::SIGKILL).unwrap();
    first.wait().unwrap();
    let before = logs(&day);
    assert!(!day.join("report.html").exists(), "it was killed while the workers measured");

    // Nothing of the day is measured a second time, and nothing of it is lost.
    let plan = fs::read(day.join("plan.json")).unwrap();
    let output = validator(false).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // Without a sandbox, or on a machine that is unfit, nothing is set: exit code 1.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
    assert_eq!(fs::read(day.join("plan.json")).unwrap(), plan);
    let after = logs(&day);
    let fleet = Fleet::from_json(&fs::read_to_string(day.join("fleet.json")).unwrap()).unwrap();
    for ((before, after), lane) in before.iter().zip(&after).zip(&fleet.lanes) {
        assert!(lane.done && (lane.attempt > 1 || after.starts_with(before.as_str())), "{fleet:?}");
    }
    assert!(day.join("manifest.json").is_file());
    assert_eq!(read(&day, "plan.json")["lanes"], 2);
    if detect_sandbox().is_sandboxed() && output.status.success() {
        assert_eq!(read(&day, "weights.json")["origin"], "earned", "{said}");
        assert_eq!(subnet.weights(), [(3, 65535)]);
    }
}

#[test]
fn what_no_fleet_can_measure_is_refused_before_anything_is_waited_for() {
    let (ground, _) = ground();
    let key = ground.path("coordinator.key");
    edgemaxx().args(["fleet", "key"]).arg(&key).assert().success();
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edgemaxx"));
        command.args(["validator", "run", "--once", "--no-listen", "--insecure-dev-key", "//hot0"]);
        command.arg("--contest").arg(ground.contest()).arg("--data").arg(ground.path("data"));
        command.args(["--netuid", "39", "--subtensor.chain_endpoint", "ws://127.0.0.1:1"]).args(words);
        failure(&mut assert_cmd::Command::from_std(command))
    };
    let creds = key.display().to_string();
    for (words, expected) in [
        (vec!["--fleet", "tls://desk:4222"], "--creds"),
        (vec!["--lanes", "2"], "--fleet"),
        (vec!["--fleet", "tls://desk:4222", "--creds", &creds, "--device", "0"], "--device"),
        (vec!["--fleet", "nats://desk:4222", "--creds", &creds], "expected tls://HOST:PORT"),
        (vec!["--fleet", "tls://desk:4222", "--creds", "nowhere.key"], "edgemaxx fleet key FILE"),
    ] {
        let (code, said) = run(&words);
        assert!(code == 2 && said.contains(expected), "{words:?}: {code} {said}");
    }
    // What lies at another place on each host.
    let elsewhere = ground.path("model").canonicalize().unwrap();
    ground.replace("contest.toml", "checkpoint = \"model\"", &format!("checkpoint = {elsewhere:?}"));
    let (code, said) = run(&["--fleet", "tls://desk:4222", "--creds", &creds]);
    assert!(code == 2 && said.contains("name it relative to the contest's folder"), "{said}");
    assert!(!ground.path("data").exists(), "nothing was begun");
}
