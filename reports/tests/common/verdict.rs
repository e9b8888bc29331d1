//! What the synthetic samples say: simple statistics on purpose.

use edgemaxx_contract::counted::Counted;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::estimate::*;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::metric::{Metric, Statistic};
use edgemaxx_contract::plan::{Extent, Plan, Role};
use edgemaxx_contract::quality::QualityLog;
use edgemaxx_contract::ranking::{RankEntry, Ranking, Standing};
use edgemaxx_contract::sample::*;

use super::Planted;

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

pub(super) fn analyze(plan: &Plan, candidates: &[Planted], log: &Log, quality: &QualityLog) -> Estimates {
    let recorded = log.sessions(plan);
    let ssim = Metric::named("ssim_gray").expect("known");
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
                    Outcome::Answered { latency_ns, .. } => latency_ns as f64 / 1e6,
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
            .filter_map(|r| Some((r.request, r.value(ssim)?)))
            .collect();
        scores.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        let values: Vec<f64> = scores.iter().map(|s| s.1).collect();
        let similarity = estimate(&values, 0.95, 1.65, "one-sided t on session means");
        const MIB: f64 = 1_048_576.0;
        let over_sessions = |point: f64, method: &str| {
            let near = [0.98 * point, point, 1.02 * point];
            estimate(&near, 0.95, 4.303, method).filter(|_| !means.is_empty())
        };
        let planned = plan.sessions.iter().filter(|s| s.candidate == planted.name).count();
        let failed = planted.fails_from.map(|_| FailureCount {
            kind: FailureKind::Died,
            count: planned as u32,
            first: "exit status 134: <b>out</b> of luck".to_owned(),
        });
        let measured = pairs > 0;
        let mut counted = Counted::all((planned * plan.sessions[0].pairs.len()) as u64);
        counted.compared = pairs as u64;
        counted.leave_out(counted.expected - counted.compared, "failed");
        CandidateEstimates {
            role: if planted.control { Role::Control } else { Role::Candidate },
            sessions: means.len() as u32,
            by_session: means
                .iter()
                .zip(0..)
                .map(|(mean, round)| SessionEvidence { round, log_ratio: -mean, similarity: None })
                .collect(),
            pairs: pairs as u32,
            counted,
            failures: failed.into_iter().collect(),
            speedup: estimate(&means, 0.95, 2.6, "t on session means").map(exponential),
            speedup_simultaneous: estimate(&means, 0.95, 4.2, "t on session means, Šidák").map(exponential),
            claim: if planted.speedup > 1.05 { Claim::Faster } else { Claim::Tie },
            p_value: measured.then_some(if planted.speedup > 1.05 { 1e-9 } else { 0.61 }),
            p_adjusted: measured.then_some(if planted.speedup > 1.05 { 5e-9 } else { 1.0 }),
            rank: measured.then_some(RankSet { lower: 1, upper: 2 }),
            tier: measured.then_some(1),
            p_best: measured.then_some(0.5),
            latency_ms: latency(&mine),
            baseline_latency_ms: latency(&theirs),
            outliers: Outliers { high_mild: 2, ..Outliers::default() },
            load_ms: over_sessions(281.5, "t on session means"),
            baseline_load_ms: over_sessions(320.0, "t on session means"),
            peak_rss_bytes: over_sessions(180.0 * MIB, "t on session peaks"),
            baseline_peak_rss_bytes: over_sessions(212.0 * MIB, "t on session peaks"),
            energy_j: over_sessions(61.25, "t on session means, energy counter"),
            baseline_energy_j: over_sessions(122.5, "t on session means, energy counter"),
            peak_vram_bytes: over_sessions(7168.0 * MIB, "t on session peaks"),
            baseline_peak_vram_bytes: over_sessions(8192.0 * MIB, "t on session peaks"),
            gates: vec![GateEstimate {
                metric: ssim,
                statistic: Statistic::Mean,
                threshold: 0.85,
                bound: similarity.clone().map(|s| Estimate { upper: None, ..s }),
                passed: measured && planted.ssim > 0.86,
            }],
            similarity: similarity.clone().map(|s| Estimate { upper: None, ..s }),
            quality: similarity
                .map(|mean| MetricEstimate { metric: ssim, worst: values[0], mean })
                .into_iter()
                .collect(),
            worst_requests: scores.iter().take(10).map(|s| s.0).collect(),
            ..CandidateEstimates::unmeasured(&planted.name)
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
        identical_answers: control.map_or(0, |c| c.pairs),
        pairs: control.map_or(0, |c| c.pairs),
    };
    Estimates {
        format: Estimates::expected_format(),
        plan: plan.digest(),
        samples: log.chain.head(),
        quality: Digest::of(quality.to_jsonl()),
        telemetry: Some(TelemetrySummary {
            digest: Digest::of("telemetry"),
            gpu: Some("NVIDIA GeForce RTX 4090".to_owned()),
            readings: 4000,
            attempts: 300,
            throttled: 2,
            energy_counter_j: Some(60_000.0),
            energy_integral_j: Some(60_300.0),
            processor_share: Some(0.0004),
        }),
        extent: Extent::Full,
        level: 0.95,
        looks: None,
        baseline: "teacher".to_owned(),
        candidates: all,
        certificate,
        lanes: Vec::new(),
        warnings: Vec::new(),
    }
}

pub(super) fn rank(candidates: &[Planted], estimates: &Estimates) -> Ranking {
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
        estimates: Digest::of(estimates.to_json()),
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
