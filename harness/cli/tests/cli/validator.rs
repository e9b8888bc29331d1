//! A validator's days through the program: a real runtime and a hub, both on this machine; and their audit.

use std::path::{Path, PathBuf};

use crate::common::site::Site;
use crate::common::{Playground, copy_folder, edgemaxx, failure, repository};
use crate::node::{NETUID, Node, Seed, hotkey, skipped};
use crate::server::Server;
use assert_cmd::Command;
use edgemaxx_chain::commitment::DaySeal;
use edgemaxx_chain::{Journal, SubmitOptions};
use edgemaxx_contract::digest::Digest;
use edgemaxx_engine::detect_sandbox;
use edgemaxx_run::audit::{Check, Verdict, on_chain};
use edgemaxx_seal::manifest;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A chain, a hub, a contest of scripted engines, and a validator that publishes to a folder.
pub(crate) struct Subnet {
    pub(crate) node: Node,
    pub(crate) hub: Server,
    home: TempDir,
    pub(crate) ground: Playground,
    checkpoint: PathBuf,
}

impl Subnet {
    pub(crate) fn new(node: Node) -> Self {
        let ground = Playground::new("");
        let checkpoint = repository("fixtures/models/emoji-sdxl").canonicalize().unwrap();
        ground.replace("contest.toml", "checkpoint = \"model\"", &format!("checkpoint = {checkpoint:?}"));
        // Of the order, not the noise of a busy machine.
        ground.replace("contest.toml", "[score]", "[rewards]\nnoise_floor = 10.0\n[score]");
        // Long beside what a busy machine adds: who wins is no question of luck.
        ground.replace("contest.toml", "\"4000\"", "\"80000\"");
        Self::of(node, ground, checkpoint)
    }

