//! Sending what is new of a lane: a piece that a coordinator takes, on a thread of its own, since a line may be slow and a
//! worker that says nothing meanwhile loses its lane.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Instant;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::sample::Record;
use edgemaxx_fleet::limits::{ANSWERS, ANSWERS_BYTES, LINES_BYTES};
use edgemaxx_fleet::{Answer, Bundle, Queue, Work};

use crate::error::{Class, InFile as _, Result, RunError};
use crate::folder::RunFolder;

/// What comes of work that goes on beside everything else.
pub(super) struct Beside<T>(Receiver<Result<T>>);

impl<T: Send + 'static> Beside<T> {
    /// Begins; whoever does not listen any more is not told.
    pub(super) fn begin(work: impl FnOnce() -> Result<T> + Send + 'static) -> Self {
        let (say, said) = channel();
        std::thread::spawn(move || drop(say.send(work())));
        Self(said)
    }

    /// What came of it; `None`: it goes on.
    pub(super) fn look(&self) -> Option<Result<T>> {
        match self.0.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                Some(Err(RunError::of(Class::Environment, "a thread of this worker ended without a word")))
            }
        }
    }
}

/// What of a lane's lines goes into one bundle.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The lines.
    pub(super) lines: String,
    /// The answers that they name, and their files.
    pub(super) answers: BTreeMap<Digest, PathBuf>,
    /// The head that they lead to.
    pub(super) head: Digest,
    /// Whether these are all of the lines.
    pub(super) whole: bool,
}

impl Piece {
    /// As many of the first `lines` as a bundle may hold, with their answers; at least one. All of them lead to `head`.
    ///
    /// # Errors
    /// They are no lines of a log, or an answer is not there.
    pub(super) fn of(lines: &str, head: Digest, folder: &RunFolder, plan: &Plan) -> Result<Self> {
        let (mut end, mut bytes) = (0, 0);
        let mut answers = BTreeMap::new();
        let mut last = head;
        for line in lines.split_inclusive('\n') {
            let bare = line.trim_end_matches('\n');
            let named = Record::of_line(bare).in_file(folder.path())?.artefact();
            let answer = named.filter(|one| !answers.contains_key(one));
            let full = end + line.len() > LINES_BYTES as usize
                || answer.is_some() && (answers.len() >= ANSWERS || bytes >= ANSWERS_BYTES);
            if full && end > 0 {
                break;
            }
            if let Some(answer) = answer {
                let path = folder.artefact(plan.task, &answer);
                bytes += fs::metadata(&path).in_file(&path)?.len();
                answers.insert(answer, path);
            }
            end += line.len();
            last = Digest::of(bare);
        }
        let whole = end == lines.len();
        Ok(Self { lines: lines[..end].to_owned(), answers, head: if whole { head } else { last }, whole })
    }
}

/// A piece, and what is said with it.
pub(super) struct Parcel {
    /// What it is of.
    pub(super) work: Work,
    pub(super) piece: Piece,
    /// The text of the lane's `environment.json`.
    pub(super) environment: String,
    /// The text of its telemetry, with the last lines.
    pub(super) telemetry: Option<String>,
    /// Whether the lane is measured to its end.
    pub(super) last: bool,
    /// The answers whose files the server has.
    pub(super) sent_answers: BTreeMap<Digest, edgemaxx_fleet::Content>,
}

/// What was sent.
pub(super) struct Sent {
    /// The head that it leads to.
    pub(super) head: Digest,
    /// Whether it was the end of the lane.
    pub(super) last: bool,
    /// When.
    pub(super) at: Instant,
    /// The answers whose files the server has.
    pub(super) answers: BTreeMap<Digest, edgemaxx_fleet::Content>,
}

impl Parcel {
    /// Sends it.
    pub(super) fn send(self, queue: Arc<Queue>) -> Beside<Sent> {
        Beside::begin(move || {
            let environment = queue.publish(self.environment.as_bytes())?;
            let telemetry = self.telemetry.map(|text| queue.publish(text.as_bytes())).transpose()?;
            let mut sent = self.sent_answers;
            let mut answers = Vec::new();
            for (answer, path) in &self.piece.answers {
                let file = match sent.get(answer) {
                    Some(file) => *file,
                    None => queue.publish(&fs::read(path).in_file(path)?)?,
                };
                sent.insert(*answer, file);
                answers.push(Answer { answer: *answer, file });
            }
            let (head, last) = (self.piece.head, self.last);
            queue.send(&Bundle {
                format: Bundle::expected_format(),
                plan: self.work.plan,
                lane: self.work.lane,
                attempt: self.work.attempt,
                from: self.work.accepted,
                head,
                lines: queue.publish(self.piece.lines.as_bytes())?,
                answers,
                environment,
                last,
                telemetry,
            })?;
            Ok(Sent { head, last, at: Instant::now(), answers: sent })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = include_str!("../../../../reports/examples/emoji-cpu/plan.json");
    const LOG: &str = include_str!("../../../../reports/examples/emoji-cpu/samples.jsonl");

    #[test]
    fn pieces_are_what_a_bundle_may_hold_and_lose_no_line() {
        let plan = Plan::from_json(PLAN).unwrap();
        let path = tempfile::tempdir().unwrap();
        let run = path.path().join("run");
        fs::create_dir_all(run.join("artefacts")).unwrap();
        fs::write(run.join("plan.json"), PLAN).unwrap();
        let folder = RunFolder::open(&run).unwrap();
        let named = LOG.lines().filter_map(|line| match Record::of_line(line) {
            Ok(Record::Attempt(attempt)) => attempt.outcome.answer(),
            _ => None,
        });
        let named: std::collections::BTreeSet<Digest> = named.collect();
        // Three of them are as much as one bundle carries.
        for answer in &named {
            let file = fs::File::create(folder.artefact(plan.task, answer)).unwrap();
            file.set_len(ANSWERS_BYTES / 3 + 1).unwrap();
        }
        let head = Digest::of(LOG.lines().last().unwrap());
        let (mut rest, mut pieces) = (LOG, 0);
        while !rest.is_empty() {
            let piece = Piece::of(rest, head, &folder, &plan).unwrap();
            assert!(!piece.lines.is_empty() && rest.starts_with(&piece.lines) && piece.answers.len() <= 3);
            assert_eq!(piece.head, Digest::of(piece.lines.lines().last().unwrap()));
            rest = &rest[piece.lines.len()..];
            assert_eq!(piece.whole, rest.is_empty());
            pieces += 1;
        }
        assert!(pieces >= named.len() / 3, "{pieces} of {}", named.len());
        // Nothing new is a piece, too: it says that the lane is at its end.
        let none = Piece::of("", head, &folder, &plan).unwrap();
        assert!(none.whole && none.head == head && none.answers.is_empty());
    }
}
