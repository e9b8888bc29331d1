//! `seal`, `verify` and `reproduce`: what is published is what it says, or the first lie is named.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::common::site::Site;
use crate::common::{
    ALICE, Playground, alice, alice_in, candidate, copy_folder, derive, edgemaxx, failure, repository,
    retime, secret,
};
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::sample::{Chain, Log, Record, Stop};
use edgemaxx_seal::manifest::Manifest;

/// A sealed copy of the published example.
struct Sealed {
    folder: tempfile::TempDir,
}

impl Sealed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(&repository("reports/examples/emoji-cpu"), &folder.path().join("run"));
        alice_in(&folder.path().join("seed"));
        let sealed = Self { folder };
        sealed.seal();
        sealed
    }

    fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    fn seal(&self) {
        let mut seal = edgemaxx();
        seal.arg("seal").arg(self.run()).arg("--key").arg(self.folder.path().join("seed")).assert().success();
    }

    /// Seals whatever the folder holds, as nobody honest would.
    fn seal_lies(&self) {
        let key = alice();
        let (manifest, _) = edgemaxx_seal::manifest::read(&self.run()).unwrap();
        edgemaxx_seal::manifest::seal(&self.run(), &manifest.day, None, Some(&key)).unwrap();
    }

    fn verify(&self) -> (i32, String) {
        failure(edgemaxx().arg("verify").arg(self.run()))
    }
}

/// The run's files and three of its pictures, by path.
fn published(run: &Path) -> Vec<String> {
    let manifest = Manifest::from_json(&fs::read_to_string(run.join("manifest.json")).unwrap()).unwrap();
    let (pictures, mut files): (Vec<_>, Vec<_>) =
        manifest.files.into_iter().map(|file| file.path).partition(|path| path.starts_with("artefacts/"));
    files.push("manifest.json".to_owned());
    files.extend(pictures.into_iter().step_by(60));
    files
}

#[test]
fn a_sealed_run_verifies_and_any_altered_byte_is_named() {
    let sealed = Sealed::new();
    let verify = |args: &[&str]| {
        let output = edgemaxx().arg("verify").arg(sealed.run()).args(args).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    let said = verify(&["--hotkey", ALICE, "--base", repository("fixtures/contests").to_str().unwrap()]);
    for held in ["signed by 5Grwva", "pairs judged again", "11 files recomputed", "7 of 7 checkpoints"] {
        assert!(said.contains(held), "{held}: {said}");
    }
    let json: serde_json::Value = serde_json::from_str(&verify(&["--json"])).unwrap();
    assert_eq!(json["verified"], true);
    let quality = json["checks"].as_array().unwrap().iter().find(|check| check["what"] == "quality").unwrap();
    assert_eq!(quality["verdict"], "skipped", "without the models nothing is claimed about them");

    for path in published(&sealed.run()) {
        let file = sealed.run().join(&path);
        let whole = fs::read(&file).unwrap();
        for at in [whole.len() / 2, whole.len() - 1] {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            fs::write(&file, altered).unwrap();
            let (code, said) = sealed.verify();
            assert_eq!(code, 1, "{path} byte {at}: {said}");
            assert!(said.contains(&format!(": {path}: ")), "{path} byte {at}: {said}");
        }
        fs::write(&file, whole).unwrap();
    }
    let extra = sealed.run().join("extra.csv");
    fs::write(&extra, "added").unwrap();
    assert!(sealed.verify().1.contains("extra.csv: not sealed"));
    fs::remove_file(extra).unwrap();
    fs::remove_file(sealed.run().join("junit.xml")).unwrap();
    assert!(sealed.verify().1.contains("junit.xml: missing"));
}

/// One reader of key files: what the chain's verbs open, `seal` opens, and what they refuse, it refuses.
#[test]
fn every_key_file_signs_and_none_that_others_may_read() {
    let sealed = Sealed::new();
    let wallet =
        |name: &str| fs::read_to_string(repository("harness/seal/tests/data/wallet").join(name)).unwrap();
    let key = sealed.folder.path().join("key");
    let seal = |sealed: &Sealed| {
        let mut seal = edgemaxx();
        seal.arg("seal").arg(sealed.run()).arg("--key").arg(&key).env_remove("BT_WALLET_PASSWORD");
        seal
    };
    let phrase = "5Gjspch44xjc6qSLpjNGUDjmjfhbacNtcacVFaojGp3tsmRT";
    for (name, address) in [
        ("plain", "5HR3ocBm18EXhuNoWw9iqmk6KLRjR6nxeiiKqUqjyfkTwN1s"),
        ("private", phrase),
        ("phrase", phrase),
    ] {
        secret(&key, &wallet(name));
        seal(&sealed).assert().success();
        let mut verify = edgemaxx();
        verify.arg("verify").arg(sealed.run()).args(["--hotkey", address]).assert().success();
    }
    fs::copy(repository("harness/seal/tests/data/wallet/nacl"), &key).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let (code, said) = failure(&mut seal(&sealed));
    assert!(code == 2 && said.contains("encrypted; give its password"), "{said}");
    let password = sealed.folder.path().join("password");
    secret(&password, "correct horse 7!\n");
    seal(&sealed).arg("--password-file").arg(&password).assert().success();

    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said) = failure(&mut seal(&sealed));
    assert!(code == 2 && said.contains("mode is 0644, so others may read the key"), "{said}");
}

