//! Who is told what happens: nothing in this crate prints.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Whoever watches a run.
pub trait Observer: Sync {
    /// A line for the person: a warning, advice, where the run lies.
    fn note(&self, text: &str);

    /// A stage of `total` steps begins.
    fn begin(&self, stage: &'static str, total: u64) -> Box<dyn Progress>;

    /// A measurement begins that can be ended early: the flag that asks for it.
    fn interrupt(&self) -> Arc<AtomicBool>;
}

/// One stage's progress.
pub trait Progress: Send {
    /// What is being done.
    fn doing(&mut self, what: &str);

    /// Steps that an earlier, interrupted run did.
    fn skip(&mut self, steps: u64);

    /// `steps` more are done.
    fn advance(&mut self, steps: u64);

    /// A line that stays.
    fn line(&self, text: &str);

    /// The stage is over.
    fn end(self: Box<Self>, summary: &str);
}

/// Nobody watches, and nothing is ended early.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn note(&self, _: &str) {}

    fn begin(&self, _: &'static str, _: u64) -> Box<dyn Progress> {
        Box::new(Self)
    }

    fn interrupt(&self) -> Arc<AtomicBool> {
        Arc::default()
    }
}

impl Progress for Silent {
    fn doing(&mut self, _: &str) {}
    fn skip(&mut self, _: u64) {}
    fn advance(&mut self, _: u64) {}
    fn line(&self, _: &str) {}
    fn end(self: Box<Self>, _: &str) {}
}
