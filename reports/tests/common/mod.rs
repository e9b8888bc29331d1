//! A deterministic synthetic run, for tests only: made from the contract's types, with planted
//! speeds, failures, throttling and pictures. Its statistics are simple on purpose.
#![allow(dead_code, unreachable_pub, clippy::useless_format)]

mod samples;
mod verdict;

use std::collections::BTreeMap;

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::*;
use edgemaxx_contract::quality::{QualityHeader, QualityLog};
use edgemaxx_contract::ranking::{Ranking, Standing};
use edgemaxx_contract::sample::Log;
use edgemaxx_report::{AnswerSource, FileDigest, RunView};
use samples::measure;
#[allow(unused_imports, reason = "not every test draws pictures")]
pub use samples::picture;
use verdict::{analyze, rank};

/// What is planted for one candidate.
#[derive(Clone)]
pub struct Planted {
    pub name: String,
    pub description: String,
    pub control: bool,
    pub speedup: f64,
    pub ssim: f64,
    pub standing: Standing,
    pub reasons: Vec<String>,
    /// Fails from this session on.
    pub fails_from: Option<u32>,
}

pub fn planted(name: &str, speedup: f64, ssim: f64, standing: Standing, reason: &str) -> Planted {
    Planted {
        name: name.to_owned(),
        description: format!("Planted: {speedup} times as fast, SSIM {ssim}"),
        control: standing == Standing::Control,
        speedup,
        ssim,
        standing,
        reasons: if reason.is_empty() { Vec::new() } else { vec![reason.to_owned()] },
        fails_from: (standing == Standing::Failed).then_some(0),
    }
}

/// Six candidates of every kind.
pub fn demo() -> Vec<Planted> {
    vec![
        planted("student-5", 6.2, 0.93, Standing::Accepted, ""),
        planted("steps-10", 1.92, 0.965, Standing::Accepted, ""),
        planted(
            "int8",
            0.992,
            0.985,
            Standing::NotFaster,
            "the lower bound of its speedup is 0.981×, under the 1.020× asked for",
        ),
        planted(
            "noisy",
            1.95,
            0.71,
            Standing::RejectedQuality,
            "SSIM, mean: proven ≥ 0.694, but 0.850 is asked for",
        ),
        planted("clone", 1.0, 1.0, Standing::Control, ""),
        planted("broken", 1.0, 0.9, Standing::Failed, "its engine died in every session"),
    ]
}

/// A run and all it owns.
pub struct Run {
    pub contest: Contest,
    pub plan: Plan,
    pub log: Log,
    pub quality: QualityLog,
    pub estimates: Estimates,
    pub ranking: Ranking,
    pub environment: Environment,
    pub files: Vec<FileDigest>,
    pub images: BTreeMap<Digest, Vec<u8>>,
}

impl AnswerSource for Run {
    fn file(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.images.get(digest).cloned()
    }
}

impl Run {
    pub fn view(&self) -> RunView<'_> {
        RunView {
            day: None,
            contest: &self.contest,
            plan: &self.plan,
            log: &self.log,
            quality: &self.quality,
            estimates: &self.estimates,
            ranking: &self.ranking,
            environment: &self.environment,
            files: &self.files,
        }
    }
}

/// Calls a candidate something else, everywhere: names that a contest file cannot hold.
pub fn rename(run: &mut Run, from: &str, to: &str) {
    let swap = |name: &mut String| {
        if name == from {
            *name = to.to_owned();
        }
    };
    run.plan.pipelines.iter_mut().for_each(|p| swap(&mut p.name));
    run.plan.sessions.iter_mut().for_each(|s| swap(&mut s.candidate));
    run.quality.records.iter_mut().for_each(|r| swap(&mut r.candidate));
    run.estimates.candidates.iter_mut().for_each(|c| swap(&mut c.name));
    run.ranking.entries.iter_mut().for_each(|e| swap(&mut e.name));
}

