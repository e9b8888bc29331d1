//! The very measurement a validator makes, on this machine, of the miner's own candidates.

use std::path::Path;

use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::ESTIMATES_FILE;
use edgemaxx_run::RunFolder;
use edgemaxx_run::resolve::resolve_text;
use edgemaxx_run::shell::quoted;
use edgemaxx_run::stage::{measure, plan, whole};
use edgemaxx_run::variant::with_candidates;
use toml::Table;

use crate::progress::Terminal;

/// A finished run.
pub(super) struct Benched {
    pub(super) ranking: Ranking,
    pub(super) estimates: Estimates,
}

/// Run `contest` with these candidates in the place of its own, into the new folder `out`.
pub(super) fn bench(
    contest: &Path,
    candidates: Vec<Table>,
    quick: bool,
    out: &Path,
) -> anyhow::Result<Benched> {
    let resolved = resolve_text(contest, None, with_candidates(contest, candidates)?, &Terminal)?;
    let (resolved, plan) = plan::Draw::today(contest.to_owned(), quick)?.draw_resolved(resolved)?;
    let folder = RunFolder::create(out)?;
    plan::save(&folder, &resolved, &plan)?;
    // A miner asks about his own machine, whatever it is; the report says what is unfit about it.
    let resume = format!("edgemaxx measure {} --resume", quoted(out));
    let (ranking, _) = whole(&folder, measure::Options::anywhere(&resume), &Terminal)?;
    Ok(Benched { ranking, estimates: folder.document(ESTIMATES_FILE)? })
}
