//! Who may be paid for a run: the shares of its ranking by hotkey.

use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::{ESTIMATES_FILE, RANKING_FILE};
use edgemaxx_seal::AccountId;

use crate::error::{Class, Result, RunError};
use crate::folder::RunFolder;
use crate::quoted::quoted;

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

#[cfg(test)]
mod tests {
    use edgemaxx_contract::digest::Digest;

    use super::*;
    use crate::example::{PAID, rank, run};

    const HOTKEYS: [AccountId; 2] = [AccountId([1; 32]), AccountId([2; 32])];

    fn assigned() -> Vec<(String, AccountId)> {
        PAID.iter().zip(HOTKEYS).map(|((name, _), hotkey)| ((*name).to_owned(), hotkey)).collect()
    }

    /// The class of what is refused, and the words after the file's name.
    fn refused(folder: &RunFolder, assigned: &[(String, AccountId)]) -> (Class, String) {
        let error = rewards(folder, assigned).unwrap_err();
        let words = error.words();
        (error.class(), words.rsplit_once("ranking.json: ").map_or(words.clone(), |(_, why)| why.to_owned()))
    }

    #[test]
    fn every_share_of_the_ranking_goes_to_its_own_hotkey() {
        let (_place, folder) = run();
        let paid = rewards(&folder, &assigned()).unwrap();
        assert_eq!(paid.len(), 2, "nobody who earned nothing: {paid:?}");
        for ((hotkey, share), ((_, expected), own)) in paid.into_iter().zip(PAID.iter().zip(HOTKEYS)) {
            assert!(hotkey == own && (share - expected).abs() < 1e-12, "{hotkey}: {share}");
        }
        // The order in which they are named decides nothing.
        let turned: Vec<_> = assigned().into_iter().rev().collect();
        assert_eq!(rewards(&folder, &turned).unwrap()[0].0, HOTKEYS[0]);
        let (class, why) = refused(&folder, &assigned()[..1]);
        assert_eq!(class, Class::Input);
        assert!(why.starts_with("candidate \"steps-10\" has a share of 0.2000, but no hotkey"), "{why}");
        let mut one_too_many = assigned();
        one_too_many.push(("steps-11".to_owned(), HOTKEYS[1]));
        let (class, why) = refused(&folder, &one_too_many);
        assert_eq!((class, why.as_str()), (Class::Input, "--hotkey: the run has no candidate \"steps-11\""));
        // Who is in the run and earned nothing may be named.
        one_too_many[2].0 = "noisy".to_owned();
        assert_eq!(rewards(&folder, &one_too_many).unwrap().len(), 2);
    }

    #[test]
    fn what_does_not_follow_from_the_measurement_pays_nobody() {
        let (_place, folder) = run();
        let good: Ranking = folder.document(RANKING_FILE).unwrap();
        let mut lie = good.clone();
        (lie.entries[0].weight, lie.entries[1].weight) = (good.entries[1].weight, good.entries[0].weight);
        folder.write_document(RANKING_FILE, &lie).unwrap();
        let (class, why) = refused(&folder, &assigned());
        assert_eq!(class, Class::Input);
        assert!(why.starts_with("sets no weights: it does not follow from estimates.json"), "{why}");
        // Estimates of another plan, ranked as they should be.
        rank(&folder, |estimates| estimates.plan = Digest::of("another"));
        assert!(refused(&folder, &assigned()).1.contains("it does not follow from"));
    }

    #[test]
    fn an_unfit_run_and_one_that_nobody_won_pay_nobody() {
        let (_place, folder) = run();
        let unfit = rank(&folder, |estimates| estimates.certificate.noise_floor = Some(0.5));
        let (class, why) = refused(&folder, &assigned());
        assert_eq!(class, Class::Input);
        assert_eq!(why, format!("sets no weights: {}", unfit.weights_refused.unwrap()));
        let (_place, folder) = run();
        let lost = rank(&folder, |estimates| {
            estimates.candidates.retain(|of| PAID.iter().all(|(name, _)| of.name != *name));
        });
        let (class, why) = refused(&folder, &[]);
        assert_eq!((class, why), (Class::No, format!("nobody earned a share: {}", lost.verdict)));
    }
}
