//! The thread that reads the machine, and what `execute` tells it.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::telemetry::{
    Reading, TelemetryEnd, TelemetryHeader, TelemetryLog, TelemetryRecord, TelemetryStart,
};
use edgemaxx_devices::{Moment, Source, Watched};
use edgemaxx_engine::{Clock as _, MonotonicClock, thread_cpu_ns};

use super::file::TelemetryFile;
use crate::error::MeasureError;

/// Where no processor is to spare, readings are so far apart that they take at most this part of
/// one: what they take, the engine waits for.
const SHARE: u32 = 1000;

/// What `execute` tells telemetry.
pub trait Telemetry {
    /// An execution begins: `samples.jsonl` holds so many lines, and its clock shows `zero_ns`.
    ///
    /// # Errors
    /// [`MeasureError`]: nothing can be written.
    fn begin(&mut self, lines: u64, zero_ns: u64) -> Result<(), MeasureError>;

    /// From now on these engines run, and no others.
    fn watch(&mut self, engines: &[Watched]);
}

/// Reads nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTelemetry;

impl Telemetry for NoTelemetry {
    fn begin(&mut self, _: u64, _: u64) -> Result<(), MeasureError> {
        Ok(())
    }
    fn watch(&mut self, _: &[Watched]) {}
}

/// How a machine is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Time from one reading to the next.
    pub period: Duration,
    /// Engines leave a processor for others: readings need not be made rarer for their sake.
    pub spare_processor: bool,
}

/// Reads the machine in a thread of its own, from [`Telemetry::begin`] until it is dropped.
pub struct Recorder {
    clock: MonotonicClock,
    settings: Settings,
    watched: Arc<Mutex<Vec<Watched>>>,
    /// Until the thread takes them.
    idle: Option<(TelemetryFile, Vec<Box<dyn Source>>)>,
    running: Option<Running>,
}

/// The thread: dropping the sender ends it.
type Running = (Sender<()>, JoinHandle<Result<(), MeasureError>>);

impl Recorder {
    /// Opens `telemetry.jsonl` in a run folder. `clock` is the one that `execute` is given.
    ///
    /// # Errors
    /// [`MeasureError`]: the file is of another plan, or cannot be written.
    pub fn open(
        folder: &Path,
        plan: Digest,
        clock: MonotonicClock,
        settings: Settings,
        sources: Vec<Box<dyn Source>>,
    ) -> Result<Self, MeasureError> {
        let header = TelemetryHeader {
            format: TelemetryLog::format(),
            plan,
            period_ms: u64::try_from(settings.period.as_millis()).unwrap_or(u64::MAX),
            devices: sources.iter().flat_map(|source| source.devices()).collect(),
        };
        let file = TelemetryFile::open(folder, &header)?;
        let watched = Arc::new(Mutex::new(Vec::new()));
        Ok(Self { clock, settings, watched, idle: Some((file, sources)), running: None })
    }

    /// Ends the thread: what went wrong in it, if anything. Measuring does not depend on it.
    ///
    /// # Errors
    /// [`MeasureError::Io`]: from some moment on nothing was written.
    pub fn finish(mut self) -> Result<(), MeasureError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), MeasureError> {
        let Some((stop, thread)) = self.running.take() else { return Ok(()) };
        drop(stop);
        thread.join().unwrap_or(Ok(()))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

impl Telemetry for Recorder {
    fn begin(&mut self, lines: u64, zero_ns: u64) -> Result<(), MeasureError> {
        let Some((mut file, sources)) = self.idle.take() else { return Ok(()) };
        file.append([TelemetryRecord::Start(TelemetryStart { lines })])?;
        let (stop, stopped) = channel();
        let watched = Arc::clone(&self.watched);
        let (clock, settings) = (self.clock, self.settings);
        let body = move || Thread { clock, zero_ns, settings, watched, sources, file }.run(&stopped);
        let thread = std::thread::Builder::new()
            .name("telemetry".to_owned())
            .spawn(body)
            .map_err(MeasureError::io(Path::new(super::TELEMETRY_FILE), "start the thread that writes it"))?;
        self.running = Some((stop, thread));
        Ok(())
    }

    fn watch(&mut self, engines: &[Watched]) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.clear();
        watched.extend_from_slice(engines);
    }
}

/// What the thread owns.
struct Thread {
    clock: MonotonicClock,
    zero_ns: u64,
    settings: Settings,
    watched: Arc<Mutex<Vec<Watched>>>,
    sources: Vec<Box<dyn Source>>,
    file: TelemetryFile,
}

