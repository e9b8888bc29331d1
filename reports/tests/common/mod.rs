//! A deterministic synthetic run, for tests only: made from the contract's types, with planted
//! speeds, failures, throttling and pictures. Its statistics are simple on purpose.
#![allow(dead_code, unreachable_pub, clippy::useless_format)]

use std::collections::BTreeMap;
use std::io::Cursor;

use edgemaxx_contract::contest::{Contest, Metric, Statistic};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::estimate::*;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::*;
use edgemaxx_contract::quality::{QualityHeader, QualityLog, QualityRecord};
use edgemaxx_contract::ranking::{RankEntry, Ranking, Standing};
use edgemaxx_contract::sample::*;
use edgemaxx_report::{FileDigest, ImageSource, RunView};

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

impl ImageSource for Run {
    fn png(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.images.get(digest).cloned()
    }
}

impl Run {
    pub fn view(&self) -> RunView<'_> {
        RunView {
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

/// A small generator of pseudo-random numbers (SplitMix64), so that runs are the same everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    /// Roughly normal: the sum of twelve uniforms.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
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
        generation: contest.baseline.generation.clone(),
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
    })
    .expect("synthetic plan");

    let mut images = BTreeMap::new();
    let mut quality = Vec::new();
    let log = measure(&plan, candidates, edge, &mut images, &mut quality);
    let quality = QualityLog {
        header: QualityHeader { format: QualityHeader::format(), samples: log.chain.head(), clip: None },
        records: quality,
    };
    let estimates = analyze(&plan, candidates, &log, &quality);
    let ranking = rank(candidates, &estimates);
    let environment = Environment {
        format: Environment::expected_format(),
        edgemaxx: "0.1.0".to_owned(),
        os: "Linux 6.1".to_owned(),
        cpu: "Synthetic CPU".to_owned(),
        cpus: 2,
        memory_bytes: 8 << 30,
        gpus: Vec::new(),
        sandbox: "bubblewrap".to_owned(),
        protocol_ns: None,
        pins: vec!["LC_ALL=C".to_owned(), "OMP_NUM_THREADS=1".to_owned()],
        unfit: Vec::new(),
    };
    let files = vec![
        FileDigest { name: "plan.json".to_owned(), digest: Digest::of(plan.to_json().expect("plan")) },
        FileDigest {
            name: "estimates.json".to_owned(),
            digest: Digest::of(estimates.to_json().expect("estimates")),
        },
    ];
    Run { contest, plan, log, quality, estimates, ranking, environment, files, images }
}

