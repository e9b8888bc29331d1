//! The rehearsal of a day, as `scripts/rehearse` runs it.

use std::path::Path;

use crate::node::skipped;
use assert_cmd::Command;
use edgemaxx_engine::detect_sandbox;

#[test]
fn a_rehearsal_goes_through_a_day_and_begins_in_a_new_folder() {
    let built = Path::new(env!("CARGO_BIN_EXE_edgemaxx")).with_file_name("examples").join("rehearse");
    if !built.is_file() {
        return skipped("the rehearsal is not built: run the tests of the whole workspace");
    }
    let sandbox = detect_sandbox();
    if !sandbox.is_sandboxed() {
        return skipped(format_args!("a day without a sandbox sets no weights: {sandbox}"));
    }
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("rehearsal");
    let output = Command::new(&built).arg(&folder).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    if err.contains("no chain") {
        return skipped("no chain here; set EDGEMAXX_CHAIN_SPEC, and install Node, to run this test");
    }
    assert!(output.status.success(), "{out}{err}");
    for shown in ["$ edgemaxx miner submit", "$ edgemaxx validator run", "$ edgemaxx verify site/", "65535"] {
        assert!(out.contains(shown), "no {shown} in {out}");
    }
    assert!(folder.join("site/index.html").is_file());
    // What is there is nobody's to overwrite.
    let again = Command::new(&built).arg(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && said.contains("begins in a new folder"), "{said}");
}
