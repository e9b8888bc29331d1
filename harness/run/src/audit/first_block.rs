//! Whether a block that a day names is the first at or after a moment.

use edgemaxx_chain::Chain;
use edgemaxx_contract::day::{BlockRef, DAY_FILE};

use super::check::Held;
use crate::error::{Result, RunError};

/// Who can still say it.
pub(super) const ARCHIVE: &str = "ask an archive node";

/// A day of which the chain tells nothing.
pub(super) const NO_BLOCK: &str = "the day names no block, as if its validator could not read the chain; whoever committed \
                                   meanwhile is not in it";

/// That `block` has that hash and time on chain, and is the first at or after `moment`, seconds since 1970-01-01 UTC.
pub(super) fn first_at(chain: &Chain, block: &BlockRef, moment: i64) -> Result<Held> {
    let wrong = |problem: String| Err(RunError::input(format!("{DAY_FILE}: {problem}")));
    let number = block.number;
    let Some(found) = chain.block(number)? else {
        let head = chain.pin()?.number;
        return wrong(format!("names block {number}, but the last final one is {head}"));
    };
    let hash = format!("{:?}", found.hash);
    if hash != block.hash {
        return wrong(format!("block {number} is {hash} on chain, not {}", block.hash));
    }
    let seconds = |ms: u64| (ms / 1000).cast_signed();
    let Some(time) = found.timestamp_ms.map(seconds) else {
        return Ok(Held::Unknown(format!(
            "{number} is {hash}, but this node no longer has its time; {ARCHIVE}"
        )));
    };
    if time != block.unix_s {
        return wrong(format!("block {number} is of {}, not of {}", shown(time), shown(block.unix_s)));
    }
    let before = chain.block(number.saturating_sub(1))?.and_then(|before| before.timestamp_ms);
    if time < moment || before.is_some_and(|before| seconds(before) >= moment) {
        return wrong(format!("block {number} is not the first at or after {}", shown(moment)));
    }
    // The genesis block has no time.
    if before.is_none() && number > 1 {
        return Ok(Held::Unknown(format!(
            "whether {number} is the first after submissions closed is not known: this node no longer has the time of \
             the one before; {ARCHIVE}"
        )));
    }
    Ok(Held::Yes(format!("{number} is {hash}, the first after submissions closed")))
}

/// A moment for people, in UTC.
fn shown(unix_s: i64) -> String {
    jiff::Timestamp::from_second(unix_s).map_or_else(|_| unix_s.to_string(), |time| time.to_string())
}
