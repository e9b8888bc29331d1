//! `verify` of an address: a day on a static site, fetched file by file, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::common::site::{Faults, Site};
use crate::common::{ALICE, alice, alice_in, copy_folder, edgemaxx, repository};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document as _;
use edgemaxx_seal::manifest::{MANIFEST_FILE, Manifest, SealedFile, Signature};
use edgemaxx_seal::sign::Signer as _;

/// The published example, sealed, on a site.
struct Published {
    folder: tempfile::TempDir,
    site: Site,
}

impl Published {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (run, seed) = (folder.path().join("run"), folder.path().join("seed"));
        copy_folder(&repository("reports/examples/emoji-cpu"), &run);
        alice_in(&seed);
        let days = folder.path().join("days");
        let mut seal = edgemaxx();
        seal.arg("seal").arg(&run).arg("--key").arg(&seed).arg("--publish").arg(days.join("first"));
        seal.assert().success();
        Self { site: Site::of(&days), folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("days/first").join(name)
    }

    fn manifest(&self) -> Manifest {
        Manifest::from_json(&fs::read_to_string(self.file(MANIFEST_FILE)).unwrap()).unwrap()
    }

    /// `first/…` of the manifest and of each file in it.
    fn everything(&self) -> Vec<String> {
        let files = self.manifest().files;
        let names = files.iter().map(|file| file.path.as_str());
        [MANIFEST_FILE].into_iter().chain(names).map(|name| format!("first/{name}")).collect()
    }

    fn verify(&self, below: &str, arguments: &[&str]) -> Output {
        let mut verify = edgemaxx();
        verify.arg("verify").arg(format!("{}/{below}", self.site.url)).args(arguments).output().unwrap()
    }

