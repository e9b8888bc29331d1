//! An auditor who has only the address of a validator's day and a node finds what was left out of it, or twisted: the real
//! runtime, a hub, a day that the program itself published, and lies that its validator signs.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use edgemaxx_chain::{Chain, Journal, SubmitOptions};
use edgemaxx_run::Silent;
use edgemaxx_run::audit::{Check, Means, Verdict, audit, on_chain};
use edgemaxx_seal::Keypair;
use edgemaxx_seal::manifest;
use serde_json::{Value, json};

use crate::common::copy_folder;
use crate::common::pruned::pruned;
use crate::common::site::Site;
use crate::node::{NETUID, Node, Seed, hotkey};
use crate::validator::{Subnet, address, days, read, verify};

/// A subnet on which eight hotkeys did different things, and the day that its validator made of them. Nothing could be
/// measured, which hides nobody.
struct Stage {
    subnet: Subnet,
    /// The day's name.
    day: String,
}

impl Stage {
    fn new() -> Option<Self> {
        let subnet = Subnet::new(Node::start("Instant")?);
        let node = &subnet.node;
        node.seed(&Seed { rate_limit: 0, min_weights: 1, ..Seed::default() });
        let fallback = format!("[rewards]\nfallback = {:?}\n", address(2));
        subnet.ground.replace("contest.toml", "[rewards]\n", &fallback);
        // The validator's machine lacks what the contest needs.
        subnet.ground.replace("contest.toml", "\"prompts.txt\"", "\"none.txt\"");

        // Sealed and opened: 3 and 4. The first one's files again, in the open: 5.
        subnet.submit(3, "fast", "10000");
        subnet.submit(4, "slower", "35000");
        subnet.submission(5, "copy", "10000", &["--in-the-open"]).assert().success();
        // Two entries one after the other: 6. Two in one block: 7 and 1. Nonsense: 2.
        subnet.submission(6, "old", "20000", &["--in-the-open"]).assert().success();
        node.let_commit(6);
        subnet.submission(6, "new", "21000", &["--in-the-open"]).assert().success();
        together(&subnet);
        let mut journal = Journal::open(&subnet.path("nonsense.jsonl")).unwrap();
        let options = SubmitOptions::default();
        node.connect().set_commitment(NETUID, b"EM\x09", &hotkey(2), &mut journal, &options).unwrap();
        let output = subnet.validator("now").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let day = days(&subnet.path("site"))[0].clone();
        // No rule demands that a day's digest stands on chain; with one, every lie would be found by that alone.
        node.set(json!({"Commitments": {"CommitmentOf": [[[NETUID, address(0)], null]]}}));
        Some(Self { subnet, day })
    }

    /// The day with a lie in it, which its validator has signed, and the page that goes with it.
    fn lie(&self, change: impl FnOnce(&mut Value)) -> Lie {
        self.lie_of(change, &hotkey(0))
    }

    fn lie_of(&self, change: impl FnOnce(&mut Value), key: &Keypair) -> Lie {
        let home = tempfile::tempdir().unwrap();
        let run = home.path().join(&self.day);
        copy_folder(&self.subnet.path("site").join(&self.day), &run);
        let mut record = read(&run, "day.json");
        change(&mut record);
        std::fs::write(run.join("day.json"), record.to_string()).unwrap();
        seal(&run, &self.day, key);
        Lie { home, run }
    }

    /// What is wrong, as the auditor's program finds it; `None`: nothing.
    fn found(&self, lie: &Lie, chain: &Chain) -> Option<String> {
        let means = Means {
            previous: None,
            base: None,
            hotkey: Some(address(0)),
            netuid: None,
            allow_unsigned: false,
        };
        let wrong = |checks: Vec<Check>| {
            checks
                .into_iter()
                .find(|check| matches!(check.verdict, Verdict::Failed | Verdict::Unknown))
                .map(|check| check.detail)
        };
        let of_itself = audit(&lie.run, &means, &Silent);
        wrong(of_itself).or_else(|| match on_chain(&lie.run, chain) {
            Ok(checks) => wrong(checks),
            Err(error) => Some(error.words()),
        })
    }

    /// What the auditor is told.
    fn audit(&self, lie: &Lie, chain: &str, more: &[&str]) -> (i32, String) {
        let signer = address(0);
        let words = [&["--hotkey", &signer, "--chain", chain], more].concat();
        verify(lie.home.path(), &lie.run.display().to_string(), &words)
    }
}

/// A forged day.
struct Lie {
    home: tempfile::TempDir,
    run: PathBuf,
}

fn seal(run: &Path, day: &str, key: &Keypair) {
    edgemaxx_run::stage::report::report_day(run).unwrap();
    manifest::seal(run, &day.parse().unwrap(), None, Some(key)).unwrap();
}

