//! What was measured: latencies with noise and drift, failures, throttling, pictures.

use std::collections::BTreeMap;
use std::io::Cursor;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::metric::Metric;
use edgemaxx_contract::plan::{Plan, Side};
use edgemaxx_contract::quality::QualityRecord;
use edgemaxx_contract::sample::*;

use super::Planted;

/// A small generator of pseudo-random numbers (SplitMix64), so that runs are the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    /// Roughly normal: the sum of twelve uniforms.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// Executes the plan without engines.
pub(super) fn measure(
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
            let outcome = Outcome::Answered {
                latency_ns: (ms * 1e6) as u64,
                first_ns: None,
                units: 1,
                parts: Vec::new(),
                answer: image,
                engine_ns: None,
            };
            let marks = if throttled { vec![Mark::Throttled] } else { Vec::new() };
            (
                Attempt {
                    session: session.index,
                    launch: 0,
                    side,
                    phase,
                    request,
                    started_ns: clock,
                    cpu_ns: None,
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
                    baseline_answer: shown[&Side::Baseline],
                    candidate_answer: shown[&Side::Candidate],
                    values: [
                        ("ssim_gray", Some(ssim)),
                        ("psnr_db", (!planted.control).then_some(20.0 + 10.0 * ssim)),
                        ("phash_distance", Some(((1.0 - ssim) * 40.0).max(0.0).floor())),
                    ]
                    .into_iter()
                    .filter_map(|(name, value)| Some((Metric::named(name).expect("known"), value?)))
                    .collect(),
                    sides: BTreeMap::new(),
                    follows: None,
                    detail: serde_json::Value::Null,
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
    let header = Header { format: Log::format(), plan: plan.digest(), started_unix_ms: 1_795_363_380_000 };
    let mut chain = Chain::default();
    let mut text = chain.append(Record::Header(header));
    for record in records {
        text += &chain.append(record);
    }
    Log::parse_for(&text, plan).expect("synthetic log")
}

pub fn picture(request: u32, edge: u32, wrong: f64) -> Vec<u8> {
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
