//! Engines as child processes: spawn, sandbox, socket, time-outs; and the mock engine.
//!
//! The harness side is [`Engine`] with its implementations [`ProcessEngine`] (a real process) and
//! [`MockEngine`] (no process, an injected clock). The engine side is [`serve`].

mod check;
mod clock;
mod engine;
mod machine;
pub mod mock;
mod process;
mod serve;

pub use check::{Check, Verdict, check};
pub use clock::{Clock, FakeClock, MonotonicClock, thread_cpu_ns};
pub use edgemaxx_protocol::Ready;
pub use engine::{Answer, Closed, Engine, Launched, Launcher, Loaded, Request};
pub use machine::free_bytes;
pub use mock::{MockEngine, MockLauncher, MockScript};
pub use process::{
    InstallError, InstallSpec, Installed, Limits, Pins, Place, ProcessEngine, ProcessLauncher, ProcessLimit,
    ProcessSpec, SandboxStatus, TreeUsage, detect_sandbox, install, pss_bytes, tree_usage,
};
pub use serve::{Connection, Picture, ServeError, serve, serve_over};
