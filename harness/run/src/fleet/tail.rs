//! A log as it grows: where its lines end, which head each leads to, and where a round has ended.

use std::io::ErrorKind;
use std::path::Path;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::sample::{Phase, Record};
use edgemaxx_files::read_whole_lines;

use crate::error::{InFile as _, Result};

/// A whole line.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// Bytes of the log up to its end.
    end: usize,
    /// The head of a log that ends with it.
    head: Digest,
}

/// Which of its lines are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upto {
    /// Those of whole rounds: a round is over when the next one has begun.
    Rounds,
    /// Those of whole sessions: lanes that decide together begin no round before each knows what all have measured.
    Sessions,
    /// All.
    All,
}

/// The whole lines of a log so far.
#[derive(Debug, Default)]
pub(super) struct Tail {
    text: String,
    marks: Vec<Mark>,
    /// How many lines there are before the first one of the latest round.
    rounds_end: usize,
    latest_round: Option<u32>,
    /// How many lines there are up to the end of the latest session that ended.
    sessions_end: usize,
    sessions: u32,
    pairs: u32,
}

impl Tail {
    /// Reads what has come to the log since.
    ///
    /// # Errors
    /// It cannot be read, or is no log; one that is not there yet is empty.
    pub(super) fn update(&mut self, path: &Path, plan: &Plan) -> Result<()> {
        let new = match read_whole_lines(path, self.text.len() as u64) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            read => String::from_utf8(read.in_file(path)?).in_file(path)?,
        };
        for line in new.split_inclusive('\n') {
            let bare = line.trim_end_matches('\n');
            self.count(&Record::of_line(bare).in_file(path)?, plan);
            self.text.push_str(line);
            self.marks.push(Mark { end: self.text.len(), head: Digest::of(bare) });
        }
        Ok(())
    }

    fn count(&mut self, record: &Record, plan: &Plan) {
        let round = |session: u32| plan.sessions.get(session as usize).map(|planned| planned.round);
        let of = match record {
            Record::Block(block) => block.sessions.first().and_then(|session| round(*session)),
            // It may be an earlier session's.
            Record::Scores(_) => None,
            other => other.session().and_then(round),
        };
        if of > self.latest_round {
            if self.latest_round.is_some() {
                self.rounds_end = self.marks.len();
            }
            self.latest_round = of;
        }
        match record {
            Record::Session(_) => {
                self.sessions += 1;
                // This line is not marked yet.
                self.sessions_end = self.marks.len() + 1;
            }
            Record::Attempt(attempt) if matches!(attempt.phase, Phase::Measured { .. }) => self.pairs += 1,
            _ => {}
        }
    }

    /// Sessions that ended.
    pub(super) fn sessions(&self) -> u32 {
        self.sessions
    }

    /// Pairs that were asked of both sides.
    pub(super) fn pairs(&self) -> u32 {
        self.pairs / 2
    }

    /// Bytes after `accepted`; of all of it, where nothing is accepted or that head is not here.
    pub(super) fn bytes_after(&self, accepted: Option<Digest>) -> u64 {
        let from = self.line_after(accepted).unwrap_or(0);
        (self.text.len() - self.end_of(from)) as u64
    }

    /// The lines after `accepted` and the head that they lead to: as many of them as are meant. `None`: the log
    /// holds no such head. No lines, and the same head, where nothing is new.
    pub(super) fn after(&self, accepted: Option<Digest>, upto: Upto) -> Option<(&str, Option<Digest>)> {
        let from = self.line_after(accepted)?;
        let to = match upto {
            Upto::Rounds => self.rounds_end,
            Upto::Sessions => self.sessions_end,
            Upto::All => self.marks.len(),
        };
        let to = to.max(from);
        let head = to.checked_sub(1).map(|last| self.marks[last].head);
        Some((&self.text[self.end_of(from)..self.end_of(to)], head))
    }

    fn line_after(&self, accepted: Option<Digest>) -> Option<usize> {
        match accepted {
            None => Some(0),
            Some(head) => self.marks.iter().rposition(|mark| mark.head == head).map(|at| at + 1),
        }
    }

    fn end_of(&self, lines: usize) -> usize {
        lines.checked_sub(1).map_or(0, |last| self.marks[last].end)
    }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::format::Document as _;
    use edgemaxx_contract::sample::{Chain, Header, Log, SessionEnd, SessionStatus};

    use super::*;

    const PLAN: &str = include_str!("../../../../reports/examples/emoji-cpu/plan.json");

    fn end(session: u32) -> Record {
        Record::Session(SessionEnd {
            session,
            status: SessionStatus::Complete,
            baseline_peak_rss_bytes: None,
            candidate_peak_rss_bytes: None,
            steady: true,
        })
    }

    #[test]
    fn rounds_are_sent_whole_and_a_torn_line_never() {
        let plan = Plan::from_json(PLAN).unwrap();
        let first: Vec<u32> = plan.sessions.iter().filter(|s| s.round == 0).map(|s| s.index).collect();
        let second = plan.sessions.iter().find(|session| session.round == 1).unwrap().index;
        let mut chain = Chain::default();
        let header = Header { format: Log::format(), plan: plan.digest(), started_unix_ms: 0 };
        let mut text = chain.append(Record::Header(header));
        let begun = chain.head();
        first.iter().for_each(|session| text += &chain.append(end(*session)));
        let (round, head) = (text.clone(), chain.head());

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.jsonl");
        let mut tail = Tail::default();
        tail.update(&path, &plan).unwrap();
        assert_eq!(tail.after(None, Upto::All), Some(("", None)), "there is no log yet");
        std::fs::write(&path, &text).unwrap();
        tail.update(&path, &plan).unwrap();
        assert_eq!(tail.after(None, Upto::Rounds), Some(("", None)), "the round may go on");
        assert_eq!(tail.after(None, Upto::All), Some((text.as_str(), Some(head))));
        // Others may wait for this very session before they begin the next round.
        assert_eq!(tail.after(None, Upto::Sessions), Some((text.as_str(), Some(head))));

        let next = chain.append(end(second));
        std::fs::write(&path, format!("{text}{next}{{\"prev\"")).unwrap();
        tail.update(&path, &plan).unwrap();
        assert_eq!(tail.after(None, Upto::Rounds), Some((round.as_str(), Some(head))));
        assert_eq!(tail.after(Some(head), Upto::Rounds), Some(("", Some(head))), "that round is sent");
        assert_eq!(tail.after(Some(head), Upto::All), Some((next.as_str(), Some(chain.head()))));
        // From within a round, too: whatever is in the run folder is gone on from.
        let rest = &round[round.find('\n').unwrap() + 1..];
        assert_eq!(tail.after(Some(begun), Upto::Rounds), Some((rest, Some(head))));
        assert_eq!(tail.after(Some(Digest::of("another")), Upto::All), None);
        assert_eq!(
            (tail.sessions(), tail.bytes_after(Some(head))),
            (first.len() as u32 + 1, next.len() as u64)
        );
        std::fs::write(&path, format!("{text}{next}")).unwrap();
        tail.update(&path, &plan).unwrap();
        assert_eq!(tail.after(Some(chain.head()), Upto::All), Some(("", Some(chain.head()))));
    }
}
