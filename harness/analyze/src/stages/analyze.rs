//! The stage `analyze`: samples and quality in, `estimates.json` out.

use std::collections::BTreeMap;

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::estimate::{
    CandidateEstimates, CertificateVerdict, Estimate, Estimates, FailureCount, HonestyCheck, HonestyKind,
    HonestyVerdict, Latency, LookRange, Outliers, RankSet, SessionEvidence, StoppedEarly,
};
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::{Extent, Plan, Role, Side};
use edgemaxx_contract::quality::{QualityLog, QualityRecord};
use edgemaxx_contract::sample::{
    Failure, FailureKind, LaunchOutcome, Log, Outcome, RecordedSession, ScoresOutcome, SessionStatus,
};

use super::control::certificate;
use super::estimate::{mean_latency, quantile, speedup, throughput};
use super::lanes::{self, Lanes};
use super::resources::{disagreement, energy_of_units, limits, resources};
use super::{floor, gates, honesty, stream};
use crate::estimators::drift::drift;
use crate::estimators::outliers::{Fences, Outlier};
use crate::estimators::quantiles::Sorted;
use crate::estimators::student;
use crate::inference::{CandidateInference, Settings, SettingsError, infer};
use crate::samples::{CandidateSamples, Pair, SampleTable, Session};
use crate::sequential::FIRST_LOOK;
use crate::sources::from_log;
use crate::telemetry::Derived;

/// Everything `analyze` reads.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The contest of the plan.
    pub contest: &'a Contest,
    /// The plan of the log.
    pub plan: &'a Plan,
    /// The samples.
    pub log: &'a Log,
    /// The quality of their answers.
    pub quality: &'a QualityLog,
    /// Digest of `quality.jsonl`.
    pub quality_digest: Digest,
    /// Where they were measured, where it is known.
    pub environment: Option<&'a Environment>,
    /// What telemetry says of the samples, where there is any; its marks stand in the log.
    pub telemetry: Option<&'a Derived>,
}

/// Evidence that cannot be analysed.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    /// Settings out of range.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// The settings a run is analysed with: the contest's level, and the looks where the plan let the
/// data decide when to stop.
pub fn settings_of(contest: &Contest, plan: &Plan) -> Settings {
    let adaptive = plan.measurement.stopping.is_adaptive();
    Settings { level: contest.score.level, looks: adaptive.then(|| looks_of(plan)), ..Settings::default() }
}

/// The first and the last look of a plan whose candidates may stop early.
pub(super) fn looks_of(plan: &Plan) -> (usize, usize) {
    let most = plan.sessions.iter().map(|session| session.round as usize + 1).max().unwrap_or(1);
    (FIRST_LOOK.min(most), most)
}

