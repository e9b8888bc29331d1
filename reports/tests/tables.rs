//! The tables: every row, read back, and nothing in place of what is absent.

mod common;

use edgemaxx_contract::sample::{Failure, FailureKind, Outcome, Record};
use edgemaxx_contract::telemetry::{AttemptTelemetry, EnergySource};
use edgemaxx_report::tables;
use polars::prelude::{ParquetReader, SerReader as _};

#[test]
fn tables_hold_every_row_and_read_back() {
    let mut run = common::run(&common::demo(), 3, 2, 0, None);
    let measured = run.log.records.iter_mut().filter_map(|record| match record {
        Record::Attempt(attempt) => Some(attempt),
        _ => None,
    });
    for attempt in measured.step_by(7) {
        let failure = Failure { kind: FailureKind::Died, detail: "out of memory".to_owned() };
        attempt.outcome = Outcome::Failed(failure);
    }
    let attempts = run.log.records.iter().filter_map(|record| match record {
        Record::Attempt(attempt) => Some(attempt),
        _ => None,
    });
    let failed = attempts.clone().filter(|attempt| matches!(attempt.outcome, Outcome::Failed(_))).count();
    let drawn = AttemptTelemetry { energy_j: Some((61.5, EnergySource::Counter)), ..Default::default() };
    let samples = tables::samples(&run.plan, &run.log, |_| Some(drawn.clone())).expect("a table");
    assert_eq!(samples.rows(), attempts.count());
    let csv = String::from_utf8(samples.to_csv().expect("CSV")).expect("text");
    assert!(
        csv.starts_with("session,round,candidate,side,launch,phase,index,request,prompt,seed,"),
        "{csv:.200}"
    );
    assert!(
        failed > 0 && csv.lines().filter(|line| line.contains("died: out of memory")).count() == failed,
        "{failed}"
    );
    let parquet = samples.to_parquet().expect("Parquet");
    assert_eq!(parquet, samples.to_parquet().expect("the same bytes"));
    let frame = ParquetReader::new(std::io::Cursor::new(parquet)).finish().expect("reads back");
    assert_eq!(frame.height(), samples.rows());
    let nulls = |name: &str| frame.column(name).expect("a column").null_count();
    assert_eq!(nulls("latency_ms"), failed, "a failure is no zero");
    assert_eq!((nulls("energy_j"), nulls("gpu_mhz")), (0, samples.rows()));
    let board = tables::leaderboard(&run.ranking, &run.estimates).expect("a table");
    let board = String::from_utf8(board.to_csv().expect("CSV")).expect("text");
    let second = board.lines().nth(1).expect("a row");
    assert!(second.starts_with("1,student-5") && second.contains(",accepted,1,"), "{second}");
    assert!(tables::estimates(&run.estimates).expect("a table").rows() > 5 * 12);
}

#[test]
fn quality_has_a_column_for_each_metric_with_its_unit() {
    let run = common::run(&common::demo(), 3, 2, 0, None);
    let quality = tables::quality(&run.quality, "picture").expect("a table");
    assert_eq!(quality.rows(), run.quality.records.len());
    for column in ["ssim_gray", "psnr_db", "phash_distance_bits", "held_back_clip_image_cosine"] {
        assert!(quality.columns().iter().any(|found| found == column), "{column}");
    }
    assert_eq!(tables::quality(&run.quality, "nothing").expect("a table").columns().len(), 7, "no metric");
}
