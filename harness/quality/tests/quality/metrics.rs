//! The metrics against scikit-image 0.26.0 and OpenCV 5.0.0 (`golden/metrics.py`).

use crate::common::{changed, picture, through_png};
use edgemaxx_picture::Picture;
use edgemaxx_quality::QualityError;
use edgemaxx_quality::picture::{psnr, ssim_gray};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    width: u32,
    height: u32,
    seed: u64,
    kind: String,
    amount: i64,
    form: String,
    ssim_gray: f64,
    psnr: Option<f64>,
}

#[test]
fn metrics_equal_their_references_on_generated_pairs() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/metrics.json")).unwrap();
    assert!(cases.len() >= 50);
    let mut worst = 0.0f64;
    for case in &cases {
        let a = picture(case.width, case.height, case.seed);
        let b = changed(&a, &case.kind, case.amount, case.seed);
        let [a, b] = [a, b].map(|p| through_png(p, &case.form));
        let mut check = |name: &str, found: Option<f64>, expected: Option<f64>| {
            let label = format!("{name} of {}x{} {} {}", case.width, case.height, case.kind, case.form);
            assert_eq!(found.is_some(), expected.is_some(), "{label}");
            let difference = found.zip(expected).map_or(0.0, |(f, e)| (f - e).abs());
            assert!(difference < 1e-9, "{label}: {found:?} against {expected:?}");
            worst = worst.max(difference);
        };
        check("ssim", ssim_gray(&a, &b).ok(), Some(case.ssim_gray));
        check("psnr", psnr(&a, &b).unwrap(), case.psnr);
    }
    assert!(worst > 0.0, "a comparison with itself");
}

#[test]
fn metrics_equal_the_recorded_pairs() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/golden");
    let text = std::fs::read_to_string(format!("{dir}/pairs.json")).unwrap();
    let pairs: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let open =
        |v: &serde_json::Value| Picture::open(format!("{dir}/{}.png", v.as_str().unwrap()).as_ref()).unwrap();
    for pair in &pairs {
        let (a, b) = (open(&pair["a"]), open(&pair["b"]));
        let near = |x: f64, key: &str| (x - pair[key].as_f64().unwrap()).abs() < 1e-9;
        assert!(near(ssim_gray(&a, &b).unwrap(), "ssim_gray"), "{pair}");
        assert!(near(psnr(&a, &b).unwrap().unwrap(), "psnr"), "{pair}");
    }
    assert_eq!(pairs.len(), 6);
}

#[test]
fn results_do_not_depend_on_the_thread_count() {
    let a = picture(333, 517, 3);
    let b = changed(&a, "noise", 20, 3);
    let scores = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| [ssim_gray(&a, &b).unwrap(), psnr(&a, &b).unwrap().unwrap()].map(f64::to_bits))
    };
    assert_eq!(scores(1), scores(2));
    assert_eq!(scores(1), scores(5));
}

#[test]
fn unequal_and_tiny_pictures_are_refused() {
    let (a, b) = (picture(8, 8, 1), picture(8, 9, 1));
    assert!(matches!(ssim_gray(&a, &b), Err(QualityError::UnequalSizes { a: (8, 8), b: (8, 9) })));
    assert!(matches!(psnr(&a, &b), Err(QualityError::UnequalSizes { .. })));
    let small = picture(6, 64, 1);
    assert!(matches!(ssim_gray(&small, &small), Err(QualityError::TooSmall { needed: 7, .. })));
}
