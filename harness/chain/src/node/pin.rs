//! One finalised block to read at, found and turned to.

use serde::Serialize;
use subxt::utils::H256;

use super::connection::{At, Chain, Link, is_discarded};
use super::fetch::{has, value};
use crate::ChainError;

/// One finalised block. All reads of one decision name the same pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pin {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: H256,
    /// The runtime's version at this block.
    pub spec_version: u32,
    /// The chain's clock at this block, milliseconds since 1970; `None` where it keeps none.
    pub timestamp_ms: Option<u64>,
}

impl Chain {
    /// The latest finalised block.
    ///
    /// # Errors
    /// When no endpoint answers.
    pub fn pin(&self) -> Result<Pin, ChainError> {
        self.read("the finalised head", async |link| {
            let at = head(link).await?;
            pin_of(link, &link.turn_to(at)).await
        })
    }

    /// An earlier finalised block, to read the state at.
    ///
    /// # Errors
    /// [`ChainError::Discarded`] when the node no longer has that block's state; or when no endpoint answers.
    pub fn pin_at(&self, number: u64) -> Result<Pin, ChainError> {
        self.read("an earlier block", async |link| {
            let at = link.client.at_block(number).await;
            let at = at.map_err(|e| unread(link, number, "an earlier block", &e.to_string()))?;
            pin_of(link, &link.turn_to(at)).await
        })
    }
}

/// The finalised head.
pub(super) async fn head(link: &Link) -> Result<At, ChainError> {
    link.client.at_current_block().await.map_err(|e| ChainError::Transport {
        what: "the finalised head",
        endpoint: link.endpoint.clone(),
        why: e.to_string(),
    })
}

/// Why a block could not be turned to.
fn unread(link: &Link, block: u64, what: &'static str, why: &str) -> ChainError {
    let endpoint = link.endpoint.clone();
    if is_discarded(why) {
        return ChainError::Discarded { endpoint, block };
    }
    ChainError::Transport { what, endpoint, why: why.to_owned() }
}

/// The pinned block on this connection, whichever it is.
pub(super) async fn at(link: &Link, pin: &Pin) -> Result<At, ChainError> {
    let known = link.turned_to().filter(|at| (at.block_hash(), at.block_number()) == (pin.hash, pin.number));
    let at = match known {
        Some(at) => at,
        None => {
            let at = link.client.at_block_hash_and_number(pin.hash, pin.number).await;
            link.turn_to(at.map_err(|e| unread(link, pin.number, "the pinned block", &e.to_string()))?)
        }
    };
    if at.spec_version() != pin.spec_version {
        return Err(ChainError::Contradiction {
            endpoint: link.endpoint.clone(),
            what: format!("spec version at block {}", pin.number),
            expected: pin.spec_version.to_string(),
            found: at.spec_version().to_string(),
        });
    }
    Ok(at)
}

pub(super) async fn pin_of(link: &Link, at: &At) -> Result<Pin, ChainError> {
    let timestamp_ms = if has(at, "Timestamp", "Now") {
        value::<(), u64>(link, at, "Timestamp", "Now", ()).await?
    } else {
        None
    };
    Ok(Pin {
        number: at.block_number(),
        hash: at.block_hash(),
        spec_version: at.spec_version(),
        timestamp_ms,
    })
}
