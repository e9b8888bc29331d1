//! Gates, similarities and the worst answers of a few records with values set by hand.

use super::super::tests::simulated::{judged, noisy_run};
use super::*;
use edgemaxx_contract::plan::Extent;

const LEVEL: f64 = 0.95;

fn metric(name: &str) -> Metric {
    Metric::named(name).unwrap()
}

/// A record for each value of `clip_image_cosine`, two to a session.
fn records(cosines: &[f64]) -> Vec<QualityRecord> {
    (0..).zip(cosines).map(|(at, &cosine)| judged("quick", at / 2, at % 2, at, cosine)).collect()
}

/// Sixty records that agree in everything: every bound is the value itself.
fn alike(cosine: f64) -> Vec<QualityRecord> {
    records(&[cosine; 60])
}

fn ask(name: &str, statistic: Statistic, threshold: f64) -> Gate {
    Gate { metric: metric(name), statistic, threshold, reason: "test".to_owned() }
}

fn of(records: &[QualityRecord]) -> Vec<&QualityRecord> {
    records.iter().collect()
}

#[test]
fn a_gate_is_passed_at_its_threshold_and_not_beyond() {
    let own = alike(0.875);
    for statistic in [Statistic::Mean, Statistic::Quantile(0.1)] {
        for (name, threshold, passed) in [
            ("clip_image_cosine", 0.875, true),
            ("clip_image_cosine", 0.8750001, false),
            ("clip_image_cosine", 0.5, true),
            // Lower is better: 3 bits of 64.
            ("phash_distance", 3.0, true),
            ("phash_distance", 2.9999, false),
            ("phash_distance", 8.0, true),
        ] {
            let found = gate(&of(&own), &ask(name, statistic, threshold), LEVEL);
            assert_eq!(found.passed, passed, "{statistic} of {name}: {threshold}");
            let bound = found.bound.unwrap();
            let (lower, upper) =
                if name == "phash_distance" { (None, Some(3.0)) } else { (Some(0.875), None) };
            assert_eq!((bound.lower, bound.upper, bound.n, bound.level), (lower, upper, 60, LEVEL));
            assert_eq!(bound.point, lower.or(upper).unwrap());
        }
    }
}

/// What both sides were asked about some pairs only is proven by those: all of them were asked about, or none counts.
#[test]
fn what_takes_scores_is_proven_by_the_pairs_that_have_them() {
    let (asked, bound) = (metric("kl_change"), |at_most| ask("kl_change", Statistic::Mean, at_most));
    let mut own = alike(0.875);
    assert!(!gate(&of(&own), &bound(0.5), LEVEL).passed, "who does not score proves nothing");
    assert_eq!(surely_missed(&of(&own), &[bound(0.5)], LEVEL, 1), None);
    for record in own.iter_mut().take(20) {
        record.values.insert(asked, 0.25);
    }
    let found = gate(&of(&own), &bound(0.25), LEVEL);
    assert_eq!((found.passed, found.bound.unwrap().n), (true, 20));
    assert!(!gate(&of(&own), &bound(0.2499), LEVEL).passed);
    assert!(surely_missed(&of(&own), &[bound(0.2499)], LEVEL, 1).is_some());
}

#[test]
fn a_pair_without_a_value_proves_nothing() {
    let missing = metric("clip_image_cosine");
    for spoil in [0, 1] {
        let mut own = alike(0.875);
        match spoil {
            0 => drop(own[7].values.remove(&missing)),
            _ => drop(own[7].values.insert(missing, f64::NAN)),
        }
        let own = of(&own);
        let asked = [ask("clip_image_cosine", Statistic::Mean, 0.5)];
        let found = gate(&own, &asked[0], LEVEL);
        assert_eq!((found.passed, found.bound), (false, None));
        assert_eq!(similarity(&own, missing, LEVEL), None);
        assert!(!surely_passed(&own, &asked, LEVEL, 1));
        assert_eq!(surely_missed(&own, &[ask("clip_image_cosine", Statistic::Mean, 0.99)], LEVEL, 1), None);
        let by_session = similarity_by_session(&own, missing);
        assert!(by_session.len() == 29 && !by_session.contains_key(&3) && by_session[&4] == 0.875);
    }
    assert_eq!(similarity(&[], missing, LEVEL), None);
    let nothing = gate(&[], &ask("clip_image_cosine", Statistic::Mean, 0.5), LEVEL);
    assert_eq!((nothing.passed, nothing.bound), (false, None));
}

