//! Whether a day's record names everybody whom the chain names at the day's block, and what became of each.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use edgemaxx_chain::{Chain, ChainError};
use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::day::{BlockRef, DAY_FILE, DayRecord, Fate, Submission, Undecoded};
use edgemaxx_contract::run_files::CONTEST_FILE;
use edgemaxx_validator::collect::{open, submissions};
use edgemaxx_validator::world::{Seal, Snapshot};

use super::check::Held;
use super::dates::{Dates, dates};
use super::first_block::{NO_BLOCK, first_at};
use super::node::OnChain;
use crate::error::{InFile as _, Result, RunError};
use crate::submissions::snapshot;
use crate::text_file::read_text;

/// Registrations and commitments at the day's block are those of its record.
pub(super) fn nobody_left_out(run: &Path, chain: &Chain, record: &DayRecord) -> Result<Held> {
    let Some(block) = &record.block else {
        return Ok(Held::Unknown(NO_BLOCK.to_owned()));
    };
    let path = run.join(CONTEST_FILE);
    let contest = Contest::parse(&read_text(&path)?).in_file(&path)?;
    let wrong = |problem: String| Err(RunError::input(format!("{DAY_FILE}: {problem}")));
    let read =
        |number| chain.pin_at(number).and_then(|pin| snapshot(chain, &pin, record.netuid, &contest.name));
    let unknown = |error| Ok(Held::Unknown(format!("whether a miner was left out is not known: {error}")));
    let mut found = match read(block.number) {
        Err(error @ ChainError::Discarded { .. }) => return unknown(error),
        found => found?,
    };
    match opening(&found, record, contest.open_minutes) {
        Err(problem) => return wrong(problem),
        Ok(None) => {}
        Ok(Some((opened, moment))) => {
            match first_at(chain, opened, moment) {
                Ok(Held::Yes(_)) => {}
                other => return other,
            }
            match read(opened.number) {
                Err(error @ ChainError::Discarded { .. }) => return unknown(error),
                later => open(&mut found, &later?, block.number),
            }
        }
    }
    if let Some(problem) = difference(&found, record) {
        return wrong(problem);
    }
    let blocks = OnChain { chain, netuid: record.netuid, seen: RefCell::default() };
    match dates(&found, record, &blocks)? {
        Dates::Same => Ok(Held::Yes(format!("contest {}: {}", contest.name, summary(record)))),
        Dates::Differ(problem) => wrong(problem),
        Dates::NotKept(block) => Ok(Held::Unknown(format!(
            "who was first is not known: {} no longer has block {block}; an archive node has it",
            chain.endpoint().unwrap_or_default()
        ))),
    }
}

/// The block at which seals were opened, and the moment at or after which it is the first; an error where closed ones were
/// to be opened, and none is named.
fn opening<'a>(
    found: &Snapshot,
    record: &'a DayRecord,
    open_minutes: u32,
) -> std::result::Result<Option<(&'a BlockRef, i64)>, String> {
    let closed = found.commitments.iter().any(|commitment| commitment.seal == Seal::Closed);
    match &record.opened {
        Some(opened) => Ok(Some((opened, record.closed_unix_s + 60 * i64::from(open_minutes)))),
        None if closed && open_minutes > 0 => {
            Err("leaves out who opened a seal after submissions closed".to_owned())
        }
        None => Ok(None),
    }
}

