//! How answers came that come in parts, and each kind of request apart.

use edgemaxx_contract::estimate::{Compared, OfKind, Streaming};
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::sample::{Arrival, Attempt, Outcome, RecordedSession};

use super::estimate::{exponent, over_sessions, plain};
use crate::estimators::quantiles::Sorted;
use crate::estimators::student;

/// Both answers to a request.
pub(super) struct Answered<'a> {
    kind: Option<&'a str>,
    baseline: &'a Attempt,
    candidate: &'a Attempt,
}

/// The complete pairs of each session of a candidate.
pub(super) fn answered<'a>(
    plan: &'a Plan,
    sessions: &[(u32, &'a RecordedSession<'a>)],
) -> Vec<Vec<Answered<'a>>> {
    sessions
        .iter()
        .map(|(index, recorded)| {
            let pairs = plan.sessions.get(*index as usize).map_or(0, |session| session.pairs.len() as u32);
            let answered = |(_, baseline, candidate): (u32, &'a Attempt, &'a Attempt)| {
                let request = plan.requests.get(baseline.request as usize);
                let kind = request.and_then(|request| plan.task.kind(&request.ask));
                Answered { kind, baseline, candidate }
            };
            recorded.complete_pairs(pairs).map(answered).collect()
        })
        .collect()
}

