//! Engines of others in contests of language models: servers on loopback, llama.cpp, transformers.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::{edgemaxx, failure, repository};
use crate::node::skipped;
use crate::text_contest::{TextContest, path};

/// Names a Python with torch and transformers.
const PYTHON: &str = "EDGEMAXX_DIFFUSERS_PYTHON";
/// Names a folder with llama.cpp's shared libraries, and a Python with numpy.
const LLAMA_CPP: &str = "EDGEMAXX_LLAMA_CPP";
/// Names SmolLM2-135M-Instruct.Q4_1.gguf.
const SMOLLM2: &str = "EDGEMAXX_SMOLLM2";

/// A candidate whose engine is a command, with the files that it needs.
fn candidate(name: &str, command: &[&str], files: &[&str], more: &str) -> String {
    format!(
        "[[candidate]]\nname = {name:?}\nengine = {{ command = {command:?}, files = {files:?} }}\n{more}\n"
    )
}

fn contest(folder: &Path, model: &str, weights: &str, class: &str, candidates: &str) -> std::path::PathBuf {
    let contest = TextContest {
        name: "others",
        request: "prompt_tokens = 24\nmax_new_tokens = 16\nignore_eos = true",
        model: model.to_owned(),
        baseline: &format!("generation = {{ weights = \"{weights}\" }}"),
        candidates,
        // Threads that wait for one another by spinning take minutes on a busy machine.
        measurement: "threads = 1",
        class,
        ..TextContest::default()
    };
    contest.write(folder)
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
    for speaks in ["text-only", "strict"] {
        let output = check("openai", speaks);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            !output.status.success() && said.contains("gives text without token ids"),
            "{speaks}: {said}"
        );
    }
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
    // It rounds what it multiplies to eight bits; of so few pairs only a wide bound can be proven.
    let entries = run(&contest(home.path(), &model, "stored", "4-bit", &candidates));
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

/// The story-teller's files in the name of Mistral, whose layout without a window is LLaMA's.
fn mistral(folder: &Path) -> String {
    let (stories, to) = (repository("fixtures/models/stories-llama"), folder.join("mistral"));
    fs::create_dir(&to).unwrap();
    for name in ["model.safetensors", "tokenizer.json"] {
        fs::copy(stories.join(name), to.join(name)).unwrap();
    }
    let config = fs::read_to_string(stories.join("config.json")).unwrap();
    fs::write(to.join("config.json"), config.replace("\"llama\"", "\"mistral\"")).unwrap();
    to.display().to_string()
}

/// What such a model lacks is told when it is planned, as it is of a LLaMA.
#[test]
fn a_model_of_another_layout_is_looked_at_when_planning() {
    let home = tempfile::tempdir().unwrap();
    let model = mistral(home.path());
    let engine = "engine = { native = \"candle-transformers\" }";
    let file = contest(
        home.path(),
        &model,
        "stored",
        "lossless",
        &format!("[[candidate]]\nname = \"again\"\n{engine}\n"),
    );
    let text = fs::read_to_string(&file).unwrap();
    let baseline = format!("checkpoint = \"{model}\"\n");
    fs::write(&file, text.replacen(&baseline, &format!("{baseline}{engine}\n"), 1)).unwrap();
    let plan = |out: &str| {
        let mut plan = edgemaxx();
        plan.arg("plan").arg(&file).arg("--out").arg(home.path().join(out));
        plan
    };
    plan("fits").assert().success();
    let config = Path::new(&model).join("config.json");
    let layers = fs::read_to_string(&config).unwrap();
    fs::write(&config, layers.replace("\"num_hidden_layers\": 7", "\"num_hidden_layers\": 8")).unwrap();
    let (code, said) = failure(&mut plan("lacks"));
    assert!(code == 2 && said.contains("baseline.checkpoint") && said.contains("model.layers.7"), "{said}");
}

#[test]
fn models_of_other_layouts_compete_without_python() {
    let home = tempfile::tempdir().unwrap();
    let (model, stories) = (mistral(home.path()), path("fixtures/models/stories-llama"));
    let engine = "engine = { native = \"candle-transformers\" }";
    let candidates = format!(
        "[[candidate]]\nname = \"built-in\"\ncheckpoint = \"{stories}\"\nengine = {{ native = true }}\n\
         [[candidate]]\nname = \"again\"\n{engine}\n\
         [[candidate]]\nname = \"guesses\"\n{engine}\ngeneration = {{ lookup = 4 }}\n"
    );
    let contest = contest(home.path(), &model, "stored", "lossless", &candidates);
    let text = fs::read_to_string(&contest).unwrap();
    let baseline = format!("checkpoint = \"{model}\"\n");
    fs::write(&contest, text.replacen(&baseline, &format!("{baseline}{engine}\n"), 1)).unwrap();
    // The judge is the same library's model, since the baseline is no LLaMA.
    let entries = run(&contest);
    let estimates: Value =
        serde_json::from_slice(&fs::read(home.path().join("run/estimates.json")).unwrap()).unwrap();
    for of in estimates["candidates"].as_array().unwrap().iter().filter(|of| of["name"] != "guesses") {
        let gates = of["gates"].as_array().unwrap();
        assert!(!gates.is_empty() && gates.iter().all(|gate| gate["passed"] == true), "{of}");
    }
    let guesses = entries.iter().find(|entry| entry["name"] == "guesses").unwrap();
    let reasons = guesses["reasons"].to_string();
    assert!(guesses["standing"] == "failed" && reasons.contains("generation.lookup"), "{guesses}");
    let page = fs::read_to_string(home.path().join("run/report.html")).unwrap();
    assert!(page.contains("built in (candle-transformers)"));

    let refused = |from: &str, to: &str, words: &str| {
        let text = fs::read_to_string(&contest).unwrap();
        assert!(text.contains(from), "{from}");
        let other = home.path().join("other.toml");
        fs::write(&other, text.replacen(from, to, 1)).unwrap();
        let mut plan = edgemaxx();
        let (code, said) = failure(plan.arg("plan").arg(&other).arg("--out").arg(home.path().join("no")));
        assert!(code == 2 && said.contains(words), "{words}: {said}");
    };
    refused(
        "\"candle-transformers\"",
        "\"onnx\"",
        "expected true or \"candle-transformers\", found \"onnx\"",
    );
    refused("kind = \"cpu\"", "kind = \"cuda\"", "where candle-transformers computes");
    refused("prompt_tokens = 24", "prompt_tokens = 600", "expected at most 512 tokens");
    refused("\"stored\"", "\"q8_0\"", "quantised ones come from a GGUF file");
    // Positions that it would get wrong are the built-in engine's.
    let config = fs::read_to_string(home.path().join("mistral/config.json")).unwrap();
    let scaled =
        config.replace("\"rope_scaling\": null", "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.0}");
    fs::write(home.path().join("mistral/config.json"), scaled).unwrap();
    refused("stored", "stored", "positions are scaled by the built-in engine only");
    let pictures = home.path().join("pictures.toml");
    let text = fs::read_to_string(repository("fixtures/contests/emoji-cpu.toml")).unwrap();
    let named = text.replacen("[baseline]\n", &format!("[baseline]\n{engine}\n"), 1);
    fs::write(&pictures, named).unwrap();
    let mut plan = edgemaxx();
    plan.arg("plan").arg(&pictures).arg("--base").arg(repository("fixtures/contests"));
    let (code, said) = failure(plan.arg("--out").arg(home.path().join("no")));
    assert!(code == 2 && said.contains("candle-transformers does not do the task picture"), "{said}");
}
