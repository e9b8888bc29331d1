//! How engines are confined on this machine: data.

use std::fmt;
use std::path::PathBuf;

use edgemaxx_contract::environment::{Bounds, CardRest, Confinement, Rest};
use edgemaxx_devices::{Pins, vendor};

use super::cgroup::{Control, Place};
use super::cores::Cores;

/// How engines are confined on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxStatus {
    /// By bubblewrap.
    Bubblewrap {
        /// Its path.
        program: PathBuf,
        /// `--disable-userns` is understood (bubblewrap 0.8).
        disable_userns: bool,
        /// Whom they run as.
        user: User,
        /// Where their control groups are made, if anywhere.
        place: Option<Place>,
    },
    /// Not at all: engines can read what the user can, and use the network.
    Unsandboxed {
        /// Why, and what to do about it.
        reason: String,
    },
}

/// Whom engines run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// The ordinary user who runs the harness.
    Harness,
    /// Under a root harness: somebody who owns nothing, and who is nobody else. Bubblewrap itself is root until it has
    /// made the sandbox.
    Stranger,
    /// The same, from bubblewrap's first moment: where root may not mount. What engines read must be open to all.
    StrangerThroughout,
    /// Root, whose powers are taken away, but who owns root's files.
    Root,
}

impl User {
    /// Whether what engines read must be open to all.
    pub(super) fn owns_nothing(self) -> bool {
        matches!(self, Self::Stranger | Self::StrangerThroughout)
    }
}

impl SandboxStatus {
    /// What is not protected although engines are confined, in words, with what to do about it.
    pub fn gap(&self) -> Option<&'static str> {
        let Self::Bubblewrap { user, place, .. } = self else { return None };
        let groups = |does: fn(&Place) -> bool| place.as_ref().is_some_and(does);
        if *user == User::Root && !groups(Place::limits_processes) {
            return Some(
                "nothing in the kernel limits the number of an engine's processes, because the harness is root \
                 and may make no cgroup; run it as an ordinary user, or where /sys/fs/cgroup can be written",
            );
        }
        if *user == User::Root {
            return Some("engines run as root without root's powers; install setpriv (util-linux)");
        }
        if !groups(Place::limits_memory) {
            return Some(
                "no control group limits an engine's memory; run where /sys/fs/cgroup can be written, or by \
                 `systemd-run --user --scope -p Delegate=yes`",
            );
        }
        None
    }

    /// Whether engines are confined.
    pub fn is_sandboxed(&self) -> bool {
        matches!(self, Self::Bubblewrap { .. })
    }

    /// Whom engines run as, where they are confined.
    pub(super) fn user(&self) -> Option<User> {
        match self {
            Self::Bubblewrap { user, .. } => Some(*user),
            Self::Unsandboxed { .. } => None,
        }
    }

    /// What engines with these pins are held to.
    pub fn bounds(&self, pins: &Pins) -> Bounds {
        let cores = Cores::of(pins.threads);
        let card_rest = pins.card.as_ref().map(|card| match vendor(card.kind).hold(card, false) {
            Ok(_) => CardRest::Locked,
            Err(_) => CardRest::Unproven,
        });
        let (place, own_user, calls) = match self {
            Self::Bubblewrap { user, place, .. } => (place.as_ref(), *user != User::Root, filters()),
            Self::Unsandboxed { .. } => (None, false, false),
        };
        let rest = match place.and_then(Place::freezes) {
            Some(Control::FreezeV2) => Rest::CgroupV2,
            Some(_) => Rest::CgroupV1,
            None if cfg!(target_os = "linux") => Rest::Stop,
            None => Rest::Nothing,
        };
        Bounds {
            rest,
            card_rest,
            memory: place.is_some_and(Place::limits_memory),
            calls,
            own_user,
            cores: cores.engine,
            harness_cores: cores.harness,
        }
    }
}

#[cfg(target_os = "linux")]
fn filters() -> bool {
    super::seccomp::filter().is_some()
}

#[cfg(not(target_os = "linux"))]
fn filters() -> bool {
    false
}

impl From<&SandboxStatus> for Confinement {
    fn from(status: &SandboxStatus) -> Self {
        let (user, place) = match status {
            SandboxStatus::Unsandboxed { reason } => return Self::Unsandboxed { reason: reason.clone() },
            SandboxStatus::Bubblewrap { user, place, .. } => (user, place),
        };
        let whom = match user {
            User::Harness => None,
            User::Stranger | User::StrangerThroughout => Some("as a user of their own".to_owned()),
            User::Root if place.as_ref().is_some_and(Place::limits_processes) => Some("as root".to_owned()),
            User::Root => Some("as root; the number of processes is not limited".to_owned()),
        };
        let parts: Vec<String> = whom.into_iter().chain(place.as_ref().map(Place::words)).collect();
        Self::Bubblewrap { note: (!parts.is_empty()).then(|| parts.join("; ")) }
    }
}

impl fmt::Display for SandboxStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Confinement::from(self).fmt(f)
    }
}
