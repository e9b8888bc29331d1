//! A lane in the run folder while another host measures it: what extends its log, and what does not.

use std::collections::BTreeSet;
use std::fs;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::run_files::SAMPLES_FILE;
use edgemaxx_contract::sample::{Log, Record};
use edgemaxx_files::read_whole_lines;
use edgemaxx_fleet::{Bundle, Content};
use edgemaxx_measure::{Disk as _, FolderDisk};

use super::bounds::Bounds;
use crate::error::{Class, InFile as _, Result, RunError};
use crate::folder::RunFolder;

/// Of a worker that ends its lane too early.
const UNFINISHED: &str = "it says that nothing is left to be measured, which its lines do not";

/// What some lines are to a lane's log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They extend it, and name these answers.
    Extend(BTreeSet<Digest>),
    /// It holds them already.
    Repeated,
    /// Something is missing before them.
    Ahead,
    /// They are not what this worker measured next. Why.
    False(String),
}

/// A lane's log in the run folder.
pub(super) struct Lane {
    /// Its number.
    pub(super) number: u32,
    /// Its folder.
    pub(super) folder: RunFolder,
    /// What is measured on it.
    pub(super) plan: Plan,
    bounds: Bounds,
    text: String,
    /// What `text` is named by.
    content: Content,
    head: Option<Digest>,
    /// The sessions that ended.
    ended: BTreeSet<u32>,
}

impl Lane {
    /// The lane of a run as its folder has it; of a run with one lane, that run itself.
    ///
    /// # Errors
    /// The log cannot be read, or is none of this plan.
    pub(super) fn open(run: &RunFolder, plan: &Plan, number: u32) -> Result<Self> {
        let folder = of_run(run, plan, number)?;
        let path = folder.file(SAMPLES_FILE);
        // Only what is not there is empty: what cannot be read was accepted, and is not to be cut.
        let text = match read_whole_lines(&path, 0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => String::from_utf8(read.in_file(&path)?).in_file(&path)?,
        };
        let plan = plan.of_lane(number);
        let head = match text.is_empty() {
            true => None,
            false => Some(Log::parse_for(&text, &plan).in_file(&path)?.chain.head()),
        };
        let bounds = Bounds::of(&plan)?;
        let content = Content::of(text.as_bytes());
        let ended = ended(&text).collect();
        Ok(Self { number, folder, plan, bounds, text, content, head, ended })
    }

    /// The head of its log; `None`: nothing is there.
    pub(super) fn head(&self) -> Option<Digest> {
        self.head
    }

    /// Its log.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What its log is named by.
    pub(super) fn content(&self) -> Content {
        self.content
    }

    /// The answers that its log names.
    pub(super) fn answers(&self) -> BTreeSet<Digest> {
        let records = self.text.lines().filter_map(|line| Record::of_line(line).ok());
        records.filter_map(|record| record.artefact()).collect()
    }

    /// Pairs of the sessions that ended, each counted once.
    pub(super) fn pairs(&self) -> u64 {
        let planned = |session: &u32| self.plan.sessions.get(*session as usize);
        self.ended.iter().filter_map(planned).map(|planned| planned.pairs.len() as u64).sum()
    }

    /// What the lines of a bundle are to it.
    pub(super) fn judge(&self, bundle: &Bundle, lines: &str) -> Verdict {
        if bundle.from != self.head {
            return match self.text_after(bundle.from) {
                Some(rest) if rest.starts_with(lines) => Verdict::Repeated,
                Some(rest) if !lines.starts_with(rest) => {
                    Verdict::False("its lines go on otherwise than those that it sent before".to_owned())
                }
                // It goes on from the head that it is told.
                _ => Verdict::Ahead,
            };
        }
        if lines.is_empty() {
            if self.head != Some(bundle.head) {
                return Verdict::False("it names a head that no line leads to".to_owned());
            }
            // Nothing is parsed anew but for who says that this is the end.
            let finished = || {
                let log = Log::parse_for(&self.text, &self.plan);
                log.is_ok_and(|log| edgemaxx_measure::finished(&self.plan, &log).is_some())
            };
            return match bundle.last && !finished() {
                true => Verdict::False(UNFINISHED.to_owned()),
                false => Verdict::Extend(BTreeSet::new()),
            };
        }
        if (self.text.len() + lines.len()) as u64 > self.bounds.log {
            return Verdict::False(format!("its log is longer than {} bytes", self.bounds.log));
        }
        let text = format!("{}{lines}", self.text);
        let log = match Log::parse_for(&text, &self.plan) {
            Ok(log) => log,
            Err(error) => return Verdict::False(error.to_string()),
        };
        if log.chain.head() != bundle.head || log.complete_bytes != text.len() {
            return Verdict::False("its lines do not lead to the head that it names".to_owned());
        }
        if bundle.last && edgemaxx_measure::finished(&self.plan, &log).is_none() {
            return Verdict::False(UNFINISHED.to_owned());
        }
        let new = lines.lines().count();
        // The header is a line, and no record.
        let records = &log.records[log.records.len().saturating_sub(new)..];
        Verdict::Extend(records.iter().filter_map(Record::artefact).collect())
    }

