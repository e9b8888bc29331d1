//! hyperfine's `--export-json`.
//!
//! Each run of hyperfine launches the command anew, so a run is a session with one pair: the
//! n-th run of one command with the n-th of another. The commands are measured one after the
//! other, so drift between them looks like speed; a warning says so. A run that failed did not do
//! the work, so its time says nothing: an export with one is refused, and where exit codes are not
//! told, nothing is claimed. The times are what is read; an export whose mean, least or largest is
//! not theirs is refused.

use std::collections::BTreeMap;
use std::path::Path;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::utf8::text_of;
use serde::Deserialize;

use super::error::SourceError;
use super::rows::{Rows, possible};
use crate::samples::SampleTable;

/// How far a mean may be off that was summed in another order, or written with fewer digits.
const ROUNDED: f64 = 1e-4;

#[derive(Deserialize)]
struct Export {
    results: Vec<CommandResult>,
}

#[derive(Deserialize)]
struct CommandResult {
    command: String,
    /// Seconds; `null` is what hyperfine writes for a number that is none.
    times: Vec<Option<f64>>,
    /// Of `times`, which are what is analysed: these can only contradict them.
    mean: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    /// Of each run, `null` for one that a signal ended; absent in exports of old versions.
    exit_codes: Option<Vec<Option<i32>>>,
    /// Of a parameter scan.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

impl CommandResult {
    /// The command; where `others` are called the same, as in a parameter scan with one `--command-name`, with the
    /// values of its parameters.
    fn name(&self, others: &[Self]) -> String {
        let shared = others.iter().filter(|other| other.command == self.command).count() > 1;
        if !shared || self.parameters.is_empty() {
            return self.command.clone();
        }
        let values: Vec<String> =
            self.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} ({})", self.command, values.join(", "))
    }

    /// What is wrong with its name or its lists, if anything.
    fn odd(&self) -> Option<String> {
        // Shown, it could not be told from the name without them.
        if self.command.trim() != self.command || self.command.is_empty() {
            return Some("expected a name without blanks around it; give one with --command-name".to_owned());
        }
        let codes = self.exit_codes.as_ref().map_or(0, Vec::len);
        (codes > self.times.len())
            .then(|| format!("{} times, but {codes} exit codes; expected one for each run", self.times.len()))
    }

    /// What it says of its times (in milliseconds) that is not so: they, or what was made of them, were changed.
    fn contradiction(&self, times: &[f64]) -> Option<String> {
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        let (min, max) = (times.iter().copied().reduce(f64::min)?, times.iter().copied().reduce(f64::max)?);
        let said = [("mean", self.mean, mean), ("min", self.min, min), ("max", self.max, max)];
        let wrong = said.into_iter().find_map(|(what, said, is)| {
            let (said, is) = (said?, is / 1000.0);
            ((said - is).abs() > ROUNDED * is).then_some((what, said, is))
        });
        wrong.map(|(what, said, is)| {
            format!("{what} says {said:?} s, but that of its times is {is:?} s; export it again, and change nothing")
        })
    }

    /// How many runs are not known to have succeeded, and how the first of them ended.
    fn failed(&self) -> Option<(usize, String)> {
        let codes = self.exit_codes.as_ref()?;
        let known = codes.iter().map(Some).chain(std::iter::repeat(None)).take(self.times.len());
        let failed: Vec<Option<&Option<i32>>> = known.filter(|code| *code != Some(&Some(0))).collect();
        let how = match failed.first()? {
            Some(Some(code)) => format!("exit code {code}"),
            Some(None) => "ended by a signal".to_owned(),
            None => "no exit code".to_owned(),
        };
        Some((failed.len(), how))
    }
}

