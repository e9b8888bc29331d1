//! Whether a block that a day names is the first at or after a moment.

use edgemaxx_chain::{BlockSeen, Chain};
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
    first_of(block, moment, &|number| Ok(chain.block(number)?), &|| Ok(chain.pin()?.number))
}

/// The same on a chain that shows these blocks, and whose last final one has this number.
fn first_of(
    block: &BlockRef,
    moment: i64,
    seen: &dyn Fn(u64) -> Result<Option<BlockSeen>>,
    last: &dyn Fn() -> Result<u64>,
) -> Result<Held> {
    let wrong = |problem: String| Err(RunError::input(format!("{DAY_FILE}: {problem}")));
    let number = block.number;
    let Some(found) = seen(number)? else {
        return wrong(format!("names block {number}, but the last final one is {}", last()?));
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
    let before = seen(number.saturating_sub(1))?.and_then(|before| before.timestamp_ms);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::check::said;

    /// Closing at 100 s on a chain whose blocks have these times, in milliseconds, from block 0 on.
    fn first(number: u64, unix_s: i64, times: &[Option<u64>]) -> (&'static str, String) {
        let seen = |number: u64| {
            let time = times.get(number as usize);
            Ok(time.map(|timestamp_ms| BlockSeen { hash: Default::default(), timestamp_ms: *timestamp_ms }))
        };
        let block = BlockRef { number, hash: format!("0x{}", "0".repeat(64)), unix_s };
        said(first_of(&block, 100, &seen, &|| Ok(times.len() as u64 - 1)))
    }

    #[test]
    fn the_first_block_at_or_after_the_close_is_no_other() {
        let chain = [None, Some(88_000), Some(99_999), Some(100_000), Some(112_900), Some(124_000)];
        let (verdict, words) = first(3, 100, &chain);
        assert!(verdict == "yes" && words.contains(", the first after submissions closed"), "{words}");
        // Its second is what counts, on chain and in the day.
        let late = [None, Some(99_999), Some(112_900)];
        assert_eq!(first(2, 112, &late).0, "yes");
        for (number, unix_s, problem) in [
            (2, 99, "block 2 is not the first at or after 1970-01-01T00:01:40Z"),
            (4, 112, "block 4 is not the first at or after 1970-01-01T00:01:40Z"),
            (5, 124, "block 5 is not the first at or after 1970-01-01T00:01:40Z"),
            (3, 101, "block 3 is of 1970-01-01T00:01:40Z, not of 1970-01-01T00:01:41Z"),
            (6, 136, "names block 6, but the last final one is 5"),
        ] {
            let found = first(number, unix_s, &chain);
            assert_eq!(found, ("no", format!("day.json: {problem}")));
        }
        // The block before at the very moment.
        assert_eq!(first(2, 101, &[None, Some(100_000), Some(101_000)]).0, "no");
        let other = BlockRef { number: 1, hash: "0x01".to_owned(), unix_s: 100 };
        let seen = |_| Ok(Some(BlockSeen { hash: Default::default(), timestamp_ms: Some(100_000) }));
        let (verdict, words) = said(first_of(&other, 100, &seen, &|| Ok(1)));
        assert!(verdict == "no" && words.ends_with("on chain, not 0x01"), "{words}");
    }

    #[test]
    fn what_a_node_has_no_longer_is_not_known() {
        let (verdict, words) = first(2, 100, &[None, Some(88_000), None]);
        assert!(verdict == "unknown" && words.contains("no longer has its time"), "{words}");
        let (verdict, words) = first(2, 100, &[None, None, Some(100_000)]);
        assert!(
            verdict == "unknown" && words.contains("no longer has the time of the one before"),
            "{words}"
        );
        // What is wrong is wrong without the block before, and before the first block there is none with a time.
        assert_eq!(first(2, 99, &[None, None, Some(99_000)]).0, "no");
        assert_eq!(first(1, 100, &[None, Some(100_000)]).0, "yes");
    }
}
