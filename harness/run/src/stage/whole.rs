//! All stages, one after the other.

use std::path::PathBuf;

use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::ranking::{Ranking, Standing};

use super::{analyze, measure, quality, rank, report};
use crate::error::{Class, Result};
use crate::folder::RunFolder;
use crate::progress::Observer;

/// All stages on a planned run: its ranking and its report.
///
/// # Errors
/// Those of the stages.
pub fn whole(
    folder: &RunFolder,
    options: measure::Options<'_>,
    observer: &dyn Observer,
) -> Result<(Ranking, PathBuf)> {
    observer.note(&format!("run folder: {}", folder.path().display()));
    measure::measure_run(folder, options, observer)?;
    after_measuring(folder, observer)
}

/// The stages after `measure`: the ranking and the report of a run that was measured, wherever.
///
/// # Errors
/// Those of the stages.
pub fn after_measuring(folder: &RunFolder, observer: &dyn Observer) -> Result<(Ranking, PathBuf)> {
    quality::judge_run(folder, quality::Models::default(), observer)?;
    analyze::analyze_run(folder)?;
    let ranking = rank::rank_run(folder)?;
    let page = report::report_run(folder)?;
    Ok((ranking, page))
}

/// Candidates without a place, by the reason.
#[derive(Debug)]
pub struct Lost<'a> {
    /// Failed a launch or a request.
    pub failed: Vec<&'a str>,
    /// Measured, and failed an honesty check.
    pub dishonest: Vec<&'a str>,
    /// Never had a turn: the time for measuring was over.
    pub unmeasured: Vec<&'a str>,
}

impl<'a> Lost<'a> {
    /// Who of a ranking's candidates has no place.
    pub fn of(ranking: &'a Ranking, estimates: &Estimates) -> Self {
        let mut lost = Self { failed: Vec::new(), dishonest: Vec::new(), unmeasured: Vec::new() };
        for entry in ranking.entries.iter().filter(|entry| entry.standing == Standing::Failed) {
            let of = estimates.candidates.iter().find(|candidate| candidate.name == entry.name);
            let list = match of {
                Some(of) if of.failures.is_empty() && of.speedup.is_some() => &mut lost.dishonest,
                Some(of) if of.failures.is_empty() && of.stopped.is_some() => &mut lost.unmeasured,
                _ => &mut lost.failed,
            };
            list.push(entry.name.as_str());
        }
        lost
    }

    /// What became of them, in words; `None`: there are none.
    pub fn words(&self) -> Option<String> {
        let parts: Vec<String> = [
            ("could not be measured", &self.failed),
            ("failed an honesty check", &self.dishonest),
            ("no time was left to measure", &self.unmeasured),
        ]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(words, names)| format!("{words}: {}", names.join(", ")))
        .collect();
        (!parts.is_empty()).then(|| format!("{}; see the report", parts.join("; ")))
    }

    /// Whether a candidate is at fault, or time.
    pub fn class(&self) -> Class {
        let at_fault = !self.failed.is_empty() || !self.dishonest.is_empty();
        if at_fault { Class::Engine } else { Class::Environment }
    }
}
