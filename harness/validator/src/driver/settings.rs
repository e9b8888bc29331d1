//! What a driver is told, and what it acts through.

use std::path::PathBuf;

use edgemaxx_contract::joint::Share;
use edgemaxx_seal::sign::Signer;

use crate::policy::Policy;
use crate::world::{Bench, Chain, Checkpoints, Clock, Pages};

/// What a driver's days are of.
#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    /// The validator's only contest: its weights go on chain.
    Alone,
    /// One of several contests, which are measured one after another.
    Part {
        /// Its share of the weights.
        share: f64,
        /// Until which part of the time for measuring, from 0 to 1, its sessions begin.
        until: f64,
    },
    /// All contests together, whose days lie beside this one's: their weights go on chain, each by its share.
    Joint(Vec<Share>),
}

/// What a validator is told once.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The subnet.
    pub netuid: u16,
    /// The contest file's text; checked by [`crate::contest_file::check`].
    pub contest: String,
    /// Where a folder for each day is made.
    pub days: PathBuf,
    /// Where sealed days are copied to, if anywhere.
    pub publish: Option<PathBuf>,
    /// The choices.
    pub policy: Policy,
    /// What the days are of.
    pub role: Role,
}

impl Settings {
    /// The shares of the contests of which the days are together; none: they are of one.
    pub(super) fn shares(&self) -> &[Share] {
        match &self.role {
            Role::Joint(shares) => shares,
            _ => &[],
        }
    }
}

/// What a validator acts on and through.
pub struct World<'a> {
    /// The wall clock.
    pub clock: &'a mut dyn Clock,
    /// The chain.
    pub chain: &'a mut dyn Chain,
    /// Where checkpoints come from.
    pub checkpoints: &'a mut dyn Checkpoints,
    /// What runs contests.
    pub bench: &'a mut dyn Bench,
    /// What people read of a day.
    pub pages: &'a mut dyn Pages,
    /// Who signs.
    pub signer: &'a dyn Signer,
}
