//! What telemetry is read from.

use std::time::Duration;

use edgemaxx_contract::contest::DeviceKind;
use edgemaxx_contract::environment::Card;

use crate::cpu::{HostSource, TreeSource};
use crate::source::Source;
use crate::vendors::vendor;

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