/// The manifest's head and signature byte by byte, and what lies between in steps.
#[test]
fn no_byte_of_the_manifest_can_be_altered() {
    let sealed = Sealed::new();
    let whole = fs::read(sealed.run().join("manifest.json")).unwrap();
    let last = whole.len() - 330;
    let places = (0..120).chain((120..last).step_by(211)).chain(last..whole.len());
    for at in places {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        fs::write(sealed.run().join("manifest.json"), &altered).unwrap();
        let read = edgemaxx_seal::manifest::read(&sealed.run());
        let checked = read.and_then(|(manifest, _)| {
            edgemaxx_seal::manifest::check_signature(&manifest).map(|signer| signer.map(str::to_owned))
        });
        match checked {
            Err(error) => assert!(error.to_string().starts_with("manifest.json: "), "byte {at}: {error}"),
            Ok(signer) => panic!("byte {at} ({:?}): {signer:?}", altered[at] as char),
        }
    }
}

/// Whoever seals his own lies is caught by recomputing.
#[test]
fn a_lie_that_is_sealed_is_named_by_what_does_not_follow() {
    for (name, from, to, named) in [
        ("ranking.json", "\"position\": 2,", "\"position\": 3,", "ranking.json: line"),
        ("estimates.json", "\"level\": 0.95", "\"level\": 0.96", "estimates.json: line"),
        ("report.md", "0", "1", "report.md: line"),
        ("plan.json", "\"prompt\": \"", "\"prompt\": \"x", "plan.json: not what its contest"),
        ("prompts.txt", "a", "b", "prompts.txt: not the prompts"),
        ("samples.jsonl", "\"latency_ns\":", "\"latency_ns\":1", "hash chain is broken"),
        ("contest.toml", "min_speedup = 1.02", "min_speedup = 1.01", "contest.toml: changed"),
    ] {
        let sealed = Sealed::new();
        let file = sealed.run().join(name);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{name}");
        fs::write(&file, text.replacen(from, to, 1)).unwrap();
        sealed.seal_lies();
        let (code, said) = sealed.verify();
        assert_eq!(code, 1, "{name}: {said}");
        assert!(said.contains(named), "{name}: {said}");
    }
}

