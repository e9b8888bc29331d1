//! From readings to requests.

#[cfg(test)]
mod tests;

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
