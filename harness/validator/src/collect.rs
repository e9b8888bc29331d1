//! From commitments to submissions, and which of equal ones is the first.

use std::collections::{BTreeMap, BTreeSet};

use edgemaxx_contract::day::{Fate, Repeats, Submission};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::sealed_claim::Claim;

use crate::world::{Commitment, Compared, Seal, Snapshot};

/// The submissions of a snapshot, earliest first, those that are not measured among them. `first_seen` gives the block
/// in which a hotkey was first seen to commit to a source: who commits to the same again keeps his place.
pub fn submissions(snapshot: &Snapshot, first_seen: impl Fn(&Commitment) -> Option<u64>) -> Vec<Submission> {
    let uids: BTreeMap<&str, u16> =
        snapshot.registered.iter().map(|(uid, hotkey)| (hotkey.as_str(), *uid)).collect();
    let submission = |commitment: &Commitment| {
        let uid = uids.get(commitment.hotkey.as_str()).copied();
        Submission {
            hotkey: commitment.hotkey.clone(),
            uid,
            since: first_seen(commitment).map_or(commitment.block, |seen| seen.min(commitment.block)),
            index: None,
            source: commitment.source.clone(),
            claim: None,
            fate: match (&commitment.other_contest, uid) {
                (Some(contest), _) => Fate::OtherContest { contest: contest.clone() },
                (None, None) => Fate::Unregistered,
                (None, Some(_)) if commitment.seal == Seal::Closed => Fate::Sealed,
                (None, Some(_)) => Fate::Pending,
            },
        }
    };
    let mut found: Vec<Submission> = snapshot.commitments.iter().map(submission).collect();
    found.sort_by(|a, b| a.order().cmp(&b.order()));
    found.dedup_by(|later, earlier| later.hotkey == earlier.hotkey);
    found
}

/// What `later` shows of those whose entries are sealed in `snapshot`, which was read at block `closed`: who opened a
/// seal of that block or an earlier one meanwhile is taken at his word then, as if he had opened it before.
pub fn open(snapshot: &mut Snapshot, later: &Snapshot, closed: u64) {
    for sealed in snapshot.commitments.iter_mut().filter(|commitment| commitment.seal == Seal::Closed) {
        let opened = later.commitments.iter().find(|commitment| {
            let in_time = matches!(commitment.seal, Seal::Opened { block, .. } if block <= closed);
            commitment.hotkey == sealed.hotkey && in_time
        });
        if let Some(opened) = opened {
            sealed.clone_from(opened);
        }
    }
}

/// Dates a submission by the seal that it opens, where `found`, what its hotkey sealed in that block, shows that there is
/// one of the time before block `closed`; it is invalid where there is none.
pub fn claim(submission: &mut Submission, commitment: &Commitment, found: &[Digest], closed: u64) {
    let Seal::Opened { block, salt } = commitment.seal else { return };
    match found.last().filter(|_| block <= closed.min(commitment.block)) {
        Some(digest) => {
            submission.since = submission.since.min(block);
            submission.claim = Some(Claim { block, digest: *digest, salt, opened: commitment.block });
        }
        None => {
            let reason = format!("opens a seal of block {block}, in which this hotkey sealed nothing");
            submission.fate = Fate::Invalid { reason };
        }
    }
}

/// Blocks in which several of those that may be measured committed, with their hotkeys: who was first there is not
/// known yet.
pub fn shared_blocks(submissions: &[Submission]) -> BTreeMap<u64, Vec<String>> {
    let mut blocks: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for submission in submissions.iter().filter(|submission| submission.fate == Fate::Pending) {
        blocks.entry(submission.since).or_default().push(submission.hotkey.clone());
    }
    blocks.retain(|_, hotkeys| hotkeys.len() > 1);
    blocks
}

/// Notes the places in block `number`, and puts the submissions in their order.
pub fn set_places(submissions: &mut [Submission], number: u64, places: &BTreeMap<String, u32>) {
    for submission in submissions.iter_mut().filter(|submission| submission.since == number) {
        submission.index = places.get(&submission.hotkey).copied();
    }
    submissions.sort_by(|a, b| a.order().cmp(&b.order()));
}

