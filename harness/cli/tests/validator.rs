//! A validator's day through the program: a real runtime and a hub, both on this machine.

mod common;
#[path = "../../chain/tests/local/node.rs"]
#[allow(dead_code, reason = "shared with the chain's own tests")]
mod node;
#[path = "../../hub/tests/server/mod.rs"]
mod server;

use std::path::Path;

use assert_cmd::Command;
use common::{Playground, copy_run, edgemaxx, failure, repository};
use node::{NETUID, Node, Seed, hotkey};
use serde_json::Value;
use server::Server;

/// The program with a hub, a chain and the hotkey of a uid.
fn as_uid(node: &Node, hub: &Server, home: &Path, uid: u16, words: &[&str]) -> Command {
    let mut command = edgemaxx();
    command.args(words).env("HF_ENDPOINT", &hub.url).env("HF_TOKEN", "hf_secret");
    command.env("HF_HOME", home.join("hf")).env_remove("HF_HUB_OFFLINE");
    command.args(["--netuid", &NETUID.to_string(), "--subtensor.chain_endpoint", &node.url()]);
    command.args(["--insecure-dev-key", &format!("//hot{uid}")]);
    command.arg("--journal").arg(home.join("journal"));
    command
}

#[test]
fn a_day_ends_with_weights_on_chain_and_a_run_that_anybody_can_verify() {
    let Some(node) = Node::start("Instant") else { return };
    node.seed(&Seed::default());
    let (hub, home) = (Server::start(), tempfile::tempdir().unwrap());
    let ground = Playground::new("");
    let fixture = repository("fixtures/models/emoji-sdxl").canonicalize().unwrap();
    ground.replace("contest.toml", "checkpoint = \"model\"", &format!("checkpoint = {fixture:?}"));
    // Long beside what a busy machine adds: who wins is no question of luck.
    ground.replace("contest.toml", "\"4000\"", "\"80000\"");

    // Three miners: a fast one, a slower one, and one with the first one's files, a block later.
    for (uid, name, latency) in [(3, "fast", "10000"), (4, "slower", "35000"), (5, "copy", "10000")] {
        let folder = home.path().join(name);
        copy_run(&fixture, &folder);
        let engine = format!(
            "[engine]\ncommand = [\"edgemaxx\", \"engine\", \"mock\", \"--latency-us\", \"{latency}\"]\n"
        );
        std::fs::write(folder.join("edgemaxx.toml"), engine).unwrap();
        let (from, repository) = (folder.display().to_string(), format!("{name}/sdxl"));
        let words = ["miner", "submit", "--from", &from, "--repository", &repository, "--contest", "mock"];
        as_uid(&node, &hub, home.path(), uid, &words).assert().success();
    }

    let (contest, data) = (ground.contest().display().to_string(), home.path().join("validator"));
    let data_text = data.display().to_string();
    let words = ["validator", "run", "--contest", &contest, "--once", "--at", "now", "--no-listen"];
    let mut run = as_uid(&node, &hub, home.path(), 0, &words);
    let output = run.arg("--data").arg(&data).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let day = std::fs::read_dir(data.join("days")).unwrap().next().unwrap().unwrap().path();
    let read = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(day.join(name)).unwrap()).unwrap()
    };
    let (decided, record) = (read("weights.json"), read("day.json"));
    assert!(output.status.success(), "{said}\n{decided}\n{record}");

    let address = |uid: u16| hotkey(uid).account().to_string();
    let fate = |uid: u16| {
        let all = record["submissions"].as_array().unwrap();
        all.iter().find(|s| s["hotkey"] == address(uid)).unwrap()["fate"].clone()
    };
    assert!(fate(3)["candidate"].is_object() && fate(4)["candidate"].is_object(), "{record}");
    assert_eq!(fate(5)["copy"]["of"], address(3), "{record}");
    assert_eq!((&decided["origin"], &decided["winner"]), (&"earned".into(), &address(3).into()), "{decided}");

    // On chain, by uid; the copy earns nothing.
    let mut show = edgemaxx();
    show.args(["weights", "show", "--uid", "0", "--json", "--netuid", &NETUID.to_string()]);
    show.args(["--subtensor.chain_endpoint", &node.url()]);
    let shown: Value = serde_json::from_slice(&show.output().unwrap().stdout).unwrap();
    let set: Vec<(u64, u64)> = shown["weights"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| (w["uid"].as_u64().unwrap(), w["value"].as_u64().unwrap()))
        .collect();
    assert_eq!(set, [(3, 65535), (4, 16384)], "four fifths and the rest");

    // Again: the day is over, nothing is set twice. And anybody can check it.
    let mut verify = edgemaxx();
    verify.arg("verify").arg(&day).args(["--hotkey", &address(0)]);
    let output = verify.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("2 of 3 submissions") && said.contains("2 hotkeys"), "{said}");
    edgemaxx().args(["validator", "status", "--data", &data_text]).assert().success();
}

#[test]
fn what_cannot_be_run_is_said_at_once() {
    let ground = Playground::new("[[candidate]]\nname = \"mine\"\n");
    let mut run = edgemaxx();
    run.args([
        "validator",
        "run",
        "--insecure-dev-key",
        "//Alice",
        "--subtensor.chain_endpoint",
        "ws://127.0.0.1:9",
    ]);
    run.arg("--contest").arg(ground.contest()).arg("--data").arg(ground.path("data"));
    let (code, said) = failure(&mut run);
    assert_eq!((code, said.contains("candidates come from the chain")), (2, true), "{said}");
    let (code, said) = failure(edgemaxx().args(["validator", "status", "--data"]).arg(ground.path("none")));
    assert_eq!((code, said.contains("no validator has run here")), (2, true), "{said}");
}
