use edgemaxx_contract::sample::{Chain, Header};
use edgemaxx_contract::telemetry::{
    GpuProcess, GpuReading, HostReading, TelemetryEnd, TelemetryHeader, TelemetryStart,
};

use super::*;

const MS: u64 = 1_000_000;

fn attempt(side: Side, pair: u32, started_ms: u64, latency_ms: u64) -> Record {
    Record::Attempt(Attempt {
        session: 0,
        launch: 0,
        side,
        phase: Phase::Measured { pair },
        request: 0,
        started_ns: started_ms * MS,
        cpu_ns: None,
        outcome: Outcome::Answered {
            latency_ns: latency_ms * MS,
            first_ns: None,
            units: 1,
            parts: Vec::new(),
            answer: Digest::of("x"),
            engine_ns: None,
        },
        marks: Vec::new(),
    })
}

fn log(records: Vec<Record>) -> Log {
    let header = Header { format: Log::format(), plan: Digest::of("plan"), started_unix_ms: 0 };
    Log { header, records, chain: Chain::default(), complete_bytes: 0 }
}

/// 100 W at rest, 300 W while the baseline is asked, 200 W while the candidate is; a counter
/// that grows by it, read every 100 ms. The candidate's answers take 3 s, the baseline's 4 s.
fn planted(readings: u64) -> (Log, TelemetryLog) {
    let asked = [(0, 1_000, 4_000), (1, 5_500, 3_000), (1, 9_000, 3_000), (0, 12_500, 4_000)];
    let power = |ms: u64| {
        let busy = asked.iter().find(|(_, from, long)| (*from..from + long).contains(&ms));
        match busy {
            Some((0, ..)) => 300,
            Some(_) => 200,
            None => 100,
        }
    };
    let energy_mj = |ms: u64| (0..ms).map(power).sum::<u64>();
    let gpu = (0..readings)
        .map(|turn| {
            let ms = turn * 100;
            GpuReading {
                at_ns: ms * MS,
                sm_mhz: Some(if ms < 9_000 { 1000 } else { 1100 }),
                power_mw: Some(power(ms) as u32 * 1000),
                energy_mj: Some(energy_mj(ms)),
                throttle: if ms == 6_000 {
                    vec![Throttle::SwPowerCap, Throttle::HwThermalSlowdown]
                } else {
                    vec![Throttle::SwPowerCap]
                },
                processes: (turn % 5 == 0).then(|| {
                    vec![
                        GpuProcess {
                            owner: Owner::Baseline,
                            memory_bytes: Some(8 << 30),
                            busy_percent: None,
                        },
                        GpuProcess {
                            owner: Owner::Candidate,
                            memory_bytes: Some((5 << 30) + turn),
                            busy_percent: Some(40),
                        },
                    ]
                }),
                ..GpuReading::default()
            }
        })
        .collect();
    let host = vec![HostReading { at_ns: 2_000 * MS, frequency_khz: Some(3_500_000), ..Default::default() }];
    let end = Some(TelemetryEnd { at_ns: 20_000 * MS, readings, cpu_ns: 10 * MS });
    let start = TelemetryStart { lines: 1 };
    let execution = Execution { start, gpu, host, tree: Vec::new(), end };
    let header = TelemetryHeader {
        format: TelemetryLog::format(),
        plan: Digest::of("plan"),
        period_ms: 100,
        devices: Vec::new(),
    };
    let side = |index| if index == 0 { Side::Baseline } else { Side::Candidate };
    let mut count = [0, 0];
    let records = asked.iter().map(|(who, from, long)| {
        let record = attempt(side(*who), count[*who], *from, *long);
        count[*who] += 1;
        record
    });
    (log(records.collect()), TelemetryLog { header, executions: vec![execution] })
}

fn of(log: &Log, telemetry: &TelemetryLog) -> Derived {
    Derived::of(log, telemetry, Digest::of("file"))
}

fn nth<'a>(derived: &'a Derived, log: &Log, index: usize) -> Option<&'a AttemptTelemetry> {
    let Record::Attempt(attempt) = &log.records[index] else { panic!("attempts only") };
    derived.attempt(attempt)
}

