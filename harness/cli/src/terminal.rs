//! What goes to standard output and standard error.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::error::{exit_of, words};

/// Ends the program: the error on standard error, its code to the shell.
pub(crate) fn finish(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    if broken_pipe(&error) {
        return ExitCode::SUCCESS;
    }
    note(&format!("error: {}", words(&error)));
    exit_of(&error).into()
}

/// A reader that has seen enough (`edgemaxx … | head`) is no error.
fn broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

/// A line for the person, on standard error; nobody there to read it is no error.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The answer, on standard output.
pub(crate) fn answer(text: &str) -> anyhow::Result<()> {
    let write = || {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()
    };
    write().context("cannot write to standard output")
}

/// The answer as pretty JSON, on standard output.
pub(crate) fn answer_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    answer(&serde_json::to_string_pretty(value)?)
}

/// Whether a person watches standard error.
pub(crate) fn watched() -> bool {
    std::io::stderr().is_terminal()
}
