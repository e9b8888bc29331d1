//! What Ctrl-C (and SIGTERM, of a service that is stopped) does: the first asks the program to end, the second ends it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::Exit;
use crate::terminal::note;

/// Set when somebody asked this program to end; it does so after `what` is done, which is said to them.
pub(crate) fn asked(what: &'static str) -> Arc<AtomicBool> {
    static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let asked = ASKED.get_or_init(|| {
        let asked = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&asked);
        let handler = ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(Exit::Interrupted as i32);
            }
            note(&format!("interrupted: ending after {what} (again: at once)"));
        });
        if let Err(error) = handler {
            note(&format!("warning: Ctrl-C ends this at once: {error}"));
        }
        asked
    });
    Arc::clone(asked)
}
