//! Whether a process could not be started for lack of something that is the harness's own.

use std::fs::File;
use std::io;

use edgemaxx_contract::sample::{Failure, FailureKind};

/// As many descriptors as a launch takes, and a few more.
const OF_A_LAUNCH: usize = 24;

/// What the harness lacks, where that is why a launch failed: nobody's engine can do anything about it.
pub(crate) fn lacking(failure: &Failure) -> Option<io::Error> {
    if failure.kind != FailureKind::Spawn {
        return None;
    }
    let opened: io::Result<Vec<File>> = (0..OF_A_LAUNCH).map(|_| File::open("/dev/null")).collect();
    opened.err().filter(|error| matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_descriptors_left_a_failed_launch_is_the_engines() {
        for kind in [FailureKind::Spawn, FailureKind::Died] {
            assert!(lacking(&Failure { kind, detail: String::new() }).is_none(), "{kind}");
        }
    }
}
