//! `miner oracle`, on a published example.

use serde_json::Value;

use crate::common::{edgemaxx, failure, repository};

const EXAMPLE: &str = "reports/examples/emoji-cpu";

fn foretold(candidate: &str) -> Value {
    let example = repository(EXAMPLE);
    let mut oracle = edgemaxx();
    oracle.args(["miner", "oracle"]).arg(&example).arg("--run").arg(&example);
    let output = oracle.args(["--candidate", candidate, "--days", "60", "--json"]).output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_published_days_winner_and_its_second_are_told_what_awaits_them() {
    let winner = foretold("student-5");
    assert_eq!(winner, foretold("student-5"), "equal questions, equal answers");
    let number = |of: &Value, key: &str| of[key].as_f64().unwrap_or_else(|| panic!("{key}: {of}"));
    assert!(number(&winner, "alone") > 0.9 && number(&winner, "share") > 0.5, "{winner}");
    let second = foretold("steps-10");
    assert!(number(&second, "alone") < 0.1 && number(&second, "accepted") > 0.9, "{second}");
    assert!(number(&second, "faster_for_sure") >= number(&second, "faster_for_half"), "{second}");
    assert!(second["sessions_for_sure"].is_null(), "{second}");
    // It misses gates, which no speed mends.
    let noisy = foretold("noisy");
    assert_eq!((number(&noisy, "accepted"), &noisy["faster_for_half"]), (0.0, &Value::Null), "{noisy}");
}

#[test]
fn what_cannot_be_foretold_is_said() {
    let example = repository(EXAMPLE);
    let ask = |run: &str, more: &[&str]| {
        let mut oracle = edgemaxx();
        oracle.args(["miner", "oracle"]).arg(&example).arg("--run").arg(repository(run)).args(more);
        failure(&mut oracle)
    };
    let (code, said) = ask(EXAMPLE, &[]);
    assert!(
        code == 2 && said.contains("--candidate: expected one of") && said.contains("student-5"),
        "{said}"
    );
    let (code, said) = ask("reports/examples/sdxl-random-h200", &[]);
    assert!(code == 2 && said.contains("its baseline is another one"), "{said}");
}