/// 7 and 1 commit in one block.
fn together(subnet: &Subnet) {
    let node = &subnet.node;
    node.rpc("dev_setBlockBuildMode", json!(["Manual"])).unwrap();
    let commit = |uid: u16, name: &str, latency: &str| {
        let command = subnet.submission(uid, name, latency, &["--in-the-open"]);
        let mut plain = std::process::Command::new(command.get_program());
        plain.args(command.get_args()).stdout(Stdio::null()).stderr(Stdio::piped());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => plain.env(name, value),
                None => plain.env_remove(name),
            };
        }
        plain.spawn().unwrap()
    };
    let mut both = Vec::new();
    for (uid, name, latency) in [(7, "tie", "12000"), (1, "other", "13000")] {
        both.push(commit(uid, name, latency));
        let began = Instant::now();
        while node.rpc("author_pendingExtrinsics", json!([])).unwrap().as_array().unwrap().len() < both.len()
        {
            assert!(began.elapsed() < Duration::from_secs(300), "commitments wait for a block");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    node.new_blocks(1);
    node.rpc("dev_setBlockBuildMode", json!(["Instant"])).unwrap();
    for child in both {
        // Until it has seen its block final.
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The submission of a uid in a record.
fn of(record: &mut Value, uid: u16) -> &mut Value {
    let all = record["submissions"].as_array_mut().unwrap();
    all.iter_mut().find(|submission| submission["hotkey"] == address(uid)).unwrap()
}

/// In the order in which they would stand.
fn sorted(record: &mut Value) {
    let key =
        |s: &Value| (s["since"].as_u64(), s["index"].as_u64().unwrap_or(u64::MAX), s["hotkey"].to_string());
    record["submissions"].as_array_mut().unwrap().sort_by_key(key);
}

#[test]
fn an_auditor_with_an_address_and_a_node_finds_every_planted_omission() {
    let Some(stage) = Stage::new() else { return };
    let chain = stage.subnet.node.url();
    let site = stage.subnet.path("site");
    let web = Site::of(&site);
    // The truth is verified, from its address alone.
    let home = tempfile::tempdir().unwrap();
    let url = format!("{}/{}/", web.url, stage.day);
    let (code, said) =
        verify(home.path(), &url, &["--hotkey", &address(0), "--netuid", "39", "--chain", &chain]);
    assert_eq!(code, 0, "{said}");
    let named = "7 commitments: 1 copies, 5 measured, 1 undecodable; what is said of 1 rests on files";
    assert!(said.contains(named) && said.contains("contest mock"), "{said}");

    let truth = read(&site.join(&stage.day), "day.json");
    let place = |uid: u16, what: &str| of(&mut truth.clone(), uid)[what].clone();
    assert_eq!(place(7, "since"), place(1, "since"), "one block: {truth}");
    let (first, second) = match place(7, "index").as_u64() < place(1, "index").as_u64() {
        true => (7, 1),
        false => (1, 7),
    };
    let copy = |of: u16, how: &str, digest: Value| {
        let mut copy = json!({"of": address(of), "how": how});
        if !digest.is_null() {
            copy["digest"] = digest;
        }
        json!({ "copy": copy })
    };
    let digest = |uid: u16| place(uid, "fate")["candidate"]["digest"].clone();
    let leave_out = |uid: u16| {
        move |r: &mut Value| {
            r["submissions"].as_array_mut().unwrap().retain(|s| s["hotkey"] != address(uid));
        }
    };
    type Change<'a> = Box<dyn Fn(&mut Value) + 'a>;
    let lies: Vec<(&str, Change<'_>)> = vec![
        // Left out.
        ("leaves out", Box::new(leave_out(4))),
        ("leaves out", Box::new(leave_out(6))),
        (
            "leaves out",
            Box::new(|r| {
                leave_out(4)(r);
                r["registered"].as_array_mut().unwrap().retain(|hotkey| *hotkey != address(4));
            }),
        ),
        ("leaves out", Box::new(|r| r["undecoded"] = json!([]))),
        ("leaves out", Box::new(|r| r["submissions"] = json!([]))),
        // Among copies, for no reason.
        (
            "whose repository and revision are others",
            Box::new(|r| {
                of(r, 4)["fate"] = copy(3, "the same repository and revision", Value::Null);
            }),
        ),
        (
            "whose files are others",
            Box::new(|r| of(r, 6)["fate"] = copy(3, "97% of its settings", digest(6))),
        ),
        ("not those that it sealed", Box::new(|r| of(r, 4)["fate"] = copy(3, "the same files", digest(3)))),
        ("was not measured before", Box::new(|r| of(r, 3)["fate"] = copy(4, "the same files", digest(4)))),
        // Elsewhere, sealed, not there any more.
        ("is said to be", Box::new(|r| of(r, 4)["fate"] = json!({"other_contest": {"contest": "x"}}))),
        ("is said to be", Box::new(|r| of(r, 4)["fate"] = json!("sealed"))),
        ("is said to be", Box::new(|r| of(r, 4)["fate"] = json!("unregistered"))),
        // Another's block, another's place, the wrong order of ties.
        (
            "holds nothing of the kind",
            Box::new(|r| {
                of(r, 6)["since"] = place(3, "since");
                sorted(r);
            }),
        ),
        (
            "committed in block",
            Box::new(|r| {
                of(r, 6)["since"] = json!(place(6, "since").as_u64().unwrap() + 1);
                sorted(r);
            }),
        ),
        (
            "is said to stand at place",
            Box::new(|r| {
                (of(r, first)["index"], of(r, second)["index"]) =
                    (place(second, "index"), place(first, "index"));
                sorted(r);
            }),
        ),
        (
            "is left out",
            Box::new(|r| {
                of(r, first)["index"] = Value::Null;
                sorted(r);
            }),
        ),
        (
            "who was first",
            Box::new(|r| {
                let all = r["submissions"].as_array_mut().unwrap();
                let at = |uid: u16| all.iter().position(|s| s["hotkey"] == address(uid)).unwrap();
                let (a, b) = (at(first), at(second));
                all.swap(a, b);
            }),
        ),
        (
            "which is left out",
            Box::new(|r| {
                of(r, 3)["claim"] = Value::Null;
                of(r, 3)["since"] = json!(place(3, "claim")["opened"]);
                sorted(r);
            }),
        ),
        // An older commitment.
        (
            "committed to hf:new/sdxl",
            Box::new(|r| {
                let new = place(6, "source").as_str().unwrap().to_owned();
                of(r, 6)["source"] = json!(new.replace("new/", "old/"));
            }),
        ),
        // Invented.
        (
            "who committed to nothing",
            Box::new(|r| {
                let mut invented = of(r, 6).clone();
                invented["hotkey"] = json!(address(0));
                invented["uid"] = json!(0);
                r["submissions"].as_array_mut().unwrap().push(invented);
            }),
        ),
        // Another subnet, another validator.
        ("netuid 40", Box::new(|r| r["netuid"] = json!(40))),
        ("signed by", Box::new(|r| r["validator"] = json!(address(1)))),
        // Nobody was to be measured, and nobody was.
        ("does not say why", Box::new(|r| r["not_measured"] = Value::Null)),
    ];
    let node = stage.subnet.node.connect();
    assert_eq!(stage.found(&stage.lie(|_| {}), &node), None);
    for (at, (expected, change)) in lies.iter().enumerate() {
        let found = stage.found(&stage.lie(change), &node).unwrap_or_default();
        assert!(found.contains(expected), "lie {at}, {expected}: {found}");
    }
    // And by the program.
    let (code, said) = stage.audit(&stage.lie(leave_out(4)), &chain, &[]);
    assert!(code == 1 && said.contains("not verified: nobody left out: day.json: leaves out"), "{said}");
    // Signed by another than it must be; for another subnet than asked for.
    let (code, said) = stage.audit(&stage.lie_of(|_| {}, &hotkey(1)), &chain, &[]);
    assert!(code == 1 && said.contains("signed by"), "{said}");
    let (code, said) = stage.audit(&stage.lie(|_| {}), &chain, &["--netuid", "40"]);
    assert!(code == 1 && said.contains("a day of subnet 39, not of 40"), "{said}");

    without_what_it_rests_on(&stage, &chain);
    files(&stage, &chain, &copy(3, "the same files", digest(3)));
    weights(&stage, &chain);
    forgotten(&stage);
}

/// A day that hides behind something that is not there is not verified.
fn without_what_it_rests_on(stage: &Stage, chain: &str) {
    let hidden = stage.lie(|r| {
        r["block"] = Value::Null;
        (r["submissions"], r["undecoded"], r["registered"]) = (json!([]), json!([]), json!([]));
        r["not_measured"] = json!("the chain cannot be reached");
    });
    let weights = json!({"format": "edgemaxx-weights", "version": 1, "day": stage.day, "origin": "fallback",
        "reason": "the chain cannot be reached; nothing to keep, so all goes to the contest's fallback ".to_owned() + &address(2),
        "ranking": null, "earned": null, "winner": null, "entries": [{"hotkey": address(2), "share": 1.0}]});
    std::fs::write(hidden.run.join("weights.json"), weights.to_string()).unwrap();
    seal(&hidden.run, &stage.day, &hotkey(0));
    let (code, said) = stage.audit(&hidden, chain, &[]);
    assert!(code == 6 && said.contains("NOT CHECKED") && said.contains("names no block"), "{code} {said}");

    let by_hand = stage.lie(|_| {});
    for name in ["day.json", "weights.json", "report.html", "report.md", "submissions.csv"] {
        std::fs::remove_file(by_hand.run.join(name)).unwrap();
    }
    manifest::seal(&by_hand.run, &stage.day.parse().unwrap(), None, Some(&hotkey(0))).unwrap();
    let (code, said) = stage.audit(&by_hand, chain, &[]);
    assert!(code == 6 && said.contains("there is no day.json"), "{code} {said}");
}

/// What the chain cannot tell, the files do; and what neither tells is said.
fn files(stage: &Stage, chain: &str, copy_of_first: &Value) {
    let fetching = |lie: &Lie| {
        let mut verify = stage.subnet.as_uid(0, &[]);
        verify = {
            let mut plain = std::process::Command::new(verify.get_program());
            for (name, value) in verify.get_envs() {
                match value {
                    Some(value) => plain.env(name, value),
                    None => plain.env_remove(name),
                };
            }
            plain
        };
        let output = verify
            .arg("verify")
            .arg(&lie.run)
            .args(["--hotkey", &address(0), "--chain", chain, "--fetch"])
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (output.status.code().unwrap_or(-1), said.concat())
    };
    let (code, said) = fetching(&stage.lie(|_| {}));
    assert!(code == 0 && said.contains("the files of 6 submissions"), "{code} {said}");
    // An entry in the open under the digest of another's files.
    let lie = stage.lie(|r| of(r, 6)["fate"] = copy_of_first.clone());
    assert_eq!(stage.audit(&lie, chain, &[]).0, 0, "the chain cannot tell");
    let (code, said) = fetching(&lie);
    assert!(code == 1 && said.contains("it is said that they are"), "{code} {said}");
    // Called invalid, though it is whole; called away, though it is there.
    let lie = stage.lie(|r| of(r, 4)["fate"] = json!({"invalid": {"reason": "no model_index.json"}}));
    let (code, said) = fetching(&lie);
    assert!(code == 1 && said.contains("is called invalid"), "{code} {said}");
    let reason = "not there, or not for everybody, for 30 min: 404";
    let lie = stage.lie(|r| of(r, 4)["fate"] = json!({"invalid": {"reason": reason}}));
    let (code, said) = stage.audit(&lie, chain, &[]);
    assert!(code == 0 && said.contains("what is said of 2 rests on files"), "{code} {said}");
    let (code, said) = fetching(&lie);
    assert!(code == 6 && said.contains("is there now, and nothing tells since when"), "{code} {said}");
}

/// Weights that are not the day's: published, or set.
fn weights(stage: &Stage, chain: &str) {
    let lie = stage.lie(|_| {});
    let mut weights = read(&lie.run, "weights.json");
    weights["entries"] = json!([{"hotkey": address(5), "share": 1.0}]);
    std::fs::write(lie.run.join("weights.json"), weights.to_string()).unwrap();
    seal(&lie.run, &stage.day, &hotkey(0));
    let (code, said) = stage.audit(&lie, chain, &[]);
    assert!(code == 1 && said.contains("weights.json: not what"), "{code} {said}");
    let truth = stage.lie(|_| {});
    let set = stage.subnet.weights();
    stage.subnet.forge(&[(5, 65535)]);
    let (code, said) = stage.audit(&truth, chain, &[]);
    assert!(code == 1 && said.contains("uid 2 has 0, and by weights.json it is 65535"), "{code} {said}");
    stage.subnet.forge(&set);
}

/// A node that has thrown away what decides: never success, never "it is not", and the exit code is its own.
fn forgotten(stage: &Stage) {
    let node = &stage.subnet.node;
    let record = read(&stage.subnet.path("site").join(&stage.day), "day.json");
    let number = |what: &Value| what.as_u64().unwrap();
    let hash =
        |number: u64| node.rpc("chain_getBlockHash", json!([number])).unwrap().as_str().unwrap().to_owned();
    let (block, seal) =
        (number(&record["block"]["number"]), number(&record["submissions"][0]["claim"]["block"]));
    let truth = stage.lie(|_| {});
    // The state of the day's block; the block that holds a seal; the one before the day's.
    let lost_state = hash(block);
    let no_state = pruned(node.port, move |hash| hash != lost_state, |_| true);
    let lost = |number: u64| {
        let lost = hash(number);
        pruned(node.port, |_| true, move |hash| hash != lost)
    };
    for (chain, expected) in [
        (no_state, "whether a miner was left out is not known"),
        (lost(seal), "who was first is not known"),
        (lost(block - 1), "the time of the one before"),
        (lost(block), "no longer has its time"),
    ] {
        let (code, said) = stage.audit(&truth, &chain, &[]);
        assert!(code == 6 && said.contains(expected), "{expected}: {code} {said}");
        assert!(said.contains("NOT CHECKED") && said.contains("not verified"), "{said}");
    }
}
