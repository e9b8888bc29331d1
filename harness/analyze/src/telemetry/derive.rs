//! From readings to requests.

use std::collections::{BTreeMap, BTreeSet};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::estimate::TelemetrySummary;
use edgemaxx_contract::plan::Side;
use edgemaxx_contract::sample::{Attempt, Log, Mark, Outcome, Phase, Record};
use edgemaxx_contract::telemetry::{
    AttemptTelemetry, EnergySource, Execution, Owner, TelemetryLog, Throttle,
};

use super::series::Series;

/// Fewer readings within a request say nothing about its energy: its ends lie between readings.
const MIN_READINGS: usize = 3;
/// The driver tells what a process did in the last second or so; what is read sooner after a
/// process's answer may be about that answer.
const QUIET_NS: u64 = 2_000_000_000;

/// Everything that telemetry says of a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// What of it stands in `estimates.json`.
    pub summary: TelemetrySummary,
    attempts: BTreeMap<Key, AttemptTelemetry>,
    /// Most memory that a side's engine held on the GPU in a session, bytes.
    vram: BTreeMap<(u32, Side), u64>,
    /// Percent of the GPU that a side's engine used in a session while it had not been asked for
    /// long, reading by reading.
    unasked: BTreeMap<(u32, Side), Vec<u32>>,
}

/// Session, launch, side, kind of phase, index in it: names an attempt.
type Key = (u32, u32, Side, u8, u32);

fn key(attempt: &Attempt) -> Key {
    let (phase, index) = match attempt.phase {
        Phase::Warmup { index } => (0, index),
        Phase::Measured { pair } => (1, pair),
        Phase::Repeat { pair } => (2, pair),
    };
    (attempt.session, attempt.launch, attempt.side, phase, index)
}

/// When a request was sent and answered, nanoseconds.
fn window(attempt: &Attempt) -> (u64, u64) {
    let latency = match attempt.outcome {
        Outcome::Answered { latency_ns, .. } => latency_ns,
        Outcome::Failed(_) => 0,
    };
    (attempt.started_ns, attempt.started_ns.saturating_add(latency))
}

impl Derived {
    /// What a test wants to be known: what sides used of the GPU unasked, and what of attempts.
    #[cfg(test)]
    pub(crate) fn told(
        unasked: BTreeMap<(u32, Side), Vec<u32>>,
        attempts: impl IntoIterator<Item = (Attempt, AttemptTelemetry)>,
    ) -> Self {
        let attempts = attempts.into_iter().map(|(attempt, known)| (key(&attempt), known)).collect();
        Self { attempts, unasked, ..Self::nothing(Digest::of("told"), None) }
    }

    /// Nothing, of telemetry with this digest on this GPU.
    fn nothing(digest: Digest, gpu: Option<String>) -> Self {
        Self {
            summary: TelemetrySummary {
                digest,
                gpu,
                readings: 0,
                attempts: 0,
                throttled: 0,
                energy_counter_j: None,
                energy_integral_j: None,
                processor_share: None,
            },
            attempts: BTreeMap::new(),
            vram: BTreeMap::new(),
            unasked: BTreeMap::new(),
        }
    }

    /// Reads requests and telemetry together; `digest` is that of `telemetry.jsonl`.
    pub fn of(log: &Log, telemetry: &TelemetryLog, digest: Digest) -> Self {
        let gpu = telemetry.header.devices.first().map(|device| device.name.clone());
        let mut derived = Self::nothing(digest, gpu);
        let blocks = Blocks::of(log);
        let (mut cpu_ns, mut spent_ns) = (0, 0);
        for (index, execution) in telemetry.executions.iter().enumerate() {
            let end = telemetry.executions.get(index + 1).map_or(u64::MAX, |next| next.start.lines);
            derived.add(execution, &attempts(log, execution.start.lines, end), &blocks);
            if let Some(end) = execution.end {
                (cpu_ns, spent_ns) = (cpu_ns + end.cpu_ns, spent_ns + end.at_ns);
            }
        }
        derived.summary.processor_share = (spent_ns > 0).then(|| cpu_ns as f64 / spent_ns as f64);
        derived.summary.attempts = derived.attempts.len() as u32;
        derived.summary.throttled = derived.attempts.values().filter(|a| a.throttled).count() as u32;
        derived
    }