/// Whoever ends a candidate and says that a rule did is caught, though every file follows from his log.
#[test]
fn a_stop_that_no_rule_gives_is_named() {
    let ground = Playground::new(&candidate("quick", &["--latency-us", "2000"]));
    let run = ground.measured("run");
    alice_in(&ground.path("seed"));
    let verified = || {
        edgemaxx().arg("seal").arg(&run).arg("--key").arg(ground.path("seed")).assert().success();
        let output =
            edgemaxx().arg("verify").arg(&run).arg("--base").arg(ground.folder.path()).output().unwrap();
        (output.status.code(), format!("{output:?}"))
    };
    let (code, said) = verified();
    assert!(code == Some(0) && said.contains("0 candidates left early, by the rules"), "{said}");

    let plan = Plan::from_json(&fs::read_to_string(run.join("plan.json")).unwrap()).unwrap();
    let log = Log::parse_for(&fs::read_to_string(run.join("samples.jsonl")).unwrap(), &plan).unwrap();
    let own: Vec<u32> = plan
        .sessions
        .iter()
        .filter(|session| session.candidate == "quick")
        .map(|session| session.index)
        .collect();
    let last = own[own.len() - 1];
    let stop = Stop {
        candidate: "quick".to_owned(),
        after_sessions: own.len() as u32 - 1,
        reason: "it surely misses the gate on the mean of ssim_gray".to_owned(),
        sessions_saved: 1,
        beaten_by: None,
    };
    let is_kept = |record: &Record| match record {
        Record::Launch(launch) => launch.session != last,
        Record::Attempt(attempt) => attempt.session != last,
        Record::Idle(idle) => idle.session != last,
        Record::Session(end) => end.session != last,
        _ => true,
    };
    let mut chain = Chain::default();
    let mut text = chain.append(Record::Header(log.header));
    for record in log.records.into_iter().filter(is_kept).chain([Record::Stop(stop)]) {
        text += &chain.append(record);
    }
    fs::write(run.join("samples.jsonl"), text).unwrap();
    derive(&run);
    fs::remove_file(run.join("manifest.json")).unwrap();
    let (code, said) = verified();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("samples.jsonl: \\\"quick\\\" is stopped after 4 sessions because"), "{said}");
    assert!(said.contains("no rule gives that"), "{said}");
}

/// What stages made of other files than are there is neither ranked, compared nor sealed.
#[test]
fn what_is_stale_is_named_with_the_stage_to_run_again() {
    let playground = Playground::new(&candidate("quick", &["--latency-us", "2000"]));
    let run = playground.measured("run");
    let refused = |verb: &str, expected: &[&str]| {
        let (code, said) = failure(edgemaxx().arg(verb).arg(&run));
        assert_eq!(code, 2, "{verb}: {said}");
        assert!(expected.iter().all(|part| said.contains(part)), "{verb}: {expected:?} in {said}");
    };
    let change = |name: &str, change: &dyn Fn(&str) -> String| {
        let text = fs::read_to_string(run.join(name)).unwrap();
        fs::write(run.join(name), change(&text)).unwrap();
        text
    };
    let page = change("report.html", &|page| page.replace(|c: char| c.is_ascii_digit(), "0"));
    refused("seal", &["report.html: rests on another", "edgemaxx report"]);
    fs::write(run.join("report.html"), page).unwrap();

    change("telemetry.jsonl", &|text| text.to_owned() + text.lines().last().unwrap() + "\n");
    for verb in ["rank", "report", "compare", "seal"] {
        refused(verb, &["estimates.json: rests on another telemetry.jsonl", "edgemaxx analyze"]);
    }
    edgemaxx().arg("analyze").arg(&run).assert().success();
    for verb in ["report", "compare", "seal"] {
        refused(verb, &["ranking.json: rests on another estimates.json", "edgemaxx rank"]);
    }
    edgemaxx().arg("rank").arg(&run).assert().success();
    refused("seal", &["report.html: rests on another telemetry.jsonl", "edgemaxx report"]);

    let last = |text: &str| text.lines().last().unwrap().to_owned() + "\n";
    let quality = change("quality.jsonl", &|text| text.to_owned() + &last(text));
    refused("analyze", &["quality.jsonl: pair ", " is judged twice", "edgemaxx quality"]);
    fs::write(run.join("quality.jsonl"), quality.strip_suffix(&last(&quality)).unwrap()).unwrap();
    refused("analyze", &["quality.jsonl: pair ", " is not judged"]);
}

