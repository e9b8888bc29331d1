//! The Python packages: their own tests, on the published examples, and their types.

use std::process::{Command, Output};

use crate::common::repository;
use crate::node::skipped;

/// Names a Python that has what `.ci/run` installs: pandas, polars, matplotlib, nbclient, mypy and so on.
const VARIABLE: &str = "EDGEMAXX_SDK_PYTHON";

/// A Python at the package's folder, or nothing where there is none.
pub(crate) fn python(arguments: &[&str]) -> Option<Output> {
    let program = std::env::var(VARIABLE).unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(&program);
    command.args(arguments).current_dir(repository("harness/sdk/python"));
    // nothing is left in the sources
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONWARNINGS", "ignore");
    match command.output() {
        Ok(output) => Some(output),
        Err(error) if std::env::var_os(VARIABLE).is_none() => {
            skipped(format_args!("python3 cannot be started ({error}); install it to run this test"));
            None
        }
        Err(error) => panic!("{program}, which {VARIABLE} names: {error}"),
    }
}

#[test]
fn the_package_passes_its_own_tests() {
    let Some(output) = python(&["-m", "unittest", "discover", "--verbose", "--start-directory", "tests"])
    else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for line in said.lines().filter(|line| line.contains(" ... skipped ")) {
        skipped(format_args!("{line} (or set {VARIABLE} to a Python that has it)"));
    }
}

#[test]
fn the_package_is_typed() {
    let Some(output) = python(&["-m", "mypy", "--cache-dir", "/dev/null"]) else { return };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    if said.contains("No module named mypy") {
        skipped(format_args!("no mypy; set {VARIABLE} to a Python that has it to check the types"));
        return;
    }
    assert!(output.status.success(), "{said}");
}
