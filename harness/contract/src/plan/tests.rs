use super::*;
use crate::contest::{Contest, EngineSpec};
use crate::digest::Digest;
use crate::format::{Document as _, DocumentError};

const CONTEST: &str = r#"
format = 1
name = "demo"
[device]
kind = "cpu"
[request]
prompts = "p.txt"
width = 64
height = 64
[baseline]
checkpoint = "model"
generation = { steps = 20, guidance_scale = 5.0 }
[measurement]
sessions = 6
pairs = 5
warmup_max = 3
[quality]
"#;

fn prompts() -> String {
    (0..100).map(|n| format!("prompt {n}\n")).collect()
}

fn pipelines() -> Vec<PipelinePlan> {
    let contest = Contest::parse(CONTEST).unwrap();
    [("baseline", Role::Baseline), ("control", Role::Control), ("a", Role::Candidate), ("b", Role::Candidate)]
        .map(|(name, role)| PipelinePlan {
            name: name.to_owned(),
            role,
            description: String::new(),
            checkpoint: contest.baseline.checkpoint.clone(),
            digest: Digest::of(name),
            settings: contest.baseline.settings.clone(),
            engine: EngineSpec::Native,
        })
        .to_vec()
}

fn draw(day: &str, entropy: &str, extent: Extent) -> Plan {
    draw_plan(PlanInputs {
        contest: &Contest::parse(CONTEST).unwrap(),
        prompts_file: "p.txt",
        prompts: &prompts(),
        pipelines: &pipelines(),
        day: &day.parse().unwrap(),
        entropy: &entropy.parse().unwrap(),
        extent,
    })
    .unwrap()
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let plan = draw("2026-11-22", "0xabc", Extent::Full);
    let again = draw("2026-11-22", "0xabc", Extent::Full);
    assert_eq!(plan.to_json(), again.to_json());
    assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
    plan.check().unwrap();
}

#[test]
fn plans_of_this_version_stay_what_they_are() {
    // First drawn by version 1; a change here means old reports can no longer be re-derived.
    let plan = draw("2026-11-22", "0xabc", Extent::Full);
    let sample: Vec<_> =
        plan.requests.iter().take(3).map(|r| (plan.task.ask_words(&r.ask), r.seed)).collect();
    let order: Vec<_> = plan.sessions.iter().take(6).map(|s| s.candidate.as_str()).collect();
    insta::assert_debug_snapshot!((sample, order));
}

#[test]
fn another_entropy_or_day_changes_prompts_seeds_and_order() {
    let plan = draw("2026-11-22", "0xabc", Extent::Full);
    for other in [draw("2026-11-22", "0xabd", Extent::Full), draw("2026-11-23", "0xabc", Extent::Full)] {
        let prompts = |p: &Plan| p.requests.iter().map(|r| r.ask.clone()).collect::<Vec<_>>();
        let seeds = |p: &Plan| p.requests.iter().map(|r| r.seed).collect::<Vec<_>>();
        let order = |p: &Plan| p.sessions.iter().map(|s| (s.candidate.clone(), s.first)).collect::<Vec<_>>();
        assert_ne!(prompts(&plan), prompts(&other));
        assert_ne!(seeds(&plan), seeds(&other));
        assert_ne!(order(&plan), order(&other));
    }
}

#[test]
fn every_candidate_answers_the_same_requests_once() {
    let plan = draw("2026-11-22", "0xabc", Extent::Full);
    for candidate in plan.candidates() {
        let mut asked: Vec<u32> = plan
            .sessions
            .iter()
            .filter(|s| s.candidate == candidate.name)
            .flat_map(|s| s.pairs.iter().map(|p| p.request))
            .collect();
        asked.sort_unstable();
        assert_eq!(asked, (0..30).collect::<Vec<_>>());
    }
    assert!(plan.requests.iter().all(|r| r.seed < 1 << 53));
}

#[test]
fn each_session_repeats_one_pair_of_ten_but_not_the_last() {
    let plan = draw("2026-11-22", "0xabc", Extent::Full);
    for session in &plan.sessions {
        let pairs = session.pairs.len();
        assert_eq!(session.repeats.len(), pairs.div_ceil(10));
        assert!(session.repeats.iter().all(|repeat| (repeat.pair as usize) < pairs.max(2) - 1));
    }
    let quick = draw("2026-11-22", "0xabc", Extent::Quick);
    assert!(quick.sessions.iter().all(|session| session.repeats.is_empty()));
    let mut wrong = plan.clone();
    wrong.sessions[1].repeats[0].pair = 1000;
    assert!(wrong.check().unwrap_err().starts_with("sessions[1].repeats"));
}

#[test]
fn sides_and_launches_take_turns_by_chance() {
    let plan = draw("2026-11-22", "0xabc", Extent::Full);
    let firsts =
        plan.sessions.iter().flat_map(|s| s.pairs.iter()).filter(|p| p.first == Side::Baseline).count();
    // 90 fair coins: outside 25..65 with probability below 1e-4.
    assert!((25..=65).contains(&firsts), "{firsts}");
}

#[test]
fn a_plan_is_looked_into_by_its_task() {
    let text = draw("2026-11-22", "0xabc", Extent::Full).to_json();
    for (from, to, expected) in [
        ("\"task\": \"picture\"", "\"task\": \"smell\"", "task: expected \"picture\", found \"smell\""),
        ("\"width\": 64", "\"width\": 4", "request.width: expected a value from 8 to 8192, found 4"),
        ("\"steps\": 20", "\"steps\": 0", "pipelines[0].settings.steps: expected a value from 1"),
        ("\"prompt\": \"", "\"promt\": \"", "requests[0].ask: unknown field `promt`"),
    ] {
        assert!(text.contains(from), "{from}");
        let message = Plan::from_json(&text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(message.contains(expected), "{to}: {message}");
    }
}

#[test]
fn a_plan_of_the_first_format_is_refused_by_name() {
    let text = draw("2026-11-22", "0xabc", Extent::Full).to_json();
    let error = Plan::from_json(&text.replacen("\"version\": 2", "\"version\": 1", 1)).unwrap_err();
    assert!(matches!(error, DocumentError::Format(_)));
    assert!(error.to_string().starts_with("this is edgemaxx-plan version 1, but"), "{error}");
}

#[test]
fn days_are_days() {
    assert!("2024-02-29".parse::<Day>().is_ok());
    for bad in ["2023-02-29", "2024-13-01", "2024-00-01", "2024-1-01", "2024-01-32", "x", "２０２４-01-01"]
    {
        assert!(bad.parse::<Day>().is_err(), "{bad}");
    }
}
