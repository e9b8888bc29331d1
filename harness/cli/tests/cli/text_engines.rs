//! Engines of others in contests of language models: servers on loopback, llama.cpp, transformers.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::{edgemaxx, repository};
use crate::node::skipped;

/// Names a Python with torch and transformers.
const PYTHON: &str = "EDGEMAXX_DIFFUSERS_PYTHON";
/// Names a folder with llama.cpp's shared libraries, and a Python with numpy.
const LLAMA_CPP: &str = "EDGEMAXX_LLAMA_CPP";
/// Names SmolLM2-135M-Instruct.Q4_1.gguf.
const SMOLLM2: &str = "EDGEMAXX_SMOLLM2";

fn path(relative: &str) -> String {
    repository(relative).canonicalize().unwrap().display().to_string()
}

/// A candidate whose engine is a command, with the files that it needs.
fn candidate(name: &str, command: &[&str], files: &[&str], more: &str) -> String {
    format!(
        "[[candidate]]\nname = {name:?}\nengine = {{ command = {command:?}, files = {files:?} }}\n{more}\n"
    )
}

fn contest(folder: &Path, model: &str, weights: &str, class: &str, candidates: &str) -> std::path::PathBuf {
    let text = format!(
        r#"
format = 1
name = "others"
task = "text"
[device]
kind = "cpu"
[request]
prompts = "{prompts}"
prompt_tokens = 24
max_new_tokens = 16
ignore_eos = true
[baseline]
checkpoint = "{model}"
generation = {{ weights = "{weights}" }}
{candidates}
[measurement]
sessions = 3
pairs = 5
warmup_min = 1
warmup_max = 1
threads = 2
load_timeout_s = 300
[quality]
class = "{class}"
"#,
        prompts = path("prompts/stories-v1.txt"),
    );
    let path = folder.join("contest.toml");
    fs::write(&path, text).unwrap();
    path
}

/// Runs a contest; the candidates' entries in the ranking.
fn run(contest: &Path) -> Vec<Value> {
    let out = contest.with_file_name("run");
    let output = edgemaxx()
        .arg("run")
        .arg(contest)
        .arg("--out")
        .arg(&out)
        .args(["--day", "2026-11-22"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let ranking = fs::read(out.join("ranking.json")).unwrap_or_else(|error| panic!("{error}: {said}"));
    let ranking: Value = serde_json::from_slice(&ranking).unwrap();
    ranking["entries"].as_array().unwrap().clone()
}

/// Every answer was as good as the gates ask for.
fn passes(entries: &[Value], name: &str) {
    let entry = entries.iter().find(|entry| entry["name"] == name).unwrap();
    let standing = entry["standing"].as_str().unwrap();
    assert!(["accepted", "not_faster"].contains(&standing), "{entry}");
}

#[test]
fn a_server_competes_where_it_gives_token_ids_and_is_refused_where_not() {
    let home = tempfile::tempdir().unwrap();
    let (engines, sdk, program) =
        (path("fixtures/engines"), path("harness/sdk/python"), env!("CARGO_BIN_EXE_edgemaxx"));
    let (endpoint, engine) = (format!("{engines}/endpoint.py"), format!("{sdk}/examples/openai_engine.py"));
    let files = [engines.as_str(), &sdk, program];
    let server = |name: &str, dialect: &str, speaks: &str| {
        let command =
            ["python3", &engine, dialect, "python3", &endpoint, speaks, program, "{checkpoint}", "{port}"];
        candidate(name, &command, &files, "generation = { weights = \"stored\" }")
    };
    let model = path("fixtures/models/stories-llama");
    let candidates =
        [server("vllm", "openai", "openai"), server("llama-server", "llama-server", "llama-server")].concat();
    let entries = run(&contest(home.path(), &model, "q8_0", "lossless", &candidates));
    passes(&entries, "vllm");
    passes(&entries, "llama-server");

    let check = |dialect: &str, speaks: &str| {
        let mut check = edgemaxx();
        check.args(["engine", "check", "--checkpoint"]).arg(&model).args(["--task", "text"]);
        for file in files {
            check.args(["--read", file]);
        }
        let command = [
            "--",
            "python3",
            &engine,
            dialect,
            "python3",
            &endpoint,
            speaks,
            program,
            "{checkpoint}",
            "{port}",
        ];
        check.args(command).output().unwrap()
    };
    let output = check("openai", "text-only");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("gives text without token ids"), "{said}");
}

#[test]
fn llama_cpp_competes_with_the_built_in_engine() {
    let (Some(libraries), Some(python), Some(model)) =
        (std::env::var_os(LLAMA_CPP), std::env::var_os(PYTHON), std::env::var_os(SMOLLM2))
    else {
        skipped(format_args!("set {LLAMA_CPP}, {PYTHON} and {SMOLLM2} to let llama.cpp compete"));
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let (libraries, python) = (libraries.to_string_lossy(), python.to_string_lossy());
    let checkpoint = home.path().join("smollm2");
    fs::create_dir(&checkpoint).unwrap();
    fs::copy(model, checkpoint.join("model.gguf")).unwrap();
    let sdk = path("harness/sdk/python");
    let engine = format!("{sdk}/examples/llama_cpp_engine.py");
    let mut files = python_files(&python);
    files.extend([sdk, libraries.to_string()]);
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let candidates = candidate("llama-cpp", &[&python, &engine, &libraries], &files, "");
    let model = checkpoint.display().to_string();
    let entries = run(&contest(home.path(), &model, "stored", "8-bit", &candidates));
    passes(&entries, "llama-cpp");
}

#[test]
fn transformers_competes_with_the_built_in_engine() {
    let Some(python) = std::env::var_os(PYTHON) else {
        skipped(format_args!(
            "set {PYTHON} to a Python with torch and transformers to let transformers compete"
        ));
        return;
    };
    let python = python.to_string_lossy();
    let home = tempfile::tempdir().unwrap();
    let sdk = path("harness/sdk/python");
    let engine = format!("{sdk}/examples/transformers_engine.py");
    let mut files = python_files(&python);
    files.push(sdk);
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let candidates = candidate("transformers", &[&python, &engine], &files, "");
    let model = path("fixtures/models/stories-llama");
    let entries = run(&contest(home.path(), &model, "f32", "lossless", &candidates));
    passes(&entries, "transformers");
}

/// A virtual environment, and the Python that it was made from.
fn python_files(python: &str) -> Vec<String> {
    let script = "import sys; print(sys.prefix); print(sys.base_prefix)";
    let output = Command::new(python).args(["-c", script]).output().expect(PYTHON);
    let all = String::from_utf8(output.stdout).unwrap();
    all.lines().filter(|line| *line != "/usr").map(str::to_owned).collect()
}
