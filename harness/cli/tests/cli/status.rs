//! `edgemaxx validator status`: whether a validator runs is told by its lock, and every alarm is one here, too, whoever raised it.

use std::path::Path;

use edgemaxx_contract::joint::Share;
use edgemaxx_validator::calendar::{day_at, next, noon};
use edgemaxx_validator::policy::Policy;
use edgemaxx_validator::state::State;
use edgemaxx_validator::status::{Contact, Seen, Status};
use edgemaxx_validator::store::Store;
use serde_json::Value;

use crate::common::edgemaxx;

fn now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64
}

/// A day that waits for its noon.
fn waiting() -> State {
    let day = next(&day_at(now()).unwrap()).unwrap();
    State::waiting(day.clone(), noon(&day).unwrap(), now(), None)
}

/// The memory of a validator that waits; who holds it runs.
fn memory(data: &Path, state: &State) -> Store {
    let mut store = Store::open(data).unwrap();
    store.record(state, now(), "began").unwrap();
    store
}

/// What the validator has left of its own.
fn leave(data: &Path, state: &State, head_s: i64, alarms: &[&str]) {
    let contact = Some(Contact { head: 7, unix_s: now() - head_s });
    let seen = Seen { contact, ..Seen::default() };
    let mut status = Status::of(state, &seen, now(), &Policy::default());
    status.alarms = alarms.iter().map(|alarm| (*alarm).to_owned()).collect();
    std::fs::write(data.join("status.json"), serde_json::to_string(&status).unwrap()).unwrap();
}

/// Exit code, what was printed as JSON, and what else was said.
fn status(data: &Path) -> (i32, Value, String) {
    let output = edgemaxx().args(["validator", "status", "--json", "--data"]).arg(data).output().unwrap();
    let printed = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), printed, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn whether_a_validator_runs_is_told_by_its_lock_and_its_alarms_are_the_commands_own() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let state = waiting();
    let store = memory(data, &state);
    // It runs, and has not said yet how it is doing.
    let (code, printed, said) = status(data);
    assert!(code == 1 && printed["running"] == true && said.contains("has not said yet"), "{said}");
    // It runs, and all is well.
    leave(data, &state, 10, &[]);
    let (code, printed, said) = status(data);
    assert_eq!(
        (code, &printed["running"], &printed["alarms"]),
        (0, &true.into(), &Value::Array(vec![])),
        "{said}"
    );
    // What only the running one sees is an alarm here, too, and each is there once.
    let own = ["weights cannot be set: no permit", "the status server was restarted: it panicked"];
    leave(data, &state, 10, &own);
    let (code, printed, said) = status(data);
    assert_eq!((code, printed["alarms"].as_array().unwrap().len()), (1, 2), "{said}");
    assert!(own.iter().all(|alarm| said.contains(alarm)), "{said}");
    // One that hangs holds its lock, and is told by its last contact.
    leave(data, &state, 2 * 3600, &[]);
    let (code, _, said) = status(data);
    assert!(code == 1 && said.contains("the chain was not read for more than 60 min"), "{said}");
    // Nobody holds the lock: nobody runs, whatever was left. That is no longer anybody's word.
    leave(data, &state, 10, &[]);
    drop(store);
    let (code, printed, said) = status(data);
    assert!(code == 1 && printed["running"] == false, "{said}");
    assert!(said.contains("no validator runs with this data"), "{said}");
    // A damaged leaving does not pass for a good one.
    let store = memory(data, &state);
    std::fs::write(data.join("status.json"), "{").unwrap();
    let (code, _, said) = status(data);
    assert!(code == 1 && said.contains("has not said yet"), "{said}");
    drop(store);
}

#[test]
fn the_status_of_several_contests_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let share = |contest: &str| Share { contest: contest.to_owned(), share: 0.5 };
    let joint = waiting().of(&[share("a"), share("b")]);
    let _store = memory(data, &joint);
    let _a = memory(&data.join("a"), &waiting());
    leave(data, &joint, 10, &[]);
    // One of them is not there.
    let (code, printed, said) = status(data);
    assert!(code == 1 && said.contains("b: ") && printed["contests"]["a"]["phase"] == "waiting", "{said}");
    let _b = memory(&data.join("b"), &waiting());
    let (code, printed, said) = status(data);
    assert_eq!((code, printed["contests"].as_object().unwrap().len()), (0, 2), "{said}");
    let words = edgemaxx().args(["validator", "status", "--data"]).arg(data).output().unwrap();
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    assert!(words.contains("contest a: ") && words.contains("contest b: "), "{words}");
}