/// The first thing in which the record is not what the chain says.
fn difference(found: &Snapshot, record: &DayRecord) -> Option<String> {
    let block = record.block.as_ref().map_or(0, |block| block.number);
    let mut registered: Vec<&String> = found.registered.values().collect();
    registered.sort_unstable();
    for hotkey in &registered {
        if !record.registered.contains(hotkey) {
            return Some(format!("leaves out {hotkey}, registered at block {block}"));
        }
    }
    if let Some(hotkey) = record.registered.iter().find(|hotkey| !registered.contains(hotkey)) {
        return Some(format!("names {hotkey}, who is not registered at block {block}"));
    }
    let named: BTreeMap<&str, &Submission> =
        record.submissions.iter().map(|submission| (submission.hotkey.as_str(), submission)).collect();
    let twice = |submission: &&Submission| !std::ptr::eq(named[submission.hotkey.as_str()], *submission);
    if let Some(submission) = record.submissions.iter().find(twice) {
        return Some(format!("names {} twice, who has one commitment", submission.hotkey));
    }
    let committed = submissions(found, |_| None);
    for expected in &committed {
        let Submission { hotkey, source, since, .. } = expected;
        let Some(submission) = named.get(hotkey.as_str()) else {
            return Some(format!("leaves out {hotkey}, who committed to {source} in block {since}"));
        };
        if submission.source != *source || submission.uid != expected.uid {
            return Some(format!("{hotkey} committed to {source}, not to {}", submission.source));
        }
        let elsewhere =
            |fate: &Fate| matches!(fate, Fate::OtherContest { .. } | Fate::Unregistered | Fate::Sealed);
        if (elsewhere(&submission.fate) || elsewhere(&expected.fate)) && submission.fate != expected.fate {
            return Some(format!(
                "{hotkey} is said to be {:?}; on chain it is {:?}",
                submission.fate, expected.fate
            ));
        }
    }
    if let Some(invented) = named.keys().find(|hotkey| !committed.iter().any(|c| c.hotkey == **hotkey)) {
        return Some(format!("names a submission of {invented}, who committed to nothing at block {block}"));
    }
    let among = |all: &[Undecoded], of: &Undecoded| all.iter().any(|other| other.hotkey == of.hotkey);
    if let Some(missing) = found.undecoded.iter().find(|of| !among(&record.undecoded, of)) {
        let (hotkey, reason) = (&missing.hotkey, &missing.reason);
        return Some(format!("leaves out {hotkey}, whose commitment cannot be decoded: {reason}"));
    }
    let invented = record.undecoded.iter().find(|of| !among(&found.undecoded, of))?;
    Some(format!("names a commitment of {} that cannot be decoded, and there is none", invented.hotkey))
}

/// Whether somebody was not measured for what his files are, which only they can tell.
pub(super) fn rests_on_files(fate: &Fate) -> bool {
    matches!(fate, Fate::Copy { digest: Some(_), .. } | Fate::Invalid { .. })
}