/// How the answers came; `None` where they came whole.
pub(super) fn streaming(sessions: &[Vec<Answered<'_>>], level: f64) -> Option<Streaming> {
    of(&sessions.iter().map(|pairs| pairs.iter().collect()).collect::<Vec<_>>(), level)
}

fn of(sessions: &[Vec<&Answered<'_>>], level: f64) -> Option<Streaming> {
    let by_pair = |of: fn(&Attempt) -> Option<f64>| {
        let sessions = sessions.iter().map(|pairs| {
            pairs.iter().filter_map(|pair| Some([of(pair.baseline)?, of(pair.candidate)?])).collect()
        });
        compared(&sessions.collect::<Vec<Vec<[f64; 2]>>>(), level)
    };
    let by_session = |q: f64| {
        let gap = |pairs: &Vec<&Answered<'_>>, side: for<'a> fn(&'a Answered<'_>) -> &'a Attempt| {
            Sorted::new(pairs.iter().flat_map(|pair| gaps(side(pair))).collect()).quantile(q)
        };
        let sessions = sessions.iter().filter_map(|pairs| {
            let both = [gap(pairs, |pair| pair.baseline)?, gap(pairs, |pair| pair.candidate)?];
            // Parts that came within the clock's resolution have no ratio.
            both.iter().all(|ms| *ms > 0.0).then(|| vec![both])
        });
        compared(&sessions.collect::<Vec<_>>(), level)
    };
    Some(Streaming {
        first: firsts_of(sessions, level)?,
        next: by_pair(next),
        gap_p50: by_session(0.5),
        gap_p99: by_session(0.99),
    })
}

/// Every kind of request, by name; none where they are all alike.
pub(super) fn kinds(sessions: &[Vec<Answered<'_>>], level: f64) -> Vec<OfKind> {
    let mut names: Vec<&str> = sessions.iter().flatten().filter_map(|pair| pair.kind).collect();
    names.sort_unstable();
    names.dedup();
    let of_kind = |kind: &str| {
        let sessions: Vec<Vec<&Answered<'_>>> = sessions
            .iter()
            .map(|pairs| pairs.iter().filter(|pair| pair.kind == Some(kind)).collect())
            .collect();
        let scored = sessions.iter().map(|pairs| {
            let unit =
                |attempt: &Attempt| attempt.outcome.unit_ns().filter(|ns| *ns > 0.0).map(|ns| ns / 1e6);
            pairs.iter().filter_map(|pair| Some([unit(pair.baseline)?, unit(pair.candidate)?])).collect()
        });
        Some(OfKind {
            kind: kind.to_owned(),
            pairs: sessions.iter().map(Vec::len).sum::<usize>() as u32,
            scored: compared(&scored.collect::<Vec<Vec<[f64; 2]>>>(), level)?,
            streaming: of(&sessions, level),
        })
    };
    names.into_iter().filter_map(of_kind).collect()
}

/// The times to the first part. An answer that came whole beside one in parts had its first when it had its last.
fn firsts_of(sessions: &[Vec<&Answered<'_>>], level: f64) -> Option<Compared> {
    let both = |pair: &&Answered<'_>| {
        let sides = [pair.baseline, pair.candidate];
        let streams = sides.iter().any(|attempt| first(attempt).is_some());
        let [baseline, candidate] = sides.map(|attempt| first(attempt).or_else(|| whole(attempt)));
        Some([baseline?, candidate?]).filter(|_| streams)
    };
    let sessions = sessions.iter().map(|pairs| pairs.iter().filter_map(both).collect());
    compared(&sessions.collect::<Vec<Vec<[f64; 2]>>>(), level)
}

/// Milliseconds to the first part.
fn first(attempt: &Attempt) -> Option<f64> {
    match &attempt.outcome {
        Outcome::Answered { first_ns: Some(first), .. } if *first > 0 => Some(*first as f64 / 1e6),
        _ => None,
    }
}

/// Milliseconds to the end.
fn whole(attempt: &Attempt) -> Option<f64> {
    match &attempt.outcome {
        Outcome::Answered { latency_ns, .. } => Some(*latency_ns as f64 / 1e6),
        Outcome::Failed(_) => None,
    }
}

/// Milliseconds from the first part to the end, for each unit but one: MLPerf's time per output after the first.
fn next(attempt: &Attempt) -> Option<f64> {
    match &attempt.outcome {
        Outcome::Answered { latency_ns, first_ns: Some(first), units, .. }
            if *units > 1 && latency_ns > first =>
        {
            Some((latency_ns - first) as f64 / 1e6 / f64::from(units - 1))
        }
        _ => None,
    }
}

/// Milliseconds between parts.
fn gaps(attempt: &Attempt) -> Vec<f64> {
    match &attempt.outcome {
        Outcome::Answered { parts, .. } => {
            let gap = |two: &[Arrival]| two[1].at_ns.saturating_sub(two[0].at_ns) as f64 / 1e6;
            parts.windows(2).map(gap).collect()
        }
        Outcome::Failed(_) => Vec::new(),
    }
}

/// Pairs of baseline's and candidate's milliseconds, by session: the means of both, and of their log ratios.
fn compared(sessions: &[Vec<[f64; 2]>], level: f64) -> Option<Compared> {
    let means = |of: &dyn Fn(&[f64; 2]) -> f64| -> Vec<f64> {
        let sessions = sessions.iter().filter(|pairs| !pairs.is_empty());
        sessions.map(|pairs| student::mean(&pairs.iter().map(of).collect::<Vec<_>>())).collect()
    };
    let ratios = means(&|[baseline, candidate]| (candidate / baseline).ln());
    let log =
        (!ratios.is_empty()).then(|| plain(&student::interval(&ratios, level), "t on session means"))?;
    Some(Compared {
        candidate_ms: over_sessions(&means(&|pair| pair[1]), level, "session means")?,
        baseline_ms: over_sessions(&means(&|pair| pair[0]), level, "session means")?,
        ratio: exponent(&log),
    })
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::digest::Digest;
    use edgemaxx_contract::plan::Side;
    use edgemaxx_contract::sample::Phase;

    use super::*;

    fn attempt(ms: u64, first: Option<u64>, parts: &[u64]) -> Attempt {
        Attempt {
            session: 0,
            launch: 0,
            side: Side::Baseline,
            phase: Phase::Measured { pair: 0 },
            request: 0,
            started_ns: 0,
            outcome: Outcome::Answered {
                latency_ns: ms * 1_000_000,
                first_ns: first.map(|ms| ms * 1_000_000),
                units: parts.len().max(1) as u32,
                parts: parts.iter().map(|ms| Arrival { at_ns: ms * 1_000_000, units: 1 }).collect(),
                answer: Digest::of("a"),
                engine_ns: None,
            },
            cpu_ns: None,
            marks: Vec::new(),
        }
    }

    #[test]
    fn times_are_those_of_the_formulae() {
        let (slow, fast) = (attempt(110, Some(10), &[10, 60, 110]), attempt(50, Some(20), &[20, 30, 50]));
        let pair = |kind| Answered { kind, baseline: &slow, candidate: &fast };
        let sessions = vec![vec![pair(Some("long"))], vec![pair(Some("long")), pair(Some("short"))]];
        let found = streaming(&sessions, 0.95).unwrap();
        assert_eq!((found.first.baseline_ms.point, found.first.candidate_ms.point), (10.0, 20.0));
        assert!((found.first.ratio.point - 2.0).abs() < 1e-12 && found.first.ratio.n == 2);
        let next = found.next.unwrap();
        assert_eq!((next.baseline_ms.point, next.candidate_ms.point), (50.0, 15.0));
        let gap = found.gap_p99.unwrap();
        assert!(gap.baseline_ms.point == 50.0 && gap.candidate_ms.point > 19.0);
        let kinds = kinds(&sessions, 0.95);
        let names: Vec<(&str, u32)> = kinds.iter().map(|kind| (kind.kind.as_str(), kind.pairs)).collect();
        assert_eq!(names, [("long", 2), ("short", 1)]);
        assert!((kinds[0].scored.ratio.point - 50.0 / 110.0).abs() < 1e-12);
        assert!(kinds[1].scored.ratio.lower.is_none(), "one session bounds nothing");
    }

    #[test]
    fn what_comes_whole_is_no_stream() {
        let whole = attempt(110, None, &[]);
        let sessions = vec![vec![Answered { kind: None, baseline: &whole, candidate: &whole }]];
        assert_eq!(streaming(&sessions, 0.95), None);
        assert!(kinds(&sessions, 0.95).is_empty());
        let parts = attempt(110, Some(10), &[10, 110]);
        let sessions = vec![vec![Answered { kind: None, baseline: &parts, candidate: &whole }]];
        let first = streaming(&sessions, 0.95).expect("one side streams").first;
        assert_eq!((first.baseline_ms.point, first.candidate_ms.point), (10.0, 110.0), "no way to look fast");
        // A stream in one part has a first one and nothing after it.
        let burst = attempt(110, Some(110), &[110]);
        let sessions = vec![vec![Answered { kind: None, baseline: &burst, candidate: &burst }]];
        let found = streaming(&sessions, 0.95).unwrap();
        assert!(found.next.is_none() && found.gap_p50.is_none());
    }
}
