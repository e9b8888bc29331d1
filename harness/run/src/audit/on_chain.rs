//! A sealed day against the chain: the block that its entropy comes from, the weights, the digest beside them.

use std::path::Path;

use edgemaxx_chain::Chain;
use edgemaxx_contract::day::{DAY_FILE, DayRecord};
use edgemaxx_contract::joint::{JOINT_FILE, Joint};
use edgemaxx_contract::weights::{WEIGHTS_FILE, Weights};
use edgemaxx_seal::manifest;

use super::check::{Check, Checks, Held};
use super::day::document;
use super::first_block::{NO_BLOCK, first_at};
use super::node::Subnet;
use super::part;
use super::submitted;
use super::witness::Witness;
use crate::error::{Class, Result};

/// The checks of a day against `chain` up to the first that fails.
///
/// # Errors
/// When the chain cannot be asked.
pub fn on_chain(run: &Path, chain: &Chain) -> Result<Vec<Check>> {
    let mut checks = Checks::default();
    let (manifest, digest) = manifest::read(run)?;
    let signer = manifest.signature.map(|signature| signature.hotkey);
    if run.join(JOINT_FILE).exists() {
        let joint: Joint = document(run, JOINT_FILE)?;
        let signer = signer.unwrap_or_else(|| joint.validator.clone());
        let subnet = Subnet { chain, netuid: joint.netuid };
        let witness = Witness::of(&subnet, run, &signer, joint.netuid, joint.day, joint.since)?;
        let weights = || witness.weights(&document(run, WEIGHTS_FILE)?);
        all(&mut checks, &[("weights on chain", &weights), ("digest on chain", &|| witness.digest(digest))])?;
        return Ok(checks.0);
    }
    if !run.join(DAY_FILE).exists() {
        let why = format!("there is no {DAY_FILE}: a run by hand, of which nothing is on chain");
        checks.add("chain", Ok(Held::Unknown(why)));
        return Ok(checks.0);
    }
    let record: DayRecord = document(run, DAY_FILE)?;
    let block = || match &record.block {
        Some(block) => first_at(chain, block, record.closed_unix_s),
        None => Ok(Held::Unknown(NO_BLOCK.to_owned())),
    };
    let left_out = || submitted::nobody_left_out(run, chain, &record);
    if !all(&mut checks, &[("block on chain", &block), ("nobody left out", &left_out)])? {
        return Ok(checks.0);
    }
    let since = record.block.as_ref().map(|block| block.number);
    let name = signer.clone().unwrap_or_else(|| record.validator.clone());
    let subnet = Subnet { chain, netuid: record.netuid };
    let witness = Witness::of(&subnet, run, &name, record.netuid, record.day.clone(), since)?;
    let decided: Weights = document(run, WEIGHTS_FILE)?;
    let Some(share) = decided.share else {
        let weights = || witness.weights(&decided);
        all(&mut checks, &[("weights on chain", &weights), ("digest on chain", &|| witness.digest(digest))])?;
        return Ok(checks.0);
    };
    let day = record.day.to_string();
    let Some(whole) = part::of(run, &day)? else {
        let why = format!(
            "they are {:.1}% of those of all contests, whose day {day} is not here; have it above this contest's days",
            100.0 * share
        );
        checks.add("weights on chain", Ok(Held::Unknown(why)));
        return Ok(checks.0);
    };
    let (_, of_all) = manifest::read(&whole)?;
    let counts = || part::counts(&whole, signer.as_deref(), digest, share);
    let weights = || witness.weights(&document(&whole, WEIGHTS_FILE)?);
    all(
        &mut checks,
        &[
            ("part of all contests", &counts),
            ("weights on chain", &weights),
            ("digest on chain", &|| witness.digest(of_all)),
        ],
    )?;
    Ok(checks.0)
}

/// Notes these checks up to the first that fails; `false`: one did.
fn all(checks: &mut Checks, steps: &[(&'static str, &dyn Fn() -> Result<Held>)]) -> Result<bool> {
    for (what, step) in steps {
        match step() {
            Err(error) if error.class() == Class::Chain => return Err(error),
            result => {
                if !checks.add(what, result) {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use edgemaxx_chain::ChainError;

    use super::*;
    use crate::error::RunError;

    #[test]
    fn checks_end_with_the_first_that_fails_and_a_silent_chain_fails_none() {
        let asked = Cell::new(0);
        let after = |step: &dyn Fn() -> Result<Held>| {
            asked.set(0);
            let next = || {
                asked.set(asked.get() + 1);
                Ok(Held::Yes(String::new()))
            };
            let mut checks = Checks::default();
            let found = all(&mut checks, &[("one", step), ("next", &next)]);
            (found.map_err(|error| error.class()), checks.0.len(), asked.get())
        };
        let silent =
            || Err(ChainError::Transport { what: "a block", endpoint: String::new(), why: String::new() });
        assert_eq!(after(&|| Ok(Held::Yes(String::new()))), (Ok(true), 2, 1));
        assert_eq!(after(&|| Ok(Held::Unknown(String::new()))), (Ok(true), 2, 1));
        assert_eq!(after(&|| Err(RunError::input("wrong"))), (Ok(false), 1, 0));
        assert_eq!(after(&|| Ok(silent()?)), (Err(Class::Chain), 0, 0));
    }
}
