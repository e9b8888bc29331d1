//! Of a contest's file: rewards, and what counts as a copy.

use super::super::spec::{CopiesSpec, RewardFormula, Rewards};
use super::super::wire::{WireCopies, WireRewards};
use super::pipelines::check_name;
use crate::input::{InputError, within};

pub(super) fn copies(wire: &WireCopies) -> Result<CopiesSpec, InputError> {
    let usual = CopiesSpec::default();
    // Less than half of another's weights is not told from chance by all that is compared.
    let share = |name: &str, value: Option<f64>, usual: f64, least: f64| {
        within(name, value.unwrap_or(usual), least, 1.0)
    };
    Ok(CopiesSpec {
        weights: share("copies.weights", wire.weights, usual.weights, 0.5)?,
        engine: share("copies.engine", wire.engine, usual.engine, 0.1)?,
        settings: share("copies.settings", wire.settings, usual.settings, 0.1)?,
    })
}

pub(super) fn rewards(wire: &WireRewards) -> Result<Rewards, InputError> {
    if let Some(fallback) = &wire.fallback {
        check_name("rewards.fallback", fallback)?;
    }
    Ok(Rewards {
        formula: wire.formula.unwrap_or(RewardFormula::Tiers),
        top_tier_share: within("rewards.top_tier_share", wire.top_tier_share.unwrap_or(0.8), 0.5, 1.0)?,
        margin: within("rewards.margin", wire.margin.unwrap_or(0.0), 0.0, 10.0)?,
        fallback: wire.fallback.clone(),
    })
}
