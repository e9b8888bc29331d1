//! [`Source`]: what reads a part of the machine.

use edgemaxx_contract::plan::Side;
use edgemaxx_contract::telemetry::{GpuDevice, Reading};

/// An engine whose processes are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched {
    /// [`edgemaxx_contract::plan::PlannedSession::index`].
    pub session: u32,
    /// Number of the launch.
    pub launch: u32,
    /// Whose engine.
    pub side: Side,
    /// The process whose descendants are the engine's.
    pub root: u32,
}

/// When and what is read.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// Number of the reading, from 0.
    pub turn: u64,
    /// Engines that run.
    pub watched: &'a [Watched],
    /// Nanoseconds since the execution began.
    pub now_ns: &'a dyn Fn() -> u64,
}

/// Reads a part of the machine; replaced in tests by [`crate::MockSource`].
pub trait Source: Send {
    /// GPUs it reads.
    fn devices(&self) -> Vec<GpuDevice> {
        Vec::new()
    }

    /// Adds what it finds now. What cannot be read is left out.
    fn read(&mut self, moment: &Moment<'_>, into: &mut Vec<Reading>);
}
