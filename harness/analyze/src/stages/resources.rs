//! What an engine needs besides time: loading, memory, energy. The unit is the session, as for speed.

use edgemaxx_contract::contest::{Contest, Cost, Limit};
use edgemaxx_contract::estimate::{
    CandidateEstimates, Compared, Estimate, LimitEstimate, Streaming, TelemetrySummary,
};
use edgemaxx_contract::plan::Side;
use edgemaxx_contract::sample::{LaunchOutcome, Outcome, Phase, RecordedSession};
use edgemaxx_contract::telemetry::EnergySource;

use super::estimate::{exponent, over_sessions, plain};
use crate::estimators::student;
use crate::telemetry::Derived;

/// Counter and integral of a GPU's energy that differ by more than this deserve a warning.
const DISAGREEMENT: f64 = 0.05;

/// Loads, memory and energy of both sides in the candidate's sessions (index, records).
pub(super) fn resources(
    estimates: &mut CandidateEstimates,
    sessions: &[(u32, &RecordedSession<'_>)],
    telemetry: Option<&Derived>,
    level: f64,
) {
    let mean = |values: Vec<f64>| (!values.is_empty()).then(|| student::mean(&values));
    let load = |side: Side| {
        let of = |(_, recorded): &(u32, &RecordedSession<'_>)| {
            let launches = recorded.launches.iter().filter(|launch| launch.side == side);
            let ms = launches.filter_map(|launch| match launch.outcome {
                LaunchOutcome::Ready { launch_ns, load_ns, .. } => Some((launch_ns + load_ns) as f64 / 1e6),
                LaunchOutcome::Failed(_) => None,
            });
            mean(ms.collect())
        };
        over_sessions(&sessions.iter().filter_map(of).collect::<Vec<_>>(), level, "session means")
    };
    let rss = |side: Side| {
        let ends = sessions.iter().filter_map(|(_, recorded)| recorded.end);
        let peaks = ends.filter_map(|end| match side {
            Side::Baseline => end.baseline_peak_rss_bytes,
            Side::Candidate => end.candidate_peak_rss_bytes,
        });
        over_sessions(&peaks.map(|bytes| bytes as f64).collect::<Vec<_>>(), level, "session peaks")
    };
    let vram = |side: Side| {
        let peaks = sessions
            .iter()
            .filter_map(|(index, recorded)| telemetry?.peak_vram_bytes(recorded.place(*index, side), side));
        over_sessions(&peaks.map(|bytes| bytes as f64).collect::<Vec<_>>(), level, "session peaks")
    };
    (estimates.load_ms, estimates.baseline_load_ms) = (load(Side::Candidate), load(Side::Baseline));
    (estimates.peak_rss_bytes, estimates.baseline_peak_rss_bytes) =
        (rss(Side::Candidate), rss(Side::Baseline));
    (estimates.peak_vram_bytes, estimates.baseline_peak_vram_bytes) =
        (vram(Side::Candidate), vram(Side::Baseline));
    let energy = |side| energy(sessions, telemetry?, side, level);
    (estimates.energy_j, estimates.baseline_energy_j) = (energy(Side::Candidate), energy(Side::Baseline));
}

/// Energy of a measured answer, joules.
fn energy(
    sessions: &[(u32, &RecordedSession<'_>)],
    telemetry: &Derived,
    side: Side,
    level: f64,
) -> Option<Estimate> {
    let mut worst = EnergySource::Counter;
    let means: Vec<f64> = sessions
        .iter()
        .filter_map(|(_, recorded)| {
            let answers = recorded
                .attempts
                .iter()
                .filter(|attempt| attempt.side == side && matches!(attempt.phase, Phase::Measured { .. }));
            let joules: Vec<f64> = answers
                .filter_map(|attempt| {
                    let (joules, source) = telemetry.attempt(attempt)?.energy_j?;
                    worst = worst.max(source);
                    Some(joules)
                })
                .collect();
            (!joules.is_empty()).then(|| student::mean(&joules))
        })
        .collect();
    over_sessions(&means, level, &format!("session means, {}", worst.words()))
}

/// Energy for each unit of an answer, of both sides and as a ratio, in the candidate's sessions.
pub(super) fn energy_of_units(
    estimates: &mut CandidateEstimates,
    sessions: &[(u32, &RecordedSession<'_>)],
    telemetry: Option<&Derived>,
    level: f64,
) {
    let Some(telemetry) = telemetry else { return };
    // Sums of joules and of units: an answer of ten units counts as ten.
    let joules_per_unit = |recorded: &RecordedSession<'_>, side: Side| {
        let (mut joules, mut all) = (0.0, 0.0);
        for attempt in &recorded.attempts {
            let Outcome::Answered { units, .. } = attempt.outcome else { continue };
            if attempt.side == side
                && matches!(attempt.phase, Phase::Measured { .. })
                && let Some((energy, _)) = telemetry.attempt(attempt).and_then(|a| a.energy_j)
            {
                joules += energy;
                all += f64::from(units);
            }
        }
        (joules > 0.0 && all > 0.0).then(|| joules / all)
    };
    let both: Vec<[f64; 2]> = sessions
        .iter()
        .filter_map(|(_, recorded)| {
            Some([joules_per_unit(recorded, Side::Baseline)?, joules_per_unit(recorded, Side::Candidate)?])
        })
        .collect();
    let side =
        |at: usize| over_sessions(&both.iter().map(|two| two[at]).collect::<Vec<_>>(), level, "sessions");
    (estimates.baseline_energy_unit_j, estimates.energy_unit_j) = (side(0), side(1));
    let logs: Vec<f64> = both.iter().map(|[baseline, candidate]| (candidate / baseline).ln()).collect();
    estimates.energy_unit_ratio =
        (!logs.is_empty()).then(|| exponent(&plain(&student::interval(&logs, level), "t on sessions")));
}

/// What each limit of the contest comes to.
pub(super) fn limits(estimates: &CandidateEstimates, contest: &Contest) -> Vec<LimitEstimate> {
    let streaming = estimates.streaming.as_ref();
    let ratio =
        |of: fn(&Streaming) -> Option<&Compared>| streaming.and_then(of).map(|times| times.ratio.clone());
    let limit = |limit: &Limit| {
        let ratio = match limit.of {
            Cost::First => ratio(|s| Some(&s.first)),
            Cost::Next => ratio(|s| s.next.as_ref()),
            Cost::GapP50 => ratio(|s| s.gap_p50.as_ref()),
            Cost::GapP99 => ratio(|s| s.gap_p99.as_ref()),
            Cost::Energy => estimates.energy_unit_ratio.clone(),
        };
        let upper = ratio.as_ref().and_then(|ratio| ratio.upper);
        let passed = upper.is_some_and(|upper| upper <= limit.at_most);
        LimitEstimate { of: limit.of, at_most: limit.at_most, ratio, passed }
    };
    contest.score.limits.iter().map(limit).collect()
}

/// What is wrong with the GPU's own account of its energy, if anything.
pub(super) fn disagreement(telemetry: &TelemetrySummary) -> Option<String> {
    let (counter, integral) = telemetry.energy_counter_j.zip(telemetry.energy_integral_j)?;
    let ratio = integral / counter;
    ((ratio - 1.0).abs() > DISAGREEMENT).then(|| {
        format!("the GPU's energy counter says {counter:.0} J and its power, integrated, {integral:.0} J: do not trust its energy")
    })
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::contest::DeviceKind;
    use edgemaxx_contract::digest::Digest;
    use edgemaxx_contract::estimate::{Estimates, HonestyKind, HonestyVerdict};
    use edgemaxx_contract::plan::{Extent, Plan};
    use edgemaxx_contract::sample::{Attempt, Mark, Outcome, Record};
    use edgemaxx_contract::telemetry::{
        Execution, GpuDevice, GpuProcess, GpuReading, Owner, TelemetryHeader, TelemetryLog, TelemetryStart,
        Throttle,
    };

    use edgemaxx_contract::ranking::Standing;

    use super::super::tests::simulated::{CONFINED, Run, environment, noisy_run};
    use super::super::{Evidence, analyze, settings_of};
    use super::*;

    const S: u64 = 1_000_000_000;

    /// Requests of 4 s each, half a second apart.
    fn in_order(mut run: Run) -> Run {
        let mut at = S;
        for record in &mut run.log.records {
            if let Record::Attempt(attempt) = record {
                attempt.started_ns = at;
                if let Outcome::Answered { latency_ns, .. } = &mut attempt.outcome {
                    // As noisy as it was, that the speedups stay what they are.
                    *latency_ns = 4 * S + *latency_ns % 1_000_000;
                }
                at += 4 * S + S / 2;
            }
        }
        run
    }

    /// `quick` draws 50 W and runs at a higher clock, `middling` works on the GPU while the
    /// baseline is asked, `ugly` overheats it; everybody else draws 100 W.
    fn telemetry(plan: &Plan, log: &edgemaxx_contract::sample::Log) -> TelemetryLog {
        let (mut gpu, mut energy_mj) = (Vec::new(), 0);
        for record in &log.records {
            let Record::Attempt(attempt) = record else { continue };
            let session = &plan.sessions[attempt.session as usize];
            let asked = |name: &str| attempt.side == Side::Candidate && session.candidate == name;
            for step in 0..18 {
                let watts = if asked("quick") { 50 } else { 100 };
                energy_mj += watts * 250;
                let busy = if session.candidate == "middling" { 80 } else { 0 };
                let process = |owner, memory_bytes, busy_percent| GpuProcess {
                    owner,
                    memory_bytes: Some(memory_bytes),
                    busy_percent,
                };
                gpu.push(GpuReading {
                    at_ns: attempt.started_ns + step * S / 4,
                    sm_mhz: Some(if asked("quick") { 2100 } else { 1900 }),
                    power_mw: Some(watts as u32 * 1000),
                    energy_mj: Some(energy_mj),
                    throttle: if asked("ugly") { vec![Throttle::SwThermalSlowdown] } else { vec![] },
                    processes: Some(vec![
                        process(Owner::Baseline, 8 << 30, Some(0)),
                        process(Owner::Candidate, 6 << 30, Some(busy)),
                    ]),
                    ..GpuReading::default()
                });
            }
        }
        let device = GpuDevice {
            index: 0,
            name: "mock".to_owned(),
            driver: String::new(),
            memory_bytes: 24 << 30,
            power_limit_mw: None,
        };
        let header = TelemetryHeader {
            format: TelemetryLog::format(),
            plan: plan.digest(),
            period_ms: 250,
            devices: vec![device],
        };
        let start = TelemetryStart { lines: 1 };
        let (host, tree) = (Vec::new(), Vec::new());
        TelemetryLog { header, executions: vec![Execution { start, gpu, host, tree, end: None }] }
    }

    fn analyzed(run: &Run, derived: &Derived) -> Estimates {
        let evidence = Evidence { telemetry: Some(derived), ..run.evidence() };
        analyze(&evidence, &settings_of(&run.contest, &run.plan)).unwrap()
    }

    #[test]
    fn energy_memory_heat_and_foreign_clocks_are_told() {
        let mut run = in_order(noisy_run("telemetry", Extent::Full, |_, _| ()));
        run.plan.device.kind = DeviceKind::Cuda;
        let telemetry = telemetry(&run.plan, &run.log);
        let derived = Derived::of(&run.log, &telemetry, Digest::of("t"));
        derived.mark(&mut run.log);
        let found = analyzed(&run, &derived);
        assert_eq!(found, analyzed(&run, &derived));
        let of = |name: &str| found.candidates.iter().find(|c| c.name == name).unwrap();
        let verdict =
            |name: &str, what| of(name).honesty.iter().find(|check| check.what == what).unwrap().verdict;

        let (quick, clone) = (of("quick"), of("clone"));
        let energy = quick.energy_j.as_ref().unwrap();
        assert!((energy.point - 200.0).abs() < 1.0, "50 W for 4 s: {energy:?}");
        assert_eq!((energy.method.as_str(), energy.n), ("t on session means, energy counter", 5));
        assert!((quick.baseline_energy_j.as_ref().unwrap().point - 400.0).abs() < 2.0);
        assert!((clone.energy_j.as_ref().unwrap().point - 400.0).abs() < 2.0);
        let vram = quick.peak_vram_bytes.as_ref().unwrap();
        assert_eq!((vram.point, vram.method.as_str()), (6.0 * (1u64 << 30) as f64, "t on session peaks"));
        assert_eq!(quick.load_ms, None, "no launch was recorded");

        assert_eq!(verdict("quick", HonestyKind::Clocks), HonestyVerdict::Doubtful);
        assert_eq!(verdict("clone", HonestyKind::Clocks), HonestyVerdict::Passed);
        assert_eq!(verdict("middling", HonestyKind::GpuIdle), HonestyVerdict::Failed);
        assert_eq!(verdict("clone", HonestyKind::GpuIdle), HonestyVerdict::Passed);
        assert_eq!((of("ugly").pairs_throttled, clone.pairs_throttled), (of("ugly").pairs, 0));
        let marked = |record: &&Record| matches!(record, Record::Attempt(Attempt { marks, .. }) if marks.contains(&Mark::Throttled));
        let summary = found.telemetry.as_ref().unwrap();
        assert_eq!(run.log.records.iter().filter(marked).count() as u32, summary.throttled);
        assert!(found.warnings.iter().any(|w| w.contains("Clock frequency")), "{:?}", found.warnings);
        assert!(!found.warnings.iter().any(|w| w.contains("energy counter")), "{:?}", found.warnings);
    }

    #[test]
    fn an_energy_counter_that_its_power_denies_is_not_trusted() {
        let run = in_order(noisy_run("telemetry", Extent::Full, |_, _| ()));
        let mut telemetry = telemetry(&run.plan, &run.log);
        for gpu in &mut telemetry.executions[0].gpu {
            gpu.power_mw = gpu.power_mw.map(|mw| 2 * mw);
        }
        let derived = Derived::of(&run.log, &telemetry, Digest::of("t"));
        let found = analyzed(&run, &derived);
        assert!(found.warnings.iter().any(|w| w.contains("do not trust its energy")), "{:?}", found.warnings);
    }

    #[test]
    fn limits_are_held_to_the_upper_end_of_a_measured_ratio() {
        let mut run = in_order(noisy_run("telemetry", Extent::Full, |_, _| ()));
        let telemetry = telemetry(&run.plan, &run.log);
        let derived = Derived::of(&run.log, &telemetry, Digest::of("t"));
        let recorded = run.log.sessions(&run.plan);
        let sessions: Vec<(u32, &RecordedSession<'_>)> = run
            .plan
            .sessions
            .iter()
            .filter(|session| session.candidate == "quick")
            .map(|session| (session.index, &recorded[session.index as usize]))
            .collect();
        let found = analyzed(&run, &derived);
        let mut quick = found.candidates.iter().find(|c| c.name == "quick").unwrap().clone();
        assert_eq!(quick.energy_unit_ratio, None, "these answers have no units");
        energy_of_units(&mut quick, &sessions, Some(&derived), 0.95);
        assert!((quick.energy_unit_j.as_ref().unwrap().point - 200.0).abs() < 1.0);
        let energy = quick.energy_unit_ratio.as_ref().unwrap();
        assert!(
            (energy.point - 0.5).abs() < 0.01 && energy.upper.is_some_and(|upper| upper < 0.6),
            "{energy:?}"
        );

        let bound = |of, at_most| Limit { of, at_most, reason: "a test".to_owned() };
        run.contest.score.limits =
            vec![bound(Cost::Energy, 0.6), bound(Cost::Energy, 0.4), bound(Cost::First, 1000.0)];
        quick.limits = limits(&quick, &run.contest);
        let passed: Vec<bool> = quick.limits.iter().map(|limit| limit.passed).collect();
        assert_eq!(passed, [true, false, false], "what was not measured is not kept");
        let ranked = |quick: &CandidateEstimates| {
            let mut found = found.clone();
            *found.candidates.iter_mut().find(|c| c.name == "quick").unwrap() = quick.clone();
            let ranking = crate::stages::rank(&found, &run.contest, &environment(CONFINED));
            ranking.entries.into_iter().find(|entry| entry.name == "quick").unwrap()
        };
        let rejected = ranked(&quick);
        assert_eq!((rejected.standing, rejected.score), (Standing::RejectedQuality, 0.0));
        let words = rejected.reasons.join("; ");
        assert!(
            words.contains("energy for each unit: at most 0.4 times the baseline's must be proven, upper bound 0.5")
                && words.contains("time to the first part: at most 1000 times the baseline's must be proven, it was not measured"),
            "{words}"
        );
        quick.limits.truncate(1);
        assert_eq!(ranked(&quick).standing, Standing::NotFaster, "nothing against it but its speed");
    }
}
