//! The very measurement a validator makes, on this machine, of the miner's own candidates.

use std::path::Path;

use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::ranking::Ranking;
use toml::Table;

use crate::cmd::{measure, plan, run};
use crate::folder::RunFolder;
use crate::resolve::resolve_text;
use crate::shell::quoted;
use crate::variant::with_candidates;

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
    let resolved = resolve_text(contest, None, with_candidates(contest, candidates)?)?;
    let (resolved, plan) = plan::Draw::today(contest.to_owned(), quick)?.draw_resolved(resolved)?;
    let folder = RunFolder::create(out)?;
    plan::save(&folder, &resolved, &plan)?;
    // A miner asks about his own machine, whatever it is; the report says what is unfit about it.
    let options = measure::Options::anywhere();
    let (ranking, _) = run::whole(&folder, options, &format!("edgemaxx measure {} --resume", quoted(out)))?;
    Ok(Benched { ranking, estimates: folder.document("estimates.json", "analyze")? })
}