    /// Appends lines that extend it; they are on the disk when this returns.
    ///
    /// # Errors
    /// The disk is full, or somebody measures in the folder.
    pub(super) fn extend(&mut self, bundle: &Bundle, lines: &str) -> Result<()> {
        fs::create_dir_all(self.folder.path()).in_file(self.folder.path())?;
        let unfit =
            |error: edgemaxx_measure::MeasureError| RunError::of(Class::Environment, error.to_string());
        let mut disk = FolderDisk::open_lane(self.folder.path(), self.folder.keeps()).map_err(unfit)?;
        let torn = disk.read_log().map_err(unfit)?.len();
        if torn > self.text.len() {
            disk.cut_log(self.text.len()).map_err(unfit)?;
        }
        if !lines.is_empty() {
            disk.append(lines).map_err(unfit)?;
        }
        self.text.push_str(lines);
        self.ended.extend(ended(lines));
        self.content = Content::of(self.text.as_bytes());
        self.head = Some(bundle.head);
        Ok(())
    }

    /// Puts what was measured away, so that it is measured anew.
    pub(super) fn forget(&mut self) {
        self.text.clear();
        self.ended.clear();
        self.content = Content::of(b"");
        self.head = None;
    }

    /// What follows a head that it had.
    fn text_after(&self, head: Option<Digest>) -> Option<&str> {
        let Some(head) = head else { return Some(&self.text) };
        let mut end = 0;
        for line in self.text.split_inclusive('\n') {
            end += line.len();
            if Digest::of(line.trim_end_matches('\n')) == head {
                return Some(&self.text[end..]);
            }
        }
        None
    }
}

/// How many pairs of a run were shown to be there. Those of a lane that is measured anew are shown once.
#[derive(Debug, Default)]
pub(super) struct Shown(u64);

impl Shown {
    /// How many more are there than ever before.
    pub(super) fn more(&mut self, lanes: &[Lane]) -> u64 {
        let pairs: u64 = lanes.iter().map(Lane::pairs).sum();
        let more = pairs.saturating_sub(self.0);
        self.0 += more;
        more
    }
}

/// The sessions that end with some lines.
fn ended(lines: &str) -> impl Iterator<Item = u32> {
    lines.lines().filter_map(|line| match Record::of_line(line) {
        Ok(Record::Session(end)) => Some(end.session),
        _ => None,
    })
}

/// The folder of a lane, where a run of one lane is its own.
pub(super) fn of_run(run: &RunFolder, plan: &Plan, lane: u32) -> Result<RunFolder> {
    if plan.lanes == 1 { Ok(run.clone()) } else { run.lane(lane) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use edgemaxx_contract::format::Document as _;

    use super::*;

    const PLAN: &str = include_str!("../../../../reports/examples/emoji-cpu/plan.json");
    const LOG: &str = include_str!("../../../../reports/examples/emoji-cpu/samples.jsonl");

    #[test]
    fn what_is_measured_anew_is_shown_once() {
        let place = tempfile::tempdir().unwrap();
        let run = place.path().join("run");
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("plan.json"), PLAN).unwrap();
        let plan = Plan::from_json(PLAN).unwrap();
        let folder = RunFolder::open(&run).unwrap();
        let all: u64 = plan.sessions.iter().map(|session| session.pairs.len() as u64).sum();
        let bundle = Bundle {
            format: Bundle::expected_format(),
            plan: plan.digest(),
            lane: 0,
            attempt: 1,
            from: None,
            head: Log::parse_for(LOG, &plan).unwrap().chain.head(),
            lines: Content::of(LOG.as_bytes()),
            answers: Vec::new(),
            environment: Content::of(b"{}"),
            last: true,
            telemetry: None,
        };
        let mut lanes = [Lane::open(&folder, &plan, 0).unwrap()];
        let mut shown = Shown::default();
        assert_eq!(shown.more(&lanes), 0);
        lanes[0].extend(&bundle, LOG).unwrap();
        let first = shown.more(&lanes);
        assert!(first > 0 && first <= all, "{first} of {all}");
        // Its worker was lost: another one measures it.
        fs::remove_file(run.join(SAMPLES_FILE)).unwrap();
        lanes[0].forget();
        assert_eq!((shown.more(&lanes), lanes[0].pairs()), (0, 0));
        lanes[0].extend(&bundle, LOG).unwrap();
        assert_eq!((shown.more(&lanes), lanes[0].pairs()), (0, first));
        // Whoever begins again knows what is there, and leaves out what a crash tore, be it within a letter.
        let mut log = fs::OpenOptions::new().append(true).open(run.join(SAMPLES_FILE)).unwrap();
        log.write_all(b"{\"prev\":\"\xc3").unwrap();
        let again = Lane::open(&folder, &plan, 0).unwrap();
        assert_eq!((again.pairs(), again.text()), (first, LOG));
    }
}
