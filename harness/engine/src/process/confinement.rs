//! How engines are confined on this machine: data.

use std::fmt;
use std::path::PathBuf;

use edgemaxx_contract::environment::Confinement;

use super::cgroup::Place;

/// How engines are confined on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxStatus {
    /// By bubblewrap.
    Bubblewrap {
        /// Its path.
        program: PathBuf,
        /// `--disable-userns` is understood (bubblewrap 0.8).
        disable_userns: bool,
        /// What binds the number of their processes.
        processes: ProcessLimit,
    },
    /// Not at all: engines can read what the user can, and use the network.
    Unsandboxed {
        /// Why, and what to do about it.
        reason: String,
    },
}

/// What keeps an engine from starting processes without end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessLimit {
    /// `RLIMIT_NPROC`, which binds every user but root.
    User,
    /// A cgroup, which binds root too.
    Group(Place),
    /// `RLIMIT_NPROC` of this user, who is nobody else, and under whom a root harness starts them.
    Stranger(u32),
    /// Nothing in the kernel: the harness is root and may make no cgroup.
    Nothing,
}

impl ProcessLimit {
    /// The user to start as, if another one.
    pub(super) fn user(&self) -> Option<u32> {
        match self {
            Self::Stranger(user) => Some(*user),
            _ => None,
        }
    }
}

impl SandboxStatus {
    /// What is not protected although engines are confined, in words, with what to do about it.
    pub fn gap(&self) -> Option<&'static str> {
        match self {
            Self::Bubblewrap { processes: ProcessLimit::Nothing, .. } => Some(
                "nothing in the kernel limits the number of an engine's processes, because the harness is root \
                 and may make no cgroup; run it as an ordinary user, or where /sys/fs/cgroup can be written",
            ),
            _ => None,
        }
    }

    /// Whether engines are confined.
    pub fn is_sandboxed(&self) -> bool {
        matches!(self, Self::Bubblewrap { .. })
    }
}

impl From<&SandboxStatus> for Confinement {
    fn from(status: &SandboxStatus) -> Self {
        let note = match status {
            SandboxStatus::Unsandboxed { reason } => return Self::Unsandboxed { reason: reason.clone() },
            SandboxStatus::Bubblewrap { processes, .. } => match processes {
                ProcessLimit::User => None,
                ProcessLimit::Stranger(_) => Some("as a user of their own"),
                ProcessLimit::Group(place) => Some(place.words()),
                ProcessLimit::Nothing => Some("the number of processes is not limited"),
            },
        };
        Self::Bubblewrap { note: note.map(str::to_owned) }
    }
}

impl fmt::Display for SandboxStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Confinement::from(self).fmt(f)
    }
}
