//! Who may be paid for a run: the shares of its ranking by hotkey.

use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::{ESTIMATES_FILE, RANKING_FILE};
use edgemaxx_seal::AccountId;

use crate::error::{Class, Result, RunError};
use crate::folder::RunFolder;
use crate::shell::quoted;

/// The rewards of a run by hotkey, if the run may set weights. A candidate is named by its hotkey's address, or has one
/// `assigned`.
///
/// # Errors
/// The run may set none, says what does not follow from what was measured, or a candidate has no hotkey.
pub fn rewards(folder: &RunFolder, assigned: &[(String, AccountId)]) -> Result<Vec<(AccountId, f64)>> {
    let ranking: Ranking = folder.document(RANKING_FILE)?;
    let path = folder.file(RANKING_FILE);
    let refuse = |why: String| RunError::input(format!("{}: sets no weights: {why}", path.display()));
    ranking.sets_weights().map_err(refuse)?;
    // What the file says must follow from what was measured, by this program.
    let plan = folder.plan()?;
    let estimates: Estimates = folder.document(ESTIMATES_FILE)?;
    let again = edgemaxx_analyze::rank(&estimates, &folder.contest(&plan)?, &folder.environment(&plan)?);
    if again != ranking || estimates.plan != plan.digest() {
        return Err(refuse(format!(
            "it does not follow from {ESTIMATES_FILE}; run `edgemaxx rank {}` and look",
            quoted(folder.path())
        )));
    }
    let mut rewards = Vec::new();
    for entry in ranking.entries.iter().filter(|entry| entry.weight > 0.0) {
        let named = assigned.iter().find(|(name, _)| *name == entry.name).map(|(_, hotkey)| *hotkey);
        let hotkey = named.or_else(|| entry.name.parse().ok()).ok_or_else(|| {
            RunError::input(format!(
                "candidate {:?} has a share of {:.4}, but no hotkey; name it with --hotkey {:?}=ADDRESS",
                entry.name, entry.weight, entry.name
            ))
        })?;
        rewards.push((hotkey, entry.weight));
    }
    if rewards.is_empty() {
        return Err(RunError::of(
            Class::No,
            format!("{}: nobody earned a share: {}", path.display(), ranking.verdict),
        ));
    }
    if let Some((name, _)) = assigned.iter().find(|(name, _)| ranking.entries.iter().all(|e| e.name != *name))
    {
        return Err(RunError::input(format!("--hotkey: the run has no candidate {name:?}")));
    }
    Ok(rewards)
}
