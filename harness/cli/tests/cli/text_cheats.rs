//! Engines of texts that cheat, as processes behind the protocol: what each saves it really saves, and earns nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::{copy_folder, edgemaxx, repository};
use crate::text_contest::{TextContest, path};

/// A candidate of `fixtures/engines/texts.py`.
fn engine(name: &str) -> String {
    format!(
        "[[candidate]]\nname = {name:?}\n\
         engine = {{ command = [\"python3\", \"fixtures/engines/texts.py\", {name:?}, \"edgemaxx\"], \
         files = [\"fixtures/engines\", \"harness/sdk/python\", \"edgemaxx\"] }}\n"
    )
}

const STRATA: &str = r#"
[[request.stratum]]
name = "prefill"
prompt_tokens = 128
max_new_tokens = 16
[[request.stratum]]
name = "decode"
prompt_tokens = 24
max_new_tokens = 32
"#;

/// What became of every candidate, and why; and the run's estimates.
fn run(request: &str, names: &[&str]) -> (BTreeMap<String, (String, String)>, Value) {
    run_with_gates("", request, names)
}

/// The same, with gates beside those of the class.
fn run_with_gates(gates: &str, request: &str, names: &[&str]) -> (BTreeMap<String, (String, String)>, Value) {
    let home = tempfile::tempdir().unwrap();
    let candidates: String = names.iter().map(|name| engine(name)).collect();
    let request = format!("{request}\n{STRATA}");
    let contest = TextContest {
        name: "cheats",
        request: &request,
        candidates: &candidates,
        pairs: 9,
        measurement: "threads = 1",
        class: "8-bit",
        more: gates,
        ..TextContest::default()
    };
    let file = contest.write(home.path());
    // What is drawn follows from the contest's words: they name no folder of this machine.
    let mut words = fs::read_to_string(&file).unwrap();
    for place in ["fixtures/engines", "fixtures/models/stories-llama", "harness/sdk/python", "prompts"] {
        copy_folder(&repository(place), &home.path().join(place));
        words = words.replace(&path(place), place);
    }
    let program = (env!("CARGO_BIN_EXE_edgemaxx"), home.path().join("edgemaxx"));
    fs::hard_link(program.0, &program.1).or_else(|_| fs::copy(program.0, &program.1).map(drop)).unwrap();
    fs::write(&file, words).unwrap();
    let out = home.path().join("run");
    let mut command = edgemaxx();
    command.arg("run").arg(&file).arg("--out").arg(&out).args(["--day", "2026-11-22"]);
    // Answers follow from the prompts that this draws; by another one, who keeps eight bits misses its class once in a while.
    command.args(["--entropy", "0x05"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3 | 4)), "{said}");
    let json = |name: &str, out: &Path| -> Value {
        serde_json::from_slice(&fs::read(out.join(name)).unwrap_or_else(|e| panic!("{name}: {e}: {said}")))
            .unwrap()
    };
    let ranking = json("ranking.json", &out);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let entries = ranking["entries"].as_array().unwrap().iter();
    let standings =
        entries.map(|e| (text(&e["name"]), (text(&e["standing"]), e["reasons"].to_string()))).collect();
    (standings, json("estimates.json", &out))
}

/// What was estimated of a candidate.
fn estimated<'a>(estimates: &'a Value, name: &str) -> &'a Value {
    let candidates = estimates["candidates"].as_array().unwrap();
    candidates.iter().find(|candidate| candidate["name"] == name).unwrap()
}