    /// The same with a contest of one's own, to which entries begin as copies of a checkpoint.
    pub(crate) fn of(node: Node, ground: Playground, checkpoint: PathBuf) -> Self {
        // Two days follow one another within few blocks, so weights are not limited by them.
        node.seed(&Seed { rate_limit: 0, ..Seed::default() });
        Self { node, hub: Server::start(), home: tempfile::tempdir().unwrap(), ground, checkpoint }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The program with the hub, the chain and the hotkey of a uid.
    pub(crate) fn as_uid(&self, uid: u16, words: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_edgemaxx"));
        command.args(words).env("HF_ENDPOINT", &self.hub.url).env("HF_TOKEN", "hf_secret");
        command.env("HF_HOME", self.path("hf")).env_remove("HF_HUB_OFFLINE");
        command.args(["--netuid", &NETUID.to_string(), "--subtensor.chain_endpoint", &self.node.url()]);
        command
            .args(["--insecure-dev-key", &format!("//hot{uid}")])
            .arg("--journal")
            .arg(self.path("journal"));
        command
    }

    /// A checkpoint whose pictures take so many microseconds, and the command by which a miner publishes and commits it.
    pub(crate) fn submission(&self, uid: u16, name: &str, latency_us: &str, extra: &[&str]) -> Command {
        self.submission_to("mock", uid, name, latency_us, extra)
    }

    /// The same to another contest.
    pub(crate) fn submission_to(
        &self,
        contest: &str,
        uid: u16,
        name: &str,
        latency_us: &str,
        extra: &[&str],
    ) -> Command {
        let command = ["edgemaxx", "engine", "mock", "--latency-us", latency_us];
        self.entry(contest, uid, name, &format!("[engine]\ncommand = {command:?}\n"), extra)
    }

    /// The checkpoint with these settings and engine, and the command by which a miner publishes and commits it.
    pub(crate) fn entry(
        &self,
        contest: &str,
        uid: u16,
        name: &str,
        settings: &str,
        extra: &[&str],
    ) -> Command {
        let folder = self.path(name);
        copy_folder(&self.checkpoint, &folder);
        std::fs::write(folder.join("edgemaxx.toml"), settings).unwrap();
        let (from, repository) = (folder.display().to_string(), format!("{name}/sdxl"));
        let words = ["miner", "submit", "--from", &from, "--repository", &repository, "--contest", contest];
        Command::from_std(self.as_uid(uid, &[&words[..], extra].concat()))
    }

    /// A miner publishes such a checkpoint, and commits it.
    pub(crate) fn submit(&self, uid: u16, name: &str, latency_us: &str) {
        // Time passes between the seal and its opening, and after it.
        self.submission(uid, name, latency_us, &["--seal-only"]).assert().success();
        self.node.let_commit(uid);
        self.submission(uid, name, latency_us, &[]).assert().success();
        self.node.let_commit(uid);
    }

    /// The command of one day of the validator, to its end.
    pub(crate) fn validator(&self, at: &str) -> std::process::Command {
        self.validator_of(&[self.ground.contest().display().to_string()], at)
    }

    /// The same of these contests.
    pub(crate) fn validator_of(&self, contests: &[String], at: &str) -> std::process::Command {
        let mut run = self.as_uid(0, &["validator", "run", "--once", "--at", at, "--no-listen"]);
        for contest in contests {
            run.args(["--contest", contest]);
        }
        run.arg("--data").arg(self.path("validator")).arg("--publish").arg(self.path("site"));
        run
    }

    /// One day of the validator, to its end.
    fn day(&self, at: &str) {
        let output = self.validator(at).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What the validator's hotkey has set, by uid.
    pub(crate) fn weights(&self) -> Vec<(u64, u64)> {
        let mut show = edgemaxx();
        show.args(["weights", "show", "--uid", "0", "--json", "--netuid", &NETUID.to_string()]);
        show.args(["--subtensor.chain_endpoint", &self.node.url()]);
        let shown: Value = serde_json::from_slice(&show.output().unwrap().stdout).unwrap();
        let pair = |weight: &Value| (weight["uid"].as_u64().unwrap(), weight["value"].as_u64().unwrap());
        shown["weights"].as_array().unwrap().iter().map(pair).collect()
    }

    /// Puts weights into the chain's state, as no validator would.
    pub(crate) fn forge(&self, weights: &[(u64, u64)]) {
        let mut bytes = vec![(weights.len() as u8) << 2];
        for (uid, value) in weights {
            bytes.extend([(*uid as u16).to_le_bytes(), (*value as u16).to_le_bytes()].concat());
        }
        let hex = bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"));
        self.node.set(json!({"SubtensorModule": {"Weights": [[[NETUID, 0], hex]]}}));
    }
}

pub(crate) fn address(uid: u16) -> String {
    hotkey(uid).account().to_string()
}

pub(crate) fn read(day: &Path, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(day.join(name)).unwrap()).unwrap()
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The days on a site, in order.
pub(crate) fn days(site: &Path) -> Vec<String> {
    names(site).into_iter().filter(|name| site.join(name).join("manifest.json").is_file()).collect()
}

/// `edgemaxx verify` in some folder: exit code, and all that was said.
pub(crate) fn verify(cwd: &Path, run: &str, arguments: &[&str]) -> (i32, String) {
    let mut verify = edgemaxx();
    let output = verify.current_dir(cwd).arg("verify").arg(run).args(arguments).output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (output.status.code().unwrap_or(-1), said)
}

#[test]
fn two_days_end_with_weights_on_chain_and_runs_that_anybody_can_verify() {
    let sandbox = detect_sandbox();
    if !sandbox.is_sandboxed() {
        return skipped(format_args!("a day without a sandbox sets no weights: {sandbox}"));
    }
    let Some(node) = Node::start("Instant") else { return };
    let subnet = Subnet::new(node);
    // Candidates share a baseline.
    subnet.ground.replace("contest.toml", "[measurement]", "[measurement]\nblock = 4");

    // Three miners: a fast one, a slower one, and one with the first one's files. He commits to them in the open before the
    // first opens his seal, as if he had seen them as soon as they were published.
    subnet.submission(3, "fast", "10000", &["--seal-only"]).assert().success();
    subnet.node.let_commit(3);
    assert!(!subnet.hub.state().exists, "nothing is published under a seal");
    subnet.submit(4, "slower", "35000");
    subnet.submission(5, "copy", "10000", &["--in-the-open"]).assert().success();
    subnet.submission(3, "fast", "10000", &[]).assert().success();
    subnet.day("now");
    let site = subnet.path("site");
    let first = days(&site)[0].clone();
    let (decided, record) = (read(&site.join(&first), "weights.json"), read(&site.join(&first), "day.json"));
    let fate = |uid: u16| {
        let all = record["submissions"].as_array().unwrap();
        all.iter().find(|s| s["hotkey"] == address(uid)).unwrap()["fate"].clone()
    };
    assert!(fate(3)["candidate"].is_object() && fate(4)["candidate"].is_object(), "{record}");
    assert_eq!(fate(5)["copy"]["of"], address(3), "{record}");
    let first_of_all = &record["submissions"][0];
    let claim = &first_of_all["claim"];
    assert!(
        claim["block"] == first_of_all["since"] && claim["opened"].as_u64() > claim["block"].as_u64(),
        "{record}"
    );
    assert_eq!((&first_of_all["hotkey"], &record["opened"]), (&address(3).into(), &Value::Null), "{record}");
    assert_eq!((&decided["origin"], &decided["winner"]), (&"earned".into(), &address(3).into()), "{decided}");
    // People see the same: on the day's page, in its short form and in its table, and the weights' block on the site's page.
    for name in ["report.html", "report.md", "submissions.csv"] {
        let text = std::fs::read_to_string(site.join(&first).join(name)).unwrap();
        for uid in 3..6 {
            assert!(text.contains(&address(uid)), "{name}: no {}", address(uid));
        }
        assert!(text.contains("the same files") && text.contains("hf"), "{name}");
    }
    let blocks = read(&site, "on-chain.json");
    let index = std::fs::read_to_string(site.join("index.html")).unwrap();
    assert!(index.contains(&format!(">{}<", blocks[&first])), "{blocks}");
    // Both were measured against one launch of the baseline in every round, and the control with them.
    let log = std::fs::read_to_string(site.join(&first).join("samples.jsonl")).unwrap();
    let blocks: Vec<&str> = log.lines().filter(|line| line.contains("\"block\"")).collect();
    assert!(blocks.len() >= 2, "{log}");
    let plan = read(&site.join(&first), "plan.json");
    assert_eq!((&plan["measurement"]["block"], plan["pipelines"].as_array().unwrap().len()), (&4.into(), 4));
    // On chain, by uid; the copy earns nothing.
    assert_eq!(subnet.weights(), [(3, 65535), (4, 16384)], "four fifths and the rest");

    // The day is over: asked again, nothing is set or committed twice.
    let height = subnet.node.height();
    subnet.day("now");
    assert_eq!((subnet.node.height(), days(&site).len()), (height, 1));

    // The next day a better one comes and wins.
    subnet.submit(6, "faster", "3000");
    subnet.node.let_commit(0);
    subnet.day("next");
    let second = days(&site).into_iter().find(|name| *name > first).expect("a second day");
    let (decided, record) =
        (read(&site.join(&second), "weights.json"), read(&site.join(&second), "day.json"));
    assert_eq!((&decided["origin"], &decided["winner"]), (&"earned".into(), &address(6).into()), "{decided}");
    assert_eq!(record["undecoded"], json!([]), "the validator's own commitment is no miner's");
    assert_eq!(subnet.weights(), [(3, 13107), (4, 3277), (6, 65535)]);
    let data = subnet.path("validator").display().to_string();
    // The validator has ended, and nothing else is wrong.
    let (code, said) = failure(edgemaxx().args(["validator", "status", "--data", &data]));
    assert!(code == 1 && said.trim_end().ends_with("error: no validator runs with this data"), "{said}");

    audit(&subnet, &first, &second);
    denial(&subnet, &second);
    forgeries(&subnet, &first, &second);
}

#[test]
fn too_early_is_said_with_its_block_before_anything_is_published() {
    let Some(node) = Node::start("Instant") else { return };
    let subnet = Subnet::new(node);
    // Sealed and published; the chain makes the opening wait, and so does who repeats the command.
    for _ in 0..2 {
        let (code, said) = failure(&mut subnet.submission(3, "first", "10000", &["--no-wait"]));
        assert!(code == 5 && said.contains("next commitment from block"), "{said}");
        assert!(said.contains("sealed") && said.contains("published"), "{said}");
    }
    // Another checkpoint is refused before it travels.
    let commits = subnet.hub.state().commits.len();
    let (code, said) = failure(&mut subnet.submission(3, "second", "20000", &[]));
    assert!(code == 5 && said.contains("next commitment from block") && said.contains("min)"), "{said}");
    assert_eq!(subnet.hub.state().commits.len(), commits);
    subnet.node.let_commit(3);
    subnet.submission(3, "first", "10000", &["--no-wait"]).assert().success();
    // What is not sealed says so.
    let (code, said) = failure(&mut subnet.submission(4, "open", "10000", &["--in-the-open"]));
    assert!(code == 0 && said.contains("without a seal"), "{said}");
}

/// Both days, with nothing but what was published, from anywhere.
fn audit(subnet: &Subnet, first: &str, second: &str) {
    let elsewhere = tempfile::tempdir().unwrap();
    copy_folder(&subnet.path("site"), elsewhere.path());
    let (chain, signer) = (subnet.node.url(), address(0));
    let held = |run: &str, words: &[&str]| {
        let (code, said) = verify(elsewhere.path(), run, &["--hotkey", &signer, "--chain", &chain]);
        assert_eq!(code, 0, "{said}");
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert!(!said.contains("—   weights on chain"), "{said}");
    };
    let replaced = "2 uids since block";
    held(
        first,
        &["the first of its chain", "2 of 3 submissions", replaced, "others replaced them", "committed in"],
    );
    let on_chain = ["the first after submissions closed", "3 uids since block", "committed in block"];
    held(second, &[&["follows ", "3 of 4 submissions", "3 hotkeys"], &on_chain[..]].concat());
    let web = Site::of(elsewhere.path());
    held(&format!("{}/{second}/", web.url), &[&["follows "], &on_chain[..]].concat());

    // One bit of any kind of file.
    let day = elsewhere.path().join(second);
    let picture = format!("artefacts/{}", names(&day.join("artefacts"))[7]);
    let mut files: Vec<String> = names(&day).into_iter().filter(|name| name != "artefacts").collect();
    files.extend([picture, format!("../{first}/weights.json")]);
    assert!(files.len() > 15, "{files:?}");
    for name in files {
        let whole = std::fs::read(day.join(&name)).unwrap();
        let mut altered = whole.clone();
        altered[whole.len() / 2] ^= 1;
        std::fs::write(day.join(&name), altered).unwrap();
        let (code, said) = verify(elsewhere.path(), second, &["--hotkey", &signer]);
        assert_eq!(code, 1, "{name}: {said}");
        assert!(said.contains(&format!(": {}: ", name.trim_start_matches("../"))), "{name}: {said}");
        std::fs::write(day.join(&name), whole).unwrap();
    }
}

/// A day that says that it decided to set none: what was set on the day itself denies it, and what came later does not.
fn denial(subnet: &Subnet, day: &str) {
    let home = tempfile::tempdir().unwrap();
    let run = home.path();
    copy_folder(&subnet.path("site").join(day), run);
    let says = |name: &str, key: &str, value: Value| {
        let mut document = read(run, name);
        document[key] = value;
        std::fs::write(run.join(name), document.to_string()).unwrap();
    };
    says("weights.json", "entries", json!([]));
    let on_day = |day: &str| {
        says("day.json", "day", day.into());
        manifest::seal(run, &day.parse().unwrap(), None, Some(&hotkey(0))).unwrap();
        on_chain(run, &subnet.node.connect()).unwrap()
    };
    let of_weights =
        |checks: Vec<Check>| checks.into_iter().find(|check| check.what == "weights on chain").unwrap();
    let denied = of_weights(on_day(day));
    let set = read(&subnet.path("site"), "on-chain.json")[day].clone();
    let expected = format!("others than stood were set in block {set}");
    assert!(
        denied.verdict == Verdict::Failed && denied.detail.ends_with(&expected),
        "{expected}: {denied:?}"
    );
    let before_the_chain = of_weights(on_day("2020-01-01"));
    assert_eq!(before_the_chain.verdict, Verdict::Passed, "{before_the_chain:?}");
}

/// A chain that says something else than the days.
fn forgeries(subnet: &Subnet, first: &str, second: &str) {
    let (site, chain) = (subnet.path("site"), subnet.node.url());
    let differs = |run: &str, chain: &str, words: &str| {
        let (code, said) = verify(&site, run, &["--chain", chain]);
        assert_eq!((code, said.contains(words)), (1, true), "{said}");
    };
    let set = subnet.weights();
    subnet.forge(&[(3, 13107), (4, 3278), (6, 65535)]);
    differs(second, &chain, "uid 4 has 3278, and by weights.json it is 3277");
    // Hidden weights are not called wrong.
    let reveal = |on: &str| {
        subnet.node.set(json!({"SubtensorModule": {"CommitRevealWeightsEnabled": [[[NETUID], on]]}}))
    };
    reveal("0x01");
    let (code, said) = verify(&site, second, &["--chain", &chain]);
    assert!(code == 6 && said.contains("hidden by commit–reveal"), "{said}");
    reveal("0x00");
    subnet.forge(&set);

    // Another digest for the same day.
    subnet.node.let_commit(0);
    let other = DaySeal { day: second.parse().unwrap(), manifest: Digest::of("other") }.to_bytes();
    let mut journal = Journal::open(&subnet.path("forger.jsonl")).unwrap();
    let options = SubmitOptions::default();
    subnet.node.connect().set_commitment(NETUID, &other, &hotkey(0), &mut journal, &options).unwrap();
    differs(second, &chain, "manifest.json: is ");

    // Another chain, at first too short to have the day's block.
    let Some(stranger) = Node::start("Instant") else { return };
    differs(first, &stranger.url(), "day.json: names block ");
    let day = read(&site.join(first), "day.json");
    stranger.new_blocks(day["block"]["number"].as_u64().unwrap());
    differs(first, &stranger.url(), "on chain, not 0x");

    let (code, said) = verify(&site, first, &["--chain", "ws://127.0.0.1:9"]);
    assert!(code == 5 && said.contains("no endpoint answered"), "{said}");
    let (code, said) = verify(&site, first, &["--chain", "nowhere"]);
    assert!(code == 2 && said.contains("`nowhere` is no network"), "{said}");
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
    // With --log-json that is a line of JSON, as everything else.
    let (code, said) = failure(run.arg("--log-json"));
    let line: Value = serde_json::from_str(said.trim_end()).expect("one line of JSON");
    assert_eq!((code, line["level"].as_str()), (2, Some("error")), "{said}");
    assert!(
        line["message"].as_str().is_some_and(|text| text.contains("candidates come from the chain")),
        "{said}"
    );
    // Copies are told by the baseline's weights, which are in one folder.
    ground.replace("contest.toml", "[[candidate]]\nname = \"mine\"\n", "");
    ground.replace("contest.toml", "generation = {", "unet = \"other\"\ngeneration = {");
    let (code, said) = failure(&mut run);
    assert_eq!((code, said.contains("baseline.unet: expected none")), (2, true), "{said}");
    let (code, said) = failure(edgemaxx().args(["validator", "status", "--data"]).arg(ground.path("none")));
    assert_eq!((code, said.contains("no validator has run here")), (2, true), "{said}");
    // btcli's newer flags mean the same as its older ones.
    for words in [["--network", "nowhere"], ["--subtensor.network", "nowhere"]] {
        let (code, said) = failure(edgemaxx().args(["chain", "neurons"]).args(words));
        assert_eq!((code, said.contains("`nowhere` is no network")), (2, true), "{said}");
    }
    let wallet = |words: &[&str]| {
        let mut status = edgemaxx();
        status.args(["miner", "status", "--network", "local"]).args(words);
        failure(status.arg("--wallet.path").arg(ground.path("wallets"))).1
    };
    let old = wallet(&["--wallet.name", "w1", "--wallet.hotkey", "h1"]);
    assert!(old.contains("w1") && old.contains("h1"), "{old}");
    assert_eq!(wallet(&["-w", "w1", "-H", "h1"]), old);
    assert_eq!(wallet(&["--wallet-name", "w1", "--wallet-hotkey", "h1"]), old);
    // A published day can be measured again from its address, with the contest's own checkpoints.
    let reproduce = |words: &[&str]| {
        failure(
            edgemaxx().args(["reproduce", "http://127.0.0.1:9/2026-11-22", "--candidate", "x"]).args(words),
        )
    };
    let (code, said) = reproduce(&[]);
    assert_eq!((code, said.contains("--base: name the folder")), (2, true), "{said}");
    let (code, said) = reproduce(&["--base", "."]);
    assert_eq!(code, 5, "{said}");
}
