//! What a validator says on standard error, and its alarms.

use std::process::{Command, Stdio};

use edgemaxx_validator::status::Status;
use serde_json::json;

use crate::terminal::{note, note_json};

/// A line on standard error whenever something changes: for people, or as JSON.
pub(crate) struct Log {
    json: bool,
    /// Of several contests, the one that it is of.
    contest: Option<String>,
    last: Option<(String, String, Option<String>)>,
}

impl Log {
    pub(crate) fn new(json: bool, contest: Option<String>) -> Self {
        Self { json, contest, last: None }
    }

    pub(crate) fn on(&mut self, status: &Status, now: i64) {
        let phase = status.phase.name().to_owned();
        let seen = (status.day.clone(), phase, status.trouble.clone());
        if self.last.as_ref() == Some(&seen) {
            return;
        }
        let level = if seen.2.is_some() { "warning" } else { "info" };
        if self.json {
            let mut line = json!({
                "unix_s": now, "level": level, "day": seen.0, "phase": seen.1, "trouble": seen.2,
                "submissions": status.submissions, "weights": status.weights,
            });
            if let Some(contest) = &self.contest {
                line["contest"] = json!(contest);
            }
            note_json(&line);
        } else {
            let when = jiff::Timestamp::from_second(now).map_or(String::new(), |time| time.to_string());
            let trouble = seen.2.as_ref().map_or(String::new(), |what| format!(": {what}"));
            let contest = self.contest.as_ref().map_or(String::new(), |contest| format!("{contest} "));
            note(&format!("{when} {level} {contest}{} {}{trouble}", seen.0, seen.1));
        }
        self.last = Some(seen);
    }
}

/// Runs a command for every alarm that is new.
pub(crate) struct Alarms {
    command: Option<String>,
    raised: Vec<String>,
}

impl Alarms {
    pub(crate) fn new(command: Option<String>) -> Self {
        Self { command, raised: Vec::new() }
    }

    pub(crate) fn on(&mut self, alarms: &[String]) {
        for alarm in alarms.iter().filter(|alarm| !self.raised.contains(alarm)) {
            note(&format!("alarm: {alarm}"));
            let Some(command) = &self.command else { continue };
            let spawned = Command::new("sh")
                .args(["-c", command])
                .env("EDGEMAXX_ALARM", alarm)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn();
            match spawned {
                // Reaped in its own time: an alarm must not hold up the day.
                Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
                Err(error) => note(&format!("warning: --alarm-command: {error}")),
            }
        }
        self.raised = alarms.to_vec();
    }
}