#[test]
fn days_are_chained_and_signers_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let playground = Playground::new(&candidate("quick", &["--latency-us", "2000"]));
    let day = |day: &str| {
        let out = folder.path().join(day);
        let mut run = edgemaxx();
        run.arg("run").arg(playground.contest()).args(["--quick", "--day", day, "--out"]).arg(&out);
        assert!(matches!(run.output().unwrap().status.code(), Some(0 | 3)));
        out
    };
    let (first, second) = (day("2026-11-21"), day("2026-11-22"));
    alice_in(&folder.path().join("seed"));
    let key = folder.path().join("seed");
    edgemaxx().arg("seal").arg(&first).assert().success();
    let (code, said) = failure(edgemaxx().arg("verify").arg(&first));
    assert!(code == 1 && said.contains("manifest.json: signed by nobody"), "{said}");
    edgemaxx().arg("verify").arg(&first).arg("--allow-unsigned").assert().success();

    edgemaxx().arg("seal").arg(&first).arg("--key").arg(&key).assert().success();
    let site = folder.path().join("site/2026-11-22");
    let mut seal = edgemaxx();
    seal.arg("seal").arg(&second).arg("--previous").arg(&first).arg("--key").arg(&key);
    seal.arg("--publish").arg(&site).assert().success();
    assert!(!site.join("origin.json").exists());
    edgemaxx()
        .arg("verify")
        .arg(&site)
        .args(["--hotkey", ALICE, "--previous"])
        .arg(&first)
        .assert()
        .success();
    let other = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";
    let (code, said) = failure(edgemaxx().arg("verify").arg(&site).args(["--hotkey", other]));
    assert!(code == 1 && said.contains("not by"), "{said}");
    // A day shown as another one proves nothing of that, in a folder or on a site.
    let replayed = folder.path().join("site/2026-11-23");
    copy_folder(&site, &replayed);
    let served = Site::of(&folder.path().join("site"));
    for shown in [replayed.display().to_string(), format!("{}/2026-11-23", served.url)] {
        let (code, said) = failure(edgemaxx().args(["verify", &shown, "--hotkey", ALICE]));
        assert!(code == 1 && said.contains("of the day 2026-11-22, which is shown as 2026-11-23"), "{said}");
    }
    // What is sealed keeps its seal; the day before, sealed anew, is another one.
    edgemaxx().arg("seal").arg(&first).arg("--key").arg(&key).assert().success();
    edgemaxx().arg("verify").arg(&site).arg("--previous").arg(&first).assert().success();
    fs::remove_file(first.join("manifest.json")).unwrap();
    edgemaxx().arg("seal").arg(&first).arg("--key").arg(&key).assert().success();
    let (code, said) = failure(edgemaxx().arg("verify").arg(&site).arg("--previous").arg(&first));
    assert!(code == 1 && said.contains("manifest.json: follows"), "{said}");
}

#[test]
fn a_run_is_made_again_and_reproduced() {
    let playground = Playground::new(&candidate("quick", &["--latency-us", "40000"]));
    playground.replace("contest.toml", "\"4000\"]", "\"80000\"]");
    let run = playground.measured("run");
    retime(&run, 1, |name| if name == "quick" { 0.5 } else { 1.0 });
    derive(&run);
    edgemaxx().arg("seal").arg(&run).assert().success();
    let verify = || {
        let mut verify = edgemaxx();
        verify.arg("verify").arg(&run).args(["--allow-unsigned", "--rerun", "12", "--json"]);
        verify.output().unwrap()
    };
    let output = verify();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let made = json["checks"].as_array().unwrap().iter().find(|c| c["what"] == "answers made again").unwrap();
    assert_eq!(made["verdict"], "passed", "{json}");
    assert_eq!(made["detail"], "12 of 12 bit for bit");

    let reproduce = |name: &str| {
        let mut reproduce = edgemaxx();
        reproduce.arg("reproduce").arg(&run).args(["--candidate", name, "--json"]);
        reproduce.output().unwrap()
    };
    let output = reproduce("quick");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(json["answers"]["identical"], json["answers"]["compared"]);
    // The mock waits 80 ms and 40 ms: about twice as fast, on whatever machine.
    let here = json["agreement"]["here"]["point"].as_f64().unwrap();
    assert!((1.2..3.0).contains(&here), "{here}");
    assert!(json["published_score"].as_f64().unwrap() > 0.5);
    let output = reproduce("nobody");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("it has control, quick"));
}