/// Estimates everything the evidence supports. Equal evidence and settings give equal bytes.
///
/// # Errors
/// [`AnalyzeError`]: settings out of range.
pub fn analyze(evidence: &Evidence<'_>, settings: &Settings) -> Result<Estimates, AnalyzeError> {
    let Evidence { contest, plan, log, quality, quality_digest, environment, telemetry } = *evidence;
    let mut table = from_log(plan, log);
    let recorded = log.sessions(plan);
    let of_lanes = lanes::Measured { plan, environment, telemetry };
    let lanes = Lanes::of(&of_lanes, &recorded, &mut table, settings.level);
    let inference = infer(&table, settings)?;
    let mut by_candidate: BTreeMap<&str, Vec<&QualityRecord>> = BTreeMap::new();
    let counts = |session: u32| plan.sessions.get(session as usize).is_none_or(|s| lanes.keeps(s.round));
    for record in quality.records.iter().filter(|record| counts(record.session)) {
        by_candidate.entry(&record.candidate).or_default().push(record);
    }
    let method = |inferred: &CandidateInference| {
        let title = inferred.log_ratio.map_or("", |summary| summary.method.title());
        match settings.looks {
            Some((first, last)) => format!("{title}, error spent over looks {first}…{last}"),
            None => title.to_owned(),
        }
    };
    let none = Vec::new();
    let mut candidates = Vec::new();
    let mut control = None;
    for ((pipeline, samples), inferred) in
        plan.candidates().iter().zip(&table.candidates).zip(&inference.candidates)
    {
        let sessions: Vec<Measured<'_>> = plan
            .sessions
            .iter()
            .filter(|planned| planned.candidate == pipeline.name && lanes.keeps(planned.round))
            .filter_map(|planned| {
                let pairs = planned.pairs.len() as u32;
                Some(Measured {
                    index: planned.index,
                    round: planned.round,
                    pairs,
                    recorded: recorded.get(planned.index as usize)?,
                })
            })
            .collect();
        let records = by_candidate.get(pipeline.name.as_str()).unwrap_or(&none);
        let method = method(inferred);
        if pipeline.role == Role::Control {
            let log_ratio = inferred.log_ratio.as_ref();
            let blocks = sessions.iter().filter(|s| s.recorded.complete_pairs(s.pairs).next().is_some());
            let blocks = blocks.count() as f64 / samples.sessions.len().max(1) as f64;
            control = Some(certificate(Some(samples), blocks, log_ratio, &method, records, settings.level));
        }
        let mut estimates = speed(samples, inferred, &method, settings.level);
        estimates.name = pipeline.name.clone();
        estimates.role = pipeline.role;
        estimates.by_session = by_session(samples, &sessions, records, contest);
        estimates.lanes_p_value = lanes.heterogeneity(samples);
        process(&mut estimates, &sessions);
        let recorded_of: Vec<_> = sessions.iter().map(|s| (s.index, s.recorded)).collect();
        resources(&mut estimates, &recorded_of, telemetry, settings.level);
        estimates.stopped =
            log.stops().find(|stop| stop.candidate == pipeline.name).map(|stop| StoppedEarly {
                after_sessions: stop.after_sessions,
                sessions_saved: stop.sessions_saved,
                reason: stop.reason.clone(),
                beaten_by: stop.beaten_by.clone(),
            });
        let gates = contest.quality.gates.iter();
        estimates.gates = gates.map(|gate| gates::gate(records, gate, contest.quality.level)).collect();
        estimates.unscored = unscored(plan, &recorded_of, records);
        estimates.similarity = gates::similarity(records, contest.score.similarity, contest.score.level);
        estimates.quality = gates::metrics(records, settings.level);
        estimates.worst_requests = gates::worst_requests(records, contest);
        let answered = stream::answered(plan, &recorded_of);
        estimates.streaming = stream::streaming(&answered, settings.level);
        if plan.task.unit().is_some() {
            energy_of_units(&mut estimates, &recorded_of, telemetry, settings.level);
        }
        estimates.limits = limits(&estimates, contest);
        estimates.kinds = stream::kinds(&answered, settings.level);
        estimates.floor = floor::above(environment, &pipeline.name, &recorded_of);
        estimates.honesty = honesty::checks(plan, &recorded, telemetry, &pipeline.name, records);
        if environment.is_some_and(|environment| environment.peaks.is_some()) {
            let (verdict, detail) =
                floor::check(environment, (&plan.baseline().name, &pipeline.name), &recorded_of);
            estimates.honesty.push(HonestyCheck { what: HonestyKind::Implausible, verdict, detail });
        }
        candidates.push(estimates);
    }
    let mut certificate = control.unwrap_or_else(|| certificate(None, 1.0, None, "", &[], settings.level));
    // A baseline that cannot answer may be launched as the control first.
    let of_control = candidates.iter().filter(|candidate| candidate.role == Role::Control);
    if certificate.speedup.is_none()
        && let Some(failed) = of_control.flat_map(|control| &control.failures).next()
    {
        certificate.reason += &format!(": the control {failed}");
    }
    if let Some(why) = unfinished(plan, log).or(lanes.unfit) {
        (certificate.verdict, certificate.reason) = (CertificateVerdict::Unfit, why);
    }
    let mut warnings = warnings(plan, &table, inference.warnings);
    warnings.extend(lanes.warnings);
    warnings.extend(candidates.iter().flat_map(doubts));
    warnings.extend(telemetry.and_then(|telemetry| disagreement(&telemetry.summary)));
    Ok(Estimates {
        format: Estimates::expected_format(),
        plan: plan.digest(),
        samples: log.chain.head(),
        quality: quality_digest,
        telemetry: telemetry.map(|telemetry| telemetry.summary.clone()),
        extent: plan.extent,
        level: settings.level,
        looks: settings.looks.map(|(first, last)| LookRange { first: first as u32, last: last as u32 }),
        baseline: plan.baseline().name.clone(),
        candidates,
        certificate,
        lanes: lanes.rows,
        warnings,
    })
}

/// Why a run is unfit whose plan was not followed to its end: who ends it when he likes what he sees proves nothing.
fn unfinished(plan: &Plan, log: &Log) -> Option<String> {
    let left = log.unfinished(plan);
    (left > 0).then(|| {
        format!(
            "it is not finished: {left} of {} planned sessions have no end, and nothing says why; `edgemaxx measure --resume` goes on",
            plan.sessions.len()
        )
    })
}

