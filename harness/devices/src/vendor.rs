//! [`Vendor`]: what a kind of device can tell and be told.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use edgemaxx_contract::contest::{Device, DeviceKind};
use edgemaxx_contract::environment::Card;

use crate::check::Check;
use crate::source::Source;

/// A kind of device. What a kind has nothing of, it leaves as it is here.
pub trait Vendor: Sync {
    /// Which.
    fn kind(&self) -> DeviceKind;

    /// What would have to be made before anything computes on it; `None`: something does.
    fn lacks(&self) -> Option<&'static str> {
        None
    }

    /// Cards that its driver shows, by bus; none where the device is the machine itself.
    ///
    /// # Errors
    /// In words: why the driver cannot be asked.
    fn cards(&self) -> Result<Vec<Card>, String> {
        Ok(Vec::new())
    }

    /// Variables for every engine, which sees this card and no other, or none at all.
    fn variables(&self, seen: Option<&Card>) -> Vec<(&'static str, String)> {
        let _ = seen;
        Vec::new()
    }

    /// Device nodes by which an engine reaches a card.
    fn nodes(&self, card: &Card) -> Vec<PathBuf> {
        let _ = card;
        Vec::new()
    }

    /// Memory of a card, in all and free, bytes; `None`: its driver does not tell.
    fn memory_bytes(&self, card: &Card) -> Option<(u64, u64)> {
        let _ = card;
        None
    }

    /// Whether the device is what is asked for, and in what state: `found` is the card, or why there is none.
    fn examine(&self, wanted: &Device, found: Result<Option<&Card>, &str>) -> Vec<Check>;

    /// What a card is watched by.
    ///
    /// # Errors
    /// In words: why it cannot be watched.
    fn source(&self, card: &Card) -> Result<Box<dyn Source>, String> {
        Err(format!("{}: nothing watches such cards", card.name))
    }

    /// Time between two readings.
    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// What keeps processes that rest from a card; with `set_aside` what they have in its memory lies in the machine's
    /// meanwhile.
    ///
    /// # Errors
    /// In words: why nothing can.
    fn hold(&self, card: &Card, set_aside: bool) -> Result<Box<dyn Hold>, String> {
        let _ = (card, set_aside);
        Err("nothing keeps a process from such cards".to_owned())
    }

    /// What changes its clocks, where something can.
    fn clocks(&self) -> Option<Box<dyn Clocks>> {
        None
    }

    /// The clock that a card can hold, MHz.
    ///
    /// # Errors
    /// In words: why it is not known.
    fn steady_clock_mhz(&self, card: &Card) -> Result<u32, String> {
        Err(format!("{}: nothing tells its clocks", card.name))
    }
}

/// Keeps the processes of one engine from a card: what they have begun there ends, and nothing new begins.
pub trait Hold: Send + std::fmt::Debug {
    /// Locks out those of `processes` that are not yet. They must be able to run meanwhile.
    ///
    /// # Errors
    /// In words, which of them does not come to rest before the deadline, or cannot be set aside.
    fn lock(&mut self, processes: &[u32], deadline: Instant) -> Result<(), String>;

    /// Whether each of `processes`, all of them stopped, is locked out, or has nothing to do with a card; `false`: not
    /// all were looked at.
    ///
    /// # Errors
    /// In words, which of them has something on a card that cannot be kept from it.
    fn keeps(&self, processes: &[u32]) -> Result<bool, String>;

    /// Processor time that they spent so far while their memory was moved, nanoseconds: nobody asked them for it.
    fn moved_ns(&self) -> u64 {
        0
    }

    /// Lets all of them go on.
    ///
    /// # Errors
    /// In words, which of them cannot.
    fn unlock(&mut self, patience: Duration) -> Result<(), String>;
}

/// Changes clocks; replaced in tests.
pub trait Clocks {
    /// Locks the clock of a card's multiprocessors.
    ///
    /// # Errors
    /// What the driver says.
    fn lock(&mut self, card: &Card, mhz: u32) -> Result<(), String>;

    /// Lets the clock go.
    ///
    /// # Errors
    /// What the driver says.
    fn reset(&mut self, card: &Card) -> Result<(), String>;
}
