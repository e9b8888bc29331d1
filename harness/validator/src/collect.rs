//! From commitments to submissions, and which of equal ones is the first.

use std::collections::BTreeMap;

use edgemaxx_contract::day::{Fate, Repeats, Submission};

use crate::world::{Commitment, CopyOf, Snapshot};

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
            fate: match (&commitment.other_contest, uid) {
                (Some(contest), _) => Fate::OtherContest { contest: contest.clone() },
                (None, None) => Fate::Unregistered,
                (None, Some(_)) => Fate::Pending,
            },
        }
    };
    let mut found: Vec<Submission> = snapshot.commitments.iter().map(submission).collect();
    found.sort_by(|a, b| a.order().cmp(&b.order()));
    found.dedup_by(|later, earlier| later.hotkey == earlier.hotkey);
    found
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
            Some(of) => copies
                .push((submission.hotkey.clone(), Fate::Copy { of: (*of).to_owned(), how: how.to_owned() })),
        }
    }
    copies
}

/// Submissions of a source that somebody else committed to earlier.
pub fn same_source(submissions: &[Submission]) -> Vec<(String, Fate)> {
    repeated(submissions, "the same repository and revision", |submission| {
        (submission.fate == Fate::Pending).then_some(submission.source.as_str())
    })
}

/// Candidates with the same files as an earlier one.
pub fn same_files(submissions: &[Submission]) -> Vec<(String, Fate)> {
    repeated(submissions, "the same files", |submission| match &submission.fate {
        Fate::Candidate { digest, .. } => Some(*digest),
        _ => None,
    })
}

/// What follows from `copies` for candidates that repeat others. Weights alike prove no right to the place: a copy that
/// does not even load must not push its original out. So all of a group are measured, and the ranking gives its one
/// place to the first that stands; who repeats `most` others or more is not measured.
pub fn repeats(submissions: &[Submission], copies: &[CopyOf], most: usize) -> Vec<(String, Fate)> {
    let mut fates = Vec::new();
    for submission in submissions {
        let Fate::Candidate { digest, .. } = submission.fate else { continue };
        let how = copies.iter().find(|found| found.copy == submission.hotkey).map(|found| found.how.clone());
        let is_of = |other: &&Submission| {
            copies.iter().any(|found| found.copy == submission.hotkey && found.original == other.hotkey)
        };
        let of: Vec<String> = submissions.iter().filter(is_of).map(|other| other.hotkey.clone()).collect();
        let (Some(how), Some(first)) = (how, of.first()) else { continue };
        let fate = if of.len() >= most {
            let how = format!("{how}; {} earlier ones alike are measured before it", of.len());
            Fate::Copy { of: first.clone(), how }
        } else {
            Fate::Candidate { digest, repeats: Some(Repeats { of, how }) }
        };
        fates.push((submission.hotkey.clone(), fate));
    }
    fates
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::digest::Digest;

    use super::*;

    fn commitment(hotkey: &str, block: u64, source: &str) -> Commitment {
        Commitment { hotkey: hotkey.to_owned(), block, source: source.to_owned(), other_contest: None }
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
    fn who_repeats_others_is_tried_after_them_and_not_without_end() {
        let mut found = submissions(&snapshot(), |_| None);
        for submission in &mut found[1..] {
            submission.fate = Fate::candidate(Digest::of(&submission.hotkey));
        }
        let copy = |copy: &str, original: &str| CopyOf {
            copy: copy.to_owned(),
            original: original.to_owned(),
            how: "99%".to_owned(),
        };
        let copies = [copy("a", "b"), copy("a", "c"), copy("c", "b")];
        let fates = repeats(&found, &copies, 2);
        let of = |fate: &Fate| match fate {
            Fate::Candidate { repeats: Some(repeats), .. } => repeats.of.join(" "),
            Fate::Copy { of, .. } => format!("copy of {of}"),
            other => format!("{other:?}"),
        };
        let said: Vec<_> = fates.iter().map(|(hotkey, fate)| (hotkey.as_str(), of(fate))).collect();
        assert_eq!(said, [("c", "b".to_owned()), ("a", "copy of b".to_owned())]);
        assert_eq!(of(&repeats(&found, &copies, 3)[1].1), "b c");
    }
}