#[test]
fn energy_clocks_memory_and_throttling_are_found_again() {
    let (mut log, telemetry) = planted(190);
    let derived = of(&log, &telemetry);
    let (energy, source) = nth(&derived, &log, 0).unwrap().energy_j.unwrap();
    assert!((energy - 1200.0).abs() < 1e-9 && source == EnergySource::Counter, "{energy}");
    let second = nth(&derived, &log, 1).unwrap();
    assert!((second.energy_j.unwrap().0 - 600.0).abs() < 1e-9);
    assert_eq!((second.gpu_mhz, second.throttled), (Some(1000.0), true));
    let third = nth(&derived, &log, 2).unwrap();
    assert_eq!((third.gpu_mhz, third.throttled), (Some(1100.0), false), "a power limit is no throttling");
    assert_eq!(nth(&derived, &log, 0).unwrap().cpu_mhz, Some(3500.0));
    assert_eq!(derived.peak_vram_bytes(0, Side::Baseline), Some(8 << 30));
    assert_eq!(derived.peak_vram_bytes(0, Side::Candidate), Some((5 << 30) + 185));
    assert_eq!(derived.peak_vram_bytes(1, Side::Candidate), None);
    let summary = &derived.summary;
    assert_eq!((summary.attempts, summary.throttled, summary.readings), (4, 1, 190));
    let (counter, integral) = (summary.energy_counter_j.unwrap(), summary.energy_integral_j.unwrap());
    assert!((integral / counter - 1.0).abs() < 0.02, "{integral} against {counter}");
    assert_eq!(summary.processor_share, Some(0.0005));
    derived.mark(&mut log);
    let marks = |index: usize| match &log.records[index] {
        Record::Attempt(attempt) => attempt.marks.clone(),
        _ => Vec::new(),
    };
    assert_eq!((marks(0), marks(1)), (vec![], vec![Mark::Throttled]));
    assert_eq!(of(&log, &telemetry), derived, "marking changes nothing that is found");
}

#[test]
fn work_while_nothing_is_asked_is_seen() {
    let (log, telemetry) = planted(190);
    let derived = of(&log, &telemetry);
    // The candidate answered at 12.0 s; readings of processes at 14.0 to 16.5 s, while the
    // baseline is asked from 12.5 to 16.5 s.
    assert_eq!(derived.unasked(0, Side::Candidate), [40; 6]);
    // The baseline answered at 5.0 s: 7.0 to 8.5 s, and 9.0 to 12.0 s.
    assert_eq!(derived.unasked(0, Side::Baseline).len(), 4 + 7);
    assert!(derived.unasked(0, Side::Baseline).iter().all(|busy| *busy == 0));
}

#[test]
fn a_request_with_too_few_readings_has_no_energy_but_a_clock() {
    let (log, mut telemetry) = planted(190);
    telemetry.executions[0].gpu.retain(|gpu| gpu.at_ns % (2_000 * MS) == 0);
    let derived = of(&log, &telemetry);
    let second = nth(&derived, &log, 1).unwrap();
    assert_eq!((second.energy_j, second.gpu_mhz), (None, Some(1000.0)));
    // without a counter, power is integrated
    let (log, mut telemetry) = planted(190);
    telemetry.executions[0].gpu.iter_mut().for_each(|gpu| gpu.energy_mj = None);
    let derived = of(&log, &telemetry);
    let (energy, source) = nth(&derived, &log, 1).unwrap().energy_j.unwrap();
    assert!((energy / 600.0 - 1.0).abs() < 0.02 && source == EnergySource::Power, "{energy}");
}

#[test]
fn readings_belong_to_their_execution_alone() {
    let (mut log, telemetry) = planted(190);
    // Resumed without telemetry: the clock starts anew, and the old readings say nothing.
    log.records.push(attempt(Side::Baseline, 2, 1_000, 4_000));
    let derived = of(&log, &telemetry);
    assert!(nth(&derived, &log, 4).is_none());
    // Resumed with telemetry: its own readings do.
    let mut resumed = telemetry.clone();
    let mut execution = telemetry.executions[0].clone();
    execution.start.lines = 5;
    execution.gpu.iter_mut().for_each(|gpu| gpu.sm_mhz = Some(700));
    resumed.executions.push(execution);
    let derived = of(&log, &resumed);
    assert_eq!(nth(&derived, &log, 4).unwrap().gpu_mhz, Some(700.0));
    assert_eq!(nth(&derived, &log, 0).unwrap().gpu_mhz, Some(1000.0));
    // More lines than the log has: a crash lost what was not yet on the disk.
    resumed.executions[1].start.lines = 99;
    assert!(nth(&of(&log, &resumed), &log, 4).is_none());
}
