//! Whether a day dates its submissions as the chain does: the blocks that hold the commitments and the seals, the places in
//! a block, the order that follows. Read from the blocks themselves, which nodes keep when they have long thrown the state away.

use std::collections::BTreeMap;

use edgemaxx_chain::commitment::{Commitment as Meaning, read};
use edgemaxx_chain::{ChainError, Committed};
use edgemaxx_contract::day::{DayRecord, Fate, Submission};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::sealed_claim::Claim;
use edgemaxx_validator::policy::Policy;
use edgemaxx_validator::world::{Commitment, Seal, Snapshot};

use crate::submissions::source_of;

/// What hotkeys committed, by block.
pub(super) trait Blocks {
    /// What `hotkey` committed in block `number`, in order; `None`: the block is not kept.
    fn of(&self, number: u64, hotkey: &str) -> Result<Option<Vec<Committed>>, ChainError>;
}

/// How the dates compare.
pub(super) enum Dates {
    /// As on chain.
    Same,
    /// The first thing that is not.
    Differ(String),
    /// A block that decides is not kept by this node.
    NotKept(u64),
}

/// Compares the dates of a record with what `blocks` hold; `found` is the subnet at its block, seals opened since then among it.
pub(super) fn dates(found: &Snapshot, record: &DayRecord, blocks: &dyn Blocks) -> Result<Dates, ChainError> {
    let closed = record.block.as_ref().map_or(0, |block| block.number);
    let mut not_kept = None;
    for submission in &record.submissions {
        let of = |commitment: &&Commitment| commitment.hotkey == submission.hotkey;
        let Some(commitment) = found.commitments.iter().find(of) else { continue };
        match dated(submission, commitment, closed, blocks)? {
            Dates::Same => {}
            Dates::NotKept(block) => not_kept = not_kept.or(Some(block)),
            differ @ Dates::Differ(_) => return Ok(differ),
        }
    }
    if let Some(problem) = order(record).or_else(|| unfounded(record)) {
        return Ok(Dates::Differ(problem));
    }
    match places(record, blocks)? {
        Dates::Same => {}
        Dates::NotKept(block) => not_kept = not_kept.or(Some(block)),
        differ @ Dates::Differ(_) => return Ok(differ),
    }
    Ok(not_kept.map_or(Dates::Same, Dates::NotKept))
}

/// One submission's block and seal.
fn dated(
    submission: &Submission,
    commitment: &Commitment,
    closed: u64,
    blocks: &dyn Blocks,
) -> Result<Dates, ChainError> {
    let hotkey = &submission.hotkey;
    let differ = |problem: String| Ok(Dates::Differ(format!("{hotkey} {problem}")));
    if matches!(submission.fate, Fate::OtherContest { .. } | Fate::Unregistered | Fate::Sealed) {
        return Ok(Dates::Same);
    }
    let mut earliest = commitment.block;
    match (&submission.claim, commitment.seal) {
        (Some(claim), Seal::Opened { block, salt }) if (claim.block, claim.salt) == (block, salt) => {
            let Some(committed) = blocks.of(block, hotkey)? else { return Ok(Dates::NotKept(block)) };
            if sealed(&committed).last() != Some(&claim.digest) || block > closed.min(commitment.block) {
                return differ(format!("is dated by a seal of block {block} that is not there"));
            }
            if let Some(problem) = borne_out(submission, claim) {
                return differ(problem);
            }
            earliest = earliest.min(block);
        }
        (Some(claim), _) => {
            return differ(format!("is dated by a seal of block {} that it did not open", claim.block));
        }
        (None, Seal::Opened { block, .. }) if block <= closed.min(commitment.block) => {
            match blocks.of(block, hotkey)? {
                Some(committed) if !sealed(&committed).is_empty() => {
                    return differ(format!("opened a seal of block {block}, which is left out"));
                }
                Some(_) => {}
                None => return Ok(Dates::NotKept(block)),
            }
        }
        (None, _) => {}
    }
    if submission.since < earliest {
        // Who commits to the same again keeps his place: then he did so in that block.
        let Some(committed) = blocks.of(submission.since, hotkey)? else {
            return Ok(Dates::NotKept(submission.since));
        };
        let same = |committed: &Committed| matches!(read(&committed.bytes), Meaning::Submission(entry) if source_of(&entry) == submission.source);
        if !committed.iter().any(same) {
            return differ(format!(
                "is said to have committed to {} in block {}, which holds nothing of the kind",
                submission.source, submission.since
            ));
        }
    } else if submission.since > earliest {
        return differ(format!("committed in block {earliest}, not in {}", submission.since));
    }
    Ok(Dates::Same)
}

