//! Frequency, work and load of the processors that this process may use.

use std::fs;
use std::path::{Path, PathBuf};

use edgemaxx_contract::telemetry::{HostReading, Reading};

use super::proc;
use crate::source::{Moment, Source};

/// `/proc/stat` counts in hundredths of a second everywhere (`USER_HZ`).
const MS_PER_TICK: u64 = 10;

/// Reads `/proc` and `/sys`.
#[derive(Debug)]
pub struct HostSource {
    root: PathBuf,
    /// Files with the frequency of one processor each, kHz; empty where there is no `cpufreq`.
    frequencies: Vec<PathBuf>,
    /// Ticks of work and of steal at the last reading.
    before: Option<(u64, u64)>,
}

impl HostSource {
    /// This machine.
    pub fn new() -> Self {
        Self::at(Path::new("/"))
    }

    /// A machine whose `/proc` and `/sys` lie below `root`.
    fn at(root: &Path) -> Self {
        let status = fs::read_to_string(root.join("proc/self/status")).unwrap_or_default();
        let list = proc::field(&status, "Cpus_allowed_list");
        let frequencies = processors(list.unwrap_or_default())
            .into_iter()
            .map(|cpu| root.join(format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq")))
            .filter(|path| path.exists())
            .collect();
        Self { root: root.to_owned(), frequencies, before: None }
    }

    fn frequency_khz(&self) -> Option<u64> {
        let read = |path: &PathBuf| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
        let known: Vec<u64> = self.frequencies.iter().filter_map(read).collect();
        (!known.is_empty()).then(|| known.iter().sum::<u64>() / known.len() as u64)
    }

    /// Ticks of work and of steal since the machine started.
    fn ticks(&self) -> Option<(u64, u64)> {
        let text = fs::read_to_string(self.root.join("proc/stat")).ok()?;
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = line.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal
        let [user, nice, system, _, _, irq, softirq, steal, ..] = ticks[..] else { return None };
        Some((user + nice + system + irq + softirq, steal))
    }
}

impl Default for HostSource {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for HostSource {
    fn read(&mut self, moment: &Moment<'_>, into: &mut Vec<Reading>) {
        let now = self.ticks();
        let since =
            |pick: fn((u64, u64)) -> u64| Some(pick(now?).saturating_sub(pick(self.before?)) * MS_PER_TICK);
        let (busy_ms, steal_ms) = (since(|ticks| ticks.0), since(|ticks| ticks.1));
        self.before = now;
        into.push(Reading::Host(HostReading {
            at_ns: (moment.now_ns)(),
            frequency_khz: self.frequency_khz(),
            busy_ms,
            steal_ms,
            load_milli: proc::load(&self.root).map(|load| (f64::from(load.one) * 1000.0).round() as u64),
        }));
    }
}

/// The numbers in a list such as `0-3,8`.
fn processors(list: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<u32>().ok()?..=last.trim().parse::<u32>().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().take(1024).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("create");
        fs::write(path, text).expect("write");
    }

    fn read(source: &mut HostSource) -> HostReading {
        let mut found = Vec::new();
        source.read(&Moment { turn: 0, watched: &[], now_ns: &|| 7 }, &mut found);
        let Some(Reading::Host(host)) = found.pop() else { panic!("a reading of the host") };
        host
    }

    #[test]
    fn a_machine_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        write(&root.join("proc/self/status"), "Name:\tx\nCpus_allowed_list:\t0-1,5\n");
        for (cpu, khz) in [(0, 2_000_000), (1, 4_000_000), (2, 9_000_000)] {
            let path = format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq");
            write(&root.join(path), &format!("{khz}\n"));
        }
        write(&root.join("proc/stat"), "cpu  100 10 20 1000 5 1 2 30 0 0\ncpu0 1 1 1\n");
        write(&root.join("proc/loadavg"), "1.25 0.5 0.1 1/99 7\n");
        let mut source = HostSource::at(root);
        let first = read(&mut source);
        assert_eq!(first.frequency_khz, Some(3_000_000), "of the processors that may be used");
        assert_eq!((first.busy_ms, first.steal_ms, first.load_milli), (None, None, Some(1250)));
        write(&root.join("proc/stat"), "cpu  150 10 20 1900 5 1 2 33 0 0\n");
        let second = read(&mut source);
        assert_eq!((second.busy_ms, second.steal_ms), (Some(500), Some(30)));
    }

    #[test]
    fn what_is_not_there_is_absent() {
        let folder = tempfile::tempdir().expect("a folder");
        let found = read(&mut HostSource::at(folder.path()));
        assert_eq!(found, HostReading { at_ns: 7, ..HostReading::default() });
    }

    #[test]
    fn lists_of_processors() {
        assert_eq!(processors(" 0-2,8\n"), [0, 1, 2, 8]);
        assert_eq!(processors(""), [0u32; 0]);
    }
}
