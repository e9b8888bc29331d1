//! Bootstrap, analysis and ranking at the size of a large contest: 256 candidates, 8 sessions,
//! 35 pairs, 10,000 resamples each. `scripts/bench-scipy` measures SciPy beside it.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use edgemaxx_analyze::estimators::{Method, bootstrap};
use edgemaxx_analyze::inference::pairwise::Series;
use edgemaxx_analyze::inference::ranks::Ranks;
use edgemaxx_analyze::random::Seed;
use edgemaxx_analyze::samples::{CandidateSamples, Pair, SampleTable, Session};
use edgemaxx_analyze::{AnalyzeReport, Settings};
use edgemaxx_contract::digest::Digest;

const CANDIDATES: u32 = 256;
const SESSIONS: u32 = 8;
const PAIRS: usize = 35;
const RESAMPLES: usize = 10_000;

fn table() -> SampleTable {
    let mut stream = Seed::of("bench").stream(0);
    let mut latency = |shift: f64| 500.0 * (shift + 0.01 * stream.normal()).exp();
    let mut pair = || Pair { baseline_ms: latency(0.0), candidate_ms: latency(-0.01), throttled: false };
    let mut candidates = Vec::new();
    for candidate in 0..CANDIDATES {
        let sessions = (0..SESSIONS).map(|key| Session {
            key: key + SESSIONS * candidate,
            pairs: (0..PAIRS).map(|_| pair()).collect(),
        });
        let sessions = sessions.collect();
        candidates.push(CandidateSamples::whole(format!("candidate-{candidate}"), sessions));
    }
    let digest = Digest::of("bench");
    SampleTable { baseline: "baseline".to_owned(), candidates, warnings: Vec::new(), digest }
}

fn statistics(criterion: &mut Criterion) {
    let table = table();
    let series: Vec<Series> = table.candidates.iter().map(CandidateSamples::series).collect();
    let means: Vec<&[f64]> = series.iter().map(|series| series.means.as_slice()).collect();
    let seed = Seed::of("bench");
    let mut group = criterion.benchmark_group("256x8x35");
    group.sample_size(10);
    group.bench_function("bca", |b| {
        b.iter(|| bootstrap::intervals(black_box(&means), Method::Bca, 0.95, RESAMPLES, seed));
    });
    group.bench_function("rank", |b| b.iter(|| Ranks::of(black_box(&series), 0.95, None)));
    let ranks = Ranks::of(&series, 0.95, None);
    group.bench_function("p-best", |b| b.iter(|| ranks.p_best(black_box(&series), seed)));
    for method in [Method::Student, Method::Bca] {
        let settings = Settings { method: Some(method), resamples: RESAMPLES, ..Settings::default() };
        group.bench_function(format!("analyze-{method}"), |b| {
            b.iter(|| AnalyzeReport::of(black_box(&table), &settings));
        });
    }
    group.finish();
}

criterion_group!(benches, statistics);
criterion_main!(benches);