const PROMPTS: [&str; 8] = [
    "a red apple",
    "a blue house on a green background",
    "a smiling cat",
    "a yellow star",
    "a green tree",
    "a purple heart on a pink background",
    "an orange fish",
    "a slice of pizza",
];

/// Makes a run. `edge` is the pictures' edge in pixels, 0 for no pictures; prompts may be given.
pub fn run(candidates: &[Planted], sessions: u32, pairs: u32, edge: u32, prompts: Option<&str>) -> Run {
    let mut toml = format!(
        "format = 1\nname = \"synthetic\"\ntitle = \"Synthetic run\"\ndescription = \"Planted numbers for tests.\"\n\
         [device]\nkind = \"cpu\"\n[request]\nprompts = \"p.txt\"\nwidth = 64\nheight = 64\n\
         [baseline]\nname = \"teacher\"\ndescription = \"20 steps\"\ncheckpoint = \"m\"\n\
         generation = {{ steps = 20, guidance_scale = 5.0 }}\n"
    );
    for c in candidates {
        toml += &format!("[[candidate]]\nname = {:?}\ncontrol = {}\n", c.name, c.control);
    }
    toml += &format!(
        "[measurement]\nsessions = {sessions}\npairs = {pairs}\nwarmup_max = 3\n\
         [quality]\n[[quality.gate]]\nmetric = \"ssim_gray\"\nat_least = 0.85\nreason = \"chosen by eye\"\n\
         [score]\nmin_speedup = 1.02\nsimilarity = \"ssim-gray\"\nsimilarity_gate = 0.75\n"
    );
    let contest = Contest::parse(&toml).expect("synthetic contest");
    let pipeline = |name: &str, role: Role, description: &str| PipelinePlan {
        name: name.to_owned(),
        role,
        description: description.to_owned(),
        checkpoint: contest.baseline.checkpoint.clone(),
        digest: Digest::of(name),
        settings: contest.baseline.settings.clone(),
        engine: contest.baseline.engine.clone(),
    };
    let mut pipelines = vec![pipeline("teacher", Role::Baseline, "20 steps")];
    pipelines.extend(
        candidates.iter().map(|c| {
            pipeline(&c.name, if c.control { Role::Control } else { Role::Candidate }, &c.description)
        }),
    );
    let default = PROMPTS.join("\n");
    let plan = draw_plan(PlanInputs {
        contest: &contest,
        prompts_file: "p.txt",
        prompts: prompts.unwrap_or(&default),
        pipelines: &pipelines,
        day: &"2026-11-22".parse().expect("day"),
        entropy: &"synthetic".parse().expect("entropy"),
        extent: Extent::Full,
        encoder: None,
    })
    .expect("synthetic plan");

    let mut images = BTreeMap::new();
    let mut quality = Vec::new();
    let log = measure(&plan, candidates, edge, &mut images, &mut quality);
    let quality = QualityLog {
        header: QualityHeader {
            format: QualityHeader::format(),
            samples: log.chain.head(),
            models: BTreeMap::new(),
            views: Vec::new(),
        },
        records: quality,
    };
    let estimates = analyze(&plan, candidates, &log, &quality);
    let ranking = rank(candidates, &estimates);
    let environment = Environment {
        edgemaxx: "0.1.0".to_owned(),
        os: "Linux 6.1".to_owned(),
        cpu: "Synthetic CPU".to_owned(),
        memory_bytes: 8 << 30,
        pins: vec!["LC_ALL=C".to_owned(), "OMP_NUM_THREADS=1".to_owned()],
        ..Environment::mock()
    };
    let files = vec![
        FileDigest { name: "plan.json".to_owned(), digest: Digest::of(plan.to_json()) },
        FileDigest { name: "estimates.json".to_owned(), digest: Digest::of(estimates.to_json()) },
    ];
    Run { contest, plan, log, quality, estimates, ranking, environment, files, images }
}
