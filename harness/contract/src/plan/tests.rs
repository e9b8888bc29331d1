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
    draw_of(CONTEST, day, entropy, extent)
}

fn draw_of(contest: &str, day: &str, entropy: &str, extent: Extent) -> Plan {
    draw_plan(PlanInputs {
        contest: &Contest::parse(contest).unwrap(),
        prompts_file: "p.txt",
        prompts: &prompts(),
        pipelines: &pipelines(),
        day: &day.parse().unwrap(),
        entropy: &entropy.parse().unwrap(),
        extent,
        encoder: None,
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
        plan.sessions.iter().flat_map(|s| s.pairs.iter()).filter(|p| p.first == Some(Side::Baseline)).count();
    // 90 fair coins: outside 25..65 with probability below 1e-4.
    assert!((25..=65).contains(&firsts), "{firsts}");
}

fn shared(extent: Extent) -> Plan {
    let more = "warmup_max = 3\nblock = 2\nearly_rounds = 2\nearly_pairs = 2";
    draw_of(&CONTEST.replacen("warmup_max = 3", more, 1), "2026-11-22", "0xabc", extent)
}

#[test]
fn sessions_of_a_round_that_share_a_baseline_ask_the_same_in_the_same_order() {
    let plan = shared(Extent::Full);
    plan.check().unwrap();
    assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
    // Two candidates in a block of two, and the control.
    assert_eq!(plan.sessions.len(), 6 * 3);
    for session in &plan.sessions {
        assert_eq!(session.pairs.len(), if session.round < 2 { 2 } else { 5 });
        assert!(session.first.is_none() && session.pairs.iter().all(|pair| pair.first.is_none()));
        assert_eq!(session.order.len(), if session.candidate == "control" { 4 } else { 0 });
    }
    let asked: std::collections::BTreeSet<u32> =
        plan.sessions.iter().flat_map(|session| &session.pairs).map(|pair| pair.request).collect();
    assert_eq!(asked, (0..2 * 2 + 4 * 5).collect());
    let quick = shared(Extent::Quick);
    assert!(quick.is_shared() && quick.sessions.iter().all(|session| session.pairs.len() == 2));
    // Nobody but the control: there is nothing to share.
    let mut alone = plan.clone();
    alone.pipelines.retain(|pipeline| pipeline.role != Role::Candidate);
    assert!(!alone.is_shared());

    let mut other = plan.clone();
    other.sessions[1].pairs.swap(0, 1);
    assert!(other.check().unwrap_err().contains("what sessions[0] of its round asks"));
    let mut other = plan.clone();
    let control = other.sessions.iter_mut().find(|session| session.candidate == "control").unwrap();
    control.order[0] = control.order[1];
    assert!(other.check().unwrap_err().ends_with(".order: expected every turn from 0 once"));
    let mut own = draw("2026-11-22", "0xabc", Extent::Full);
    own.sessions[0].first = None;
    assert!(own.check().unwrap_err().contains("which side is first"));
}

#[test]
fn blocks_are_as_few_as_may_be_and_of_equal_size() {
    let mut plan = shared(Extent::Full);
    let c = PipelinePlan { name: "c".to_owned(), ..plan.pipelines[2].clone() };
    plan.pipelines.push(c);
    let session = plan.sessions.iter().find(|session| session.candidate == "a").unwrap().clone();
    plan.sessions.insert(2, PlannedSession { candidate: "c".to_owned(), ..session });
    for (index, session) in plan.sessions.iter_mut().enumerate() {
        session.index = index as u32;
    }
    let names = |sessions: &[u32]| -> Vec<&str> {
        sessions.iter().map(|&index| plan.sessions[index as usize].candidate.as_str()).collect()
    };
    let mut taken = Vec::new();
    let mut next = |stopped: &'static [&'static str]| {
        let is_taken = |session: &PlannedSession| taken.contains(&session.index);
        let found = next_block(&plan, is_taken, |candidate| stopped.contains(&candidate))?;
        taken.extend(&found);
        Some(found)
    };
    let first = next(&[]).unwrap();
    assert_eq!((names(&first)[0], first.len()), ("control", 3));
    // One is left, and the round has no other session of the control.
    let second = next(&[]).unwrap();
    assert_eq!(second.len(), 1);
    assert_eq!(turns(&plan, &second, None).len(), 2);
    assert_eq!(names(&next(&["a", "c"]).unwrap()), ["control", "b"]);
    assert_eq!(next(&["a", "b", "c"]), None);
}

#[test]
fn a_blocks_order_turns_with_every_pair() {
    let plan = shared(Extent::Full);
    let block = next_block(&plan, |_| false, |_| false).unwrap();
    let launched = turns(&plan, &block, None);
    assert_eq!(launched.len(), 4);
    assert_eq!(turns(&plan, &block, Some(0)), launched);
    let mut turned = launched.clone();
    turned.rotate_left(2);
    assert_eq!(turns(&plan, &block, Some(2)), turned);
    turned.rotate_left(1);
    turned.reverse();
    assert_eq!(turns(&plan, &block, Some(3)), turned);
    // Without one of them, the others keep their order.
    let fewer: Vec<u32> = block[..2].to_vec();
    let kept: Vec<_> = launched.into_iter().filter(|turn| turn.0 != block[2]).collect();
    assert_eq!(turns(&plan, &fewer, None), kept);
    let own = draw("2026-11-22", "0xabc", Extent::Full);
    let first = own.sessions[3].pairs[1].first.unwrap();
    assert_eq!(turns(&own, &[3], Some(1)), Side::both_from(first).map(|side| (3, side)));
}

#[test]
fn a_plan_is_looked_into_by_its_task() {
    let text = draw("2026-11-22", "0xabc", Extent::Full).to_json();
    for (from, to, expected) in [
        (
            "\"task\": \"picture\"",
            "\"task\": \"smell\"",
            "task: expected \"picture\" or \"text\", found \"smell\"",
        ),
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

#[test]
fn twins_ask_the_same_under_another_noise_in_the_same_round() {
    let with = |twins: &str| {
        let contest = CONTEST.replace("pairs = 5", &format!("pairs = 5\n{twins}"));
        draw_of(&contest, "2026-11-22", "0xabc", Extent::Full)
    };
    let (plain, plan) = (with(""), with("twins = 2"));
    assert_eq!(plan.measurement.twins, 2);
    for round in 0..6usize {
        let asks: Vec<_> = plan.requests[round * 5..round * 5 + 5].iter().collect();
        assert!(asks[0].ask == asks[4].ask && asks[1].ask == asks[3].ask, "round {round}");
        assert!(asks[0].ask != asks[1].ask && asks[0].ask != asks[2].ask, "round {round}");
        assert!(asks[0].seed != asks[4].seed && asks[1].seed != asks[3].seed, "round {round}");
    }
    assert_eq!(plain.measurement.twins, 0);
    assert!((0..30).all(|one| (0..one).all(|other| plain.requests[one].ask != plain.requests[other].ask)));
    let many = CONTEST.replace("pairs = 5", "pairs = 5\ntwins = 3");
    assert!(Contest::parse(&many).unwrap_err().to_string().contains("measurement.twins"));
}

/// Who is measured first cannot tell an accomplice what it will be asked.
#[test]
fn candidates_may_have_requests_of_their_own() {
    let contest = CONTEST.replace("pairs = 5", "pairs = 5\ntwins = 2\nown_requests = true");
    let plan = draw_of(&contest, "2026-11-22", "0xabc", Extent::Full);
    let asked = |session: &PlannedSession| session.pairs.iter().map(|pair| pair.request).collect::<Vec<_>>();
    let mut all: Vec<u32> = plan.sessions.iter().flat_map(&asked).collect();
    let sessions = plan.sessions.len();
    all.sort_unstable();
    assert_eq!(all, (0..5 * sessions as u32).collect::<Vec<_>>(), "nothing is asked twice");
    for session in &plan.sessions {
        let asks: Vec<_> = asked(session).into_iter().map(|id| &plan.requests[id as usize].ask).collect();
        let twins = (0..asks.len()).filter(|one| asks[..*one].contains(&asks[*one])).count();
        assert_eq!(twins, 2, "its own twins too");
        let earlier = &plan.sessions[..session.index as usize];
        let noise = |session| asked(session).into_iter().map(|id| plan.requests[id as usize].seed);
        assert!(noise(session).all(|seed| !earlier.iter().any(|other| noise(other).any(|one| one == seed))));
    }
    assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
    let shared = contest.replace("own_requests", "block = 2\nown_requests");
    let said = Contest::parse(&shared).unwrap_err().to_string();
    assert!(said.contains("measurement.block: expected 1, since"), "{said}");
    let one_at_a_time = contest.replace("own_requests", "residency = \"alternating\"\nown_requests");
    assert_eq!(Contest::parse(&one_at_a_time).unwrap().measurement.block, 1);
}

#[test]
fn a_grammar_is_drawn_from_the_entropy() {
    let list = |name: &str| {
        let words: Vec<String> = (0..1000).map(|n| format!("\"{name}{n}\"")).collect();
        format!("{name} = [{}]\n", words.join(", "))
    };
    let grammar =
        format!("forms = [\"{{a}} and {{b}} on {{c}}\"]\n[words]\n{}{}{}", list("a"), list("b"), list("c"));
    let draw = |entropy: &str| {
        draw_plan(PlanInputs {
            contest: &Contest::parse(CONTEST).unwrap(),
            prompts_file: "p.toml",
            prompts: &grammar,
            pipelines: &pipelines(),
            day: &"2026-11-22".parse().unwrap(),
            entropy: &entropy.parse().unwrap(),
            extent: Extent::Full,
            encoder: None,
        })
        .unwrap()
    };
    let asks = |plan: &Plan| plan.requests.iter().map(|r| r.ask.object().to_value()).collect::<Vec<_>>();
    let (one, other) = (asks(&draw("0xabc")), asks(&draw("0xabd")));
    assert_eq!(one, asks(&draw("0xabc")), "whoever audits the run draws the same");
    assert!(one.iter().all(|ask| !other.contains(ask)), "other entropy, other prompts");
    assert!(one.iter().all(|ask| ask["prompt"].as_str().unwrap().contains(" and b")), "{one:?}");
}