/// Executes the plan without engines.
fn measure(
    plan: &Plan,
    candidates: &[Planted],
    edge: u32,
    images: &mut BTreeMap<Digest, Vec<u8>>,
    quality: &mut Vec<QualityRecord>,
) -> Log {
    let mut dice = Dice(7);
    let mut records = Vec::new();
    let mut clock = 0u64;
    for session in &plan.sessions {
        let planted = candidates.iter().find(|c| c.name == session.candidate).expect("planned");
        let fails = planted.fails_from.is_some_and(|from| session.round >= from);
        for side in Side::both_from(session.first) {
            let dead = fails && side == Side::Candidate;
            let failure =
                Failure { kind: FailureKind::Died, detail: "exit status 134: <b>out</b> of luck".to_owned() };
            let ready = LaunchOutcome::Ready {
                launch_ns: 20_000_000,
                load_ns: 300_000_000,
                engine: EngineInfo { name: "mock".to_owned(), version: "1".to_owned() },
            };
            let outcome = if dead { LaunchOutcome::Failed(failure) } else { ready };
            records.push(Record::Launch(Launch { session: session.index, launch: 0, side, outcome }));
        }
        let drift = 1.0 + 0.01 * dice.normal();
        let mut attempt = |side: Side, phase: Phase, request: u32, slow: f64, dice: &mut Dice| {
            let speed = if side == Side::Candidate { planted.speedup } else { 1.0 };
            let throttled = dice.uniform() < 0.01;
            let ms = 480.0 * drift * slow / speed
                * (1.0 + 0.012 * dice.normal())
                * if throttled { 1.3 } else { 1.0 };
            clock += (ms * 1e6) as u64;
            let name = format!("{request} {} {}", planted.name, side == Side::Candidate && !planted.control);
            let image = Digest::of(&name);
            if edge > 0 {
                images.entry(image).or_insert_with(|| {
                    picture(request, edge, if side == Side::Candidate { 1.0 - planted.ssim } else { 0.0 })
                });
            }
            let outcome = Outcome::Picture { latency_ns: (ms * 1e6) as u64, image, engine_ns: None };
            let marks = if throttled { vec![Mark::Throttled] } else { Vec::new() };
            (
                Attempt {
                    session: session.index,
                    launch: 0,
                    side,
                    phase,
                    request,
                    started_ns: clock,
                    outcome,
                    marks,
                },
                image,
            )
        };
        if !fails {
            for side in Side::both_from(session.first) {
                for (index, request) in session.warmup.iter().enumerate() {
                    let slow = 1.4 - 0.18 * index as f64;
                    let (a, _) =
                        attempt(side, Phase::Warmup { index: index as u32 }, *request, slow, &mut dice);
                    records.push(Record::Attempt(a));
                }
            }
            for (index, pair) in session.pairs.iter().enumerate() {
                let mut shown = BTreeMap::new();
                for side in Side::both_from(pair.first) {
                    let (a, image) =
                        attempt(side, Phase::Measured { pair: index as u32 }, pair.request, 1.0, &mut dice);
                    records.push(Record::Attempt(a));
                    shown.insert(side, image);
                }
                let ssim = if planted.control {
                    1.0
                } else {
                    (planted.ssim + 0.03 * dice.normal()).clamp(-1.0, 1.0)
                };
                quality.push(QualityRecord {
                    candidate: planted.name.clone(),
                    session: session.index,
                    pair: index as u32,
                    request: pair.request,
                    baseline_image: shown[&Side::Baseline],
                    candidate_image: shown[&Side::Candidate],
                    ssim_gray: ssim,
                    psnr_db: (!planted.control).then_some(20.0 + 10.0 * ssim),
                    phash_distance: ((1.0 - ssim) * 40.0).max(0.0) as u32,
                    clip_image_cosine: None,
                    clip_text_baseline: None,
                    clip_text_candidate: None,
                    lpips: None,
                    wombo_2025: None,
                });
            }
        }
        let status =
            if fails { SessionStatus::Aborted { side: Side::Candidate } } else { SessionStatus::Complete };
        let rss = |mib: u64| (!fails).then_some(mib << 20);
        records.push(Record::Session(SessionEnd {
            session: session.index,
            status,
            baseline_peak_rss_bytes: rss(212),
            candidate_peak_rss_bytes: rss(180),
            steady: true,
        }));
    }
    let header = Header {
        format: Log::format(),
        plan: plan.digest().expect("plan"),
        started_unix_ms: 1_795_363_380_000,
    };
    let mut chain = Chain::default();
    let mut text = chain.append(Record::Header(header)).expect("record");
    for record in records {
        text += &chain.append(record).expect("record");
    }
    Log::parse_for(&text, plan).expect("synthetic log")
}

