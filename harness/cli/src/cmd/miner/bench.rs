//! The very measurement a validator makes, on this machine, of the miner's own candidates.

use std::path::Path;

use edgemaxx_contract::contest::{Entrant, with_candidates};
use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::ESTIMATES_FILE;
use edgemaxx_run::RunFolder;
use edgemaxx_run::resolve::{read_text, resolve_text};
use edgemaxx_run::shell::quoted;
use edgemaxx_run::stage::{measure, plan, whole};

use crate::error::InFile as _;
use crate::progress::Terminal;

/// A finished run.
pub(super) struct Benched {
    pub(super) ranking: Ranking,
    pub(super) estimates: Estimates,
}

/// Run `contest` with these candidates in the place of its own, into the new folder `out`.
pub(super) fn bench(
    contest: &Path,
    candidates: &[Entrant],
    quick: bool,
    out: &Path,
) -> anyhow::Result<Benched> {
    let text = read_text(contest)?;
    let text = with_candidates(&text, candidates, None).in_file(contest)?;
    let resolved = resolve_text(contest, None, text, &Terminal)?;
    let (resolved, plan) = plan::Draw::today(contest.to_owned(), quick)?.draw_resolved(resolved)?;
    let folder = RunFolder::create(out)?;
    plan::save(&folder, &resolved, &plan)?;
    // A miner asks about his own machine, whatever it is; the report says what is unfit about it.
    let resume = format!("edgemaxx measure {} --resume", quoted(out));
    let (ranking, _) = whole(&folder, measure::Options::anywhere(&resume), &Terminal)?;
    Ok(Benched { ranking, estimates: folder.document(ESTIMATES_FILE)? })
}
