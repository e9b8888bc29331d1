//! A whole run in memory, for tests: a plan, a log, and the quality of its answers.

use std::collections::BTreeMap;

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_contract::environment::{Confinement, Environment};
use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::floor::{Part, Passes, Peaks, Work};
use edgemaxx_contract::metric::Metric;
use edgemaxx_contract::plan::{Extent, PipelinePlan, Plan, PlanInputs, Role, Side, draw_plan};
use edgemaxx_contract::quality::{QualityHeader, QualityLog, QualityRecord};
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::sample::{Attempt, Chain, Failure, FailureKind, Header, Log, Outcome, Phase, Record};

use super::super::{Evidence, analyze, rank, settings_of};
use crate::random::Seed;

const CONTEST: &str = r#"
format = 1
name = "test"
[device]
kind = "cpu"
[request]
prompts = "p.txt"
width = 64
height = 64
[baseline]
name = "teacher"
checkpoint = "m"
generation = { steps = 20, guidance_scale = 5.0, dtype = "f32" }
[[candidate]]
name = "clone"
control = true
[[candidate]]
name = "quick"
generation = { steps = 5 }
[[candidate]]
name = "quick-too"
generation = { steps = 6 }
[[candidate]]
name = "middling"
generation = { steps = 10 }
[[candidate]]
name = "ugly"
generation = { steps = 2 }
[[candidate]]
name = "broken"
generation = { steps = 3 }
[measurement]
sessions = 5
pairs = 6
[quality]
clip = "c"
[[quality.gate]]
metric = "clip_image_cosine"
at_least = 0.85
reason = "test"
[score]
min_speedup = 1.02
similarity = "clip-image-cosine"
similarity_gate = 0.75
similarity_exponent = 0.25
"#;

/// True latency relative to the baseline, and true similarity, by candidate.
pub(in crate::stages) const TRUTH: [(&str, f64, f64); 6] = [
    ("clone", 1.0, 1.0),
    ("quick", 0.3, 0.95),
    ("quick-too", 0.3, 0.95),
    ("middling", 0.5, 0.95),
    ("ugly", 0.1, 0.6),
    ("broken", 0.2, 0.95),
];

pub(in crate::stages) struct Run {
    pub(in crate::stages) contest: Contest,
    pub(in crate::stages) plan: Plan,
    pub(in crate::stages) log: Log,
    pub(in crate::stages) quality: QualityLog,
}

impl Run {
    pub(in crate::stages) fn evidence(&self) -> Evidence<'_> {
        let Self { contest, plan, log, quality } = self;
        Evidence {
            contest,
            plan,
            log,
            quality,
            quality_digest: Digest::of("q"),
            environment: None,
            telemetry: None,
        }
    }
}

/// A run with process and iteration noise; `change` may alter each record before it is chained.
pub(in crate::stages) fn run(extent: Extent, change: impl Fn(&Plan, &mut Record)) -> Run {
    noisy_run("run", extent, change)
}

/// The same with other noise.
pub(in crate::stages) fn noisy_run(seed: &str, extent: Extent, change: impl Fn(&Plan, &mut Record)) -> Run {
    drawn_run(seed, extent, &TRUTH, 0.003, change)
}

/// The same with another truth, in the order of [`TRUTH`]'s names, and processes that scatter by
/// `process`.
pub(in crate::stages) fn drawn_run(
    seed: &str,
    extent: Extent,
    truth: &[(&str, f64, f64)],
    process: f64,
    change: impl Fn(&Plan, &mut Record),
) -> Run {
    let contest = Contest::parse(CONTEST).unwrap();
    let mut pipelines = vec![pipeline(&contest, &contest.baseline.name, Role::Baseline)];
    for candidate in &contest.candidates {
        let role = if candidate.control { Role::Control } else { Role::Candidate };
        pipelines.push(pipeline(&contest, &candidate.name, role));
    }
    let prompts: String = (0..50).map(|index| format!("prompt {index}\n")).collect();
    let inputs = PlanInputs {
        contest: &contest,
        prompts_file: "p.txt",
        prompts: &prompts,
        pipelines: &pipelines,
        day: &"2026-11-22".parse().unwrap(),
        entropy: &"test".parse().unwrap(),
        extent,
        encoder: None,
    };
    let plan = draw_plan(inputs).unwrap();
    let mut chain = Chain::default();
    let header = Header { format: Log::format(), plan: plan.digest(), started_unix_ms: 0 };
    let mut text = chain.append(Record::Header(header));
    let mut records = Vec::new();
    let mut stream = Seed::of(seed).stream(0);
    for session in &plan.sessions {
        let (_, ratio, similarity) =
            truth.iter().copied().find(|truth| truth.0 == session.candidate).unwrap();
        let process = [process * stream.normal(), process * stream.normal()];
        for (pair, planned) in session.pairs.iter().enumerate() {
            let pair = pair as u32;
            let prompt = 0.1 * stream.normal();
            for side in Side::both_from(planned.first) {
                let own = process[usize::from(side == Side::Candidate)];
                let relative = if side == Side::Candidate { ratio } else { 1.0 };
                let latency = 5e8 * relative * (prompt + own + 0.01 * stream.normal()).exp();
                let answer = Digest::of(format!("{side} {} {}", session.candidate, planned.request));
                let mut record = Record::Attempt(Attempt {
                    session: session.index,
                    launch: 0,
                    side,
                    phase: Phase::Measured { pair },
                    request: planned.request,
                    started_ns: 0,
                    cpu_ns: None,
                    outcome: Outcome::Answered {
                        latency_ns: latency as u64,
                        first_ns: None,
                        units: 1,
                        parts: Vec::new(),
                        answer,
                        engine_ns: None,
                    },
                    marks: Vec::new(),
                });
                change(&plan, &mut record);
                text += &chain.append(record);
            }
            let cosine = similarity - 0.02 * stream.uniform();
            records.push(judged(&session.candidate, session.index, pair, planned.request, cosine));
        }
    }
    let log = Log::parse_for(&text, &plan).unwrap();
    let format = QualityHeader::format();
    let header =
        QualityHeader { format, samples: log.chain.head(), models: BTreeMap::new(), views: Vec::new() };
    Run { contest, plan, log, quality: QualityLog { header, records } }
}