#[test]
fn what_is_sure_is_sure_on_either_side() {
    let own = alike(0.875);
    let own = of(&own);
    let missed = |asked: &Gate| surely_missed(&own, std::slice::from_ref(asked), LEVEL, 4).is_some();
    for statistic in [Statistic::Mean, Statistic::Quantile(0.5)] {
        for (name, at, beyond) in [("clip_image_cosine", 0.875, 0.876), ("phash_distance", 3.0, 2.999)] {
            let (at, beyond) = (ask(name, statistic, at), ask(name, statistic, beyond));
            assert!(!missed(&at) && missed(&beyond), "{statistic} of {name}");
            assert!(surely_passed(&own, std::slice::from_ref(&at), LEVEL, 4));
            assert!(!surely_passed(&own, &[at, beyond], LEVEL, 4), "all of them");
        }
    }
    let gates =
        [ask("clip_image_cosine", Statistic::Mean, 0.5), ask("clip_image_cosine", Statistic::Mean, 0.9)];
    assert_eq!(surely_missed(&own, &gates, LEVEL, 4), Some(&gates[1]));
    assert_eq!(surely_missed(&own, &gates[..1], LEVEL, 4), None);
}

/// The error is split over the looks: at four of them a bound is that of level 1 − 0.05/4.
#[test]
fn more_looks_ask_for_more() {
    let cosines: Vec<f64> = (0..60).map(|at| 0.9 + 0.001 * f64::from(at % 7)).collect();
    let own = records(&cosines);
    let own = of(&own);
    let at = |looks: f64| {
        let level = 1.0 - (1.0 - LEVEL) / looks;
        (one_sided::lower_bound(&cosines, level).unwrap(), one_sided::upper_bound(&cosines, level).unwrap())
    };
    let (one, four) = (at(1.0), at(4.0));
    assert!(four.0 < one.0 && one.1 < four.1);
    let between = |a: f64, b: f64| ask("clip_image_cosine", Statistic::Mean, (a + b) / 2.0);
    let (low, high) = ([between(four.0, one.0)], [between(one.1, four.1)]);
    for (looks, sure) in [(0, true), (1, true), (4, false)] {
        assert_eq!(surely_passed(&own, &low, LEVEL, looks), sure, "{looks}");
        assert_eq!(surely_missed(&own, &high, LEVEL, looks).is_some(), sure, "{looks}");
    }
    let found = similarity(&own, metric("clip_image_cosine"), LEVEL).unwrap();
    assert_eq!((found.lower, found.upper, found.n), (Some(one.0), Some(one.1), 60));
    assert!((found.point - student::mean(&cosines)).abs() < 1e-12);
}

#[test]
fn every_metric_that_was_computed_is_told_with_its_worst() {
    let own = records(&[0.9, 0.7, 0.8]);
    let told = metrics(&of(&own), LEVEL);
    let names: Vec<&str> = told.iter().map(|found| found.metric.entry().name).collect();
    assert!(names.contains(&"clip_image_cosine") && !names.contains(&"lpips"), "{names:?}");
    let cosine = told.iter().find(|found| found.metric == metric("clip_image_cosine")).unwrap();
    assert!((cosine.mean.point - 0.8).abs() < 1e-12 && cosine.worst == 0.7, "{cosine:?}");
    assert_eq!(metrics(&[], LEVEL), []);
}

#[test]
fn the_least_alike_come_first_each_request_once_and_ten_at_most() {
    let contest = noisy_run("run", Extent::Quick, |_, _| {}).contest;
    // Request 5 twice, 3 and 4 equally bad, 9 without any similarity.
    let mut own: Vec<QualityRecord> = (0..20).map(|at| judged("quick", 0, at, at, 0.99)).collect();
    own.push(judged("quick", 1, 0, 5, 0.1));
    own[5] = judged("quick", 0, 5, 5, 0.2);
    own[4] = judged("quick", 0, 4, 4, 0.3);
    own[3] = judged("quick", 0, 3, 3, 0.3);
    own[9].values.clear();
    let found = worst_requests(&of(&own), &contest);
    assert_eq!(found, [9, 5, 3, 4, 0, 1, 2, 6, 7, 8]);
    // Where the score's similarity is not known, the next that is.
    own[7].values.remove(&metric("clip_image_cosine"));
    own[7].values.insert(metric("ssim_gray"), 0.0);
    assert_eq!(worst_requests(&of(&own), &contest)[..3], [9, 7, 5]);
    assert_eq!(worst_requests(&of(&own[..3]), &contest), [0, 1, 2]);
}
