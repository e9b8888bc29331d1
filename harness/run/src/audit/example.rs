//! For tests: a run as the day that a validator leaves.

use std::path::Path;

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::day::{BlockRef, DAY_FILE, DayRecord, Fate, Submission};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document;
use edgemaxx_contract::plan::{Day, Plan};
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::{CONTEST_FILE, RANKING_FILE};
use edgemaxx_contract::weights::{Origin, WEIGHTS_FILE, Weights, entries};
use edgemaxx_seal::Keypair;
use edgemaxx_seal::manifest::{self, PreviousDay};
use edgemaxx_validator::day_weights::{Basis, weights_of};

use super::day::{candidates_of, document};

/// The subnet that the day is of.
pub(super) const NETUID: u16 = 39;

/// What the chain showed on the day of a run: its candidates, and one that was not measured.
pub(super) fn record(plan: &Plan) -> DayRecord {
    let block = BlockRef { number: 9, hash: plan.entropy.to_string(), unix_s: 0 };
    let submission = |(at, name, fate): (u64, &str, Fate)| Submission {
        hotkey: name.to_owned(),
        uid: Some(at as u16),
        index: None,
        since: at,
        source: format!("hf:{name}/m"),
        claim: None,
        fate,
    };
    let mut fates: Vec<(&str, Fate)> = Vec::new();
    for (name, digest) in candidates_of(plan) {
        fates.push((name, Fate::candidate(digest)));
    }
    fates.push(("late", Fate::Invalid { reason: "no files".to_owned() }));
    DayRecord {
        day: plan.day.clone(),
        netuid: NETUID,
        validator: key().account().to_ss58(),
        block: Some(block),
        registered: fates.iter().map(|(name, _)| (*name).to_owned()).collect(),
        submissions: (1..).zip(fates).map(|(at, (name, fate))| submission((at, name, fate))).collect(),
        ..DayRecord::mock()
    }
}

/// The validator's key.
pub(super) fn key() -> Keypair {
    Keypair::from_seed(&[1; 32])
}

pub(super) fn write(run: &Path, name: &str, document: &impl Document) {
    std::fs::write(run.join(name), document.to_json()).unwrap();
}

/// Writes what a day after another one decides.
pub(super) fn decide(run: &Path, before: Option<&Weights>, share: Option<f64>) -> Weights {
    let record: DayRecord = document(run, DAY_FILE).unwrap();
    let text = std::fs::read_to_string(run.join(RANKING_FILE)).ok();
    let ranking = text.map(|text| (Ranking::from_json(&text).unwrap(), Digest::of(&text)));
    let contest = Contest::parse(&std::fs::read_to_string(run.join(CONTEST_FILE)).unwrap()).unwrap();
    let weights = weights_of(&Basis {
        day: &record,
        rewards: &contest.rewards,
        ranking: ranking.as_ref().map(|(ranking, digest)| (ranking, *digest)),
        previous: before,
        share,
    });
    write(run, WEIGHTS_FILE, &weights);
    weights
}

/// What a contest decides that gives all of its share to one hotkey.
pub(super) fn all_to(hotkey: &str, day: &Day, share: f64) -> Weights {
    Weights {
        format: Weights::expected_format(),
        day: day.clone(),
        origin: Origin::Earned,
        reason: "a test".to_owned(),
        ranking: None,
        earned: Some(day.clone()),
        share: Some(share),
        winner: None,
        entries: entries([(hotkey.to_owned(), 1.0)]),
    }
}

/// Seals a day, which was sealed before or not.
pub(super) fn seal(run: &Path, previous: Option<PreviousDay>) {
    let record: DayRecord = document(run, DAY_FILE).unwrap();
    manifest::seal(run, &record.day, previous, Some(&key())).unwrap();
}
