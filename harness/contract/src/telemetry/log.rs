//! Reading `telemetry.jsonl`.

use super::record::{
    GpuReading, HostReading, TelemetryEnd, TelemetryHeader, TelemetryRecord, TelemetryStart, TreeReading,
};
use crate::digest::Digest;
use crate::format::{Format, FormatError};
use crate::torn_line::whole_lines;

/// Telemetry that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Not a record.
    #[error("line {line}: {source}")]
    Record {
        /// Line, from 1.
        line: usize,
        /// What the JSON reader says.
        source: serde_json::Error,
    },
    /// Another kind or version of file.
    #[error("line 1: {0}")]
    Format(#[from] FormatError),
    /// A record where it must not stand.
    #[error("line {line}: expected {expected}")]
    Order {
        /// Line, from 1.
        line: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// It belongs to another plan.
    #[error(
        "the telemetry belongs to plan {found}, but plan.json is {expected}; remove the file, or restore its own"
    )]
    Plan {
        /// Digest in the header.
        found: Digest,
        /// Digest of the plan.
        expected: Digest,
    },
}

/// What one execution of `measure` read, each list in order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// Where in `samples.jsonl` it begins.
    pub start: TelemetryStart,
    /// GPUs.
    pub gpu: Vec<GpuReading>,
    /// Processors.
    pub host: Vec<HostReading>,
    /// Engines.
    pub tree: Vec<TreeReading>,
    /// Its end; `None`: it crashed.
    pub end: Option<TelemetryEnd>,
}

/// A whole file.
#[derive(Debug, Clone, PartialEq)]
pub struct TelemetryLog {
    /// The first record.
    pub header: TelemetryHeader,
    /// Executions in order.
    pub executions: Vec<Execution>,
}

impl TelemetryLog {
    /// The format of `telemetry.jsonl`.
    pub fn format() -> Format {
        Format::new("edgemaxx-telemetry", 1)
    }

    /// Reads a file and checks that it belongs to the plan of this digest. A torn last line does not count.
    ///
    /// # Errors
    /// [`TelemetryError`] names the line.
    pub fn parse(text: &str, plan: Digest) -> Result<Self, TelemetryError> {
        let complete = whole_lines(text);
        let mut header = None;
        let mut executions: Vec<Execution> = Vec::new();
        for (index, line) in text[..complete].lines().enumerate() {
            let line_number = index + 1;
            let record: TelemetryRecord = serde_json::from_str(line)
                .map_err(|source| TelemetryError::Record { line: line_number, source })?;
            let order = |expected| TelemetryError::Order { line: line_number, expected };
            match record {
                TelemetryRecord::Header(found) if index == 0 => {
                    found.format.expect(&Self::format())?;
                    if found.plan != plan {
                        return Err(TelemetryError::Plan { found: found.plan, expected: plan });
                    }
                    header = Some(found);
                }
                _ if header.is_none() => return Err(order("the header")),
                TelemetryRecord::Header(_) => return Err(order("a record, not a second header")),
                TelemetryRecord::Start(start) => {
                    if executions.last().is_some_and(|last| start.lines < last.start.lines) {
                        return Err(order("a start no earlier in samples.jsonl than the one before"));
                    }
                    let (gpu, host, tree) = (Vec::new(), Vec::new(), Vec::new());
                    executions.push(Execution { start, gpu, host, tree, end: None });
                }
                reading => {
                    let execution = executions.last_mut().ok_or_else(|| order("a start"))?;
                    match reading {
                        TelemetryRecord::Gpu(gpu) => execution.gpu.push(gpu),
                        TelemetryRecord::Host(host) => execution.host.push(host),
                        TelemetryRecord::Tree(tree) => execution.tree.push(tree),
                        TelemetryRecord::End(end) => execution.end = Some(end),
                        TelemetryRecord::Header(_) | TelemetryRecord::Start(_) => {}
                    }
                }
            }
        }
        let header =
            header.ok_or(TelemetryError::Order { line: 1, expected: "the header; the file is empty" })?;
        Ok(Self { header, executions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Owner, Throttle};

    const HEADER: &str = r#"{"record":"header","format":"edgemaxx-telemetry","version":1,"plan":"PLAN","period_ms":250,"devices":[]}"#;

    fn text(lines: &[&str]) -> (String, Digest) {
        let plan = Digest::of("plan");
        let text: String = lines.iter().map(|line| line.replace("PLAN", &plan.to_string()) + "\n").collect();
        (text, plan)
    }

    #[test]
    fn a_file_of_two_executions_is_read_and_a_torn_line_left_out() {
        let (mut text, plan) = text(&[
            HEADER,
            r#"{"record":"start","lines":1}"#,
            r#"{"record":"gpu","at_ns":5,"device":0,"sm_mhz":1980,"throttle":["sw_power_cap","hw_thermal_slowdown"],"processes":[{"owner":"candidate","memory_bytes":7}]}"#,
            r#"{"record":"host","at_ns":6,"busy_ms":3}"#,
            r#"{"record":"end","at_ns":9,"readings":1,"cpu_ns":4}"#,
            r#"{"record":"start","lines":8}"#,
            r#"{"record":"tree","at_ns":2,"session":1,"launch":0,"side":"baseline","processes":1,"rss_bytes":4096,"minor_faults":1,"major_faults":0}"#,
        ]);
        text.push_str(r#"{"record":"gpu","at_n"#);
        let log = TelemetryLog::parse(&text, plan).expect("a file");
        let [first, second] = log.executions.as_slice() else { panic!("two executions") };
        assert_eq!((first.start.lines, second.start.lines), (1, 8));
        assert_eq!(first.gpu[0].throttle, [Throttle::SwPowerCap, Throttle::HwThermalSlowdown]);
        assert!(first.gpu[0].throttle[1].slows() && !first.gpu[0].throttle[0].slows());
        assert_eq!(first.gpu[0].processes.as_ref().expect("read")[0].owner, Owner::Candidate);
        assert!(first.end.is_some() && second.end.is_none());
        assert_eq!((second.tree.len(), second.tree[0].pss_bytes), (1, None));
    }

    #[test]
    fn what_is_out_of_place_is_refused() {
        let refusal = |lines: &[&str]| {
            let (text, plan) = text(lines);
            TelemetryLog::parse(&text, plan).expect_err("refused").to_string()
        };
        let start = r#"{"record":"start","lines":4}"#;
        assert!(refusal(&[]).contains("the file is empty"));
        assert!(refusal(&[start]).contains("line 1: expected the header"));
        assert!(refusal(&[HEADER, HEADER]).contains("second header"));
        assert!(refusal(&[HEADER, r#"{"record":"host","at_ns":6}"#]).contains("line 2: expected a start"));
        assert!(refusal(&[HEADER, start, r#"{"record":"start","lines":3}"#]).contains("line 3"));
        assert!(refusal(&[&HEADER.replace("\"version\":1", "\"version\":2")]).contains("version 2"));
        let (text, _) = text(&[HEADER]);
        let error = TelemetryLog::parse(&text, Digest::of("another")).expect_err("another plan");
        assert!(matches!(error, TelemetryError::Plan { .. }), "{error}");
    }
}
