//! Engines that answer from memory what is on a public list (`fixtures/engines/zoo.py`), in a whole run.

use std::fs;

use serde_json::Value;

use crate::common::{Playground, candidate, failure, repository};

/// Seconds that an honest answer takes.
const HONEST: &str = "0.2";

/// A candidate of the zoo.
fn zoo(name: &str) -> String {
    let folder = |relative: &str| repository(relative).canonicalize().unwrap().display().to_string();
    let (engines, sdk) = (folder("fixtures/engines"), folder("harness/sdk/python"));
    format!(
        "[[candidate]]\nname = {name:?}\n\
         engine = {{ command = [\"python3\", \"{engines}/zoo.py\", {name:?}, {HONEST:?}], files = [{engines:?}, {sdk:?}] }}\n"
    )
}

#[test]
fn who_remembers_prompts_is_named_however_he_does_it() {
    let memories = ["memory-seed", "memory-mean", "memory-nearest", "memory-first", "memory-either"];
    let honest = candidate("honest", &["--latency-us", "100000"]);
    let candidates: Vec<String> = memories.into_iter().map(zoo).chain([honest, zoo("computed")]).collect();
    let ground = Playground::new(&candidates.concat());
    ground.replace("contest.toml", "\"4000\"]", "\"200000\"]");
    ground.replace(
        "contest.toml",
        "pairs = 3\nwarmup_max = 3",
        "pairs = 4\ntwins = 2\nblock = 7\nwarmup_max = 1",
    );
    ground.replace(
        "contest.toml",
        "load_timeout_s = 5\nrequest_timeout_s = 2",
        "load_timeout_s = 60\nrequest_timeout_s = 60",
    );
    // No gate on likeness tells memory from drawing: what is asked twice does.
    ground.replace("contest.toml", "at_least = 0.5", "at_least = -1.0");
    let (code, message) = failure(&mut ground.run("out"));
    assert_eq!(code, 4, "{message}");
    let ranking: Value = serde_json::from_slice(&fs::read(ground.path("out/ranking.json")).unwrap()).unwrap();
    let of = |name: &str| {
        let entry =
            ranking["entries"].as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap();
        (entry["standing"].as_str().unwrap().to_owned(), entry["reasons"].to_string())
    };
    for name in ["honest", "computed"] {
        assert!(["accepted", "not_faster"].contains(&of(name).0.as_str()), "{name}: {:?}", of(name));
    }
    let noise = "its answers differ as the baseline's do by ";
    let pace = "it took another time by more than 10% ";
    for (name, words) in memories.into_iter().zip([noise, noise, noise, pace, pace]) {
        let (standing, reasons) = of(name);
        assert!(standing == "failed" && reasons.contains(words), "{name}: {standing} {reasons}");
    }
}
