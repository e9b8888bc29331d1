//! Miner and validator through the program: a real runtime and a hub, both on this machine.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::common::{Playground, candidate, copy_folder, edgemaxx, failure, repository};
use crate::node::{NETUID, Node, Seed, hotkey};
use crate::server::{Faults, Server};
use assert_cmd::Command;
use serde_json::{Value, json};

/// A miner and a validator at one desk.
struct Desk {
    node: Node,
    hub: Server,
    folder: tempfile::TempDir,
}

impl Desk {
    fn open() -> Option<Self> {
        let node = Node::start("Instant")?;
        node.seed(&Seed::default());
        Some(Self { node, hub: Server::start(), folder: tempfile::tempdir().unwrap() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with this desk's hub.
    fn with_hub(&self, words: &[&str]) -> Command {
        let mut command = edgemaxx();
        command.args(words).env("HF_ENDPOINT", &self.hub.url).env("HF_TOKEN", "hf_secret");
        command.env("HF_HOME", self.path("hf")).env_remove("HF_HUB_OFFLINE");
        command
    }

    /// The program with this desk's hub, chain and one hotkey.
    fn as_uid(&self, uid: u16, words: &[&str]) -> Command {
        let mut command = self.with_hub(words);
        command.args(["--netuid", &NETUID.to_string(), "--subtensor.chain_endpoint", &self.node.url()]);
        command.args(["--insecure-dev-key", &format!("//hot{uid}")]);
        command
    }

    fn read(&self, words: &[&str]) -> Value {
        let mut command = self.with_hub(words);
        command.args(["--subtensor.chain_endpoint", &self.node.url(), "--json"]);
        answer(&mut command)
    }

    fn journal(&self, command: &mut Command) -> Value {
        answer(command.arg("--journal").arg(self.path("journal")).arg("--json"))
    }
}

fn answer(command: &mut Command) -> Value {
    let output = command.output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("hf_secret"), "{said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn fixture() -> String {
    repository("fixtures/models/emoji-sdxl").display().to_string()
}

#[test]
fn a_checkpoint_goes_to_the_hub_onto_the_chain_and_into_a_contest() {
    let Some(desk) = Desk::open() else { return };
    let from = fixture();
    let submit = ["miner", "submit", "--from", &from, "--repository", "me/fast", "--contest", "emoji-cpu"];

    // A rehearsal changes nothing anywhere.
    let dry = answer(desk.as_uid(3, &submit).args(["--dry-run", "--json"]));
    assert_eq!((&dry["uid"], &dry["submission"]), (&json!(3), &Value::Null));
    assert_eq!(desk.hub.state().commits.len(), 0);

    // The seal first: nothing is published yet, and nobody can tell what it is of.
    let sealed = desk.journal(desk.as_uid(3, &submit).arg("--seal-only"));
    assert_eq!((desk.hub.state().commits.len(), &sealed["submission"]), (0, &Value::Null));
    let seen = desk.read(&["chain", "commitments"]);
    assert!(seen["commitments"][0]["meaning"]["sealed"]["digest"].is_string(), "{seen}");
    desk.node.let_commit(3);
    let first = desk.journal(&mut desk.as_uid(3, &submit));
    assert_eq!(first["submission"]["opens"]["block"], sealed["sealed"]);
    assert_eq!(first["landed"]["already"], false);
    let revision = desk.hub.state().main.clone();
    assert_eq!(first["submission"]["revision"], revision.as_str());
    let again = desk.journal(&mut desk.as_uid(3, &submit));
    assert_eq!(again["landed"], json!({"block": first["landed"]["block"], "already": true}));

    // What a validator sees.
    let seen = desk.read(&["chain", "commitments"]);
    let seen = &seen["commitments"][0];
    assert_eq!((&seen["uid"], &seen["block"]), (&json!(3), &first["landed"]["block"]));
    assert_eq!(seen["meaning"]["submission"], first["submission"]);
    let status = answer(desk.as_uid(3, &["miner", "status"]).arg("--json"));
    assert_eq!(status["commitment"]["uid"], 3);
    let (code, said) = failure(&mut desk.as_uid(4, &["miner", "status"]));
    assert_eq!((code, said.contains("nothing is committed")), (1, true), "{said}");

    // The entry as a contest's candidate: fetched when planned, pinned, read from the cache when measured.
    // The built-in engine really loads it, confined where this machine can.
    let ground = Playground::native("[[candidate]]\nname = \"theirs\"\ncheckpoint = \"hf:me/fast@main\"\n");
    let (contest, run) = (ground.contest().display().to_string(), ground.path("run").display().to_string());
    let plan = answer(&mut desk.with_hub(&["plan", &contest, "--out", &run, "--json"]));
    let theirs = plan["pipelines"].as_array().unwrap().iter().find(|p| p["name"] == "theirs").unwrap();
    assert_eq!(theirs["checkpoint"]["source"], format!("hf:me/fast@{revision}"));
    desk.hub.faults(Faults { refuse: 99, status: 500, ..Faults::default() });
    desk.with_hub(&["measure", &run]).assert().success();
    assert_eq!(desk.hub.state().log.len(), 0, "measuring asks nobody");
    let samples = std::fs::read_to_string(ground.path("run/samples.jsonl")).unwrap();
    assert!(samples.contains("\"answered\"") && !samples.contains("\"failed\""), "{samples}");
}

#[test]
fn weights_are_rehearsed_set_shown_and_not_set_twice() {
    let Some(desk) = Desk::open() else { return };
    let set = ["weights", "set", "--weights", "2=0.5,1=1"];
    let plan = answer(desk.as_uid(0, &set).args(["--dry-run", "--json"]));
    assert_eq!((&plan["call"], &plan["broken"]), (&json!("SubtensorModule.set_weights"), &json!([])));
    assert!(plan["call_bytes"].as_str().unwrap().starts_with("0x"));

    // A run that does not say how its engines were held pays nobody.
    let run = desk.path("run");
    copy_folder(&repository("reports/examples/emoji-cpu"), &run);
    let set = ["weights", "set", run.to_str().unwrap()];
    let (code, said) = failure(desk.as_uid(0, &set).arg("--dry-run"));
    assert_eq!((code, said.contains("not recorded how engines were held")), (2, true), "{said}");

    // What a run decided goes to whose hotkeys its candidates are.
    let environment = run.join("environment.json");
    let mut held: Value = serde_json::from_slice(&std::fs::read(&environment).unwrap()).unwrap();
    held["bounds"] = json!({"rest": "cgroup-v2", "memory": true, "calls": true, "own_user": true, "cores": [0],
        "harness_cores": [1]});
    std::fs::write(&environment, held.to_string()).unwrap();
    for verb in ["analyze", "rank"] {
        edgemaxx().arg(verb).arg(&run).assert().success();
    }
    let (code, said) = failure(desk.as_uid(0, &set).arg("--dry-run"));
    assert_eq!((code, said.contains("--hotkey \"student-5\"=ADDRESS")), (2, true), "{said}");
    let owners = [("student-5", 2), ("steps-10", 1)]
        .map(|(name, uid)| format!("--hotkey={name}={}", hotkey(uid).account()));
    let set = [&set[..], &owners.each_ref().map(String::as_str)].concat();
    let done = desk.journal(&mut desk.as_uid(0, &set));
    assert_eq!(done["landed"]["already"], false);
    let shown = desk.read(&["weights", "show", "--uid", "0"]);
    let pairs: Vec<_> =
        shown["weights"].as_array().unwrap().iter().map(|w| (&w["uid"], &w["value"])).collect();
    assert_eq!(pairs, [(&json!(1), &json!(16384)), (&json!(2), &json!(65535))], "a fifth and four fifths");
    let again = desk.journal(&mut desk.as_uid(0, &set));
    assert_eq!(again["landed"], json!({"block": done["landed"]["block"], "already": true}));

    // Others too soon: foretold by the rule's name, and refused before anything is signed.
    let other = ["weights", "set", "--weights", "3=1,4=1"];
    let (code, said) = failure(desk.as_uid(0, &other).arg("--dry-run"));
    assert_eq!((code, said.contains("SettingWeightsTooFast")), (1, true), "{said}");
    let (code, said) = failure(desk.as_uid(0, &other).arg("--journal").arg(desk.path("journal")));
    assert_eq!((code, said.contains("SettingWeightsTooFast")), (5, true), "{said}");
    let (code, said) = failure(desk.as_uid(5, &other).arg("--dry-run"));
    assert_eq!((code, said.contains("NeuronNoValidatorPermit")), (1, true), "{said}");
    let (code, said) = failure(desk.as_uid(0, &["weights", "set", "--weights", "99=1"]).arg("--dry-run"));
    assert_eq!((code, said.contains("uids 0 to 7")), (2, true), "{said}");

    let neurons = desk.read(&["chain", "neurons"]);
    assert_eq!(neurons["neurons"][7]["hotkey"], hotkey(7).account().to_string());
    assert_eq!(desk.read(&["chain", "params"])["params"]["WeightsVersionKey"], 7);
    // The first block at or after a moment does not depend on when it is asked for.
    let head = desk.read(&["chain", "block"]);
    let block = |at: &str| desk.read(&["chain", "block", "--at", at])["number"].as_u64().unwrap();
    assert_eq!(block("2020-01-01T00:00:00Z"), 1);
    let (code, _) = failure(&mut desk.as_chain(&["chain", "block", "--at", "2100-01-01T00:00:00Z"]));
    assert_eq!(code, 1);
    assert!(head["number"].as_u64().unwrap() >= 2);
}

impl Desk {
    fn as_chain(&self, words: &[&str]) -> Command {
        let mut command = self.with_hub(words);
        command.args(["--subtensor.chain_endpoint", &self.node.url()]);
        command
    }
}

/// A port nobody listens on.
fn dead() -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("ws://127.0.0.1:{port}")
}

#[test]
fn only_a_fit_full_sandboxed_untouched_run_with_hotkeys_sets_weights() {
    let ground = Playground::new(&candidate("mine", &["--latency-us", "1000"]));
    let run = ground.measured("run");
    let set = |extra: &[&str]| {
        let mut command = edgemaxx();
        command.args(["weights", "set"]).arg(&run).args(["--dry-run", "--insecure-dev-key", "//Alice"]);
        command.args(["--subtensor.chain_endpoint", &dead()]).args(extra);
        failure(&mut command)
    };
    let write = |change: &dyn Fn(&mut Value)| {
        let path = run.join("ranking.json");
        let mut ranking: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut ranking);
        std::fs::write(&path, serde_json::to_vec_pretty(&ranking).unwrap()).unwrap();
    };
    for (key, value, expected) in [
        ("weights_refused", "engines were unsandboxed: for a test", "unsandboxed: for a test"),
        ("fitness", "unfit", "unfit"),
        ("extent", "quick", "quick look"),
    ] {
        edgemaxx().arg("rank").arg(&run).assert().success();
        write(&|r| r["weights_refused"] = Value::Null);
        write(&|r| r[key] = json!(value));
        let (code, said) = set(&[]);
        assert_eq!((code, said.contains(expected)), (2, true), "{expected}: {said}");
    }
    // Whether this machine can sandbox and was quiet enough is left to chance; a doctored file never passes.
    edgemaxx().arg("rank").arg(&run).assert().success();
    write(&|r| {
        (r["weights_refused"], r["fitness"]) = (Value::Null, json!("fit"));
        r["entries"][0]["weight"] = json!(0.123);
    });
    let (code, said) = set(&[]);
    assert_eq!((code, said.contains("does not follow from estimates.json")), (2, true), "{said}");
}

#[test]
fn what_is_wrong_is_said_before_anything_is_asked() {
    let end = dead();
    let fail = |words: &[&str]| failure(edgemaxx().args(words).env_remove("BT_WALLET_PATH"));
    let (code, said) = fail(&["chain", "neurons", "--subtensor.chain_endpoint", &end]);
    assert_eq!((code, said.contains("no endpoint answered")), (5, true), "{said}");
    let (code, said) = fail(&["chain", "neurons", "--subtensor.network", "finnney"]);
    assert_eq!((code, said.contains("expected finney, test, local")), (2, true), "{said}");
    let (code, said) = fail(&["weights", "show", "--insecure-dev-key", "//Alice"]);
    assert_eq!((code, said.contains("everybody owns this key")), (2, true), "{said}");
    let (code, said) = fail(&["weights", "set", "--weights", "3=-1"]);
    assert_eq!((code, said.contains("UID=WEIGHT")), (2, true), "{said}");

    let from = fixture();
    let submit = |repository: &str, extra: &[&str]| {
        let words =
            ["miner", "submit", "--repository", repository, "--contest", "c", "--no-commit", "--dry-run"];
        fail(&[&words[..], extra].concat())
    };
    let (code, said) = submit("no-owner", &["--from", &from]);
    assert_eq!((code, said.contains("owner/name")), (2, true), "{said}");
    let (code, said) = submit(&format!("{}/{}", "m".repeat(30), "n".repeat(95)), &["--from", &from]);
    assert_eq!((code, said.contains("the chain keeps 128")), (2, true), "{said}");
    let empty = tempfile::tempdir().unwrap();
    std::fs::write(empty.path().join("x.json"), "{}").unwrap();
    let (code, said) = submit("me/x", &["--from", &empty.path().display().to_string()]);
    assert_eq!((code, said.contains("model_index.json")), (2, true), "{said}");
    std::fs::write(empty.path().join("x.safetensors"), "not a tensor").unwrap();
    let (code, said) = submit("me/x", &["--from", &empty.path().display().to_string()]);
    assert_eq!((code, said.contains("damaged safetensors")), (2, true), "{said}");
}

fn bytes_of(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

#[test]
fn recipes_make_the_same_checkpoint_twice_and_a_script_may_take_part() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("mine.sh");
    std::fs::write(&script, "#!/bin/sh\ncp -r \"$1\" \"$2\" && printf 'x = 1\\n' > \"$2/notes.txt\"\n")
        .unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let step = format!("script={}", script.display());
    for name in ["a", "b"] {
        let to = folder.path().join(name);
        let mut command = edgemaxx();
        command.args([
            "miner",
            "optimize",
            "int8",
            &step,
            "steps=12",
            "compute=bf16",
            "--from",
            &fixture(),
            "--to",
        ]);
        let answer = answer(command.arg(&to).arg("--json"));
        assert!(answer["bytes"].as_f64() < answer["bytes_before"].as_f64().map(|before| 0.7 * before));
        let settings: toml::Table =
            String::from_utf8(bytes_of(&to, "edgemaxx.toml")).unwrap().parse().unwrap();
        assert_eq!(
            settings["generation"],
            toml::Value::Table("dtype = \"bf16\"\nsteps = 12".parse().unwrap())
        );
        assert!(to.join("notes.txt").is_file());
    }
    let weights = "unet/diffusion_pytorch_model.safetensors";
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    assert_eq!(bytes_of(&a, weights), bytes_of(&b, weights));
    assert_ne!(bytes_of(&a, weights), bytes_of(Path::new(&fixture()), weights));
    let (code, said) =
        failure(edgemaxx().args(["miner", "optimize", "bf16", "--from", &fixture(), "--to"]).arg(&a));
    assert_eq!((code, said.contains("exists")), (2, true), "{said}");
    let (code, said) =
        failure(edgemaxx().args(["miner", "optimize", "script=false", "--from", &fixture(), "--to", "x"]));
    assert_eq!((code, said.contains("ended with")), (4, true), "{said}");
}

#[test]
fn a_loser_is_measured_and_not_published_unless_told() {
    let ground = Playground::native("");
    let contest = ground.contest().display().to_string();
    let submit = |extra: &[&str]| {
        let mut command = edgemaxx();
        command.args([
            "miner",
            "submit",
            "--repository",
            "me/slow",
            "--from",
            &fixture(),
            "--bench",
            &contest,
        ]);
        // Optimised the wrong way: eight times the steps.
        let to = ground.path(&format!("slow{}", extra.len()));
        command.args(["--optimize", "steps=8", "--to"]).arg(&to);
        command.args(["--quick", "--no-commit", "--dry-run"]).args(extra).env("TMPDIR", ground.folder.path());
        failure(&mut command)
    };
    let (code, said) = submit(&[]);
    assert_eq!((code, said.contains("not proven faster at equal quality")), (1, true), "{said}");
    let (code, said) = submit(&["--anyway"]);
    assert_eq!((code, said.contains("warning: not proven faster")), (0, true), "{said}");
    let (code, said) = submit(&["--contest", "another"]);
    assert_eq!((code, said.contains("--bench is of contest mock")), (2, true), "{said}");
}
