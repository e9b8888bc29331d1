//! What telemetry is read from.

use std::time::Duration;

use edgemaxx_contract::contest::DeviceKind;
use edgemaxx_contract::environment::Card;
use edgemaxx_contract::plan::Side;
use edgemaxx_contract::telemetry::{GpuDevice, Reading};

use crate::cpu::{HostSource, TreeSource};
use crate::vendor::vendor;

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

/// Everything that is read while engines compute.
pub struct Sources {
    /// The card, if it can be watched; the processors; the engines' processes.
    pub list: Vec<Box<dyn Source>>,
    /// Time between two readings: frequencies of processors and memory of engines change slowly, a card quickly.
    pub period: Duration,
    /// Why the card cannot be watched, in words.
    pub unwatched: Option<String>,
}

/// What is read while engines compute on a card, or on the processor.
pub fn sources(card: Option<&Card>) -> Sources {
    let mut found = Sources { list: Vec::new(), period: vendor(DeviceKind::Cpu).period(), unwatched: None };
    match card.map(|card| (vendor(card.kind).source(card), vendor(card.kind).period())) {
        Some((Ok(source), period)) => {
            found.list.push(source);
            found.period = period;
        }
        Some((Err(why), _)) => found.unwatched = Some(why),
        None => {}
    }
    found.list.push(Box::new(HostSource::new()));
    found.list.push(Box::new(TreeSource::default()));
    found
}
