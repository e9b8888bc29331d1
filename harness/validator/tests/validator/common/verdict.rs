//! What a validator would find: the truth about the miners, and its own noise.

use std::path::Path;

use edgemaxx_analyze::rank;
use edgemaxx_contract::confidence::DEFAULT_LEVEL;
use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::counted::Counted;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::estimate::{
    CandidateEstimates, Certificate, CertificateVerdict, Claim, Estimate, Estimates, SessionEvidence,
};
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::Extent;

use super::planet::Planet;

/// Writes the ranking that this planet's truth and noise give.
pub(super) fn finish(planet: &Planet, contest: &Contest, folder: &Path, entropy: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let of = |name: &str| planet.miners.get(name).map_or(1.0, |miner| miner.speedup);
    let truth: Vec<_> = contest.candidates.iter().map(|c| (c.name.clone(), of(&c.name))).collect();
    let estimates = estimates(&truth, planet.noise, entropy, planet.unfit);
    let ranking = rank(&estimates, contest, &Environment::mock());
    std::fs::write(folder.join("ranking.json"), ranking.to_json()).unwrap();
}

/// A number from −1 to 1 that depends on its arguments alone (SplitMix64).
pub(crate) fn chance(seed: u64, name: &str) -> f64 {
    let digest = Digest::of_fields([&seed.to_le_bytes()[..], name.as_bytes()]);
    let bytes: [u8; 8] = std::array::from_fn(|index| digest.as_bytes()[index]);
    (u64::from_le_bytes(bytes) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// What a validator with this noise would estimate; intervals of ± four standard deviations, so that
/// they hold for all candidates together.
pub(crate) fn estimates(
    truth: &[(String, f64)],
    (sd, seed): (f64, u64),
    entropy: &str,
    unfit: bool,
) -> Estimates {
    let half = (4.0 * sd).max(1e-4);
    let estimate = |point: f64| Estimate {
        point,
        lower: Some(point * (-half).exp()),
        upper: Some(point * half.exp()),
        method: "simulated".to_owned(),
        n: 8,
        level: DEFAULT_LEVEL,
    };
    let candidate = |(name, truth): &(String, f64)| {
        // Three of them together: near enough to a normal deviate, within ±3 standard deviations.
        let noise: f64 = (0..3).map(|k| chance(seed, &format!("{k} {entropy} {name}"))).sum();
        let failed = *truth == 0.0;
        let speedup = estimate(truth.max(0.5) * (sd * noise).exp());
        let claim = match (speedup.lower, speedup.upper) {
            (Some(lower), _) if lower > 1.0 => Claim::Faster,
            (_, Some(upper)) if upper < 1.0 => Claim::Slower,
            _ => Claim::Tie,
        };
        let scatter: Vec<f64> = (0..8).map(|round| chance(seed, &format!("{round} of {name}"))).collect();
        let middle = scatter.iter().sum::<f64>() / 8.0;
        let by_session = scatter.iter().zip(0..).map(|(value, round)| SessionEvidence {
            round,
            log_ratio: -speedup.point.ln() + (5.0 * sd).max(1e-4) * (value - middle),
            similarity: None,
        });
        CandidateEstimates {
            sessions: 8,
            by_session: by_session.collect(),
            pairs: 160,
            counted: Counted::all(160),
            speedup_simultaneous: (!failed).then(|| speedup.clone()),
            speedup: (!failed).then_some(speedup),
            claim,
            ..CandidateEstimates::unmeasured(name)
        }
    };
    Estimates {
        format: Estimates::expected_format(),
        plan: Digest::of("plan"),
        samples: Digest::of("samples"),
        quality: Digest::of("quality"),
        telemetry: None,
        extent: Extent::Full,
        level: DEFAULT_LEVEL,
        looks: None,
        baseline: "baseline".to_owned(),
        candidates: truth.iter().map(candidate).collect(),
        certificate: Certificate {
            control: "control".to_owned(),
            verdict: if unfit { CertificateVerdict::Unfit } else { CertificateVerdict::Fit },
            reason: "the control is a tie".to_owned(),
            speedup: None,
            noise_floor: Some(half),
            minimum_detectable_effect: Some(2.0 * half),
            identical_answers: 0,
            pairs: 0,
        },
        lanes: Vec::new(),
        warnings: Vec::new(),
    }
}