/// Holds every candidate to what it should come to; words of the reason are looked for.
fn check(standings: &BTreeMap<String, (String, String)>, expected: &[(&str, &[&str], &str)]) {
    let wrong = expected.iter().filter(|(name, standing, words)| {
        let (found, reasons) = &standings[*name];
        !standing.contains(&found.as_str()) || !reasons.contains(words)
    });
    let wrong: Vec<_> = wrong.map(|(name, ..)| (name, &standings[*name])).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Nothing against it but its speed, which is the machine's affair.
const FINE: &[&str] = &["accepted", "not_faster"];
const REJECTED: &[&str] = &["rejected_quality"];
const FAILED: &[&str] = &["failed"];
/// What it saved on is not what is scored; whether it is proven to have saved depends on how busy the machine is.
const UNPAID: &[&str] = &["failed", "not_faster"];

#[test]
fn who_saves_work_it_should_have_done_earns_nothing() {
    let expected: &[(&str, &[&str], &str)] = &[
        ("honest", FINE, ""),
        ("eight-bits", FINE, ""),
        ("cache-of-eight-bits", FINE, ""),
        ("burst", FINE, ""),
        ("works-while-idle", FINE, ""),
        ("four-bits", REJECTED, "agreement_change"),
        ("cache-of-four-bits", REJECTED, "agreement"),
        ("wrong-rope", REJECTED, "agreement_change"),
        ("worse-on-short-prompts", REJECTED, "agreement"),
        ("padded-with-ends", REJECTED, "agreement_change"),
        ("padded-with-itself", REJECTED, "agreement_change"),
        ("first-token-guessed", REJECTED, "first_agreement_change"),
        ("half-of-the-prompt", REJECTED, "agreement_change"),
        ("stale-prefix", REJECTED, "agreement_change"),
        ("stale-graph", FAILED, "got the same answer"),
        ("one-answer", FAILED, "got the same answer"),
        ("from-memory", UNPAID, ""),
        ("ends-early", FAILED, "were asked for"),
        ("empty-first-part", FAILED, "has no `ids`"),
        ("no-such-token", FAILED, "none of the vocabulary"),
    ];
    let names: Vec<&str> = expected.iter().map(|(name, ..)| *name).collect();
    let (standings, estimates) = run("prompt_tokens = 128\nmax_new_tokens = 32\nignore_eos = true", &names);
    check(&standings, expected);
    // What is held back and sent at once has no time between its parts, which a limit would find.
    let burst = estimated(&estimates, "burst");
    assert!(burst["streaming"]["first"].is_object() && burst["streaming"]["gap_p50"].is_null(), "{burst}");
}

#[test]
fn who_samples_otherwise_than_asked_earns_nothing() {
    let expected: &[(&str, &[&str], &str)] = &[
        ("honest", FINE, ""),
        ("sharper", REJECTED, "agreement"),
        ("noise-left-out", REJECTED, "agreement_change"),
        ("noise-of-its-own", REJECTED, "agreement_change"),
        ("ends-early", FAILED, "the last of which ends no text"),
    ];
    let names: Vec<&str> = expected.iter().map(|(name, ..)| *name).collect();
    let request = "prompt_tokens = 128\nmax_new_tokens = 32\ndecoding = { sampled = { temperature = 0.8 } }";
    check(&run(request, &names).0, expected);
}

/// Gates on what engines say of texts that they need not have written: who says nothing, or what cannot be, has proven nothing.
#[test]
fn gates_on_scores_are_met_by_scores_alone() {
    let gates = r#"
[[quality.gate]]
metric = "kl_change"
at_most = 0.02
reason = "more than eight bits cost"
[[quality.gate]]
metric = "own_choice_change"
at_least = -0.05
reason = "who scores is who answers"
"#;
    let expected: &[(&str, &[&str], &str)] = &[
        ("honest", FINE, ""),
        // Whether it meets its class with so few pairs depends on the prompts that are drawn, which differ from those above.
        ("eight-bits", &["accepted", "not_faster", "rejected_quality"], ""),
        ("does-not-score", REJECTED, "does not score"),
        ("dies-when-scored", REJECTED, "died"),
        ("sums-beyond-one", REJECTED, "sum to"),
        ("scored-by-another", REJECTED, "own_choice_change"),
    ];
    let names: Vec<&str> = expected.iter().map(|(name, ..)| *name).collect();
    let request = "prompt_tokens = 128\nmax_new_tokens = 32\nscored = 16\nignore_eos = true";
    let (standings, estimates) = run_with_gates(gates, request, &names);
    check(&standings, expected);
    let divergence = |name: &str| {
        let gates = estimated(&estimates, name)["gates"].as_array().unwrap();
        let gate = gates.iter().find(|gate| gate["metric"] == "kl_change").unwrap();
        gate["bound"]["point"].as_f64()
    };
    assert_eq!(divergence("honest"), Some(0.0));
    assert!(divergence("eight-bits").unwrap() > 0.0);
    assert_eq!(divergence("does-not-score"), None);
}
