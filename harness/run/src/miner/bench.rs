//! The very measurement a validator makes, on this machine, of the miner's own candidates.

use std::path::Path;

use edgemaxx_contract::contest::{Entrant, with_candidates};
use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::ESTIMATES_FILE;

use crate::error::{InFile as _, Result};
use crate::folder::RunFolder;
use crate::progress::Observer;
use crate::quoted::quoted;
use crate::resolve::resolve_text;
use crate::stage::{measure, plan, whole};
use crate::text_file::read_text;

/// A finished run.
pub struct Benched {
    /// What the candidates earn.
    pub ranking: Ranking,
    /// What is known of them.
    pub estimates: Estimates,
}

/// Runs `contest` with these candidates in the place of its own, into the new folder `out`.
///
/// # Errors
/// Those of the stages.
pub fn bench(
    contest: &Path,
    candidates: &[Entrant],
    quick: bool,
    out: &Path,
    observer: &dyn Observer,
) -> Result<Benched> {
    let text = read_text(contest)?;
    let text = with_candidates(&text, candidates, None).in_file(contest)?;
    let resolved = resolve_text(contest, None, text, observer)?;
    let (resolved, plan) = plan::Draw::today(contest.to_owned(), quick)?.draw_resolved(resolved)?;
    let folder = RunFolder::create(out)?;
    plan::save(&folder, &resolved, &plan)?;
    // A miner asks about his own machine, whatever it is; the report says what is unfit about it.
    let resume = format!("edgemaxx measure {} --resume", quoted(out));
    let (ranking, _) = whole(&folder, measure::Options::anywhere(&resume), observer)?;
    Ok(Benched { ranking, estimates: folder.document(ESTIMATES_FILE)? })
}
