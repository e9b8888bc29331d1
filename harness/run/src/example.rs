//! For tests: a run that may set weights, of what the published example measured.

use std::path::Path;

use edgemaxx_contract::environment::{Bounds, Environment};
use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::{
    ARTEFACTS_FOLDER, CONTEST_FILE, ENVIRONMENT_FILE, ESTIMATES_FILE, PLAN_FILE, RANKING_FILE,
};
use tempfile::TempDir;

use crate::folder::RunFolder;

/// Who won, and who came second, with their shares.
pub(crate) const PAID: [(&str, f64); 2] = [("student-5", 0.8), ("steps-10", 0.2)];

/// The whole published run, with its answers.
pub(crate) fn published() -> (TempDir, RunFolder) {
    let folder = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports/examples/emoji-cpu");
    for below in ["", ARTEFACTS_FOLDER] {
        std::fs::create_dir_all(folder.path().join(below)).unwrap();
        for entry in std::fs::read_dir(example.join(below)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), folder.path().join(below).join(entry.file_name())).unwrap();
            }
        }
    }
    let run = RunFolder::open(folder.path()).unwrap();
    (folder, run)
}

/// The run's contest, plan, place, estimates and ranking, as if its engines had been held as they are today.
pub(crate) fn run() -> (TempDir, RunFolder) {
    let folder = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports/examples/emoji-cpu");
    for name in [CONTEST_FILE, ENVIRONMENT_FILE, ESTIMATES_FILE, PLAN_FILE] {
        std::fs::copy(example.join(name), folder.path().join(name)).unwrap();
    }
    let run = RunFolder::open(folder.path()).unwrap();
    let mut environment: Environment = run.document(ENVIRONMENT_FILE).unwrap();
    environment.bounds = Some(Bounds::mock());
    run.write_document(ENVIRONMENT_FILE, &environment).unwrap();
    rank(&run, |_| {});
    (folder, run)
}

/// Changes what is estimated, and ranks it again.
pub(crate) fn rank(run: &RunFolder, change: impl FnOnce(&mut Estimates)) -> Ranking {
    let mut estimates: Estimates = run.document(ESTIMATES_FILE).unwrap();
    change(&mut estimates);
    run.write_document(ESTIMATES_FILE, &estimates).unwrap();
    let (plan, environment) = (run.plan().unwrap(), run.document(ENVIRONMENT_FILE).unwrap());
    let ranking = edgemaxx_analyze::rank(&estimates, &run.contest(&plan).unwrap(), &environment);
    run.write_document(RANKING_FILE, &ranking).unwrap();
    ranking
}