fn pipeline(contest: &Contest, name: &str, role: Role) -> PipelinePlan {
    PipelinePlan {
        name: name.to_owned(),
        role,
        description: String::new(),
        checkpoint: contest.baseline.checkpoint.clone(),
        digest: Digest::of(name),
        settings: contest.baseline.settings.clone(),
        engine: contest.baseline.engine.clone(),
    }
}

pub(in crate::stages) fn judged(
    candidate: &str,
    session: u32,
    pair: u32,
    request: u32,
    cosine: f64,
) -> QualityRecord {
    QualityRecord {
        candidate: candidate.to_owned(),
        session,
        pair,
        request,
        baseline_answer: Digest::of("b"),
        candidate_answer: Digest::of(candidate),
        values: [
            ("ssim_gray", cosine),
            ("psnr_db", 30.0),
            ("phash_distance", 3.0),
            ("clip_image_cosine", cosine),
            ("clip_text_difference", -0.01),
            ("wombo_2025", cosine),
        ]
        .map(|(name, value)| (Metric::named(name).unwrap(), value))
        .into(),
        sides: BTreeMap::new(),
        follows: None,
        detail: serde_json::Value::Null,
    }
}

/// As an ordinary user is.
pub(in crate::stages) const CONFINED: Confinement = Confinement::Bubblewrap { note: None };

pub(in crate::stages) fn environment(sandbox: Confinement) -> Environment {
    Environment { sandbox, ..Environment::mock() }
}

/// A device of one operation in a nanosecond, the narrowest format eight times as fast, and pipelines that need so many
/// operations.
pub(in crate::stages) fn device(work: &[(&str, u64)]) -> Environment {
    let part = |flops| Part {
        name: "all".to_owned(),
        passes: Passes::Each(1),
        flops,
        conv_flops: 0,
        bytes: 0,
        at_once: 1,
    };
    let of = |(name, flops): &(&str, u64)| {
        ((*name).to_owned(), Work { dtype: Dtype::F32, parts: vec![part(*flops)] })
    };
    let flops = [(Dtype::F32, 1_000_000_000)].into();
    Environment {
        peaks: Some(Peaks { flops, bytes: 1, cache_bytes: 0, narrower: 8 }),
        work: work.iter().map(of).collect(),
        ..environment(CONFINED)
    }
}

pub(in crate::stages) fn estimates(run: &Run) -> Estimates {
    analyze(&run.evidence(), &settings_of(&run.contest, &run.plan)).unwrap()
}

pub(in crate::stages) fn verdict(run: &Run) -> (Estimates, Ranking) {
    let estimates = estimates(run);
    let ranking = rank(&estimates, &run.contest, &environment(CONFINED));
    (estimates, ranking)
}

/// The candidate `broken` dies in its last session.
pub(in crate::stages) fn break_broken(plan: &Plan, record: &mut Record) {
    let last = plan.sessions.iter().rev().find(|session| session.candidate == "broken").unwrap().index;
    if let Record::Attempt(attempt) = record
        && attempt.session == last
        && attempt.side == Side::Candidate
    {
        attempt.outcome =
            Outcome::Failed(Failure { kind: FailureKind::Died, detail: "out of memory".into() });
    }
}
