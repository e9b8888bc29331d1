//! Engines that cheat within the protocol, in a whole run.
//!
//! A file of its own: one of them would keep a core busy, which tests beside it would feel.

use std::fs;

use crate::common::{Playground, candidate, failure, repository};

/// The standing and the reasons of every candidate.
fn standings(ground: &Playground) -> std::collections::BTreeMap<String, (String, String)> {
    let ranking: serde_json::Value =
        serde_json::from_slice(&fs::read(ground.path("out/ranking.json")).unwrap()).unwrap();
    let entries = ranking["entries"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    entries.map(|e| (text(&e["name"]), (text(&e["standing"]), e["reasons"].to_string()))).collect()
}

#[test]
fn cheats_earn_nothing_and_are_named() {
    let candidates = [
        candidate("fast", &["--latency-us", "30000"]),
        candidate("caches", &["--latency-us", "30000", "--cheat", "cache"]),
        candidate("one-answer", &["--latency-us", "30000", "--cheat", "one-answer"]),
        candidate("remembers", &["--latency-us", "30000", "--cheat", "remembers", "--noise", "9"]),
        candidate("busy", &["--latency-us", "30000", "--cheat", "busy"]),
    ];
    let ground = Playground::new(&candidates.concat());
    ground.replace("contest.toml", "\"4000\"]", "\"40000\"]");
    ground.replace("contest.toml", "pairs = 3\nwarmup_max = 3", "pairs = 2\ntwins = 1\nwarmup_max = 2");
    ground.replace("contest.toml", "at_least = 0.5", "at_least = -1.0");
    let (code, message) = failure(&mut ground.run("out"));
    assert_eq!(code, 4, "{message}");
    assert!(message.contains("failed an honesty check: ") && !message.contains("could not be"), "{message}");
    let standings = standings(&ground);
    // On a busy machine it may not be proven faster; it must never look like a cheat.
    for honest in ["fast", "busy"] {
        assert!(["accepted", "not_faster"].contains(&standings[honest].0.as_str()), "{standings:?}");
    }
    for (name, words) in [
        ("caches", "answered from memory"),
        ("one-answer", "got the same answer"),
        ("remembers", "asked the same under two noises, its answers differ as the baseline's do by "),
    ] {
        let (standing, reasons) = &standings[name];
        assert!(standing == "failed" && reasons.contains(words), "{name}: {standing} {reasons}");
    }
    let page = fs::read_to_string(ground.path("out/report.html")).unwrap();
    for words in ["dishonest: took", "good: took", "dishonest: requests"] {
        assert!(page.contains(words), "{words}");
    }
    // Who would work in the other side's time cannot: it rests.
    assert!(!page.contains("dishonest: busy") && !page.contains("doubtful: busy"), "{standings:?}");
}

/// An engine that has the answers already is sooner there than any that computes them from its checkpoint.
#[test]
fn answers_that_nobody_could_have_computed_are_found_out() {
    let ground = Playground::new(&candidate("instant", &["--latency-us", "20"]));
    let model = format!("checkpoint = {:?}", repository("fixtures/models/emoji-sdxl"));
    ground.replace("contest.toml", "checkpoint = \"model\"", &model);
    // What is asked takes a fraction of what the baseline waits, and at the lowest precision still many times what the candidate
    // does. Tiles of bytes make that precision so fast that more must be asked.
    let tiles = fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains("amx_int8"));
    let (asked, waits) = match tiles {
        true => ("steps = 25, guidance_scale = 5.0", "\"1800000\""),
        false => ("steps = 12, guidance_scale = 5.0", "\"1200000\""),
    };
    ground.replace("contest.toml", "steps = 20, guidance_scale = 5.0", asked);
    ground.replace("contest.toml", "\"4000\"", waits);
    ground.replace("contest.toml", "request_timeout_s = 2", "request_timeout_s = 30");
    ground.replace("contest.toml", "sessions = 5\npairs = 3", "sessions = 2\npairs = 2");
    ground.replace("contest.toml", "warmup_max = 3", "warmup_max = 1");
    ground.replace("contest.toml", "at_least = 0.5", "at_least = -1.0");
    let (code, message) = failure(&mut ground.run("out"));
    assert_eq!(code, 4, "{message}");
    let (standing, reasons) = &standings(&ground)["instant"];
    assert!(standing == "failed" && reasons.contains("sooner than any engine can"), "{standing} {reasons}");
    let environment: serde_json::Value =
        serde_json::from_slice(&fs::read(ground.path("out/environment.json")).unwrap()).unwrap();
    assert!(environment["peaks"]["flops"]["f32"].as_u64() > Some(0), "{environment}");
    assert!(environment["work"]["instant"]["parts"][1]["flops"].as_u64() > Some(0), "{environment}");
    let page = fs::read_to_string(ground.path("out/report.html")).unwrap();
    assert!(page.contains("What is left to gain") && page.contains("dishonest: "), "the distance is drawn");
}
