//! The promises hold, and whoever asks with the same seed finds the same rates, to the last repetition.

use std::fmt::Write as _;

use edgemaxx_contract::digest::Digest;

use super::*;
use crate::samples::{CandidateSamples, Pair, Session};

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

/// By two binomial standard errors: √(.5·.5/100) = .05 and √(.2·.8/100) = .04.
#[test]
fn a_bound_may_be_missed_by_two_standard_errors_at_it() {
    let judged = |rate, at_least, at_most| {
        let row = Row {
            check: "coverage",
            method: "student".into(),
            generator: "x".into(),
            sessions: 5,
            pairs: 4,
            repetitions: 100,
            rate,
            at_least,
            at_most,
            tolerance: 7.0,
            passed: true,
        };
        let Row { tolerance, passed, .. } = row.judged();
        (format!("{tolerance:.9}"), passed)
    };
    let expected = |tolerance: &str, passed| (tolerance.to_owned(), passed);
    for (rate, passed) in [(0.39, false), (0.401, true), (0.6, true), (0.9, true)] {
        assert_eq!(judged(rate, Some(0.5), None), expected("0.100000000", passed), "{rate}");
    }
    for (rate, passed) in [(0.1, true), (0.2, true), (0.279, true), (0.29, false)] {
        assert_eq!(judged(rate, None, Some(0.2)), expected("0.080000000", passed), "{rate}");
    }
    for (rate, passed) in [(0.09, false), (0.101, true), (0.599, true), (0.61, false)] {
        assert_eq!(judged(rate, Some(0.2), Some(0.5)), expected("0.100000000", passed), "{rate}");
    }
    assert_eq!(judged(0.0, None, None), expected("0.000000000", true));
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

/// Three candidates of a run: one of three sessions, one of two that are shorter, one of a single session.
fn of_a_run() -> SampleTable {
    let mut stream = Seed::of("a run").stream(0);
    let mut sessions = |count: u32, pairs: u32| -> Vec<Session> {
        let one = |key: u32| Session {
            key,
            pairs: (0..pairs)
                .map(|pair| Pair {
                    baseline_ms: 100.0 + f64::from(pair),
                    candidate_ms: 90.0 + f64::from(key) + stream.normal(),
                    throttled: false,
                })
                .collect(),
        };
        (0..count).map(one).collect()
    };
    let candidates = [("three", 3, 8), ("two", 2, 6), ("alone", 1, 20)]
        .map(|(name, count, pairs)| CandidateSamples::whole(name.to_owned(), sessions(count, pairs)));
    SampleTable {
        baseline: "old".to_owned(),
        candidates: candidates.into(),
        warnings: Vec::new(),
        digest: Digest::of("a run"),
    }
}

/// Of its own size: the most sessions and pairs that a candidate has; of its noise: what more than one session show.
#[test]
fn a_runs_own_residuals_are_tried_at_its_size() {
    let table = of_a_run();
    let residuals = Residuals::of(&table).unwrap();
    insta::assert_debug_snapshot!(residuals);
    let rows = checks::of_run(&table, &residuals, 400, seed());
    insta::assert_snapshot!(lines(&rows));
    let settings = VerifySettings { repetitions: 0, seed: 7 };
    let found = verify(&settings, Some(&table));
    let [coverage, claims] = found.rows.last_chunk().unwrap();
    assert_eq!([coverage.check, claims.check], ["coverage", "A/A claims"]);
    assert!(found.rows.iter().rev().take(2).all(|row| row.generator == "residuals of the run"));
    assert_eq!((found.repetitions, found.seed), (0, 7));
    assert_eq!(found.passed, found.rows.iter().all(|row| row.passed));
    let mut alone = table;
    alone.candidates.drain(..2);
    assert_eq!(Residuals::of(&alone), None, "one session does not show how sessions differ");
}

/// Drawn residuals are those of the run: without a bias, each session's pairs in their order.
#[test]
fn residuals_are_drawn_without_a_bias() {
    let residuals = Residuals::of(&of_a_run()).unwrap();
    let mut stream = Seed::of("drawn").stream(0);
    // Whole sessions of eight pairs, and parts of them.
    for pairs in [8, 5] {
        let drawn = residuals.draw(20_000, pairs, &mut stream);
        assert!(drawn.iter().all(|session| session.len() == pairs));
        let means = generators::means(&drawn);
        let deviation = (means.iter().map(|m| m * m).sum::<f64>() / means.len() as f64).sqrt();
        assert!((means.iter().sum::<f64>() / means.len() as f64).abs() < 4.0 * deviation / 20_000_f64.sqrt());
    }
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