pub(super) fn read(path: &Path, baseline: Option<&str>) -> Result<SampleTable, SourceError> {
    let bytes = std::fs::read(path).map_err(|source| SourceError::Read { path: path.to_owned(), source })?;
    let nothing = |problem| SourceError::Nothing { path: path.to_owned(), problem };
    let text = text_of(&bytes).map_err(|error| nothing(error.to_string()))?;
    let export: Export = serde_json::from_str(text).map_err(|source| SourceError::Json {
        path: path.to_owned(),
        expected: "hyperfine's JSON export with results[].command and results[].times",
        source,
    })?;
    let names: Vec<String> = export.results.iter().map(|result| result.name(&export.results)).collect();
    for (index, result) in export.results.iter().enumerate() {
        if let Some(problem) = result.odd() {
            return Err(nothing(format!("results[{index}] {:?}: {problem}", names[index])));
        }
        if let Some((failed, how)) = result.failed() {
            return Err(nothing(format!(
                "results[{index}] {:?}: {failed} of {} runs failed ({how}), and the time of a failure says nothing; \
                 mend the command, or leave it out of the export",
                names[index],
                result.times.len()
            )));
        }
    }
    let mut rows = Rows::default();
    let runs = export.results.iter().map(|result| result.times.len()).min().unwrap_or(0);
    for (index, result) in export.results.iter().enumerate() {
        let mut times = Vec::with_capacity(result.times.len());
        for (run, seconds) in result.times.iter().enumerate() {
            let Some(ms) = seconds.and_then(|seconds| possible(seconds * 1000.0)) else {
                let found = seconds.map_or("null".to_owned(), |seconds| format!("{seconds:?}"));
                return Err(nothing(format!(
                    "results[{index}].times[{run}]: expected a positive number of seconds, at most 1e9, found {found}"
                )));
            };
            times.push(ms);
        }
        if let Some(problem) = result.contradiction(&times) {
            return Err(nothing(format!("results[{index}] {:?}: {problem}", names[index])));
        }
        for (run, ms) in times.into_iter().take(runs).enumerate() {
            let numbers = (
                rows.sessions.number(&run.to_string()),
                rows.requests.number("run"),
                rows.pipelines.number(&names[index]),
            );
            // JSON has no lines that a message could name.
            rows.push(numbers, ms, false, 0);
        }
    }
    if runs == 0 {
        return Err(nothing("no times; expected results[].times of at least two commands".to_owned()));
    }
    // A command given twice is the one possible duplicate.
    let mut commands: Vec<&str> = names.iter().map(String::as_str).collect();
    commands.sort_unstable();
    if let Some(twice) = commands.windows(2).find(|w| w[0] == w[1]) {
        return Err(nothing(format!(
            "the command {:?} is there twice; name them with --command-name",
            twice[0]
        )));
    }
    let mut table = rows.pair_up(path, baseline, Digest::of(&bytes))?;
    let untold = |name: &str| {
        let result = names.iter().position(|known| known == name).map(|at| &export.results[at]);
        result.is_some_and(|result| result.exit_codes.is_none())
    };
    let untold_baseline = untold(&table.baseline);
    for candidate in &mut table.candidates {
        if untold_baseline || untold(&candidate.name) {
            let who = if untold_baseline { &table.baseline } else { &candidate.name };
            table.warnings.push(format!(
                "{:?}: without exit codes of {who:?} it is not known whether its runs failed; nothing is claimed of it",
                candidate.name
            ));
            candidate.blur = f64::INFINITY;
        }
        let of = |name: &String| names.iter().position(|known| known == name);
        let times = [of(&candidate.name), of(&table.baseline)].into_iter().flatten();
        let most = times.map(|index| export.results[index].times.len()).max().unwrap_or(runs);
        if most > runs {
            candidate.counted.expected = most as u64;
            let why = "runs beyond those of the command with the fewest".to_owned();
            candidate.counted.leave_out((most - runs) as u64, why);
        }
    }
    if export.results.iter().any(|result| result.times.len() != runs) {
        table
            .warnings
            .push(format!("commands have unequal numbers of runs; the first {runs} of each are compared"));
    }
    table.warnings.push(
        "hyperfine measures one command after the other: drift between them cannot be told from speed"
            .to_owned(),
    );
    Ok(table)
}