/// What became of whom, in numbers.
fn summary(record: &DayRecord) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for submission in &record.submissions {
        *counts
            .entry(match submission.fate {
                Fate::Pending => "never looked at",
                Fate::Candidate { .. } => "measured",
                Fate::Copy { .. } => "copies",
                Fate::Invalid { .. } => "invalid",
                Fate::OtherContest { .. } => "for other contests",
                Fate::Unregistered => "of hotkeys that left",
                Fate::Sealed => "sealed and not opened",
            })
            .or_default() += 1;
    }
    counts.insert("undecodable", record.undecoded.len() as u32);
    let counts: Vec<_> =
        counts.iter().filter(|(_, n)| **n > 0).map(|(what, n)| format!("{n} {what}")).collect();
    let all = record.submissions.len() + record.undecoded.len();
    let files = record.submissions.iter().filter(|submission| rests_on_files(&submission.fate)).count();
    let files = match files {
        0 => String::new(),
        n => format!(
            "; what is said of {n} rests on files, which the chain does not hold: --fetch looks at them"
        ),
    };
    match counts.is_empty() {
        true => "nobody committed to anything".to_owned(),
        false => format!("{all} commitments: {}{files}", counts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::digest::Digest;
    use edgemaxx_validator::world::Commitment;

    use super::*;

    fn found() -> Snapshot {
        let commitment = |hotkey: &str, block, other: Option<&str>| Commitment {
            hotkey: hotkey.to_owned(),
            block,
            source: format!("hf:{hotkey}/m@1"),
            seal: Seal::None,
            other_contest: other.map(str::to_owned),
        };
        Snapshot {
            registered: (0..).zip(["v", "a", "b", "c"].map(str::to_owned)).collect(),
            commitments: vec![
                commitment("a", 5, None),
                commitment("b", 7, Some("x")),
                commitment("gone", 3, None),
            ],
            undecoded: vec![Undecoded { hotkey: "c".to_owned(), reason: "version 9".to_owned() }],
        }
    }

    fn record() -> DayRecord {
        let found = found();
        let mut registered: Vec<String> = found.registered.values().cloned().collect();
        registered.sort_unstable();
        DayRecord {
            block: Some(BlockRef { number: 9, hash: "0x01".to_owned(), unix_s: 0 }),
            registered,
            submissions: submissions(&found, |_| None),
            undecoded: found.undecoded,
            ..DayRecord::mock()
        }
    }

    #[test]
    fn closed_seals_are_opened_so_many_minutes_after_the_close() {
        let opened = BlockRef { number: 12, hash: "0x02".to_owned(), unix_s: 0 };
        let of = |seal, opened: Option<&BlockRef>, minutes| {
            let mut found = found();
            found.commitments[0].seal = seal;
            let record = DayRecord { opened: opened.cloned(), closed_unix_s: 1000, ..record() };
            opening(&found, &record, minutes).map(|found| found.map(|(block, moment)| (block.number, moment)))
        };
        assert_eq!(of(Seal::Closed, Some(&opened), 30), Ok(Some((12, 2800))));
        assert_eq!(of(Seal::None, Some(&opened), 0), Ok(Some((12, 1000))));
        assert_eq!(of(Seal::None, None, 30), Ok(None));
        assert_eq!(of(Seal::Closed, None, 0), Ok(None));
        let left_out = of(Seal::Closed, None, 1).unwrap_err();
        assert_eq!(left_out, "leaves out who opened a seal after submissions closed");
    }

    #[test]
    fn what_became_of_whom_is_told_in_numbers() {
        let mut of = record();
        let apart = "1 for other contests, 1 never looked at, 1 of hotkeys that left";
        assert_eq!(summary(&of), format!("4 commitments: {apart}, 1 undecodable"));
        of.undecoded.clear();
        assert_eq!(summary(&of), format!("3 commitments: {apart}"));
        let digest = Some(Digest::of("files"));
        for (fate, rests) in [
            (Fate::Copy { of: "z".to_owned(), how: String::new(), digest }, true),
            (Fate::Copy { of: "z".to_owned(), how: String::new(), digest: None }, false),
            (Fate::Invalid { reason: String::new() }, true),
            (Fate::candidate(Digest::of("files")), false),
            (Fate::Sealed, false),
        ] {
            assert_eq!(rests_on_files(&fate), rests, "{fate:?}");
            of.submissions[0].fate = fate;
            let ends =
                "; what is said of 1 rests on files, which the chain does not hold: --fetch looks at them";
            assert_eq!(summary(&of).ends_with(ends), rests, "{}", summary(&of));
        }
        of.submissions.clear();
        assert_eq!(summary(&of), "nobody committed to anything");
    }

    #[test]
    fn every_omission_and_every_invention_is_found() {
        assert_eq!(difference(&found(), &record()), None);
        type Change = fn(&mut DayRecord);
        let cases: [(&str, Change); 11] = [
            ("leaves out c, registered", |r| r.registered.retain(|hotkey| hotkey != "c")),
            ("names z, who is not registered", |r| r.registered.push("z".to_owned())),
            ("leaves out a, who committed", |r| r.submissions.retain(|s| s.hotkey != "a")),
            ("leaves out b, who committed", |r| r.submissions.retain(|s| s.hotkey != "b")),
            ("leaves out gone, who committed", |r| r.submissions.retain(|s| s.hotkey != "gone")),
            ("a committed to hf:a/m@1, not", |r| r.submissions[1].source = "hf:z/m@1".to_owned()),
            ("a is said to be", |r| r.submissions[1].fate = Fate::Unregistered),
            ("names a submission of z", |r| {
                let mut invented = r.submissions[1].clone();
                invented.hotkey = "z".to_owned();
                r.submissions.push(invented);
            }),
            ("names a twice", |r| {
                let again =
                    Submission { fate: Fate::Invalid { reason: String::new() }, ..r.submissions[1].clone() };
                r.submissions.insert(1, again);
            }),
            ("leaves out c, whose commitment", |r| r.undecoded.clear()),
            ("names a commitment of a that cannot be decoded", |r| {
                r.undecoded.push(Undecoded { hotkey: "a".to_owned(), reason: "version 9".to_owned() });
            }),
        ];
        for (expected, change) in cases {
            let mut lie = record();
            change(&mut lie);
            let said = difference(&found(), &lie).unwrap_or_default();
            assert!(said.starts_with(expected), "{expected}: {said}");
        }
    }
}