/// What is wrong with how a sealed submission was taken; its files' digest tells.
fn borne_out(submission: &Submission, claim: &Claim) -> Option<String> {
    match &submission.fate {
        Fate::Candidate { digest, .. } if !claim.is_of(&submission.hotkey, digest) => {
            Some("is measured, though its files are not those that it sealed".to_owned())
        }
        _ => None,
    }
}

fn sealed(committed: &[Committed]) -> Vec<Digest> {
    let digest = |committed: &Committed| match read(&committed.bytes) {
        Meaning::Sealed(sealed) => Some(sealed.digest),
        _ => None,
    };
    committed.iter().filter_map(digest).collect()
}

/// The first submission out of order, or that is called a copy of a later one.
fn order(record: &DayRecord) -> Option<String> {
    let all = &record.submissions;
    if let Some(pair) = all.windows(2).find(|pair| pair[0].order() > pair[1].order()) {
        return Some(format!("{} stands before {}, who was first", pair[0].hotkey, pair[1].hotkey));
    }
    all.iter().enumerate().find_map(|(at, submission)| {
        let of = match &submission.fate {
            Fate::Copy { of, .. } => std::slice::from_ref(of),
            Fate::Candidate { repeats: Some(repeats), .. } => &repeats.of,
            _ => return None,
        };
        let earlier = |hotkey: &String| {
            // Of one repository and revision, nothing is better than the first.
            let stands = |other: &Submission| {
                let of_use = !matches!(other.fate, Fate::Invalid { .. } | Fate::Sealed);
                other.hotkey == *hotkey && (of_use || other.source == submission.source)
            };
            all[..at].iter().any(stands)
        };
        let later = of.iter().find(|hotkey| !earlier(hotkey))?;
        Some(format!("{} is said to repeat {later}, who was not measured before", submission.hotkey))
    })
}

/// The first submission that is put among copies for no reason that the record bears out.
fn unfounded(record: &DayRecord) -> Option<String> {
    let all = &record.submissions;
    all.iter().enumerate().find_map(|(at, submission)| {
        let Fate::Copy { of, digest, .. } = &submission.fate else { return None };
        let hotkey = &submission.hotkey;
        let original = all[..at].iter().find(|other| other.hotkey == *of)?;
        let Some(digest) = digest else {
            let other = original.source != submission.source;
            return other.then(|| {
                format!("{hotkey} is put among copies of {of}, whose repository and revision are others")
            });
        };
        if submission.claim.as_ref().is_some_and(|claim| !claim.is_of(hotkey, digest)) {
            return Some(format!("{hotkey} is put among copies for files that are not those that it sealed"));
        }
        if original.fate.digest() == Some(*digest) {
            return None;
        }
        // Weights alike are measured, but for who repeats too many others.
        let alike = |other: &&Submission| match &other.fate {
            Fate::Candidate { repeats, .. } => {
                other.hotkey == *of || repeats.as_ref().is_some_and(|repeats| repeats.of.contains(of))
            }
            _ => false,
        };
        let measured = all[..at].iter().filter(alike).count();
        (measured < Policy::default().group_most).then(|| {
            format!(
                "{hotkey} is put among copies of {of}, whose files are others, and {measured} alike are measured before it"
            )
        })
    })
}

