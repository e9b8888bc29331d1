//! Engines as child processes: spawn, sandbox, socket, time-outs; and the mock engine.
//!
//! The harness side is [`Engine`] with its implementations [`ProcessEngine`] (a real process) and
//! [`MockEngine`] (no process, an injected clock). The engine side is [`serve`].

mod check;
mod clock;
mod cost;
mod engine;
pub mod mock;
pub mod null;
mod process;
mod serve;
pub mod task;

pub use check::{Check, Examination, Verdict, check};
pub use clock::{Clock, FakeClock, MonotonicClock, thread_cpu_ns};
pub use cost::{Cost, Times, cost};
pub use edgemaxx_protocol::{AnswerLimits, Load, Object};
pub use engine::{Answer, Ask, Closed, Engine, Launched, Launcher, Loaded, Part};
pub use mock::{MockEngine, MockLauncher, MockScript};
pub use process::{
    Cores, InstallError, InstallSpec, Installed, Kept, Limits, Place, ProcessEngine, ProcessLauncher,
    ProcessSpec, SandboxStatus, User, detect_sandbox, install, needs, unreadable,
};
pub use serve::{Answerer, Connection, Parts, Reply, ServeError, serve, serve_over};
pub use task::{Artefact, Codec, Question, Scoring};
