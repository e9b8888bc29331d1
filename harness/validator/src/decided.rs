//! What each of several contests decided, read from its sealed days.

use std::path::Path;

use edgemaxx_contract::day::{DAY_FILE, DayRecord};
use edgemaxx_contract::joint::{Part, Share};
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::weights::{WEIGHTS_FILE, Weights};
use edgemaxx_seal::manifest::{self, sealed_days};

use crate::publish::{PublishError, document};

/// What a contest decided.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decided {
    pub(crate) part: Part,
    pub(crate) weights: Option<Weights>,
    /// The block at which its submissions closed.
    pub(crate) since: Option<u64>,
}

/// What the contest whose days lie in `days` decided about `day`, or, where it `passed` over that day, about the last one
/// before; `None`: it is still at it.
pub(crate) fn decided(
    days: &Path,
    share: &Share,
    day: &Day,
    passed: bool,
) -> Result<Option<Decided>, PublishError> {
    let sealed: Vec<Day> = sealed_days(days).into_iter().filter(|sealed| sealed <= day).collect();
    let Share { contest, share } = share.clone();
    let found = match sealed.last() {
        Some(last) if last == day || passed => last,
        None if passed => {
            let part = Part { contest, share, day: None, manifest: None };
            return Ok(Some(Decided { part, weights: None, since: None }));
        }
        _ => return Ok(None),
    };
    let folder = days.join(found.to_string());
    let (_, digest) = manifest::read(&folder)?;
    let (weights, _): (Weights, _) = document(&folder.join(WEIGHTS_FILE))?;
    let (record, _): (DayRecord, _) = document(&folder.join(DAY_FILE))?;
    let part = Part { contest, share, day: Some(found.clone()), manifest: Some(digest) };
    Ok(Some(Decided { part, weights: Some(weights), since: record.block.map(|block| block.number) }))
}