pub(crate) fn picture(request: u32, edge: u32, wrong: f64) -> Vec<u8> {
    let hue = f64::from(request % 7) / 7.0;
    let mut dice = Dice(u64::from(request) + (wrong * 1e6) as u64);
    let picture = image::RgbImage::from_fn(edge, edge, |x, y| {
        let (u, v) = (f64::from(x) / f64::from(edge) - 0.5, f64::from(y) / f64::from(edge) - 0.5);
        let inside = u * u + v * v < 0.12 + 0.03 * (8.0 * u + hue * 9.0).sin();
        let noise = dice.normal() * 60.0 * wrong;
        let channel = |share: f64| (share * 255.0 + noise).clamp(0.0, 255.0) as u8;
        if inside {
            image::Rgb([channel(0.9 - hue * 0.6), channel(0.3 + hue * 0.5), channel(0.2 + hue * 0.7)])
        } else {
            image::Rgb([channel(0.97), channel(0.95), channel(0.9 + 0.1 * hue)])
        }
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).expect("memory");
    bytes.into_inner()
}

fn estimate(values: &[f64], level: f64, z: f64, method: &str) -> Option<Estimate> {
    let n = values.len() as f64;
    let mean = (!values.is_empty()).then(|| values.iter().sum::<f64>() / n)?;
    let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
    let half = z * sd / n.sqrt();
    Some(Estimate {
        point: mean,
        lower: Some(mean - half),
        upper: Some(mean + half),
        method: method.to_owned(),
        n: values.len() as u32,
        level,
    })
}

fn exponential(e: Estimate) -> Estimate {
    Estimate { point: e.point.exp(), lower: e.lower.map(f64::exp), upper: e.upper.map(f64::exp), ..e }
}

fn analyze(plan: &Plan, candidates: &[Planted], log: &Log, quality: &QualityLog) -> Estimates {
    let recorded = log.sessions(plan);
    let of = |planted: &Planted| {
        let mut means = Vec::new();
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        let mut pairs = 0;
        for (session, recorded) in plan.sessions.iter().zip(&recorded) {
            if session.candidate != planted.name {
                continue;
            }
            let mut logs = Vec::new();
            for (_, baseline, candidate) in recorded.complete_pairs(session.pairs.len() as u32) {
                let ms = |a: &Attempt| match a.outcome {
                    Outcome::Picture { latency_ns, .. } => latency_ns as f64 / 1e6,
                    Outcome::Failed(_) => f64::NAN,
                };
                mine.push(ms(candidate));
                theirs.push(ms(baseline));
                logs.push((ms(baseline) / ms(candidate)).ln());
            }
            pairs += logs.len();
            if !logs.is_empty() {
                means.push(logs.iter().sum::<f64>() / logs.len() as f64);
            }
        }
        let latency = |values: &[f64]| {
            let e = estimate(values, 0.95, 2.2, "t on session means")?;
            Some(Latency {
                mean: e.clone(),
                p50: e.clone(),
                p90: e.clone(),
                p99: Estimate { upper: None, ..e },
            })
        };
        let mut scores: Vec<(u32, f64)> = quality
            .records
            .iter()
            .filter(|r| r.candidate == planted.name)
            .map(|r| (r.request, r.ssim_gray))
            .collect();
        scores.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        let values: Vec<f64> = scores.iter().map(|s| s.1).collect();
        let similarity = estimate(&values, 0.95, 1.65, "one-sided t on session means");
        let planned = plan.sessions.iter().filter(|s| s.candidate == planted.name).count();
        let failed = planted.fails_from.map(|_| FailureCount {
            kind: FailureKind::Died,
            count: planned as u32,
            first: "exit status 134: <b>out</b> of luck".to_owned(),
        });
        let measured = pairs > 0;
        CandidateEstimates {
            name: planted.name.clone(),
            role: if planted.control { Role::Control } else { Role::Candidate },
            sessions: means.len() as u32,
            pairs: pairs as u32,
            pairs_missing: (planned * plan.sessions[0].pairs.len() - pairs) as u32,
            pairs_throttled: 0,
            sessions_unsteady: 0,
            stopped: None,
            throughput_per_s: None,
            failures: failed.into_iter().collect(),
            speedup: estimate(&means, 0.95, 2.6, "t on session means").map(exponential),
            speedup_simultaneous: estimate(&means, 0.95, 4.2, "t on session means, Šidák").map(exponential),
            speedup_unthrottled: None,
            claim: if planted.speedup > 1.05 { Claim::Faster } else { Claim::Tie },
            p_value: measured.then_some(if planted.speedup > 1.05 { 1e-9 } else { 0.61 }),
            p_adjusted: measured.then_some(if planted.speedup > 1.05 { 5e-9 } else { 1.0 }),
            rank: measured.then_some(RankSet { lower: 1, upper: 2 }),
            tier: measured.then_some(1),
            p_best: measured.then_some(0.5),
            latency_ms: latency(&mine),
            baseline_latency_ms: latency(&theirs),
            outliers: Outliers { high_mild: 2, ..Outliers::default() },
            load_ms: measured.then_some(281.5),
            baseline_load_ms: measured.then_some(320.0),
            peak_rss_bytes: measured.then_some(180 << 20),
            baseline_peak_rss_bytes: measured.then_some(212 << 20),
            gates: vec![GateEstimate {
                metric: Metric::SsimGray,
                statistic: Statistic::Mean,
                threshold: 0.85,
                bound: similarity.clone().map(|s| Estimate { upper: None, ..s }),
                passed: measured && planted.ssim > 0.86,
            }],
            similarity: similarity.clone().map(|s| Estimate { upper: None, ..s }),
            quality: similarity
                .map(|mean| MetricEstimate { metric: Metric::SsimGray, worst: values[0], mean })
                .into_iter()
                .collect(),
            worst_requests: scores.iter().take(10).map(|s| s.0).collect(),
            honesty: Vec::new(),
        }
    };
    let all: Vec<CandidateEstimates> = candidates.iter().map(of).collect();
    let control = all.iter().find(|c| c.role == Role::Control);
    let certificate = Certificate {
        control: control.map_or_else(String::new, |c| c.name.clone()),
        verdict: CertificateVerdict::Fit,
        reason: "the baseline against itself is a tie".to_owned(),
        speedup: control.and_then(|c| c.speedup.clone()),
        noise_floor: Some(0.0068),
        minimum_detectable_effect: Some(0.0112),
        identical_pictures: control.map_or(0, |c| c.pairs),
        pairs: control.map_or(0, |c| c.pairs),
    };
    Estimates {
        format: Estimates::expected_format(),
        plan: plan.digest().expect("plan"),
        samples: log.chain.head(),
        quality: Digest::of(quality.to_jsonl().expect("quality")),
        extent: Extent::Full,
        level: 0.95,
        baseline: "teacher".to_owned(),
        candidates: all,
        certificate,
        warnings: Vec::new(),
    }
}

fn rank(candidates: &[Planted], estimates: &Estimates) -> Ranking {
    let entries = candidates
        .iter()
        .enumerate()
        .map(|(index, planted)| {
            let e = estimates.candidates.iter().find(|e| e.name == planted.name);
            let lower = e.and_then(|e| e.speedup.as_ref()?.lower);
            let accepted = planted.standing == Standing::Accepted;
            RankEntry {
                position: index as u32 + 1,
                name: planted.name.clone(),
                standing: planted.standing,
                reasons: planted.reasons.clone(),
                tier: accepted.then_some(index as u32 + 1),
                score: if accepted { (lower.unwrap_or(1.0) - 1.0) * 0.9 } else { 0.0 },
                speedup_lower: lower,
                quality_factor: accepted.then_some(0.9),
                weight: if !accepted {
                    0.0
                } else if index == 0 {
                    0.8
                } else {
                    0.2
                },
            }
        })
        .collect();
    Ranking {
        format: Ranking::expected_format(),
        estimates: Digest::of(estimates.to_json().expect("estimates")),
        extent: Extent::Full,
        fitness: CertificateVerdict::Fit,
        weights_refused: None,
        winner: candidates.first().map(|c| c.name.clone()),
        verdict: format!(
            "{} wins: proven at least 6.1 times as fast as teacher, at similar quality.",
            candidates.first().map_or("nobody", |c| &c.name)
        ),
        entries,
    }
}
