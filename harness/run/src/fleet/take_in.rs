//! What a worker sent: into the run folder where it extends its lane, beside it where it does not.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::run_files::{ARTEFACTS_FOLDER, ENVIRONMENT_FILE, TELEMETRY_FILE};
use edgemaxx_contract::telemetry::TelemetryLog;
use edgemaxx_files::write_whole;
use edgemaxx_fleet::{Bundle, Content, FleetError, Received, Signed};
use edgemaxx_quality::Artefact;

use super::coordinator::Coordinator;
use super::lane::Verdict;
use super::roster::{News, of_kind};
use crate::error::{InFile as _, Result, RunError};

impl Coordinator<'_> {
    /// Takes in what a worker sent.
    pub(super) fn take(&mut self, received: &Received) -> Result<()> {
        match Signed::open::<Bundle>(&received.bytes, Some(&received.worker)) {
            Ok((bundle, _)) if bundle.plan == self.digest && (bundle.lane as usize) < self.lanes.len() => {
                match self.take_bundle(&received.worker, &bundle) {
                    // It is sent again, and so is what it names.
                    Err(RunError::Fleet(FleetError::Absent(_))) => {}
                    Err(RunError::Fleet(error)) if error.is_lie() => {
                        self.refuse(&received.worker, &bundle, error.to_string(), None)?;
                    }
                    other => other?,
                }
            }
            Ok(_) => {}
            Err(error) if self.roster.is_news(News::Uncounted, &received.worker) => {
                self.progress.line(&format!("worker {}: {error}; it is not counted", received.worker));
            }
            Err(_) => {}
        }
        Ok(self.queue.settle(received)?)
    }

    fn take_bundle(&mut self, worker: &str, bundle: &Bundle) -> Result<()> {
        // Who was refused once measures nothing of this run any more, whoever else is there.
        if self.is_barred(worker) {
            return Ok(());
        }
        let own = &self.state.lanes[bundle.lane as usize];
        if own.worker.as_deref() != Some(worker) || own.attempt != bundle.attempt {
            return self.keep_late(worker, bundle);
        }
        if own.done {
            return Ok(());
        }
        if let Some(why) = self.bounds.exceeded(bundle) {
            return self.refuse(worker, bundle, why, None);
        }
        let lines = self.text(worker, bundle.lines)?;
        match self.lanes[bundle.lane as usize].judge(bundle, &lines) {
            Verdict::Repeated | Verdict::Ahead => Ok(()),
            Verdict::False(why) => self.refuse(worker, bundle, why, Some(&lines)),
            Verdict::Extend(answers) => {
                let environment = self.text(worker, bundle.environment)?;
                if let Some(why) = self.misplaced(worker, bundle.lane, &environment) {
                    return self.refuse(worker, bundle, why, Some(&lines));
                }
                let telemetry = match bundle.telemetry.filter(|_| bundle.last) {
                    None => None,
                    Some(content) => Some(self.text(worker, content)?),
                };
                let lane_plan = self.lanes[bundle.lane as usize].plan.digest();
                if let Some(Err(error)) = telemetry.as_ref().map(|text| TelemetryLog::parse(text, lane_plan))
                {
                    return self.refuse(worker, bundle, format!("telemetry: {error}"), Some(&lines));
                }
                if let Some(why) = self.fetch_all(worker, bundle, &answers)? {
                    return self.refuse(worker, bundle, why, Some(&lines));
                }
                let lane = &mut self.lanes[bundle.lane as usize];
                fs::create_dir_all(lane.folder.path()).in_file(lane.folder.path())?;
                lane.folder.write(ENVIRONMENT_FILE, &environment)?;
                if let Some(telemetry) = telemetry {
                    lane.folder.write(TELEMETRY_FILE, telemetry)?;
                }
                lane.extend(bundle, &lines)?;
                self.hopeless.withdraw(bundle.lane);
                self.progress.advance(self.shown.more(&self.lanes));
                if bundle.last {
                    self.state.lanes[bundle.lane as usize].done = true;
                    self.save()?;
                    self.progress.line(&format!("lane {} is done", bundle.lane));
                }
                Ok(())
            }
        }
    }

    pub(super) fn text(&self, worker: &str, content: Content) -> Result<String> {
        let bytes = self.queue.fetch(Some(worker), content)?;
        String::from_utf8(bytes).map_err(|_| FleetError::NoText(content.digest).into())
    }

    /// Why a lane was not measured where its worker said that it is.
    fn misplaced(&self, worker: &str, lane: u32, text: &str) -> Option<String> {
        let environment = match Environment::from_json(text) {
            Ok(environment) => environment,
            Err(error) => return Some(format!("{ENVIRONMENT_FILE}: {error}")),
        };
        let claimed = self.roster.of(worker).map(|host| of_kind(&host.environment, self.plan.device.kind));
        if let Some((what, said, found)) = claimed.and_then(|claimed| claimed.other_machine(&environment)) {
            return Some(format!("it said that its {what} is {said}, and measured on {found}"));
        }
        let others = self.lanes.iter().filter(|other| other.number != lane && other.head().is_some());
        let others = others.filter_map(|other| other.folder.document::<Environment>(ENVIRONMENT_FILE).ok());
        let difference = others.filter_map(|other| other.difference(&environment)).next();
        difference.map(|(what, there, here)| {
            format!("measured with another {what} ({here}) than other lanes ({there})")
        })
    }

    /// Fetches the answers that lines name and the run does not hold; why they are none. Where not all of them come, none
    /// stays: nobody fills the disk with answers to lines that he never sends.
    fn fetch_all(&self, worker: &str, bundle: &Bundle, named: &BTreeSet<Digest>) -> Result<Option<String>> {
        let mut fetched = Vec::new();
        let result = self.fetch_answers(worker, bundle, named, &mut fetched);
        if !matches!(result, Ok(None)) {
            for path in fetched {
                let _ = fs::remove_file(path);
            }
        }
        result
    }

    fn fetch_answers(
        &self,
        worker: &str,
        bundle: &Bundle,
        named: &BTreeSet<Digest>,
        fetched: &mut Vec<PathBuf>,
    ) -> Result<Option<String>> {
        let folder = self.folder.file(ARTEFACTS_FOLDER);
        fs::create_dir_all(&folder).in_file(&folder)?;
        for answer in named {
            let path = self.folder.artefact(self.plan.task, answer);
            if path.exists() {
                continue;
            }
            let Some(sent) = bundle.answers.iter().find(|sent| sent.answer == *answer) else {
                return Ok(Some(format!(
                    "its lines name the answer {}, which it did not send",
                    answer.short()
                )));
            };
            let bytes = self.queue.fetch(Some(worker), sent.file)?;
            let part = folder.join(format!(".{answer}.{}", self.plan.task.extension()));
            write_whole(&part, &bytes).in_file(&part)?;
            if let Err(error) = self.judge.read(&Artefact { path: part.clone(), digest: *answer }) {
                let _ = fs::remove_file(&part);
                return Ok(Some(error.to_string()));
            }
            fs::rename(&part, &path).in_file(&path)?;
            fetched.push(path);
        }
        Ok(None)
    }
}