impl Thread {
    fn run(mut self, stopped: &Receiver<()>) -> Result<(), MeasureError> {
        let (clock, zero_ns) = (self.clock, self.zero_ns);
        let now_ns = move || clock.now_ns().saturating_sub(zero_ns);
        let mut turn = 0;
        loop {
            let (began, cpu_ns) = (Instant::now(), thread_cpu_ns());
            let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let moment = Moment { turn, watched: &watched, now_ns: &now_ns };
            let mut found: Vec<Reading> = Vec::new();
            for source in &mut self.sources {
                source.read(&moment, &mut found);
            }
            self.file.append(found.into_iter().map(TelemetryRecord::from))?;
            turn += 1;
            let cost = Duration::from_nanos(thread_cpu_ns().saturating_sub(cpu_ns));
            let rest = rest(&self.settings, cost).saturating_sub(began.elapsed());
            match stopped.recv_timeout(rest) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let end = TelemetryEnd { at_ns: now_ns(), readings: turn, cpu_ns: thread_cpu_ns() };
        self.file.append([TelemetryRecord::End(end)])
    }
}

/// Time from a reading that took `cost` of a processor to the next.
fn rest(settings: &Settings, cost: Duration) -> Duration {
    if settings.spare_processor { settings.period } else { settings.period.max(cost.saturating_mul(SHARE)) }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::telemetry::GpuReading;
    use edgemaxx_devices::MockSource;

    use super::*;
    use crate::telemetry::TELEMETRY_FILE;

    fn settings(ms: u64) -> Settings {
        Settings { period: Duration::from_millis(ms), spare_processor: true }
    }

    fn source() -> Vec<Box<dyn Source>> {
        let tell = |turn, at_ns| GpuReading { at_ns, sm_mhz: Some(100 + turn as u32), ..Default::default() };
        vec![Box::new(MockSource::new("mock", tell))]
    }

    #[test]
    fn readings_are_rarer_where_they_cost_more() {
        let tight = Settings { spare_processor: false, ..settings(250) };
        assert_eq!(rest(&tight, Duration::from_micros(100)), Duration::from_millis(250));
        assert_eq!(rest(&tight, Duration::from_millis(4)), Duration::from_secs(4));
        assert_eq!(rest(&settings(250), Duration::from_millis(4)), Duration::from_millis(250));
    }

    #[test]
    fn an_execution_is_written_from_start_to_end_and_gone_on_with() {
        let folder = tempfile::tempdir().expect("a folder");
        let (plan, path) = (Digest::of("plan"), folder.path().join(TELEMETRY_FILE));
        let run = |lines| {
            let clock = MonotonicClock::start();
            let mut recorder =
                Recorder::open(folder.path(), plan, clock, settings(2), source()).expect("open");
            recorder.begin(lines, clock.now_ns()).expect("begin");
            std::thread::sleep(Duration::from_millis(30));
            let began = Instant::now();
            recorder.finish().expect("written");
            assert!(began.elapsed() < Duration::from_secs(1), "it does not sleep on");
        };
        run(1);
        // a crash tears the last line
        let text = std::fs::read_to_string(&path).expect("read");
        std::fs::write(&path, format!("{text}{{\"record\":\"gp")).expect("write");
        run(42);
        let log = TelemetryLog::parse(&std::fs::read_to_string(&path).expect("read"), plan).expect("whole");
        assert_eq!((log.header.period_ms, log.header.devices[0].name.as_str()), (2, "mock"));
        let starts: Vec<u64> = log.executions.iter().map(|execution| execution.start.lines).collect();
        assert_eq!(starts, [1, 42]);
        for execution in &log.executions {
            let end = execution.end.expect("an end");
            assert_eq!(execution.gpu.len() as u64, end.readings);
            assert!(end.readings > 1 && execution.gpu.is_sorted_by_key(|gpu| gpu.at_ns));
            assert_eq!(execution.gpu[1].sm_mhz, Some(101));
            assert!(execution.gpu[0].at_ns < 1_000_000_000, "the execution's own clock");
        }
    }

    #[test]
    fn telemetry_of_another_plan_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = |plan| {
            Recorder::open(folder.path(), Digest::of(plan), MonotonicClock::start(), settings(2), source())
        };
        drop(open("one").expect("open"));
        let error = open("other").err().expect("refused");
        assert!(matches!(error, MeasureError::Telemetry { .. }), "{error}");
        assert!(error.to_string().contains(TELEMETRY_FILE), "{error}");
    }
}
