//! An engine without a model: deterministic latency and answers, scripted misbehaviour.
//!
//! [`run`] is a process behind the socket (`edgemaxx engine mock`); [`MockEngine`] lives in the
//! harness and moves an injected clock, so that schedulers are tested without sleeping.

mod act;
mod in_process;
mod picture;
mod process;
mod script;

pub use in_process::{Asked, MockEngine, MockLauncher};
pub use process::{MockError, run};
pub use script::{Cheat, Fault, Misdeed, MockScript, When};
