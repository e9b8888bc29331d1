//! `session,prompt,pipeline,latency_ms[,throttled]`, in pieces, so that memory stays bounded.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use edgemaxx_contract::digest::DigestBuilder;
use polars::prelude::*;

use super::error::SourceError;
use super::rows::{Names, Rows};
use crate::samples::SampleTable;

/// Bytes parsed at a time.
const PIECE: usize = 16 << 20;
/// A longer line is no measurement.
const LONGEST_LINE: usize = 1 << 20;

const COLUMNS: [&str; 5] = ["session", "prompt", "pipeline", "latency_ms", "throttled"];
const SESSION: usize = 0;
const PROMPT: usize = 1;
const PIPELINE: usize = 2;
const LATENCY: usize = 3;
const THROTTLED: usize = 4;

pub(super) fn read(path: &Path, baseline: Option<&str>) -> Result<SampleTable, SourceError> {
    let failed = |source| SourceError::Read { path: path.to_owned(), source };
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
    let mut digest = DigestBuilder::default();
    let mut header = Vec::new();
    reader.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', &mut header).map_err(failed)?;
    digest.update(&header);
    let columns = Columns::parse(path, &header)?;
    let mut rows = Rows::default();
    let mut pending: Vec<u8> = Vec::new();
    // The line of the first byte of `pending`.
    let mut line = 2;
    loop {
        let held = pending.len();
        let wanted = (PIECE - held.min(PIECE)) as u64;
        reader.by_ref().take(wanted).read_to_end(&mut pending).map_err(failed)?;
        digest.update(&pending[held..]);
        let last = pending.len() < PIECE;
        if last {
            // Empty lines at the end are no rows.
            pending.truncate(pending.trim_ascii_end().len());
        }
        if pending.is_empty() {
            break;
        }
        let end = if last { pending.len() } else { end_of_lines(path, &pending, line)? };
        let piece = Piece { path, columns: &columns, bytes: &pending[..end], line };
        line += piece.read_into(&mut rows)?;
        pending.drain(..end);
    }
    rows.pair_up(path, baseline, |row| row + 2, digest.finish())
}

/// Where the last complete line ends.
fn end_of_lines(path: &Path, bytes: &[u8], line: usize) -> Result<usize, SourceError> {
    match bytes.iter().rposition(|&byte| byte == b'\n') {
        Some(at) => Ok(at + 1),
        None => Err(SourceError::Line {
            path: path.to_owned(),
            line,
            problem: "no line feed within 16 MiB; expected one measurement per line".to_owned(),
        }),
    }
}

/// Which field holds what.
struct Columns {
    /// Position in the file of each of [`COLUMNS`]; only `throttled` may be absent.
    places: [Option<usize>; 5],
    schema: SchemaRef,
}

impl Columns {
    fn parse(path: &Path, header: &[u8]) -> Result<Self, SourceError> {
        let error = |problem: String| SourceError::Header { path: path.to_owned(), problem };
        let text = std::str::from_utf8(header).map_err(|_| error("it is not UTF-8".to_owned()))?;
        let text = text.trim_start_matches('\u{feff}').trim_end();
        if text.is_empty() {
            return Err(error("the file starts with an empty line or is empty".to_owned()));
        }
        let mut places = [None; 5];
        let mut schema = Schema::default();
        for (place, name) in text.split(',').enumerate() {
            let name = name.trim().trim_matches('"');
            let Some(column) = COLUMNS.iter().position(|&known| known == name) else {
                return Err(error(format!(
                    "it has a column {:?}",
                    name.chars().take(40).collect::<String>()
                )));
            };
            if places[column].replace(place).is_some() {
                return Err(error(format!("it has the column {name} twice")));
            }
            let kind = if column == LATENCY { DataType::Float64 } else { DataType::String };
            schema.insert(name.into(), kind);
        }
        if let Some(missing) = (0..THROTTLED).find(|&column| places[column].is_none()) {
            return Err(error(format!("it has no column {}", COLUMNS[missing])));
        }
        Ok(Self { places, schema: Arc::new(schema) })
    }

    fn count(&self) -> usize {
        self.schema.len()
    }
}

/// Complete lines of the file.
struct Piece<'a> {
    path: &'a Path,
    columns: &'a Columns,
    bytes: &'a [u8],
    /// The number of the first line.
    line: usize,
}