/// Submissions that repeat an earlier one by `key`; those without a key repeat nothing. Only who is
/// still in the contest makes others copies.
fn repeated<'a, K: Ord + Clone>(
    submissions: &'a [Submission],
    how: &str,
    key: impl Fn(&'a Submission) -> Option<K>,
) -> Vec<(String, Fate)> {
    let mut first: BTreeMap<K, &str> = BTreeMap::new();
    let mut copies = Vec::new();
    for submission in submissions {
        let Some(key) = key(submission) else { continue };
        match first.get(&key) {
            None => {
                first.insert(key, &submission.hotkey);
            }
            Some(of) => {
                let (of, how, digest) = ((*of).to_owned(), how.to_owned(), submission.fate.digest());
                copies.push((submission.hotkey.clone(), Fate::Copy { of, how, digest }));
            }
        }
    }
    copies
}

/// Submissions of a source that somebody else committed to earlier. Where one of them goes by a seal, which its files have
/// yet to bear out, they wait for the look at the files.
pub fn same_source(submissions: &[Submission]) -> Vec<(String, Fate)> {
    let sealed: BTreeSet<&str> =
        submissions.iter().filter(|s| s.claim.is_some()).map(|s| s.source.as_str()).collect();
    repeated(submissions, "the same repository and revision", |submission| {
        let source = submission.source.as_str();
        (submission.fate == Fate::Pending && !sealed.contains(source)).then_some(source)
    })
}

/// Candidates with the same files as an earlier one.
pub fn same_files(submissions: &[Submission]) -> Vec<(String, Fate)> {
    repeated(submissions, "the same files", |submission| match &submission.fate {
        Fate::Candidate { digest, .. } => Some(*digest),
        _ => None,
    })
}