/// The places of those who share a block.
fn places(record: &DayRecord, blocks: &dyn Blocks) -> Result<Dates, ChainError> {
    let mut shared: BTreeMap<u64, Vec<&Submission>> = BTreeMap::new();
    for submission in record.entries() {
        shared.entry(submission.since).or_default().push(submission);
    }
    for (number, submissions) in shared.into_iter().filter(|(_, submissions)| submissions.len() > 1) {
        for submission in submissions {
            let Some(committed) = blocks.of(number, &submission.hotkey)? else {
                return Ok(Dates::NotKept(number));
            };
            let place = committed.last().map(|committed| committed.place);
            // One whose place nobody needed, as it was for nothing, has none.
            if place != submission.index && submission.index.is_some() {
                return Ok(Dates::Differ(format!(
                    "{} is said to stand at place {} of block {number}; it is {}",
                    submission.hotkey,
                    submission.index.map_or("—".to_owned(), |index| index.to_string()),
                    place.map_or("not there".to_owned(), |place| place.to_string()),
                )));
            }
            if let (Some(place), None, Fate::Candidate { .. } | Fate::Copy { .. }) =
                (place, submission.index, &submission.fate)
            {
                return Ok(Dates::Differ(format!(
                    "{}'s place {place} in block {number} is left out",
                    submission.hotkey
                )));
            }
        }
    }
    Ok(Dates::Same)
}

#[cfg(test)]
mod tests {
    use edgemaxx_chain::commitment::{EngineKind, Opening, Provider, Sealed, Submission as Entry};
    use edgemaxx_contract::day::{BlockRef, Repeats};
    use edgemaxx_contract::sealed_claim::{Salt, sealed};

    use super::*;

    const SALT: Salt = Salt([3; 16]);
    const REVISION: &str = "000102030405060708090a0b0c0d0e0f10111213";