    /// A failure's exit code and words.
    fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.verify("first", arguments);
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn quality_of_a_published_run_asks_for_the_model_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    copy_folder(&repository("reports/examples/emoji-cpu"), &run);
    let output = edgemaxx().arg("quality").arg(&run).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let judged = fs::read_to_string(run.join("quality.jsonl")).unwrap();
    let header: serde_json::Value = serde_json::from_str(judged.lines().next().unwrap()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in ["--clip", "../models/emoji-clip", header["models"]["clip"].as_str().unwrap()] {
        assert!(said.contains(part), "{part}: {said}");
    }
    edgemaxx()
        .arg("quality")
        .arg(&run)
        .arg("--clip")
        .arg(repository("fixtures/models/emoji-clip"))
        .assert()
        .success();
    assert!(fs::read_to_string(run.join("quality.jsonl")).unwrap() == judged, "the same bytes");
}

#[test]
fn a_day_on_a_site_is_fetched_once_and_verifies() {
    let published = Published::new();
    let keep = published.folder.path().join("keep");
    // A site that is busy for a moment and cuts a file off is asked again.
    published.site.faults(Faults { refuse: 1, cut: Some("first/samples.jsonl") });
    let output = published.verify("first", &["--hotkey", ALICE, "--keep", keep.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("signed by 5Grwva") && said.contains("files recomputed, byte for byte"), "{said}");
    let mut asked = published.site.asked();
    assert_eq!(asked.len(), published.everything().len() + 2);
    asked.dedup();
    assert_eq!(asked, published.everything(), "the manifest, then what it lists, and nothing else");

    // What was kept is not fetched again, and is a run folder like any other.
    let kept = keep.join(published.manifest().day.to_string());
    fs::remove_file(kept.join("report.md")).unwrap();
    let output = published.verify("first/report.html", &["--json", "--keep", keep.to_str().unwrap()]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["verified"], true, "{json}");
    assert_eq!(published.site.asked(), ["first/manifest.json", "first/report.md"]);
    assert!(kept.join("samples.jsonl").is_file() && !kept.join("origin.json").exists());
}

#[test]
fn what_the_site_holds_otherwise_is_named_and_nothing_behind_it_fetched() {
    let published = Published::new();
    let whole = fs::read(published.file("plan.json")).unwrap();
    let differs = |content: Option<&[u8]>, words: &str| {
        match content {
            Some(content) => fs::write(published.file("plan.json"), content).unwrap(),
            None => fs::remove_file(published.file("plan.json")).unwrap(),
        }
        let (code, said) = published.refused(&[]);
        assert_eq!((code, said.contains(words)), (1, true), "{said}");
        assert_eq!(published.site.asked().last().map(String::as_str), Some("first/plan.json"));
    };
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    differs(Some(&flipped), "files: plan.json: altered");
    differs(Some(&[&whole[..], b"more"].concat()), "files: plan.json: altered");
    differs(Some(&whole[..whole.len() / 2]), "files: plan.json: altered");
    differs(None, "files: plan.json: missing");

    let text = fs::read_to_string(published.file(MANIFEST_FILE)).unwrap();
    fs::write(published.file(MANIFEST_FILE), text.replacen("\"bytes\": ", "\"bytes\": 1", 1)).unwrap();
    let (code, said) = published.refused(&[]);
    assert_eq!((code, said.contains("signature: manifest.json: ")), (1, true), "{said}");
    assert_eq!(published.site.asked(), ["first/manifest.json"], "nobody stands for the rest");
    fs::write(published.file(MANIFEST_FILE), text).unwrap();
    let (code, said) = published.refused(&["--hotkey", "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"]);
    assert_eq!((code, said.contains("not by 5FHneW")), (1, true), "{said}");
    assert_eq!(published.site.asked(), ["first/manifest.json"]);
}

#[test]
fn what_cannot_be_fetched_is_said_with_its_exit_code() {
    let published = Published::new();
    let code = |below: &str, arguments: &[&str], words: &str| {
        let output = published.verify(below, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(words), "{said}");
        output.status.code().unwrap()
    };
    assert_eq!(code("nothing", &[], "no manifest.json there; expected the address of a sealed day"), 2);
    assert_eq!(code("first?x=1", &[], "without query or user"), 2);
    assert_eq!(code("first", &["--max-gib", "0"], "--max-gib allows for 0.0"), 2);
    published.site.faults(Faults { refuse: 1000, cut: None });
    assert_eq!(code("first", &[], "the site answered 503"), 5);
    let mut nobody = edgemaxx();
    nobody.args(["verify", "http://127.0.0.1:9/first"]).assert().code(5);
    let mut folder = edgemaxx();
    folder.arg("verify").arg(published.file("")).args(["--keep", "x"]).assert().code(2);
}

/// Whoever signs may still be a stranger: his manifest must not reach beyond the folder.
#[test]
fn a_manifest_cannot_write_outside_its_folder() {
    let published = Published::new();
    let key = alice();
    let outside = published.folder.path().join("days/outside.json");
    fs::write(&outside, "{}").unwrap();
    for path in [
        "../outside.json",
        "/tmp/outside.json",
        "artefacts/../../outside.json",
        "origin.json",
        "manifest.json",
    ] {
        let file = SealedFile { path: path.to_owned(), bytes: 2, digest: Digest::of("{}") };
        let mut manifest =
            Manifest { files: vec![file], plan: None, signature: None, ..published.manifest() };
        let signature: [u8; 64] = key.sign(manifest.signed_bytes().as_bytes());
        manifest.signature = Some(Signature {
            scheme: "sr25519".to_owned(),
            hotkey: key.hotkey(),
            signature: signature.map(|byte| format!("{byte:02x}")).concat(),
        });
        fs::write(published.file(MANIFEST_FILE), manifest.to_json()).unwrap();
        let keep = tempfile::tempdir().unwrap();
        let (code, said) = published.refused(&["--keep", keep.path().join("in").to_str().unwrap()]);
        assert_eq!((code, said.contains("no path of a run")), (1, true), "{path}: {said}");
        assert_eq!(published.site.asked(), ["first/manifest.json"], "{path}");
        assert_eq!(names(keep.path()), ["in"], "{path}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
