//! What a validator acts through: one connection, hotkey and journal for all contests, and what each has for itself.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use edgemaxx_chain::Journal;
use edgemaxx_run::validator::{ChildBench, LocalCheckpoints, Means, Rendered, Subtensor, WallClock};
use edgemaxx_seal::Keypair;
use edgemaxx_validator::driver::World;
use edgemaxx_validator::group::Idle;
use edgemaxx_validator::world::{Bench, Checkpoints};

use super::contests::Loaded;
use crate::progress::Terminal;

/// What all contests share: one connection, one hotkey, one journal.
pub(super) struct Shared<'a> {
    pub(super) netuid: u16,
    pub(super) node: &'a edgemaxx_chain::Chain,
    pub(super) journal: &'a RefCell<Journal>,
    pub(super) key: &'a Keypair,
    pub(super) stop: &'a Arc<AtomicBool>,
}

/// What a contest has for itself.
pub(super) struct Hands<'a, C = LocalCheckpoints, B = ChildBench<'a>> {
    clock: WallClock,
    chain: Subtensor<'a>,
    checkpoints: C,
    bench: B,
    pages: Rendered,
}

impl<'a> Shared<'a> {
    pub(super) fn hands(&self, loaded: &Loaded, data: &Path, means: Means) -> Hands<'a> {
        let checkpoints = LocalCheckpoints::new(&loaded.base, &loaded.contest, &Terminal);
        let bench = ChildBench::new(&loaded.base, data, means, &Terminal);
        self.with(loaded.contest.name.clone(), checkpoints, bench)
    }

    /// Of all contests together, which measure nothing.
    pub(super) fn joint_hands(&self) -> Hands<'a, Idle, Idle> {
        self.with(String::new(), Idle, Idle)
    }

    fn with<C, B>(&self, contest: String, checkpoints: C, bench: B) -> Hands<'a, C, B> {
        let Self { netuid, node, journal, key, stop } = *self;
        let chain = Subtensor { node, netuid, contest, key, journal, block: None };
        Hands { clock: WallClock(Arc::clone(stop)), chain, checkpoints, bench, pages: Rendered }
    }
}

impl<C: Checkpoints, B: Bench> Hands<'_, C, B> {
    pub(super) fn world<'b>(&'b mut self, signer: &'b Keypair) -> World<'b> {
        World {
            clock: &mut self.clock,
            chain: &mut self.chain,
            checkpoints: &mut self.checkpoints,
            bench: &mut self.bench,
            pages: &mut self.pages,
            signer,
        }
    }
}
