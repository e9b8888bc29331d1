//! Whether weights may be set from a run: the one rule, for `rank`, `weights set` and the validator. It rests on data,
//! never on words.

use crate::environment::{Confinement, Environment};
use crate::estimate::{Certificate, CertificateVerdict};
use crate::plan::Extent;
use crate::ranking::Ranking;

/// Why no weights may be set from a run with this certificate, of this extent, measured there, for a contest that tolerates
/// a noise floor of `tolerated` (a relative half-width); `None`: they may.
pub fn weights_refused(
    certificate: &Certificate,
    tolerated: f64,
    extent: Extent,
    environment: &Environment,
) -> Option<String> {
    let mut reasons = Vec::new();
    match certificate.verdict {
        CertificateVerdict::Fit => match certificate.noise_floor {
            Some(floor) if floor <= tolerated => {}
            Some(floor) => reasons.push(format!(
                "the run is too noisy: its noise floor is ±{:.1}%, and the contest tolerates ±{:.1}%",
                100.0 * floor,
                100.0 * tolerated
            )),
            None => reasons.push("the run is unfit: its noise floor is not known".to_owned()),
        },
        CertificateVerdict::Unfit => reasons.push(format!("the run is unfit: {}", certificate.reason)),
    }
    match extent {
        Extent::Full => {}
        Extent::Quick => reasons.push("a quick run never sets weights".to_owned()),
    }
    match &environment.sandbox {
        Confinement::Bubblewrap { .. } => {}
        open @ Confinement::Unsandboxed { .. } => reasons.push(format!("engines were {open}")),
    }
    match &environment.bounds {
        Some(bounds) => reasons.extend(bounds.gaps().into_iter().map(str::to_owned)),
        None => reasons.push("it is not recorded how engines were held while they were measured".to_owned()),
    }
    reasons.extend(environment.unfit.iter().cloned());
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

impl Ranking {
    /// Whether weights may be set from this ranking.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn sets_weights(&self) -> Result<(), String> {
        if let Some(why) = &self.weights_refused {
            return Err(why.clone());
        }
        match (self.fitness, self.extent) {
            (CertificateVerdict::Fit, Extent::Full) => Ok(()),
            _ => Err("the run is unfit, or only a quick look".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::environment::{Bounds, CardRest, Rest};
    use crate::format::Document as _;

    const CONFINED: Confinement = Confinement::Bubblewrap { note: None };

    fn certificate(verdict: CertificateVerdict) -> Certificate {
        Certificate {
            control: "control".to_owned(),
            verdict,
            reason: "no tie".to_owned(),
            speedup: None,
            noise_floor: Some(0.02),
            minimum_detectable_effect: None,
            identical_answers: 0,
            pairs: 0,
        }
    }

    fn held() -> Bounds {
        Bounds { card_rest: Some(CardRest::Locked), ..Bounds::mock() }
    }

    fn environment(sandbox: Confinement, unfit: &[&str]) -> Environment {
        let unfit = unfit.iter().map(|why| (*why).to_owned()).collect();
        Environment { sandbox, unfit, bounds: Some(held()), ..Environment::mock() }
    }

    #[test]
    fn each_reason_alone_keeps_weights_from_a_run() {
        let refused = |verdict, extent, sandbox, unfit: &[&str]| {
            weights_refused(&certificate(verdict), 0.05, extent, &environment(sandbox, unfit))
        };
        let (fit, full) = (CertificateVerdict::Fit, Extent::Full);
        assert_eq!(refused(fit, full, CONFINED, &[]), None);
        let noted = Confinement::Bubblewrap { note: Some("unsandboxed in words only".to_owned()) };
        assert_eq!(refused(fit, full, noted, &[]), None, "words decide nothing");
        let cases = [
            (refused(CertificateVerdict::Unfit, full, CONFINED, &[]), "the run is unfit: no tie"),
            (refused(fit, Extent::Quick, CONFINED, &[]), "a quick run never sets weights"),
            (refused(fit, full, CONFINED, &["governor: powersave"]), "governor: powersave"),
        ];
        for (found, expected) in cases {
            assert_eq!(found.as_deref(), Some(expected));
        }
        // A control that ties because nothing can be told from noise certifies nothing.
        for (floor, expected) in [
            (Some(0.05), None),
            (
                Some(0.34),
                Some("the run is too noisy: its noise floor is ±34.0%, and the contest tolerates ±5.0%"),
            ),
            (
                Some(f64::NAN),
                Some("the run is too noisy: its noise floor is ±NaN%, and the contest tolerates ±5.0%"),
            ),
            (None, Some("the run is unfit: its noise floor is not known")),
        ] {
            let certificate = Certificate { noise_floor: floor, ..certificate(fit) };
            let found = weights_refused(&certificate, 0.05, full, &environment(CONFINED, &[]));
            assert_eq!(found.as_deref(), expected);
        }
        // Whatever an open sandbox is called.
        for reason in ["no bwrap", "", "bubblewrap"] {
            let open = Confinement::Unsandboxed { reason: reason.to_owned() };
            let found = refused(fit, full, open, &[]).unwrap();
            assert_eq!(found, format!("engines were unsandboxed: {reason}"));
        }
    }

    #[test]
    fn each_bound_that_is_missing_keeps_weights_from_a_run() {
        let refused = |bounds: Option<Bounds>| {
            let environment = Environment { bounds, ..environment(CONFINED, &[]) };
            weights_refused(&certificate(CertificateVerdict::Fit), 0.05, Extent::Full, &environment)
        };
        for rest in [Rest::CgroupV1, Rest::Stop] {
            assert_eq!(refused(Some(Bounds { rest, card_rest: None, ..held() })), None, "{rest:?}");
        }
        for (bounds, words) in [
            (Some(Bounds { rest: Rest::Nothing, ..held() }), "from running"),
            (Some(Bounds { card_rest: Some(CardRest::Unproven), ..held() }), "left the card alone"),
            (Some(Bounds { memory: false, ..held() }), "memory"),
            (Some(Bounds { calls: false, ..held() }), "no filter"),
            (Some(Bounds { own_user: false, ..held() }), "as root"),
            (None, "not recorded"),
        ] {
            let found = refused(bounds).expect(words);
            assert!(found.contains(words) && !found.contains(';'), "{found}");
        }
    }

    #[test]
    fn a_ranking_pays_only_where_all_it_says_agrees() {
        let ranking = |refused: Option<&str>, fitness, extent| Ranking {
            format: Ranking::expected_format(),
            estimates: Digest::of("e"),
            extent,
            fitness,
            weights_refused: refused.map(str::to_owned),
            winner: None,
            verdict: String::new(),
            entries: Vec::new(),
        };
        let (fit, unfit) = (CertificateVerdict::Fit, CertificateVerdict::Unfit);
        assert_eq!(ranking(None, fit, Extent::Full).sets_weights(), Ok(()));
        assert_eq!(ranking(Some("why"), fit, Extent::Full).sets_weights(), Err("why".to_owned()));
        assert!(ranking(None, unfit, Extent::Full).sets_weights().is_err());
        assert!(ranking(None, fit, Extent::Quick).sets_weights().is_err());
    }
}
