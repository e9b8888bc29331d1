//! A validator's day: every submission of it with what became of it, and why, for every form of the report.

use edgemaxx_contract::day::{BY_ENGINE, DayRecord, Fate, Submission};
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::weights::{Origin, Weights};
use jiff::Timestamp;

use crate::standing::{standing_key, standing_words};

/// A day as it was decided.
#[derive(Debug, Clone, Copy)]
pub struct DayView<'a> {
    /// What was found on chain, and what became of it before it was measured.
    pub record: &'a DayRecord,
    /// What was decided.
    pub weights: &'a Weights,
    /// What was measured; `None`: nothing.
    pub ranking: Option<&'a Ranking>,
}

/// What became of one commitment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DayRow {
    pub uid: Option<u16>,
    pub hotkey: String,
    /// What was committed to; empty where nobody can tell.
    pub source: String,
    /// The block that it counts from.
    pub since: Option<u64>,
    /// As a word for style sheets and files.
    pub key: &'static str,
    pub words: &'static str,
    pub why: Vec<String>,
    pub share: f64,
}

impl DayView<'_> {
    /// A row for every commitment, in the order in which they came; those that say nothing last.
    pub(crate) fn rows(&self) -> Vec<DayRow> {
        let submissions = self.record.submissions.iter().map(|submission| self.row(submission));
        let undecoded = self.record.undecoded.iter().map(|undecoded| DayRow {
            uid: None,
            hotkey: undecoded.hotkey.clone(),
            source: String::new(),
            since: None,
            key: "undecodable",
            words: "undecodable",
            why: vec![undecoded.reason.clone()],
            share: self.share(&undecoded.hotkey),
        });
        submissions.chain(undecoded).collect()
    }

    fn share(&self, hotkey: &str) -> f64 {
        let entry = self.weights.entries.iter().find(|entry| entry.hotkey == hotkey);
        entry.map_or(0.0, |entry| entry.share)
    }

    fn row(&self, submission: &Submission) -> DayRow {
        let mut why = Vec::new();
        let (key, words) = match &submission.fate {
            Fate::Pending => ("pending", "not looked at"),
            Fate::Candidate { repeats, by_engine, .. } => {
                if let Some(repeats) = repeats {
                    why.push(format!("repeats {}: {}", repeats.of.join(", "), repeats.how));
                }
                why.extend(by_engine.then(|| BY_ENGINE.to_owned()));
                let entries = self.ranking.map(|ranking| &ranking.entries[..]).unwrap_or_default();
                match entries.iter().find(|entry| entry.name == submission.hotkey) {
                    Some(entry) => {
                        why.extend(entry.reasons.iter().filter(|reason| *reason != BY_ENGINE).cloned());
                        (standing_key(entry.standing), standing_words(entry.standing))
                    }
                    None => {
                        why.extend(self.record.not_measured.clone());
                        ("not_measured", "not measured")
                    }
                }
            }
            Fate::Copy { of, how, .. } => {
                why.push(format!("of {of}: {how}"));
                ("copy", "copy")
            }
            Fate::Invalid { reason } => {
                why.push(reason.clone());
                ("invalid", "invalid")
            }
            Fate::OtherContest { contest } => {
                why.push(format!("for {contest}"));
                ("other_contest", "another contest")
            }
            Fate::Unregistered => {
                why.push("its hotkey was not registered when submissions closed".to_owned());
                ("unregistered", "not registered")
            }
            Fate::Sealed => {
                why.push("its seal was not opened in time".to_owned());
                ("sealed", "sealed")
            }
        };
        if let Some(claim) = &submission.claim {
            why.push(format!("sealed in block {}, opened in block {}", claim.block, claim.opened));
        }
        DayRow {
            uid: submission.uid,
            hotkey: submission.hotkey.clone(),
            source: submission.source.clone(),
            since: Some(submission.since),
            key,
            words,
            why,
            share: self.share(&submission.hotkey),
        }
    }

    /// Where the day stands: label and text.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let record = self.record;
        let origin = match self.weights.origin {
            Origin::Earned => "earned on this day",
            Origin::Kept => "kept from an earlier day",
            Origin::Fallback => "the contest's fallback",
            Origin::None => "none are set",
        };
        let block = record.block.as_ref().map_or_else(
            || "none: the chain could not be read".to_owned(),
            |block| format!("{}, {}, of {}", block.number, block.hash, time(block.unix_s)),
        );
        let mut facts = vec![
            ("Subnet", record.netuid.to_string()),
            ("Validator", record.validator.clone()),
            ("Submissions closed", time(record.closed_unix_s)),
            ("Block", block),
        ];
        facts.extend(record.opened.as_ref().map(|block| {
            ("Seals opened until", format!("block {}, of {}", block.number, time(block.unix_s)))
        }));
        facts.push(("Registered hotkeys", record.registered.len().to_string()));
        facts.push(("Weights", format!("{origin}: {}", self.weights.reason)));
        let shares =
            self.weights.entries.iter().map(|entry| format!("{} {}", entry.hotkey, share(entry.share)));
        facts.push(("Shares", shares.collect::<Vec<_>>().join(", ")));
        facts.retain(|(_, text)| !text.is_empty());
        facts
    }

    /// The command that checks the day against its own files and the chain, in the folder above the day's.
    pub(crate) fn verify(&self) -> String {
        format!("edgemaxx verify {} --hotkey {} --chain finney", self.record.day, self.record.validator)
    }
}

/// A share of all weights.
pub(crate) fn share(share: f64) -> String {
    if share > 0.0 { format!("{:.1}%", 100.0 * share) } else { crate::number::UNDEFINED.to_owned() }
}

/// A moment for people, in UTC.
fn time(unix_s: i64) -> String {
    Timestamp::from_second(unix_s).map_or_else(|_| unix_s.to_string(), |time| time.to_string())
}
