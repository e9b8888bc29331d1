//! Candidates that share a baseline, from the plan to what an auditor makes of the run.

use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::sample::{Log, Record};

use crate::common::{Playground, alice_in, candidate, edgemaxx, failure, retime};

/// Five candidates in blocks of two, of which one is twice as fast and one fails in its second session.
fn ground(more: &str) -> Playground {
    let mut candidates: String =
        ["a", "b", "c"].map(|name| candidate(name, &["--latency-us", "4000"])).concat();
    candidates += &candidate("quick", &["--latency-us", "2000"]);
    candidates += &candidate("frail", &["--latency-us", "4000", "--fault", "die@5"]);
    let ground = Playground::new(&candidates);
    ground.replace("contest.toml", "pairs = 3", &format!("pairs = 3\nblock = 2\n{more}"));
    ground
}

#[test]
fn a_run_in_blocks_is_planned_measured_resumed_judged_and_audited() {
    for residency in ["together", "alternating"] {
        let ground = ground(&format!("residency = {residency:?}\nearly_rounds = 2\nearly_pairs = 2"));
        // 4: somebody could not be measured; and whether real latencies make the control a tie is chance.
        let output = ground.run("run").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(3 | 4)), "{said}");
        let run = ground.path("run");
        let read = |name: &str| std::fs::read_to_string(run.join(name)).unwrap();
        let plan = Plan::from_json(&read("plan.json")).unwrap();
        let log = Log::parse_for(&read("samples.jsonl"), &plan).unwrap();
        assert!(plan.is_shared());

        // Cut in the middle of a block, it goes on to the same end.
        let text = read("samples.jsonl");
        let records = text.lines().collect::<Vec<_>>();
        let kept = records.len() / 2;
        std::fs::write(run.join("samples.jsonl"), records[..kept].join("\n") + "\n").unwrap();
        edgemaxx().arg("measure").arg(&run).arg("--resume").assert().success();
        let again = Log::parse_for(&read("samples.jsonl"), &plan).unwrap();
        let blocks = |log: &Log| log.records.iter().filter(|r| matches!(r, Record::Block(_))).count();
        assert_eq!(blocks(&log), blocks(&again));

        retime(&run, 7, |name| if name == "quick" { 0.5 } else { 1.0 });
        crate::common::derive(&run);
        let ranking = read("ranking.json");
        assert!(ranking.contains("\"winner\": \"quick\""), "{ranking}");
        assert!(ranking.contains("\"fitness\": \"fit\""), "{ranking}");
        let estimates: serde_json::Value = serde_json::from_str(&read("estimates.json")).unwrap();
        for of in estimates["candidates"].as_array().unwrap() {
            let (name, sessions) = (of["name"].as_str().unwrap(), of["by_session"].as_array().unwrap().len());
            assert_eq!(sessions, if name == "frail" { sessions } else { 5 }, "{name}");
            assert!(of["baseline_load_ms"].is_object(), "{name} knows the baseline that it shares");
        }
        let report = read("report.html");
        assert!(report.contains("quick") && report.contains("frail"));

        // An auditor draws the plan again, and refuses blocks that it does not make.
        alice_in(&ground.path("key"));
        edgemaxx().arg("seal").arg(&run).arg("--key").arg(ground.path("key")).assert().success();
        edgemaxx().arg("verify").arg(&run).args(["--hotkey", crate::common::ALICE]).assert().success();
        let output =
            edgemaxx().arg("reproduce").arg(&run).args(["--candidate", "quick", "--json"]).output().unwrap();
        let json: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(json["pictures"]["identical"], json["pictures"]["compared"]);
    }
}

#[test]
fn whoever_is_out_of_the_race_leaves_its_place_in_the_blocks() {
    let mut candidates = candidate("quick", &["--latency-us", "1000"]);
    for name in ["a", "b", "c", "d", "e", "f"] {
        candidates += &candidate(name, &["--latency-us", "40000"]);
    }
    let ground = Playground::new(&candidates);
    ground.replace(
        "contest.toml",
        "sessions = 5\npairs = 3",
        "sessions = 7\npairs = 2\nblock = 3\nbudget_s = 600",
    );
    let output = ground.run("run").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
    let read = |name: &str| std::fs::read_to_string(ground.path("run").join(name)).unwrap();
    let plan = Plan::from_json(&read("plan.json")).unwrap();
    let log = Log::parse_for(&read("samples.jsonl"), &plan).unwrap();
    let sizes: Vec<usize> = log
        .records
        .iter()
        .filter_map(
            |record| if let Record::Block(block) = record { Some(block.sessions.len()) } else { None },
        )
        .collect();
    // Seven in blocks of three, two and two; in the end the quick one is alone with the control.
    assert_eq!((sizes[..3].to_vec(), sizes.last()), (vec![4, 3, 3], Some(&2)), "{sizes:?}");
    let slow =
        |stop: &&edgemaxx_contract::sample::Stop| !["quick", "control"].contains(&stop.candidate.as_str());
    assert_eq!(log.stops().filter(slow).count(), 6);
    let (code, said) = failure(edgemaxx().arg("compare").arg(ground.path("run")).arg(ground.path("run")));
    assert!(code <= 1, "{said}");
}
