//! `edgemaxx validator status`: how one is doing, or where it stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use edgemaxx_contract::joint::Share;
use edgemaxx_run::follow::Follower;
use edgemaxx_run::validator::{WallClock, not_published};
use edgemaxx_validator::policy::Policy;
use edgemaxx_validator::state::{Phase, State};
use edgemaxx_validator::status::{Contact, Progress, Seen, Status};
use edgemaxx_validator::store::Store;
use edgemaxx_validator::workers::Worker;
use edgemaxx_validator::world::Clock as _;

use super::{STATUS_FILE, environment};
use crate::error::{Exit, Failure};
use crate::terminal::{answer_json, answer_lines};

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code: 0 · 1 somebody should look at something.")]
pub(super) struct StatusArgs {
    /// Folder of the validator.
    #[arg(long, value_name = "DIR", default_value = "validator")]
    data: PathBuf,
    /// Lines of its journal to show.
    #[arg(long, value_name = "N", default_value_t = 5)]
    journal: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl StatusArgs {
    pub(super) fn execute(&self) -> anyhow::Result<()> {
        if !self.data.join("validator.db").is_file() {
            return Err(Failure::input(format!(
                "{}: no validator has run here; name its folder with --data",
                self.data.display()
            )));
        }
        let store = Store::look(&self.data).map_err(environment)?;
        let running = Store::is_in_use(&self.data);
        let state = store.latest().map_err(environment)?.ok_or_else(|| {
            let runs = if running { "it is starting" } else { "no validator runs with this data" };
            let why = format!("{}: the validator has not begun a day; {runs}", self.data.display());
            Failure::error(Exit::No, why)
        })?;
        // What only the validator itself sees, it has left here.
        let left = std::fs::read_to_string(self.data.join(STATUS_FILE)).ok();
        let left = left.and_then(|text| serde_json::from_str::<Status>(&text).ok());
        let contact = left.as_ref().and_then(|left| left.contact);
        let mut status = Status { running, ..status_of(&state, &self.data, contact) };
        let mut contests = Vec::new();
        for Share { contest, .. } in &state.shares {
            let data = self.data.join(contest);
            let left = left.as_ref().and_then(|left| left.contests.get(contest));
            match Store::look(&data).and_then(|store| store.latest()) {
                Ok(Some(state)) => {
                    let contact = left.and_then(|left| left.contact);
                    contests.push((contest.clone(), status_of(&state, &data, contact)));
                }
                Ok(None) => status.alarms.push(format!("{contest}: it has not begun a day")),
                Err(error) => status.alarms.push(format!("{contest}: {error}")),
            }
        }
        let mut status = status.with(contests);
        status.alarms.extend(not_published(&self.data.join("days")));
        if status.running {
            status.workers = left.as_ref().map(|left| left.workers.clone()).unwrap_or_default();
            if left.is_none() {
                status.alarms.push(format!("{STATUS_FILE}: the validator has not said yet how it is doing"));
            }
            let more = left.into_iter().flat_map(|left| left.alarms);
            let more: Vec<_> = more.filter(|alarm| !status.alarms.contains(alarm)).collect();
            status.alarms.extend(more);
        } else {
            status.alarms.insert(0, "no validator runs with this data".to_owned());
        }
        if self.json {
            answer_json(&status)?;
        } else {
            let journal = store.journal(self.journal).map_err(environment)?;
            let mut lines =
                vec![format!("{} {} since {}", status.day, status.phase.name(), time(status.since))];
            if !status.running {
                lines.push("no validator runs with this data: this is where the last one stopped".to_owned());
            }
            lines.extend(status.contact.map(|contact| {
                format!("last contact with the chain: {}, block {}", time(contact.unix_s), contact.head)
            }));
            if let Some(weights) = &status.weights {
                lines.push(format!("weights of {}: {}", weights.day, weights.reason));
            }
            lines.extend(progress_line(&status));
            lines.extend(status.workers.iter().map(worker_line));
            for (name, contest) in &status.contests {
                lines.push(format!(
                    "contest {name}: {} {} since {}",
                    contest.day,
                    contest.phase.name(),
                    time(contest.since)
                ));
                lines.extend(
                    contest.weights.as_ref().map(|w| format!("  weights of {}: {}", w.day, w.reason)),
                );
                lines.extend(progress_line(contest).map(|line| format!("  {line}")));
                lines.extend(contest.trouble.iter().map(|what| format!("  trouble: {what}")));
            }
            lines.extend(status.trouble.iter().map(|what| format!("trouble: {what}")));
            lines.extend(
                journal.iter().map(|entry| {
                    format!("  {} {} {}: {}", time(entry.at), entry.day, entry.phase, entry.what)
                }),
            );
            answer_lines(&lines)?;
        }
        match status.alarms.is_empty() {
            true => Ok(()),
            false => Err(Failure::error(Exit::No, status.alarms.join("; "))),
        }
    }
}

fn time(unix_s: i64) -> String {
    jiff::Timestamp::from_second(unix_s).map_or("—".to_owned(), |time| time.to_string())
}

/// The status of the day whose memory lies in `data`, as far as a file tells it.
fn status_of(state: &State, data: &Path, contact: Option<Contact>) -> Status {
    let now = WallClock(Arc::default()).now();
    let measured = (state.phase == Phase::Measuring)
        .then(|| Follower::default().look(&data.join("days").join(state.day.to_string())));
    let seen = Seen { measured, contact, ..Seen::default() };
    Status::of(state, &seen, now, &Policy::default())
}

/// What a worker of a fleet does, for people.
fn worker_line(worker: &Worker) -> String {
    let Worker { name, card, sessions, pairs_per_minute, spool_bytes, seen_s, .. } = worker;
    let pace = worker.lane.map_or_else(String::new, |_| {
        format!(
            "; {sessions} sessions, {pairs_per_minute:.1} pairs a minute, spool {} KiB",
            spool_bytes.div_ceil(1024)
        )
    });
    format!("worker {name} ({card}): {}{pace}; seen {seen_s} s ago", worker.measures())
}

/// How far a measurement is, for people.
fn progress_line(status: &Status) -> Option<String> {
    let Progress { done, total, eliminated, left_s, ends } = status.progress?;
    let left = match (left_s, ends) {
        (Some(left), Some(ends)) => format!("about {} min left, until {}", (left + 59) / 60, time(ends)),
        _ => "no pace yet".to_owned(),
    };
    let all = status.submissions.candidates;
    Some(format!("{done} of {total} pairs, {eliminated} of {all} candidates out; {left}"))
}
