//! From commitments to submissions, and which of equal ones is the first.

use std::collections::BTreeMap;

use edgemaxx_contract::day::{Fate, Submission};

use crate::world::{Commitment, Snapshot};

/// The submissions of a snapshot, earliest first. `first_seen` gives the block in which a hotkey
/// was first seen to commit to a source: who commits to the same again keeps his place.
pub fn submissions(snapshot: &Snapshot, first_seen: impl Fn(&Commitment) -> Option<u64>) -> Vec<Submission> {
    let registered = |commitment: &&Commitment| snapshot.registered.contains(&commitment.hotkey);
    let mut found: Vec<Submission> = snapshot
        .commitments
        .iter()
        .filter(registered)
        .map(|commitment| Submission {
            hotkey: commitment.hotkey.clone(),
            since: first_seen(commitment).map_or(commitment.block, |seen| seen.min(commitment.block)),
            source: commitment.source.clone(),
            fate: Fate::Pending,
        })
        .collect();
    found.sort_by(|a, b| (a.since, &a.hotkey).cmp(&(b.since, &b.hotkey)));
    found.dedup_by(|later, earlier| later.hotkey == earlier.hotkey);
    found
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
        Fate::Candidate { digest } => Some(*digest),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::digest::Digest;

    use super::*;

    fn commitment(hotkey: &str, block: u64, source: &str) -> Commitment {
        Commitment { hotkey: hotkey.to_owned(), block, source: source.to_owned() }
    }

    fn snapshot() -> Snapshot {
        Snapshot {
            registered: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
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
        assert_eq!(order(&found), ["b", "c", "a"]);
        let copies = same_source(&found);
        assert_eq!(copies.len(), 1);
        assert_eq!(copies[0].0, "a");
        assert!(matches!(&copies[0].1, Fate::Copy { of, .. } if of == "b"));
    }

    #[test]
    fn who_commits_to_the_same_again_keeps_his_place() {
        let found = submissions(&snapshot(), |c| (c.hotkey == "a" && c.source == "x").then_some(5));
        assert_eq!((order(&found), found[0].since), (vec!["a", "b", "c"], 5));
        assert_eq!(same_source(&found)[0].0, "b");
    }

    #[test]
    fn only_who_is_measured_makes_copies_of_the_same_files() {
        let mut found = submissions(&snapshot(), |_| None);
        let digest = Digest::of("files");
        found[0].fate = Fate::Invalid { reason: "x".to_owned() };
        found[1].fate = Fate::Candidate { digest };
        found[2].fate = Fate::Candidate { digest };
        let copies = same_files(&found);
        assert!(matches!(&copies[..], [(a, Fate::Copy { of, .. })] if a == "a" && of == "c"), "{copies:?}");
    }
}