/// Why nothing is known of what takes scores; `None`: it is known, or the contest asks for none.
fn unscored(
    plan: &Plan,
    sessions: &[(u32, &RecordedSession<'_>)],
    records: &[&QualityRecord],
) -> Option<String> {
    let known = |record: &&QualityRecord| record.values.keys().any(|metric| metric.entry().scored);
    if plan.task.scored(&plan.request) == 0 || records.iter().any(known) {
        return None;
    }
    let said = |side: Side| {
        let all = sessions.iter().flat_map(|(_, recorded)| &recorded.scores);
        all.filter(|scores| scores.side == side).map(|scores| &scores.outcome).collect::<Vec<_>>()
    };
    let because = |who: &str, said: &[&ScoresOutcome]| {
        let failed = said.iter().find_map(|outcome| match outcome {
            ScoresOutcome::Failed(failure) => Some(format!("{who} failed to score: {failure}")),
            ScoresOutcome::Given { .. } => None,
        });
        failed.or_else(|| said.is_empty().then(|| format!("{who} does not score")))
    };
    let own = because("its engine", &said(Side::Candidate));
    own.or_else(|| because("the baseline's engine", &said(Side::Baseline)))
        .or_else(|| Some("its scores were not all given, or not judged".to_owned()))
}

/// What each session says about speed and quality.
fn by_session(
    samples: &CandidateSamples,
    measured: &[Measured<'_>],
    records: &[&QualityRecord],
    contest: &Contest,
) -> Vec<SessionEvidence> {
    let similarities = gates::similarity_by_session(records, contest.score.similarity);
    // The control has several sessions of a round where candidates share a baseline.
    let similarity = |round: u32| {
        let of_round = measured.iter().filter(|session| session.round == round);
        let found: Option<Vec<f64>> = of_round
            .filter(|session| session.recorded.complete_pairs(session.pairs).next().is_some())
            .map(|session| similarities.get(&session.index).copied())
            .collect();
        found.filter(|found| !found.is_empty()).map(|found| student::mean(&found))
    };
    let evidence = |session: &Session| SessionEvidence {
        round: session.key,
        log_ratio: session.mean(),
        similarity: similarity(session.key),
    };
    samples.sessions.iter().map(evidence).collect()
}

/// A planned session and what was recorded of it.
struct Measured<'a> {
    index: u32,
    round: u32,
    pairs: u32,
    recorded: &'a RecordedSession<'a>,
}

/// The part of the estimates that latencies give.
fn speed(
    samples: &CandidateSamples,
    inferred: &CandidateInference,
    method: &str,
    level: f64,
) -> CandidateEstimates {
    let measured = !samples.sessions.is_empty();
    let latency_of = |side: fn(&Pair) -> f64| measured.then(|| latency(samples, side, level)).flatten();
    let latency_ms = latency_of(|pair| pair.candidate_ms);
    CandidateEstimates {
        sessions: samples.sessions.len() as u32,
        pairs: samples.pairs() as u32,
        counted: samples.counted.clone(),
        pairs_throttled: samples.all_pairs().filter(|pair| pair.throttled).count() as u32,
        sessions_drifting: samples.sessions.iter().filter(|session| drifts(session)).count() as u32,
        speedup: inferred.log_ratio.map(|summary| speedup(&summary, method)),
        speedup_simultaneous: inferred.simultaneous.map(|summary| Estimate {
            level,
            ..speedup(&summary, &format!("{method}, all candidates at once"))
        }),
        speedup_unthrottled: inferred.unthrottled.map(|summary| speedup(&summary, method)),
        claim: inferred.claim,
        p_value: inferred.p_value,
        p_adjusted: inferred.p_adjusted,
        rank: inferred.rank.map(|(lower, upper)| RankSet { lower, upper }),
        tier: inferred.tier,
        p_best: inferred.p_best,
        throughput_per_s: latency_ms.as_ref().map(|latency| throughput(&latency.mean)),
        latency_ms,
        baseline_latency_ms: latency_of(|pair| pair.baseline_ms),
        outliers: outliers(samples.log_ratios()),
        ..CandidateEstimates::unmeasured(&samples.name)
    }
}

fn drifts(session: &Session) -> bool {
    let baseline: Vec<f64> = session.pairs.iter().map(|pair| pair.baseline_ms).collect();
    drift(&baseline).is_some()
}

fn latency(samples: &CandidateSamples, side: fn(&Pair) -> f64, level: f64) -> Option<Latency> {
    let sorted = Sorted::new(samples.all_pairs().map(side).collect());
    Some(Latency {
        mean: mean_latency(samples, side, level),
        p50: quantile(&sorted, 0.5, level)?,
        p90: quantile(&sorted, 0.9, level)?,
        p99: quantile(&sorted, 0.99, level)?,
    })
}

fn outliers(log_ratios: Vec<f64>) -> Outliers {
    let sorted = Sorted::new(log_ratios);
    let mut counts = Outliers::default();
    let Some(fences) = Fences::of(&sorted) else { return counts };
    for value in sorted.values() {
        match fences.class(*value) {
            Outlier::LowSevere => counts.low_severe += 1,
            Outlier::LowMild => counts.low_mild += 1,
            Outlier::None => {}
            Outlier::HighMild => counts.high_mild += 1,
            Outlier::HighSevere => counts.high_severe += 1,
        }
    }
    counts
}

/// The part that the processes' lives give: steadiness and failures.
fn process(estimates: &mut CandidateEstimates, sessions: &[Measured<'_>]) {
    let ends = sessions.iter().filter_map(|s| s.recorded.end);
    estimates.sessions_unsteady =
        ends.filter(|end| end.status == SessionStatus::Complete && !end.steady).count() as u32;
    estimates.failures = failures(sessions);
}

/// The baseline's last failure in a session that was ended for it: it fails beside this candidate alone.
fn baseline_failed_beside(recorded: &RecordedSession<'_>) -> Option<Failure> {
    let own = SessionStatus::Aborted { side: Side::Baseline };
    recorded.end.filter(|end| end.status == own)?;
    let launches = recorded.launches.iter().filter(|launch| launch.side == Side::Baseline);
    let launch = launches.filter_map(|launch| match &launch.outcome {
        LaunchOutcome::Failed(failure) => Some(failure),
        LaunchOutcome::Ready { .. } => None,
    });
    let attempts = recorded.attempts.iter().filter(|attempt| attempt.side == Side::Baseline);
    let attempt = attempts.filter_map(|attempt| match &attempt.outcome {
        Outcome::Failed(failure) => Some(failure),
        Outcome::Answered { .. } => None,
    });
    let Failure { kind, detail } = launch.chain(attempt).last()?;
    let detail = format!("the baseline fails beside it alone: {detail}");
    Some(Failure { kind: *kind, detail })
}

/// The candidate's failures by kind, each with the first one's words.
fn failures(sessions: &[Measured<'_>]) -> Vec<FailureCount> {
    let mut counts: BTreeMap<FailureKind, FailureCount> = BTreeMap::new();
    let mut add = |failure: &Failure| {
        let entry = counts.entry(failure.kind).or_insert_with(|| FailureCount {
            kind: failure.kind,
            count: 0,
            first: failure.detail.clone(),
        });
        entry.count += 1;
    };
    for session in sessions {
        if let Some(failure) = baseline_failed_beside(session.recorded) {
            add(&failure);
        }
        for launch in session.recorded.launches.iter().filter(|launch| launch.side == Side::Candidate) {
            if let LaunchOutcome::Failed(failure) = &launch.outcome {
                add(failure);
            }
        }
        for attempt in session.recorded.attempts.iter().filter(|a| a.side == Side::Candidate) {
            if let Outcome::Failed(failure) = &attempt.outcome {
                add(failure);
            }
        }
    }
    counts.into_values().collect()
}

/// What of a candidate's honesty is in doubt; what is proven is a reason of its standing.
pub(super) fn doubts(candidate: &CandidateEstimates) -> impl Iterator<Item = String> {
    candidate.found(HonestyVerdict::Doubtful).map(|check| format!("{:?}: {check}", candidate.name))
}

fn warnings(plan: &Plan, table: &SampleTable, mut warnings: Vec<String>) -> Vec<String> {
    if plan.extent == Extent::Quick {
        let note = "a quick run: few sessions and pairs, wide intervals; it never sets weights";
        warnings.insert(0, note.to_owned());
    }
    for candidate in &table.candidates {
        let (name, counted) = (&candidate.name, &candidate.counted);
        if candidate.sessions.is_empty() {
            warnings.push(format!("{name:?} has no complete pair"));
        } else if !counted.is_whole() {
            warnings.push(format!("{name:?}: {counted}"));
        }
    }
    warnings
}
