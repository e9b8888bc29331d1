//! Engines as child processes.
//!
//! harness ─fork→ supervisor ─fork, exec→ (bwrap → limits →) engine. The supervisor adopts every
//! orphan of the engine and ends all of them when the engine ends or the harness does.

mod cgroup;
mod cores;
mod driver;
mod group;
mod guard;
mod install;
mod last_words;
mod launcher;
mod limits;
mod rest;
mod running;
mod sandbox;
mod sandbox_status;
#[cfg(target_os = "linux")]
mod seccomp;
mod socket;
mod spawn;
mod spec;
#[cfg(target_os = "linux")]
mod supervisor;

pub use cgroup::Place;
pub use cores::{Cores, Kept};
pub use driver::ProcessEngine;
pub use install::{InstallError, InstallSpec, Installed, install};
pub use launcher::ProcessLauncher;
pub use limits::Limits;
pub use sandbox::{detect_sandbox, unreadable};
pub use sandbox_status::{SandboxStatus, User};
pub(crate) use spawn::SOCKET_VARIABLE;
pub use spawn::needs;
pub use spec::ProcessSpec;
