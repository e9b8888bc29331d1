//! `GET /metrics`: a validator's status, and its workers, as Prometheus reads them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::state::Phase;
use crate::status::Status;
use crate::workers::Worker;

impl Status {
    /// The status as Prometheus reads it.
    pub fn metrics(&self, now: i64) -> String {
        let (own, mut out) = (self.gauges(now), String::new());
        let of_contests: Vec<(&String, Vec<Gauge>)> =
            self.contests.iter().map(|(name, contest)| (name, contest.gauges(now))).collect();
        let mut written = BTreeSet::new();
        for Gauge { name, help, .. } in own.iter().chain(of_contests.iter().flat_map(|(_, gauges)| gauges)) {
            if !written.insert(name) {
                continue;
            }
            let _ = writeln!(out, "# HELP edgemaxx_{name} {help}\n# TYPE edgemaxx_{name} gauge");
            let of =
                |gauges: &[Gauge]| gauges.iter().find(|gauge| gauge.name == *name).map(|gauge| gauge.value);
            if let Some(value) = of(&own) {
                let _ = writeln!(out, "edgemaxx_{name} {value}");
            }
            for (contest, gauges) in &of_contests {
                if let Some(value) = of(gauges) {
                    let _ = writeln!(out, "edgemaxx_{name}{{contest=\"{contest}\"}} {value}");
                }
            }
        }
        out + &of_workers(&self.workers)
    }

    /// What is known of it in numbers.
    fn gauges(&self, now: i64) -> Vec<Gauge> {
        let mut out = Vec::new();
        let mut gauge = |name: &'static str, help: &'static str, value: Option<f64>| {
            out.extend(value.map(|value| Gauge { name, help, value }));
        };
        let phase = Phase::ALL.iter().position(|phase| *phase == self.phase);
        gauge("phase", "0 waiting to 8 holding, in the order of a day", phase.map(|phase| phase as f64));
        gauge("phase_seconds", "time in this phase", Some((now - self.since) as f64));
        gauge("next_noon_seconds", "time to the next day", Some((self.next_noon - now) as f64));
        gauge("candidates", "submissions that are measured", Some(f64::from(self.submissions.candidates)));
        gauge("copies", "submissions that repeat others", Some(f64::from(self.submissions.copies)));
        gauge("invalid", "submissions that cannot be measured", Some(f64::from(self.submissions.invalid)));
        gauge("undecoded", "commitments that say nothing", Some(f64::from(self.submissions.undecoded)));
        let progress = self.progress.filter(|progress| progress.total > 0);
        gauge(
            "measured_ratio",
            "pairs done over pairs that will be at most",
            progress.map(|p| p.done as f64 / p.total as f64),
        );
        gauge("pairs_done", "pairs measured", progress.map(|p| p.done as f64));
        gauge("pairs_total", "pairs that will be measured at most", progress.map(|p| p.total as f64));
        gauge(
            "eliminated",
            "candidates that need no further session",
            progress.map(|p| f64::from(p.eliminated)),
        );
        let left = progress.and_then(|progress| progress.left_s);
        gauge("measuring_left_seconds", "time to the end of measuring", left.map(|left| left as f64));
        let age = self.weights.as_ref().and_then(|weights| weights.age_blocks);
        gauge("weights_age_blocks", "blocks since weights were set", age.map(|age| age as f64));
        gauge(
            "trouble",
            "1 while something is tried again",
            Some(f64::from(u8::from(self.trouble.is_some()))),
        );
        gauge("alarms", "things somebody should look at", Some(self.alarms.len() as f64));
        out
    }
}

/// A number for Prometheus.
struct Gauge {
    name: &'static str,
    help: &'static str,
    value: f64,
}

/// The workers: each by what it is called, its key, its card and its lane.
fn of_workers(workers: &[Worker]) -> String {
    type Read = fn(&Worker) -> f64;
    let gauges: [(&str, &str, Read); 6] = [
        ("measuring", "1 while it measures a lane", |worker| f64::from(u8::from(worker.lane.is_some()))),
        ("sessions", "sessions of its lane that ended", |worker| f64::from(worker.sessions)),
        ("pairs_per_minute", "pairs in a minute", |worker| worker.pairs_per_minute),
        ("spool_bytes", "bytes that it has not handed over", |worker| worker.spool_bytes as f64),
        ("free_bytes", "room on its disk", |worker| worker.free_bytes as f64),
        ("seen_seconds", "time since it was last heard of", |worker| worker.seen_s as f64),
    ];
    let mut out = String::new();
    for (name, help, read) in gauges {
        if !workers.is_empty() {
            let _ =
                writeln!(out, "# HELP edgemaxx_worker_{name} {help}\n# TYPE edgemaxx_worker_{name} gauge");
        }
        for worker in workers {
            let lane = worker.lane.map(|lane| lane.to_string()).unwrap_or_default();
            let (name_of, key, card) = (label(&worker.name), label(&worker.key), label(&worker.card));
            let value = read(worker);
            let _ = writeln!(
                out,
                "edgemaxx_worker_{name}{{worker=\"{name_of}\",key=\"{key}\",card=\"{card}\",lane=\"{lane}\"}} {value}"
            );
        }
    }
    out
}

/// A text as the value of a label.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str, lane: Option<u32>, seen_s: u64) -> Worker {
        Worker {
            name: name.to_owned(),
            key: "U1".to_owned(),
            card: "a card".to_owned(),
            plan: None,
            lane,
            attempt: None,
            sessions: 3,
            pairs_per_minute: 1.5,
            spool_bytes: 7,
            free_bytes: 9,
            seen_s,
            failure: None,
        }
    }

    #[test]
    fn metrics_name_each_worker_and_no_name_is_another_label() {
        let text = of_workers(&[worker("a\"} 1\nb\\", Some(1), 4), worker("idle", None, 2)]);
        let line = "edgemaxx_worker_seen_seconds{worker=\"a\\\"} 1\\nb\\\\\",key=\"U1\",card=\"a card\",lane=\"1\"} 4\n";
        assert!(text.contains(line), "{text}");
        assert!(
            text.contains(
                "edgemaxx_worker_measuring{worker=\"idle\",key=\"U1\",card=\"a card\",lane=\"\"} 0\n"
            )
        );
        assert_eq!((text.matches("# TYPE").count(), text.lines().count()), (6, 24));
        assert_eq!(of_workers(&[]), "");
    }
}
