//! Contests of language models: from the file to the report, with the built-in engine and the tiny story-teller.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

use serde_json::Value;

use crate::common::{copy_folder, edgemaxx, failure, repository};
use crate::text_contest::{self, TextContest};

/// A contest with these candidates, in a folder of its own.
fn contest(folder: &Path, request: &str, candidates: &str) -> PathBuf {
    let request = format!("prompt_tokens = 60\n{request}");
    TextContest { request: &request, candidates, warmups: 2, ..TextContest::default() }.write(folder)
}

/// A run of the same plan whenever it is made; which tokens come does not depend on the machine.
fn run_of(contest: &Path, out: &Path) -> Command {
    let mut command = edgemaxx();
    command.arg("run").arg(contest).arg("--out").arg(out).args(["--day", "2026-11-22"]);
    command
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

const TWO_KINDS: &str = r#"max_new_tokens = 8
ignore_eos = true
[[request.stratum]]
name = "prefill"
[[request.stratum]]
name = "decode"
prompt_tokens = 8
max_new_tokens = { least = 10, most = 12 }"#;

const CANDIDATES: &str = r#"
[[candidate]]
name = "int8"
generation = { weights = "q8_0" }
[[candidate]]
name = "lookup"
generation = { lookup = 4 }
[[candidate]]
name = "wrong-rope"
generation = { rope_factor = 4.0 }
"#;

#[test]
fn a_language_contest_goes_from_file_to_report() {
    let home = tempfile::tempdir().unwrap();
    let contest = contest(home.path(), TWO_KINDS, CANDIDATES);
    let run = home.path().join("run");
    let output = run_of(&contest, &run).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");

    let plan = json(&run.join("plan.json"));
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for request in plan["requests"].as_array().unwrap() {
        let ask = &request["ask"];
        let kind = ask["stratum"].as_str().unwrap();
        *kinds.entry(kind).or_default() += 1;
        let (read, new) =
            (ask["prompt_ids"].as_array().unwrap().len(), ask["max_new_tokens"].as_u64().unwrap());
        match kind {
            "prefill" => assert!(read == 60 && new == 8, "{ask}"),
            _ => assert!(read == 8 && (10..=12).contains(&new), "{ask}"),
        }
    }
    assert_eq!(kinds, [("prefill", 9), ("decode", 8)].into(), "shares of 3 · 5 + 2 requests");

    let estimates = json(&run.join("estimates.json"));
    let of = |name: &str| {
        let mut all = estimates["candidates"].as_array().unwrap().iter();
        all.find(|candidate| candidate["name"] == name).unwrap_or_else(|| panic!("{name}"))
    };
    let passed = |name: &str| of(name)["gates"].as_array().unwrap().iter().all(|gate| gate["passed"] == true);
    assert!(passed("int8") && passed("lookup") && passed("control"), "{estimates}");
    assert!(!passed("wrong-rope"));
    for name in ["int8", "lookup", "control"] {
        let streaming = &of(name)["streaming"];
        for time in ["first", "next", "gap_p50", "gap_p99"] {
            assert!(streaming[time]["ratio"]["point"].as_f64().unwrap() > 0.0, "{name}: {time}");
        }
        let kinds: Vec<&str> =
            of(name)["kinds"].as_array().unwrap().iter().map(|kind| kind["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["decode", "prefill"]);
    }

    // Guesses that are kept only where the model says the same change no token, and come several at a time.
    let quality = fs::read_to_string(run.join("quality.jsonl")).unwrap();
    let guessed: Vec<Value> = quality
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["candidate"] == "lookup")
        .collect();
    assert_eq!(guessed.len(), 15);
    assert!(guessed.iter().all(|record| record["baseline_answer"] == record["candidate_answer"]));

    let samples = fs::read_to_string(run.join("samples.csv")).unwrap();
    let header = samples.lines().next().unwrap();
    assert!(header.ends_with(",kind,units,first_ms,unit_ms"), "{header}");
    assert!(samples.contains(",decode,1") && samples.contains(",prefill,8.0,"), "{samples}");
    let parts = fs::read_to_string(run.join("parts.csv")).unwrap();
    assert!(parts.starts_with("session,candidate,side,phase,index,request,part,units,at_ms\n"), "{parts}");
    assert!(parts.lines().count() > 500);
    assert!(run.join("parts.parquet").metadata().unwrap().len() > 0);

    let page = fs::read_to_string(run.join("report.html")).unwrap();
    for shown in [
        "first difference",
        "Latency for each token",
        "Tokens per second",
        "Prefill: to the first part",
        "Latency against length",
        "class=\"margins\"",
    ] {
        assert!(page.contains(shown), "{shown}");
    }

    // Anybody derives it again: with the baseline, its judgements too; without it, all the rest, the plan by its own word
    // for the tokens of its prompts.
    edgemaxx().arg("seal").arg(&run).assert().success();
    for here in [true, false] {
        if !here {
            fs::remove_file(run.join("origin.json")).unwrap();
        }
        let output =
            edgemaxx().arg("verify").arg(&run).args(["--allow-unsigned", "--json"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("drawn again from"), "{said}");
        assert_eq!(said.contains("60 pairs judged again"), here, "{said}");
    }
    // One token of one answer is another: its digest says so.
    let artefact = fs::read_dir(run.join("artefacts")).unwrap().next().unwrap().unwrap().path();
    let ids: Vec<u32> = serde_json::from_slice(&fs::read(&artefact).unwrap()).unwrap();
    fs::write(&artefact, serde_json::to_vec(&ids.iter().map(|id| id ^ 1).collect::<Vec<_>>()).unwrap())
        .unwrap();
    let (code, said) = failure(
        edgemaxx()
            .arg("quality")
            .arg(&run)
            .arg("--baseline")
            .arg(repository("fixtures/models/stories-llama")),
    );
    assert!(code == 2 && said.contains("its content has digest"), "{said}");
}

#[test]
fn sampled_with_the_same_noise_every_engine_says_the_same() {
    let home = tempfile::tempdir().unwrap();
    let request = "max_new_tokens = [6, 9]\ndecoding = { sampled = { temperature = 0.8 } }";
    let contest =
        contest(home.path(), request, "[[candidate]]\nname = \"lookup\"\ngeneration = { lookup = 4 }\n");
    let run = home.path().join("run");
    let output = run_of(&contest, &run).arg("--quick").output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", String::from_utf8_lossy(&output.stderr));
    let estimates = json(&run.join("estimates.json"));
    for candidate in estimates["candidates"].as_array().unwrap() {
        let gates = candidate["gates"].as_array().unwrap();
        let change = gates.iter().find(|gate| gate["metric"] == "agreement_change").unwrap();
        assert!(change["bound"]["point"] == 0.0 && change["passed"] == true, "{candidate}");
        assert_eq!(candidate["similarity"]["point"], 1.0, "the baseline's model would have sampled the same");
    }
}

#[test]
fn what_cannot_be_asked_is_said_before_anything_is_measured() {
    let home = tempfile::tempdir().unwrap();
    let refused = |request: &str, candidates: &str, words: &str| {
        let contest = contest(home.path(), request, candidates);
        let (code, said) =
            failure(edgemaxx().arg("plan").arg(&contest).arg("--out").arg(home.path().join("no")));
        assert!(code == 2 && said.contains(words), "{words}: {said}");
    };
    let one = "[[candidate]]\nname = \"a\"\ngeneration = { weights = \"q8_0\" }\n";
    refused("max_new_tokens = 500", one, "request.prompt_tokens: expected at most 512 tokens");
    refused("max_new_tokens = 0", one, "request.max_new_tokens: expected a value from 1 to 16384, found 0");
    refused(
        "max_new_tokens = \"many\"",
        one,
        "expected a number of tokens, { least, most }, or a list of numbers",
    );
    refused("max_new_tokens = 8\nwidth = 64", one, "unknown field `width`");
    refused(
        "max_new_tokens = 8\ndecoding = { sampled = { temperature = 0.0 } }",
        one,
        "decoding.sampled.temperature",
    );
    let derived = "[[candidate]]\nname = \"a\"\nderive = \"int8\"\n";
    refused("max_new_tokens = 8", derived, "derive: expected none for texts");
    let three_bits = "[[candidate]]\nname = \"a\"\ngeneration = { weights = \"q3_k\" }\n";
    refused("max_new_tokens = 8", three_bits, "unknown variant `q3_k`");

    let path = contest(home.path(), "max_new_tokens = 8", one);
    let text = fs::read_to_string(&path).unwrap();
    let change = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replace(from, to)).unwrap();
        failure(edgemaxx().arg("plan").arg(&path).arg("--out").arg(home.path().join("no"))).1
    };
    let said = change("pairs = 5", "pairs = 50");
    assert!(said.contains("114 prompts, but a run asks 152, each once"), "{said}");
    let said = change("class = \"4-bit\"", "class = \"9-bit\"");
    assert!(said.contains("quality.class: expected \"lossless\" or \"8-bit\" or \"4-bit\""), "{said}");
    let endless = home.path().join("endless");
    copy_folder(&repository("fixtures/models/stories-llama"), &endless);
    let config = fs::read_to_string(endless.join("config.json")).unwrap();
    assert!(config.contains("\"eos_token_id\": 0"), "{config}");
    fs::write(endless.join("config.json"), config.replace("\"eos_token_id\": 0", "\"eos_token_id\": null"))
        .unwrap();
    let model = text_contest::path("fixtures/models/stories-llama");
    let said = change(&model, &endless.display().to_string());
    assert!(said.contains("no token that ends a text") && said.contains("ignore_eos = true"), "{said}");

    // Half as wide, the same tensors are twice as many heads.
    let narrow = home.path().join("narrow");
    copy_folder(&repository("fixtures/models/stories-llama"), &narrow);
    let mut config = json(&narrow.join("config.json"));
    config["head_dim"] = 16.into();
    for heads in ["num_attention_heads", "num_key_value_heads"] {
        config[heads] = (config[heads].as_u64().unwrap() * 2).into();
    }
    fs::write(narrow.join("config.json"), config.to_string()).unwrap();
    let narrow = narrow.display().to_string();
    let said = change(
        "generation = { weights = \"q8_0\" }",
        &format!("checkpoint = {narrow:?}\ngeneration = {{ cache = \"q8_0\" }}"),
    );
    let words = "`cache`: found Q8_0 of heads of 16";
    assert!(
        said.contains("\"a\" cannot answer, and will be ranked as failed") && said.contains(words),
        "{said}"
    );
    fs::remove_dir_all(home.path().join("no")).unwrap();

    let alike = home.path().join("alike.txt");
    let lines: String =
        (0..40).map(|n| format!("The same long beginning of all prompts, then {n}\n")).collect();
    fs::write(&alike, lines).unwrap();
    let prompts = text_contest::path("prompts/stories-v1.txt");
    let said = change(&prompts, &alike.display().to_string());
    assert!(
        said.contains("begin with the same") && said.contains("prompts must begin differently"),
        "{said}"
    );
}

#[test]
fn the_built_in_engine_passes_its_own_examination() {
    let model = repository("fixtures/models/stories-llama");
    let mut check = edgemaxx();
    check
        .args(["engine", "check", "--checkpoint"])
        .arg(&model)
        .args(["--json", "--", "edgemaxx", "engine", "candle"]);
    let output = check.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("\"repeated request\"")
            && said.contains("longest prompt")
            && said.contains("of 16 positions; 100% of its answer come first in them"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!said.contains("\"bad\""), "{said}");
}
