//! A validator's day: its candidates are those of the chain, its weights follow from its ranking.

use std::path::Path;

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::day::{DAY_FILE, DayRecord, Fate};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document;
use edgemaxx_contract::joint::{JOINT_FILE, Joint};
use edgemaxx_contract::plan::{Plan, Role};
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::{CONTEST_FILE, RANKING_FILE};
use edgemaxx_contract::weights::{Origin, WEIGHTS_FILE, Weights};
use edgemaxx_seal::manifest;
use edgemaxx_validator::verdict::{Basis, decide};

use super::check::{Held, Means};
use super::sealed::previous_folder;
use crate::error::{InFile as _, Result, RunError};
use crate::folder::RunFolder;
use crate::resolve::read_text;

/// One of the day's documents.
pub(super) fn document<T: Document>(run: &Path, name: &str) -> Result<T> {
    let path = run.join(name);
    T::from_json(&read_text(&path)?).in_file(&path)
}

/// It is a day of the subnet that it must be of.
pub(super) fn subnet(run: &Path, netuid: u16) -> Result<Held> {
    let (name, found) = if run.join(JOINT_FILE).exists() {
        (JOINT_FILE, document::<Joint>(run, JOINT_FILE)?.netuid)
    } else if run.join(DAY_FILE).exists() {
        (DAY_FILE, document::<DayRecord>(run, DAY_FILE)?.netuid)
    } else {
        return Err(RunError::input(format!("{DAY_FILE}: is not there; a run by hand is of no subnet")));
    };
    match found == netuid {
        true => Ok(Held::Yes(format!("netuid {netuid}"))),
        false => Err(RunError::input(format!("{name}: a day of subnet {found}, not of {netuid}"))),
    }
}

/// Who is measured is who was found on chain, on the day and with the entropy of its block.
pub(super) fn candidates(folder: &RunFolder) -> Result<Held> {
    if !folder.file(DAY_FILE).exists() {
        return Ok(Held::NotHere("a run by hand: its candidates are its contest's".to_owned()));
    }
    let plan = folder.plan()?;
    let record: DayRecord = document(folder.path(), DAY_FILE)?;
    let wrong = |problem: &str| Err(RunError::input(format!("{DAY_FILE}: {problem}")));
    if record.day != plan.day {
        return wrong("another day than plan.json's");
    }
    if record.block.as_ref().map(|block| block.hash.as_str()) != Some(plan.entropy.as_str()) {
        return wrong("the entropy of plan.json is not its block's hash");
    }
    let measured = candidates_of(&plan);
    let mut found: Vec<(&str, Digest)> = Vec::new();
    for submission in &record.submissions {
        if let Fate::Candidate { digest, .. } = submission.fate {
            found.push((&submission.hotkey, digest));
        }
    }
    found.sort_unstable();
    if found != measured {
        return wrong("its candidates are not those of plan.json");
    }
    if !record.submissions.is_sorted_by(|a, b| a.order() <= b.order()) {
        return wrong("its submissions are not in the order of their commitments");
    }
    Ok(Held::Yes(format!(
        "{} of {} submissions at block {}",
        measured.len(),
        record.submissions.len(),
        record.block.map_or(0, |block| block.number)
    )))
}

/// Where nothing was measured, nobody was to be, or it is said why not.
pub(super) fn nobody_measured(run: &Path) -> Result<Held> {
    if !run.join(DAY_FILE).exists() {
        return Ok(Held::NotHere("nothing was measured, and it is no validator's day".to_owned()));
    }
    let record: DayRecord = document(run, DAY_FILE)?;
    let candidates = record.submissions.iter().filter(|s| matches!(s.fate, Fate::Candidate { .. })).count();
    let pending = record.submissions.iter().filter(|s| s.fate == Fate::Pending).count();
    match &record.not_measured {
        None if candidates + pending > 0 => Err(RunError::input(format!(
            "{DAY_FILE}: {} were to be measured, nothing was, and it does not say why",
            candidates + pending
        ))),
        None => Ok(Held::Yes("nobody was to be measured".to_owned())),
        Some(why) => Ok(Held::Yes(format!("{candidates} were to be measured, and nothing was: {why}"))),
    }
}

fn candidates_of(plan: &Plan) -> Vec<(&str, Digest)> {
    let candidates = plan.pipelines.iter().filter(|pipeline| pipeline.role == Role::Candidate);
    let mut names: Vec<_> = candidates.map(|pipeline| (pipeline.name.as_str(), pipeline.digest)).collect();
    names.sort_unstable();
    names
}

/// The weights are what ranking, registrations and the day before make of them.
pub(super) fn weights(run: &Path, means: &Means) -> Result<Held> {
    if !run.join(WEIGHTS_FILE).exists() {
        return Ok(Held::NotHere("a run by hand decides about no weights".to_owned()));
    }
    let published: Weights = document(run, WEIGHTS_FILE)?;
    let record: DayRecord = document(run, DAY_FILE)?;
    let contest_path = run.join(CONTEST_FILE);
    let contest = Contest::parse(&read_text(&contest_path)?).in_file(&contest_path)?;
    let ranking_path = run.join(RANKING_FILE);
    let ranking = if ranking_path.exists() {
        let text = read_text(&ranking_path)?;
        Some((Ranking::from_json(&text).in_file(&ranking_path)?, Digest::of(&text)))
    } else {
        None
    };
    let manifest = manifest::read(run)?.0;
    if let Some(signature) = &manifest.signature
        && signature.hotkey != record.validator
    {
        return Err(RunError::input(format!(
            "{DAY_FILE}: the day of {}, but signed by {}",
            record.validator, signature.hotkey
        )));
    }
    if let Some(other) = contest.netuid.filter(|other| *other != record.netuid) {
        return Err(RunError::input(format!(
            "{DAY_FILE}: a day of subnet {}, but its contest is for {other}",
            record.netuid
        )));
    }
    let named = manifest.previous;
    let folder = named.as_ref().and_then(|named| previous_folder(run, means, &named.day.to_string()));
    let previous: Option<Weights> =
        folder.as_ref().map(|folder| document(folder, WEIGHTS_FILE)).transpose()?;
    if let Some(previous) = &previous {
        let winner = previous.winner.as_ref();
        let takes_part = winner.filter(|winner| contest.candidates.iter().any(|c| c.name == **winner));
        if contest.incumbent.as_ref() != takes_part {
            return Err(RunError::input(
                "contest.toml: its incumbent is not the winner of the day before that takes part",
            ));
        }
    }
    let decided = decide(&Basis {
        day: &record,
        rewards: &contest.rewards,
        ranking: ranking.as_ref().map(|(ranking, digest)| (ranking, *digest)),
        previous: previous.as_ref(),
        share: published.share,
    });
    if decided == published {
        return Ok(Held::Yes(format!("{} hotkeys: {}", published.entries.len(), published.reason)));
    }
    if named.is_some() && previous.is_none() && published.origin == Origin::Kept {
        return Ok(Held::Unknown(
            "kept from the day before, which is not here; show it with --previous".to_owned(),
        ));
    }
    Err(RunError::input(format!(
        "{WEIGHTS_FILE}: not what {RANKING_FILE} and {DAY_FILE} make of them: {}",
        decided.reason
    )))
}
