//! Who copied whom: earliest commitment wins.

use serde::Serialize;

use super::checkpoint::Fingerprint;
use super::compare::{TensorMatch, compare};

/// Share of a candidate's own work that must reappear in another for that one to be a copy.
const COPIED_WORK: f64 = 0.5;
/// Share of weights that must differ from the baseline's for a candidate to have work of its own.
const OWN_WORK: f64 = 0.001;

/// A candidate's checkpoint and when it was committed.
pub struct Entry<'a> {
    /// The candidate's name.
    pub name: &'a str,
    /// Block of its commitment; equal blocks are ordered by name.
    pub block: u64,
    /// Its fingerprint, made with one salt for all.
    pub fingerprint: &'a Fingerprint,
}

/// A candidate whose weights are another's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CopyFound {
    /// The candidate that loses.
    pub copy: String,
    /// The candidate that committed earlier.
    pub original: String,
    /// Share of the original's own work that reappears in the copy.
    pub share: f64,
}

/// Finds the candidates that repeat an earlier candidate's own work.
///
/// Own work are the tensors that are not the baseline's. Candidates that only repack the baseline
/// (another number format, another engine) have none, so their likeness proves nothing and they are
/// never called copies of each other.
pub fn find_copies(entries: &[Entry<'_>], baseline: &Fingerprint) -> Vec<CopyFound> {
    let mut order: Vec<&Entry<'_>> = entries.iter().collect();
    order.sort_by_key(|e| (e.block, e.name));
    let mut copies = find_repeats(&order, baseline);
    // The earliest comes first.
    copies.dedup_by(|later, earlier| later.copy == earlier.copy);
    copies
}

/// As [`find_copies`], but of candidates in the order given, the earliest first; each copy with every earlier candidate
/// whose work it repeats.
pub fn find_repeats(order: &[&Entry<'_>], baseline: &Fingerprint) -> Vec<CopyFound> {
    let own: Vec<Vec<bool>> = order
        .iter()
        .map(|e| compare(e.fingerprint, baseline).tensors.iter().map(|t| !t.is_copy()).collect())
        .collect();
    let mut copies: Vec<CopyFound> = Vec::new();
    for (later, copy) in order.iter().enumerate() {
        let found = order[..later].iter().zip(&own).filter_map(|(original, own)| {
            let matches = compare(original.fingerprint, copy.fingerprint).tensors;
            let sum = |keep: &dyn Fn(&TensorMatch, bool) -> bool| -> u64 {
                matches.iter().zip(own).filter(|(t, own)| keep(t, **own)).map(|(t, _)| t.elements).sum()
            };
            let work = sum(&|_, own| own) as f64;
            if work < OWN_WORK * original.fingerprint.elements() as f64 {
                return None;
            }
            let share = sum(&|t, own| own && t.is_copy()) as f64 / work;
            (share >= COPIED_WORK).then(|| CopyFound {
                copy: copy.name.to_owned(),
                original: original.name.to_owned(),
                share,
            })
        });
        copies.extend(found);
    }
    copies
}