    /// What is known of a run of several lanes, of what is known of each; `places` are the run's own numbers of a lane's
    /// sessions, and `digest` is that of all their files.
    pub fn of_lanes(lanes: Vec<(Self, Vec<u32>)>, digest: Digest) -> Option<Self> {
        let mut lanes = lanes.into_iter().map(|(lane, places)| lane.moved(&places));
        let mut pooled = lanes.next()?;
        for lane in lanes {
            pooled.attempts.extend(lane.attempts);
            pooled.vram.extend(lane.vram);
            pooled.unasked.extend(lane.unasked);
            let (sum, more) = (&mut pooled.summary, lane.summary);
            sum.readings += more.readings;
            sum.attempts += more.attempts;
            sum.throttled += more.throttled;
            let add = |one: Option<f64>, other: Option<f64>| one.zip(other).map(|(one, other)| one + other);
            sum.energy_counter_j = add(sum.energy_counter_j, more.energy_counter_j);
            sum.energy_integral_j = add(sum.energy_integral_j, more.energy_integral_j);
            // Of the lane where it took most.
            sum.processor_share = match (sum.processor_share, more.processor_share) {
                (Some(one), Some(other)) => Some(one.max(other)),
                (one, other) => one.or(other),
            };
        }
        pooled.summary.digest = digest;
        Some(pooled)
    }

    /// The same with other numbers for its sessions.
    fn moved(self, places: &[u32]) -> Self {
        let place = |session: u32| places[session as usize];
        let to = |(session, launch, side, phase, index): Key| (place(session), launch, side, phase, index);
        let side = |(session, side): (u32, Side)| (place(session), side);
        Self {
            summary: self.summary,
            attempts: self.attempts.into_iter().map(|(key, known)| (to(key), known)).collect(),
            vram: self.vram.into_iter().map(|(key, bytes)| (side(key), bytes)).collect(),
            unasked: self.unasked.into_iter().map(|(key, busy)| (side(key), busy)).collect(),
        }
    }

    /// What is known of a request.
    pub fn attempt(&self, attempt: &Attempt) -> Option<&AttemptTelemetry> {
        self.attempts.get(&key(attempt))
    }

    /// Most memory that a side's engine held on the GPU in a session, bytes.
    pub fn peak_vram_bytes(&self, session: u32, side: Side) -> Option<u64> {
        self.vram.get(&(session, side)).copied()
    }

    /// Percent of the GPU that a side's engine used in a session while it had not been asked for
    /// two seconds or longer, reading by reading.
    pub fn unasked(&self, session: u32, side: Side) -> &[u32] {
        self.unasked.get(&(session, side)).map_or(&[], Vec::as_slice)
    }

    /// Marks the requests of a log during which the GPU was slowed down; the log's chain stays as
    /// it was recorded.
    pub fn mark(&self, log: &mut Log) {
        for record in &mut log.records {
            if let Record::Attempt(attempt) = record
                && self.attempt(attempt).is_some_and(|known| known.throttled)
                && !attempt.marks.contains(&Mark::Throttled)
            {
                attempt.marks.push(Mark::Throttled);
                attempt.marks.sort_unstable();
            }
        }
    }

    fn add(&mut self, execution: &Execution, attempts: &[&Attempt], blocks: &Blocks) {
        let gpu = Gpu::of(execution);
        let cpu = Series::of(
            execution.host.iter().filter_map(|h| Some((h.at_ns, h.frequency_khz? as f64 / 1000.0))),
        );
        for attempt in attempts {
            let (from, to) = window(attempt);
            let known = AttemptTelemetry {
                energy_j: gpu.energy(from, to),
                gpu_mhz: gpu.clock.mean(from, to),
                cpu_mhz: cpu.mean(from, to),
                throttled: gpu.slowed(from, to),
            };
            self.attempts.insert(key(attempt), known);
        }
        self.processes(execution, attempts, blocks);
        let summary = &mut self.summary;
        summary.readings += execution.host.len().max(execution.gpu.len()) as u64;
        let whole = |series: &Series, of: fn(&Series, u64, u64) -> Option<f64>| {
            series.span().and_then(|(from, to)| of(series, from, to))
        };
        // Only together: they are there to be compared.
        if let (Some(counter), Some(integral)) =
            (whole(&gpu.energy, Series::growth), whole(&gpu.power, Series::integral))
        {
            *summary.energy_counter_j.get_or_insert(0.0) += counter;
            *summary.energy_integral_j.get_or_insert(0.0) += integral;
        }
    }

