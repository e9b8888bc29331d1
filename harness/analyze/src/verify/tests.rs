//! The promises hold, and whoever asks with the same seed finds the same rates, to the last repetition.

use std::fmt::Write as _;

use super::*;

#[test]
fn every_promise_holds() {
    let found = verify(&VerifySettings { repetitions: 2000, seed: 7 }, None);
    let failed: Vec<_> = found.rows.iter().filter(|row| !row.passed).collect();
    assert!(found.passed && found.rows.len() > 80, "{failed:#?}");
}

#[test]
fn a_broken_promise_fails_the_row() {
    let row = Row {
        check: "A/A claims",
        method: "t on pairs".into(),
        generator: "x".into(),
        sessions: 5,
        pairs: 4,
        repetitions: 2000,
        rate: 0.2,
        at_least: None,
        at_most: Some(0.055),
        tolerance: 0.0,
        passed: true,
    };
    assert!(!row.clone().judged().passed);
    assert!(Row { rate: 0.05, ..row.clone() }.judged().passed);
    assert!(!Row { rate: 0.9, at_least: Some(0.935), at_most: None, ..row }.judged().passed);
}

/// A tenth of what costs ten times as much, and never so few that a rate says nothing.
#[test]
fn costly_rows_take_a_part_of_the_repetitions() {
    let of = |repetitions| [1, 2, 4, 10].map(|many| one_in(many, repetitions));
    assert_eq!(of(20_000), [20_000, 10_000, 5000, 2000]);
    assert_eq!(of(300), [300, 150, 100, 100]);
    assert_eq!(of(0), [100; 4]);
}

/// Rows as lines.
fn lines(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let Row { check, method, generator, sessions, pairs, repetitions, rate, .. } = row;
        let bounds =
            [row.at_least, row.at_most].map(|bound| bound.map_or("-".to_owned(), |of| of.to_string()));
        let [least, most] = bounds;
        let passed = if row.passed { "holds" } else { "broken" };
        writeln!(
            text,
            "{check} | {method} | {generator} | {sessions} x {pairs} | {rate:.6} of {repetitions} | {least} to {most}, give or take {:.5}: {passed}",
            row.tolerance
        )
        .unwrap();
    }
    text
}

fn seed() -> Seed {
    Seed::of("the table")
}

// METHODOLOGY says that anybody finds its numbers again: a change here means that they are to be measured anew.

#[test]
fn the_same_seed_finds_the_same_rates_of_intervals() {
    insta::assert_snapshot!(lines(&checks::all(100, seed())));
}

#[test]
fn the_same_seed_finds_the_same_rates_of_comparisons() {
    insta::assert_snapshot!(lines(&comparisons::all(100, seed())));
}

#[test]
fn the_same_seed_finds_the_same_rates_of_blocks() {
    insta::assert_snapshot!(lines(&blocks::all(100, seed())));
}

#[test]
fn the_same_seed_finds_the_same_rates_of_races() {
    insta::assert_snapshot!(lines(&elimination::all(100, seed())));
}

#[test]
fn the_same_seed_finds_the_same_rates_of_earnings() {
    insta::assert_snapshot!(lines(&earnings::all(100, seed())));
}