    /// Hotkey, place, bytes.
    type Place = (&'static str, u32, Vec<u8>);

    /// What stands in each block.
    struct Told(BTreeMap<u64, Vec<Place>>);

    impl Blocks for Told {
        fn of(&self, number: u64, hotkey: &str) -> Result<Option<Vec<Committed>>, ChainError> {
            let all = self.0.get(&number).map(|all| {
                all.iter()
                    .filter(|(who, ..)| *who == hotkey)
                    .map(|(_, place, bytes)| Committed { place: *place, bytes: bytes.clone() })
                    .collect()
            });
            Ok(all)
        }
    }

    fn files(hotkey: &str) -> Digest {
        Digest::of(hotkey)
    }

    fn entry(hotkey: &str, opens: Option<u32>) -> Entry {
        Entry {
            contest: "c".to_owned(),
            provider: Provider::HuggingFace,
            repository: format!("{hotkey}/m"),
            revision: REVISION.parse().unwrap(),
            engine: EngineKind::Native,
            opens: opens.map(|block| Opening { block, salt: SALT }),
        }
    }

    /// `a` sealed in block 10 and opened in 30; `b` and `c` share block 20; `d` committed in 5 and again in 40.
    fn truth() -> (Snapshot, DayRecord, Told) {
        let seal = |hotkey: &str| {
            let digest = sealed(hotkey, &files(hotkey), &SALT);
            Sealed { contest: "c".to_owned(), digest }.to_bytes().unwrap()
        };
        let bytes = |hotkey: &str, opens| entry(hotkey, opens).to_bytes().unwrap();
        let blocks = BTreeMap::from([
            (1, Vec::new()),
            (5, vec![("d", 4, bytes("d", None))]),
            (10, vec![("a", 2, seal("a"))]),
            (20, vec![("c", 3, bytes("c", None)), ("b", 7, bytes("b", None))]),
            (30, vec![("a", 2, bytes("a", Some(10)))]),
            (40, vec![("d", 2, bytes("d", None))]),
        ]);
        let commitment = |hotkey: &str, block, seal| Commitment {
            hotkey: hotkey.to_owned(),
            block,
            source: source_of(&entry(hotkey, None)),
            seal,
            other_contest: None,
        };
        let found = Snapshot {
            registered: (0..).zip(["a", "b", "c", "d"].map(str::to_owned)).collect(),
            commitments: vec![
                commitment("a", 30, Seal::Opened { block: 10, salt: SALT }),
                commitment("b", 20, Seal::None),
                commitment("c", 20, Seal::None),
                commitment("d", 40, Seal::None),
            ],
            undecoded: Vec::new(),
        };
        let submission = |hotkey: &str, uid, since, index, claim: Option<Claim>| Submission {
            hotkey: hotkey.to_owned(),
            uid: Some(uid),
            since,
            index,
            source: source_of(&entry(hotkey, None)),
            claim,
            fate: Fate::candidate(files(hotkey)),
        };
        let claim = Claim { block: 10, digest: sealed("a", &files("a"), &SALT), salt: SALT, opened: 30 };
        let record = DayRecord {
            block: Some(BlockRef { number: 50, hash: "0x01".to_owned(), unix_s: 0 }),
            submissions: vec![
                submission("d", 3, 5, None, None),
                submission("a", 0, 10, None, Some(claim)),
                submission("c", 2, 20, Some(3), None),
                submission("b", 1, 20, Some(7), None),
            ],
            ..DayRecord::mock()
        };
        (found, record, Told(blocks))
    }

    fn said(change: impl Fn(&mut Snapshot, &mut DayRecord, &mut Told)) -> String {
        let (mut found, mut record, mut told) = truth();
        change(&mut found, &mut record, &mut told);
        match dates(&found, &record, &told).unwrap() {
            Dates::Same => "same".to_owned(),
            Dates::Differ(problem) => problem,
            Dates::NotKept(block) => format!("block {block} is not kept"),
        }
    }

    #[test]
    fn a_date_is_what_the_blocks_say_and_every_lie_about_one_is_found() {
        assert_eq!(said(|_, _, _| {}), "same");
        type Change = fn(&mut Snapshot, &mut DayRecord, &mut Told);
        let cases: [(&str, Change); 15] = [
            ("b is said to have committed to", |_, r, _| {
                let mut b = r.submissions.remove(3);
                (b.since, b.index) = (1, None);
                r.submissions.insert(0, b);
            }),
            ("d committed in block 40, not in 41", |_, r, _| {
                r.submissions[0].since = 41;
                r.submissions.rotate_left(1);
            }),
            ("a is dated by a seal of block 10 that is not there", |_, _, t| {
                t.0.get_mut(&10).unwrap().clear()
            }),
            ("a is dated by a seal of block 9 that it did not open", |_, r, _| {
                r.submissions[1].claim.as_mut().unwrap().block = 9;
            }),
            ("a is measured, though its files", |_, r, _| {
                r.submissions[1].fate = Fate::candidate(files("x"))
            }),
            ("a opened a seal of block 10, which is left out", |_, r, _| {
                let mut a = r.submissions.remove(1);
                (a.since, a.claim) = (30, None);
                r.submissions.push(a);
            }),
            ("b is dated by a seal", |_, r, _| r.submissions[3].claim = r.submissions[1].claim.clone()),
            ("b is said to stand at place 2", |_, r, _| {
                r.submissions[3].index = Some(2);
                r.submissions.swap(2, 3);
            }),
            ("c's place 3 in block 20 is left out", |_, r, _| {
                r.submissions[2].index = None;
                r.submissions.swap(2, 3);
            }),
            ("d stands before a, who was first", |_, r, _| {
                r.submissions[0].since = 40;
            }),
            ("a is said to repeat b", |_, r, _| {
                r.submissions[1].fate = Fate::Copy { of: "b".to_owned(), how: String::new(), digest: None };
            }),
            ("a is put among copies of d, whose repository", |_, r, _| {
                r.submissions[1].fate = Fate::Copy { of: "d".to_owned(), how: String::new(), digest: None };
            }),
            ("a is put among copies for files that are not", |_, r, _| {
                let digest = Some(files("d"));
                r.submissions[1].fate = Fate::Copy { of: "d".to_owned(), how: String::new(), digest };
            }),
            ("a is put among copies of d, whose files are others, and 1 alike", |_, r, _| {
                let digest = Some(files("a"));
                r.submissions[1].fate = Fate::Copy { of: "d".to_owned(), how: String::new(), digest };
            }),
            ("a is said to repeat z", |_, r, _| {
                let repeats = Repeats { of: vec!["d".to_owned(), "z".to_owned()], how: String::new() };
                r.submissions[1].fate =
                    Fate::Candidate { digest: files("a"), repeats: Some(repeats), by_engine: false };
            }),
        ];
        for (expected, change) in cases {
            let problem = said(change);
            assert!(problem.starts_with(expected), "{expected}: {problem}");
        }
        // What the node does not keep is no success.
        for (block, change) in [(10, 10), (5, 5), (20, 20)] {
            assert_eq!(said(|_, _, t| drop(t.0.remove(&change))), format!("block {block} is not kept"));
        }
    }

    #[test]
    fn one_entry_does_not_stand_before_itself() {
        let (_, mut record, _) = truth();
        let d = record.submissions[0].clone();
        record.submissions.insert(0, d);
        assert_eq!(order(&record), None, "that it is named twice is found elsewhere");
    }

    #[test]
    fn a_seal_counts_up_to_the_close_and_where_it_was_made() {
        let closed_in = |r: &mut DayRecord, number| r.block.as_mut().unwrap().number = number;
        assert_eq!(
            said(|_, r, _| closed_in(r, 10)),
            "same",
            "the last block before the close is one before it"
        );
        let late = "a is dated by a seal of block 10 that is not there";
        assert_eq!(said(|_, r, _| closed_in(r, 9)), late);
        // Who opens one that is none is invalid, and nothing is left out.
        let undated = |r: &mut DayRecord| {
            let mut a = r.submissions.remove(1);
            (a.since, a.claim, a.fate) = (30, None, Fate::Invalid { reason: String::new() });
            r.submissions.push(a);
        };
        let left_out = "a opened a seal of block 10, which is left out";
        for (number, expected) in [(9, "same"), (10, left_out)] {
            let found = said(|_, r, _| {
                undated(r);
                closed_in(r, number);
            });
            assert_eq!(found, expected, "{number}");
        }
        let nothing_there = said(|_, r, t| {
            undated(r);
            t.0.get_mut(&10).unwrap().clear();
        });
        assert_eq!(nothing_there, "same");
    }

    #[test]
    fn who_repeats_what_nobody_could_measure_repeats_it_by_its_name_alone() {
        let copy_of_invalid = |same_source: bool| {
            said(|_, r, _| {
                r.submissions[2].fate = Fate::Invalid { reason: String::new() };
                if same_source {
                    r.submissions[3].source = r.submissions[2].source.clone();
                }
                r.submissions[3].fate = Fate::Copy { of: "c".to_owned(), how: String::new(), digest: None };
            })
        };
        assert_eq!(copy_of_invalid(true), "same");
        assert_eq!(copy_of_invalid(false), "b is said to repeat c, who was not measured before");
    }

    #[test]
    fn who_repeats_too_many_others_is_not_measured_and_who_repeats_fewer_is() {
        let after = |others: usize| {
            said(|_, r, _| {
                let digest = Some(files("b"));
                r.submissions[3].fate = Fate::Copy { of: "d".to_owned(), how: String::new(), digest };
                for at in 0..others {
                    let repeats = Some(Repeats { of: vec!["d".to_owned()], how: String::new() });
                    let mut other = r.submissions[0].clone();
                    other.hotkey = format!("e{at}");
                    other.since = 11 + at as u64;
                    other.fate = Fate::Candidate { digest: files(&other.hotkey), repeats, by_engine: false };
                    r.submissions.insert(2 + at, other);
                }
            })
        };
        let most = Policy::default().group_most;
        // The original is one of them.
        assert_eq!(after(most - 1), "same");
        let fewer = format!("whose files are others, and {} alike are measured before it", most - 1);
        assert!(after(most - 2).ends_with(&fewer), "{}", after(most - 2));
    }
}
