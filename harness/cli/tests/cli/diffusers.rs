//! PyTorch's diffusers and the built-in engine, both behind the protocol, in one contest.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{edgemaxx, repository};
use crate::node::skipped;
use serde_json::Value;

/// Names a Python with torch, transformers and diffusers.
const VARIABLE: &str = "EDGEMAXX_DIFFUSERS_PYTHON";

#[test]
#[allow(clippy::print_stderr)]
fn diffusers_and_the_built_in_engine_agree_and_compete() {
    let Ok(python) = std::env::var(VARIABLE) else {
        skipped(format_args!(
            "set {VARIABLE} to a Python with torch, transformers and diffusers to run this test"
        ));
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    fs::write(folder.path().join("prompts.txt"), "a red apple\na dog on a pink background\na blue house\n")
        .unwrap();
    fs::write(folder.path().join("contest.toml"), contest(&python)).unwrap();
    edgemaxx().arg("run").arg(folder.path().join("contest.toml")).arg("--out").arg(&out).assert().success();

    let mut pairs: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for line in fs::read_to_string(out.join("samples.jsonl")).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let Some(image) = record["outcome"]["answered"]["answer"].as_str() else { continue };
        if record["phase"]["measured"].is_null() || !sessions_of_diffusers(&out, &record["session"]) {
            continue;
        }
        let rgb = image::open(out.join(format!("artefacts/{image}.png"))).unwrap().into_rgb8().into_raw();
        let pair = format!("{} {}", record["session"], record["phase"]);
        pairs.entry(pair).or_default().insert(record["side"].to_string(), rgb);
    }
    assert_eq!(pairs.len(), 4, "two sessions of two pairs");
    for (pair, pictures) in &pairs {
        let [one, other] = pictures.values().collect::<Vec<_>>()[..] else { panic!("{pair}: two sides") };
        let near = one.iter().zip(other).filter(|(a, b)| a.abs_diff(**b) <= 1).count();
        let share = near as f64 / one.len() as f64;
        eprintln!("pair {pair}: {:.3}% of values differ by at most 1", 100.0 * share);
        assert!(share >= 0.999, "{pair}: {share}");
    }
    let ranking: Value = serde_json::from_slice(&fs::read(out.join("ranking.json")).unwrap()).unwrap();
    let diffusers = ranking["entries"].as_array().unwrap().iter().find(|e| e["name"] == "diffusers").unwrap();
    eprintln!("diffusers: {} {}", diffusers["standing"], diffusers["reasons"]);
    assert!(
        diffusers["speedup_lower"].is_f64() && diffusers["standing"] != "rejected_quality",
        "{diffusers}"
    );
}

fn sessions_of_diffusers(out: &Path, session: &Value) -> bool {
    let plan: Value = serde_json::from_slice(&fs::read(out.join("plan.json")).unwrap()).unwrap();
    plan["sessions"][session.as_u64().unwrap() as usize]["candidate"] == "diffusers"
}

fn contest(python: &str) -> String {
    // A virtual environment, and the Python it was made from.
    let script = "import sys; print(sys.prefix); print(sys.base_prefix)";
    let output = Command::new(python).args(["-c", script]).output().expect(VARIABLE);
    let sdk = repository("harness/sdk/python").canonicalize().unwrap();
    let mut files: Vec<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    files.push(sdk.display().to_string());
    let engine = sdk.join("examples/diffusers_engine.py");
    let model = repository("fixtures/models/emoji-sdxl").canonicalize().unwrap();
    format!(
        r#"
        format = 1
        name = "two-engines"
        [device]
        kind = "cpu"
        [request]
        prompts = "prompts.txt"
        width = 64
        height = 64
        [baseline]
        checkpoint = {model:?}
        generation = {{ steps = 20, guidance_scale = 5.0 }}
        [[candidate]]
        name = "diffusers"
        engine = {{ command = [{python:?}, {engine:?}], files = {files:?} }}
        [measurement]
        sessions = 2
        pairs = 2
        warmup_max = 1
        threads = 2
        load_timeout_s = 300
        [quality]
        gate = [{{ metric = "ssim_gray", at_least = 0.99, reason = "the same pictures" }}]
        [score]
        similarity = "ssim-gray"
        "#
    )
}