    /// Memory and work on the GPU of each side's processes.
    fn processes(&mut self, execution: &Execution, attempts: &[&Attempt], blocks: &Blocks) {
        let tells_work = execution
            .gpu
            .iter()
            .flat_map(|gpu| gpu.processes.iter().flatten())
            .any(|p| p.busy_percent.is_some());
        for reading in &execution.gpu {
            let Some(processes) = &reading.processes else { continue };
            let at = reading.at_ns;
            // Requests follow one another: the last one sent names the session under way.
            let sent = attempts.partition_point(|attempt| attempt.started_ns <= at);
            let Some(latest) = sent.checked_sub(1).and_then(|index| attempts.get(index)) else { continue };
            let own = || {
                let of_launch = |a: &&&Attempt| {
                    (blocks.lead(a.session), a.launch) == (blocks.lead(latest.session), latest.launch)
                };
                attempts[..sent].iter().rev().take_while(of_launch)
            };
            for side in [Side::Baseline, Side::Candidate] {
                let process = processes.iter().find(|process| process.owner == Owner::from(side));
                let place = match side {
                    Side::Baseline => (blocks.lead(latest.session), side),
                    // Whose of several candidates in memory it is, is not told.
                    Side::Candidate if blocks.crowded.contains(&blocks.lead(latest.session)) => continue,
                    Side::Candidate => (latest.session, side),
                };
                if let Some(bytes) = process.and_then(|process| process.memory_bytes) {
                    let most = self.vram.entry(place).or_default();
                    *most = (*most).max(bytes);
                }
                let asked = own().find(|attempt| (attempt.session, attempt.side) == place);
                let answered = asked.map(|attempt| window(attempt).1);
                // In use by the session still: somebody's request is being answered.
                let under_way = window(latest).1 >= at;
                if tells_work
                    && under_way
                    && process.is_some()
                    && answered.is_some_and(|answered| answered.saturating_add(QUIET_NS) <= at)
                {
                    let busy = process.and_then(|process| process.busy_percent).unwrap_or(0);
                    self.unasked.entry(place).or_default().push(busy);
                }
            }
        }
    }
}

/// Which sessions share a baseline.
#[derive(Default)]
struct Blocks {
    /// By session, the one that carries its baseline.
    leads: BTreeMap<u32, u32>,
    /// Those that carry the baseline of several candidates that were in memory together.
    crowded: BTreeSet<u32>,
}

impl Blocks {
    fn of(log: &Log) -> Self {
        let mut blocks = Self::default();
        // Candidates that were launched since anybody was last asked.
        let mut launched = 0;
        for record in &log.records {
            match record {
                Record::Block(block) => {
                    blocks.leads.extend(block.sessions.iter().map(|&session| (session, block.sessions[0])));
                    launched = 0;
                }
                Record::Launch(launch) if launch.side == Side::Candidate => {
                    launched += 1;
                    if launched > 1 {
                        blocks.crowded.extend(blocks.leads.get(&launch.session));
                    }
                }
                Record::Attempt(_) => launched = 0,
                _ => {}
            }
        }
        blocks
    }

    fn lead(&self, session: u32) -> u32 {
        self.leads.get(&session).copied().unwrap_or(session)
    }
}

/// The attempts that stand in the log's lines `from` up to `to`, as far as one clock goes: where it
/// starts anew, an execution without telemetry began.
fn attempts(log: &Log, from: u64, to: u64) -> Vec<&Attempt> {
    // The header is the first line and none of the records.
    let record =
        |line: u64| usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX).min(log.records.len());
    let mut last = 0;
    log.records[record(from)..record(to).max(record(from))]
        .iter()
        .filter_map(|record| if let Record::Attempt(attempt) = record { Some(attempt) } else { None })
        .take_while(|attempt| std::mem::replace(&mut last, attempt.started_ns) <= attempt.started_ns)
        .collect()
}

/// What is known of the GPU, over time.
struct Gpu {
    /// Joules.
    energy: Series,
    /// Watts.
    power: Series,
    /// MHz.
    clock: Series,
    /// 1 where it was slowed down, else 0.
    slowed: Series,
}

impl Gpu {
    /// Of the first GPU: engines see one.
    fn of(execution: &Execution) -> Self {
        let first = execution.gpu.first().map(|gpu| gpu.device);
        let readings = || execution.gpu.iter().filter(move |gpu| Some(gpu.device) == first);
        Self {
            energy: Series::of(readings().filter_map(|gpu| Some((gpu.at_ns, gpu.energy_mj? as f64 / 1e3)))),
            power: Series::of(readings().filter_map(|gpu| Some((gpu.at_ns, f64::from(gpu.power_mw?) / 1e3)))),
            clock: Series::of(readings().filter_map(|gpu| Some((gpu.at_ns, f64::from(gpu.sm_mhz?))))),
            slowed: Series::of(readings().map(|gpu| {
                let slowed = gpu.throttle.iter().copied().any(Throttle::slows);
                (gpu.at_ns, if slowed { 1.0 } else { 0.0 })
            })),
        }
    }

    /// Energy from `from` to `to`; `None` with too few readings between.
    fn energy(&self, from: u64, to: u64) -> Option<(f64, EnergySource)> {
        if self.energy.within(from, to).len() >= MIN_READINGS {
            return self.energy.growth(from, to).map(|joules| (joules, EnergySource::Counter));
        }
        if self.power.within(from, to).len() >= MIN_READINGS {
            return self.power.integral(from, to).map(|joules| (joules, EnergySource::Power));
        }
        None
    }

    fn slowed(&self, from: u64, to: u64) -> bool {
        self.slowed.within(from, to).iter().any(|(_, slowed)| *slowed > 0.0)
    }
}

#[cfg(test)]
mod tests {
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
        let host =
            vec![HostReading { at_ns: 2_000 * MS, frequency_khz: Some(3_500_000), ..Default::default() }];
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
}