/// What follows for candidates that repeat others, or that nobody can compare. Weights alike prove no right to the place: a copy that
/// does not even load must not push its original out. So all of a group are measured, and the ranking gives its one
/// place to the first that stands; who repeats `most` others or more is not measured.
pub fn repeats(submissions: &[Submission], found: &Compared, most: usize) -> Vec<(String, Fate)> {
    let (mut fates, copies) = (Vec::new(), &found.copies);
    for submission in submissions {
        let Fate::Candidate { digest, .. } = submission.fate else { continue };
        let by_engine = found.by_engine.contains(&submission.hotkey);
        let how = copies.iter().find(|found| found.copy == submission.hotkey).map(|found| found.how.clone());
        let is_of = |other: &&Submission| {
            copies.iter().any(|found| found.copy == submission.hotkey && found.original == other.hotkey)
        };
        let of: Vec<String> = submissions.iter().filter(is_of).map(|other| other.hotkey.clone()).collect();
        let (Some(how), Some(first)) = (how, of.first()) else {
            let marked = Fate::Candidate { digest, repeats: None, by_engine };
            fates.extend(by_engine.then(|| (submission.hotkey.clone(), marked)));
            continue;
        };
        let fate = if of.len() >= most {
            let how = format!("{how}; {} earlier ones alike are measured before it", of.len());
            Fate::Copy { of: first.clone(), how, digest: Some(digest) }
        } else {
            Fate::Candidate { digest, repeats: Some(Repeats { of, how }), by_engine }
        };
        fates.push((submission.hotkey.clone(), fate));
    }
    fates
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::sealed_claim::{Salt, sealed};

    use super::*;
    use crate::world::CopyOf;

    fn commitment(hotkey: &str, block: u64, source: &str) -> Commitment {
        let (hotkey, source) = (hotkey.to_owned(), source.to_owned());
        Commitment { hotkey, block, source, seal: Seal::None, other_contest: None }
    }

    fn snapshot() -> Snapshot {
        Snapshot {
            registered: (0..).zip(["a", "b", "c", "d"].map(str::to_owned)).collect(),
            commitments: vec![
                commitment("a", 30, "x"),
                commitment("b", 20, "x"),
                commitment("c", 20, "y"),
                commitment("gone", 1, "x"),
            ],
            undecoded: Vec::new(),
        }
    }

    fn order(submissions: &[Submission]) -> Vec<&str> {
        submissions.iter().map(|submission| submission.hotkey.as_str()).collect()
    }

    #[test]
    fn the_earliest_is_first_and_who_left_counts_no_more() {
        let found = submissions(&snapshot(), |_| None);
        assert_eq!(order(&found), ["gone", "b", "c", "a"]);
        assert_eq!((&found[0].fate, found[0].uid, found[1].uid), (&Fate::Unregistered, None, Some(1)));
        let copies = same_source(&found);
        assert_eq!(copies.len(), 1);
        assert_eq!(copies[0].0, "a");
        assert!(matches!(&copies[0].1, Fate::Copy { of, .. } if of == "b"));
    }

    #[test]
    fn who_commits_to_the_same_again_keeps_his_place() {
        let found = submissions(&snapshot(), |c| (c.hotkey == "a" && c.source == "x").then_some(5));
        assert_eq!((order(&found), found[1].since), (vec!["gone", "a", "b", "c"], 5));
        assert_eq!(same_source(&found)[0].0, "b");
    }

    #[test]
    fn only_who_is_measured_makes_copies_of_the_same_files() {
        let mut found = submissions(&snapshot(), |_| None);
        let digest = Digest::of("files");
        found[1].fate = Fate::Invalid { reason: "x".to_owned() };
        found[2].fate = Fate::candidate(digest);
        found[3].fate = Fate::candidate(digest);
        let copies = same_files(&found);
        assert!(matches!(&copies[..], [(a, Fate::Copy { of, .. })] if a == "a" && of == "c"), "{copies:?}");
    }

    #[test]
    fn within_a_block_the_place_decides_and_not_the_name() {
        let mut found = submissions(&snapshot(), |_| None);
        assert_eq!(shared_blocks(&found), BTreeMap::from([(20, vec!["b".to_owned(), "c".to_owned()])]));
        let places = BTreeMap::from([("b".to_owned(), 7), ("c".to_owned(), 3)]);
        set_places(&mut found, 20, &places);
        assert_eq!(order(&found), ["gone", "c", "b", "a"]);
        // Whose place is not known comes after the others of the block.
        set_places(&mut found, 20, &BTreeMap::from([("b".to_owned(), 7)]));
        assert_eq!(order(&found), ["gone", "b", "c", "a"]);
    }

    #[test]
    fn a_seal_dates_what_opens_it_and_nothing_else() {
        let salt = Salt([1; 16]);
        let opened = |hotkey: &str, block, source: &str, seal| Commitment {
            seal: Seal::Opened { block: seal, salt },
            ..commitment(hotkey, block, source)
        };
        // `a` sealed in block 10 and opened in block 30, when `b` had seen his files and committed them in the open.
        let all = vec![opened("a", 30, "x", 10), commitment("b", 20, "x"), opened("c", 40, "x", 5)];
        let snapshot = Snapshot { commitments: all, ..snapshot() };
        let mut found = submissions(&snapshot, |_| None);
        let files = Digest::of("files");
        for submission in &mut found {
            let commitment = snapshot.commitments.iter().find(|c| c.hotkey == submission.hotkey).unwrap();
            // `c` names a block in which he sealed nothing.
            let sealed = [sealed(&submission.hotkey, &files, &salt)];
            claim(submission, commitment, if submission.hotkey == "c" { &[] } else { &sealed }, 100);
        }
        found.sort_by(|a, b| a.order().cmp(&b.order()));
        assert_eq!(order(&found), ["a", "b", "c"]);
        assert!(found[0].claim.as_ref().is_some_and(|claim| claim.is_of("a", &files)));
        assert!(matches!(&found[2].fate, Fate::Invalid { reason } if reason.contains("block 5")));
        // Nobody is a copy of what a seal may not bear out; the files tell.
        assert_eq!(same_source(&found), []);
        // A seal of the time after the close, or after its own opening, is none.
        for (closed, seal) in [(9, 10), (100, 31)] {
            let commitment = opened("a", 30, "x", seal);
            let mut late = submissions(&snapshot, |_| None).remove(1);
            claim(&mut late, &commitment, &[sealed("a", &files, &salt)], closed);
            assert!(matches!(late.fate, Fate::Invalid { .. }), "{closed} {seal}");
        }
    }

    #[test]
    fn what_was_sealed_at_the_close_can_be_opened_after_it() {
        let sealed = |hotkey: &str| Commitment { seal: Seal::Closed, ..commitment(hotkey, 20, "sealed:1") };
        let mut at_close =
            Snapshot { commitments: vec![sealed("a"), sealed("b"), commitment("c", 3, "y")], ..snapshot() };
        let opened = |hotkey: &str, seal| Commitment {
            seal: Seal::Opened { block: seal, salt: Salt([1; 16]) },
            ..commitment(hotkey, 120, "x")
        };
        // `b` names a seal of the time after the close; `c` had an entry and keeps it.
        let later =
            Snapshot { commitments: vec![opened("a", 20), opened("b", 101), opened("c", 20)], ..snapshot() };
        open(&mut at_close, &later, 100);
        let fates: Vec<_> =
            submissions(&at_close, |_| None).into_iter().map(|s| (s.hotkey, s.source, s.fate)).collect();
        let fate = |hotkey: &str, source: &str, fate| (hotkey.to_owned(), source.to_owned(), fate);
        assert_eq!(
            fates,
            [
                fate("c", "y", Fate::Pending),
                fate("b", "sealed:1", Fate::Sealed),
                fate("a", "x", Fate::Pending)
            ]
        );
    }

    #[test]
    fn who_repeats_others_is_tried_after_them_and_not_without_end() {
        let mut found = submissions(&snapshot(), |_| None);
        for submission in &mut found[1..] {
            submission.fate = Fate::candidate(Digest::of(&submission.hotkey));
        }
        let copy = |copy: &str, original: &str| CopyOf {
            copy: copy.to_owned(),
            original: original.to_owned(),
            how: format!("99% of {copy}"),
        };
        let copies = vec![copy("a", "b"), copy("a", "c"), copy("c", "b")];
        let compared = Compared { copies, by_engine: Vec::new() };
        let fates = repeats(&found, &compared, 2);
        let of = |fate: &Fate| match fate {
            Fate::Candidate { repeats: Some(repeats), .. } => repeats.of.join(" "),
            Fate::Copy { of, .. } => format!("copy of {of}"),
            other => format!("{other:?}"),
        };
        let said: Vec<_> = fates.iter().map(|(hotkey, fate)| (hotkey.as_str(), of(fate))).collect();
        assert_eq!(said, [("c", "b".to_owned()), ("a", "copy of b".to_owned())]);
        assert_eq!(of(&repeats(&found, &compared, 3)[1].1), "b c");
        // Each with what was found of it.
        let how = |fate: &Fate| match fate {
            Fate::Candidate { repeats: Some(repeats), .. } => repeats.how.clone(),
            other => format!("{other:?}"),
        };
        assert_eq!(
            [0, 1].map(|at: usize| how(&repeats(&found, &compared, 3)[at].1)),
            ["99% of c", "99% of a"]
        );
        // Who cannot be compared is a candidate as before, and marked.
        let compared = Compared { by_engine: vec!["b".to_owned(), "a".to_owned()], ..compared };
        let fates = repeats(&found, &compared, 3);
        let marked = |hotkey: &str| {
            let of = |fate: &Fate| matches!(fate, Fate::Candidate { by_engine: true, .. });
            fates.iter().find(|(other, _)| other == hotkey).map(|(_, fate)| of(fate))
        };
        assert_eq!([marked("b"), marked("c"), marked("a")], [Some(true), Some(false), Some(true)]);
    }
}