impl Piece<'_> {
    /// Appends the rows; returns the number of lines.
    fn read_into(&self, rows: &mut Rows) -> Result<usize, SourceError> {
        let lines = self.bytes.iter().filter(|&&byte| byte == b'\n').count()
            + usize::from(self.bytes.last() != Some(&b'\n'));
        let frame = CsvReadOptions::default()
            .with_has_header(false)
            .with_schema(Some(self.columns.schema.clone()))
            .with_ignore_errors(true)
            .with_rechunk(true)
            .into_reader_with_file_handle(Cursor::new(self.bytes))
            .finish()
            .map_err(|error| self.misshapen(&error.to_string()))?;
        if frame.height() != lines {
            return Err(self.misshapen("a field spans several lines"));
        }
        let text = |column: usize| -> Result<&StringChunked, SourceError> {
            let found = frame.column(COLUMNS[column]).and_then(|c| c.str());
            found.map_err(|error| self.misshapen(&error.to_string()))
        };
        let (sessions, prompts, pipelines) = (text(SESSION)?, text(PROMPT)?, text(PIPELINE)?);
        let throttled = self.columns.places[THROTTLED].map(|_| text(THROTTLED)).transpose()?;
        let latencies = frame
            .column(COLUMNS[LATENCY])
            .and_then(|c| c.f64())
            .map_err(|error| self.misshapen(&error.to_string()))?;
        for row in 0..lines {
            let name = |values: &StringChunked, names: &mut Names, column| {
                let name = values.get(row).ok_or_else(|| self.bad(row, column, "a name"))?;
                Ok(names.number(name))
            };
            let numbers = (
                name(sessions, &mut rows.sessions, SESSION)?,
                name(prompts, &mut rows.prompts, PROMPT)?,
                name(pipelines, &mut rows.pipelines, PIPELINE)?,
            );
            let latency = latencies.get(row).filter(|ms| ms.is_finite() && *ms > 0.0);
            let latency =
                latency.ok_or_else(|| self.bad(row, LATENCY, "a positive number of milliseconds"))?;
            let throttled = match throttled.map(|values| values.get(row)) {
                None => false,
                Some(Some("1" | "true" | "True" | "TRUE")) => true,
                Some(Some("0" | "false" | "False" | "FALSE")) => false,
                Some(_) => return Err(self.bad(row, THROTTLED, "true, false, 1 or 0")),
            };
            rows.push(numbers, latency, throttled);
        }
        Ok(lines)
    }

    /// An error about one field, with the text that stands there.
    fn bad(&self, row: usize, column: usize, expected: &'static str) -> SourceError {
        let line = self.bytes.split(|&byte| byte == b'\n').nth(row).unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let place = self.columns.places[column].unwrap_or_default();
        let found = match line.trim_end().split(',').nth(place) {
            _ if line.trim().is_empty() => "an empty line".to_owned(),
            None => "nothing".to_owned(),
            Some("") => "an empty field".to_owned(),
            Some(field) => format!("{:?}", field.chars().take(60).collect::<String>()),
        };
        SourceError::Value {
            path: self.path.to_owned(),
            line: self.line + row,
            column: COLUMNS[column],
            expected,
            found,
        }
    }

    /// An error about the first line of another shape, or about the piece if none stands out.
    fn misshapen(&self, problem: &str) -> SourceError {
        let count = self.columns.count();
        for (row, line) in self.bytes.split(|&byte| byte == b'\n').enumerate() {
            let fields = line.split(|&byte| byte == b',').count();
            let blank = line.iter().all(u8::is_ascii_whitespace);
            let after_the_end = blank && row > 0 && self.bytes.split(|&b| b == b'\n').count() == row + 1;
            if after_the_end || (fields == count && !blank) || line.contains(&b'"') {
                continue;
            }
            let found = if blank { "an empty line".to_owned() } else { format!("{fields} field(s)") };
            return SourceError::Line {
                path: self.path.to_owned(),
                line: self.line + row,
                problem: format!("expected {count} fields, found {found}"),
            };
        }
        SourceError::Line {
            path: self.path.to_owned(),
            line: self.line,
            problem: format!("from here on: {problem}"),
        }
    }
}
