//! What goes to standard output and standard error.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use edgemaxx_contract::shown_text::{is_hidden, line, visible};
use edgemaxx_run::child_failure::Failure;
use serde_json::json;

use crate::error::{exit_of, words};

/// Where the shell limits the size of files (`ulimit -f`), writing beyond it is an error that names the file, not a signal that
/// ends the program without a word. Programs that this one starts get the signal as ever.
pub(crate) fn fail_in_words() {
    #[cfg(unix)]
    {
        let signals = nix::sys::signal::SigSet::from(nix::sys::signal::Signal::SIGXFSZ);
        // Where it cannot be held back, it ends the program as before.
        let _ = signals.thread_block();
    }
}

/// Ends the program: the error on standard error, its code to the shell.
pub(crate) fn finish(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    if broken_pipe(&error) {
        return ExitCode::SUCCESS;
    }
    let (message, exit) = (words(&error), exit_of(&error));
    say("error", &message);
    Failure { class: exit.into(), message }.tell();
    exit.into()
}

/// A reader that has seen enough (`edgemaxx … | head`) is no error.
fn broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

/// A line for the person, on standard error; nobody there to read it is no error. Much of what is said quotes others, so
/// further lines stand behind a bar: none can pass for a line of ours, or for a command to a CI.
pub(crate) fn note(text: &str) {
    match text.split_once(": ") {
        Some((level @ ("error" | "warning" | "alarm"), rest)) => say(level, rest),
        _ => say("info", text),
    }
}

/// Whether notes are lines of JSON.
static JSON: AtomicBool = AtomicBool::new(false);

/// From now on every note is a line of JSON: nothing else comes to standard error, whatever happens.
#[cfg(feature = "validator")]
pub(crate) fn notes_as_json() {
    JSON.store(true, Ordering::Relaxed);
}

/// A line of JSON of our own making, on standard error.
pub(crate) fn note_json(value: &serde_json::Value) {
    let _ = writeln!(std::io::stderr(), "{value}");
}

/// A note of some level; for a person, an ordinary one has no name.
fn say(level: &str, text: &str) {
    if JSON.load(Ordering::Relaxed) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        return note_json(&json!({ "unix_s": now, "level": level, "message": text }));
    }
    let text = if level == "info" { text.to_owned() } else { format!("{level}: {text}") };
    let lines: Vec<String> = text.trim_end().split('\n').map(line).collect();
    let _ = writeln!(std::io::stderr(), "{}", lines.join("\n  | "));
}

/// The answer as lines, on standard output: whatever is quoted in one of them stays in it.
pub(crate) fn answer_lines(lines: &[String]) -> anyhow::Result<()> {
    answer(&lines.iter().map(|text| line(text)).collect::<Vec<_>>().join("\n"))
}

/// The answer, on standard output, with every character visible.
pub(crate) fn answer(text: &str) -> anyhow::Result<()> {
    print(&visible(text))
}

fn print(text: &str) -> anyhow::Result<()> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    print_bytes(format!("{text}{end}").as_bytes())
}

/// Bytes of our own making, on standard output, as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let write = || {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    };
    write().context("cannot write to standard output")
}

/// The answer as pretty JSON, on standard output; hidden characters as JSON's own escapes, which mean the same.
pub(crate) fn answer_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(value)?;
    let escaped = |c: char| if is_hidden(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    if json.contains(is_hidden) {
        print(&json.chars().map(escaped).collect::<String>())
    } else {
        print(&json)
    }
}

/// Whether a person watches standard error.
pub(crate) fn watched() -> bool {
    std::io::stderr().is_terminal()
}
