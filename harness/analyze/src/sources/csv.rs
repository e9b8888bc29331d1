//! `session,request,pipeline,latency_ms[,throttled]`, read row by row; `request` may be called by its [`OTHER_NAME`].

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use csv::{ErrorKind, ReaderBuilder, StringRecord};
use edgemaxx_contract::digest::DigestBuilder;
use edgemaxx_contract::utf8::{EncodingError, is_utf16};

use super::error::SourceError;
use super::rows::{Rows, possible};
use crate::samples::SampleTable;

/// A longer line is no measurement.
const LONGEST_LINE: usize = 1 << 20;

const COLUMNS: [&str; 5] = ["session", "request", "pipeline", "latency_ms", "throttled"];
/// What `request` was called before there was more than one task.
const OTHER_NAME: &str = "prompt";
const SESSION: usize = 0;
const REQUEST: usize = 1;
const PIPELINE: usize = 2;
const LATENCY: usize = 3;
const THROTTLED: usize = 4;

pub(super) fn read(path: &Path, baseline: Option<&str>) -> Result<SampleTable, SourceError> {
    let file = File::open(path).map_err(|source| SourceError::Read { path: path.to_owned(), source })?;
    let watched = Watched { file, digest: DigestBuilder::default(), line: 0, begun: false };
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(1 << 20)
        .from_reader(watched.chain(b"\n".as_slice()));
    let mut record = StringRecord::new();
    let failed = |error: csv::Error| misread(path, error);
    reader.read_record(&mut record).map_err(failed)?;
    let columns = Columns::parse(path, &record)?;
    let mut rows = Rows::default();
    while reader.read_record(&mut record).map_err(failed)? {
        // The reader stands behind the record's last line, which is closed even at the end of the
        // file; where it stood before says nothing, since it skips empty lines.
        let inside = record.as_slice().bytes().filter(|&byte| byte == b'\n').count() as u64;
        let line = reader.position().line() - 1 - inside;
        Row { path, columns: &columns, record: &record, line }.push_to(&mut rows)?;
    }
    rows.pair_up(path, baseline, reader.into_inner().into_inner().0.digest.finish())
}

/// Keeps the digest of what is read, and stops at lines without end and at UTF-16.
struct Watched {
    file: File,
    digest: DigestBuilder,
    /// Bytes of the current line so far.
    line: usize,
    begun: bool,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        if !std::mem::replace(&mut self.begun, true) && is_utf16(&buffer[..count]) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, EncodingError::Utf16));
        }
        self.digest.update(&buffer[..count]);
        self.line = match buffer[..count].iter().rposition(|&byte| byte == b'\n') {
            Some(at) => count - at - 1,
            None => self.line + count,
        };
        if self.line > LONGEST_LINE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a line is longer than 1 MiB; expected one measurement per line",
            ));
        }
        Ok(count)
    }
}

fn misread(path: &Path, error: csv::Error) -> SourceError {
    let path = path.to_owned();
    let line = error.position().map_or(0, csv::Position::line) as usize;
    match error.into_kind() {
        ErrorKind::Io(source) => SourceError::Read { path, source },
        ErrorKind::Utf8 { .. } => SourceError::Line { path, line, problem: "expected UTF-8 text".to_owned() },
        other => SourceError::Line { path, line, problem: format!("{other:?}") },
    }
}

/// Which field holds what.
struct Columns {
    /// Position in the file of each of [`COLUMNS`]; only `throttled` may be absent.
    places: [Option<usize>; 5],
    count: usize,
}

impl Columns {
    fn parse(path: &Path, header: &StringRecord) -> Result<Self, SourceError> {
        let error = |problem: String| SourceError::Header { path: path.to_owned(), problem };
        if header.iter().all(|name| name.trim().is_empty()) {
            return Err(error("the file is empty".to_owned()));
        }
        let mut places = [None; 5];
        for (place, name) in header.iter().enumerate() {
            let name = name.trim_start_matches('\u{feff}').trim();
            let meant = if name == OTHER_NAME { COLUMNS[REQUEST] } else { name };
            let Some(column) = COLUMNS.iter().position(|&known| known == meant) else {
                return Err(error(format!(
                    "it has a column {:?}",
                    name.chars().take(40).collect::<String>()
                )));
            };
            if places[column].replace(place).is_some() {
                return Err(error(format!("it has the column {} twice", COLUMNS[column])));
            }
        }
        if let Some(missing) = (0..THROTTLED).find(|&column| places[column].is_none()) {
            return Err(error(format!("it has no column {}", COLUMNS[missing])));
        }
        Ok(Self { places, count: header.len() })
    }
}

/// One row of the file.
struct Row<'a> {
    path: &'a Path,
    columns: &'a Columns,
    record: &'a StringRecord,
    line: u64,
}

impl Row<'_> {
    fn push_to(&self, rows: &mut Rows) -> Result<(), SourceError> {
        if self.record.len() != self.columns.count {
            return Err(SourceError::Line {
                path: self.path.to_owned(),
                line: self.line as usize,
                problem: format!(
                    "expected {} fields, found {} field(s)",
                    self.columns.count,
                    self.record.len()
                ),
            });
        }
        let name = |column| match self.field(column) {
            "" => Err(self.bad(column, "a name")),
            // Shown, it could not be told from the name without them.
            name if name.trim() != name => Err(self.bad(column, "a name without blanks around it")),
            name => Ok(name),
        };
        let names = (
            rows.sessions.number(name(SESSION)?),
            rows.requests.number(name(REQUEST)?),
            rows.pipelines.number(name(PIPELINE)?),
        );
        let latency = self.field(LATENCY).trim().parse().ok().and_then(possible);
        let latency =
            latency.ok_or_else(|| self.bad(LATENCY, "a positive number of milliseconds, at most 1e12"))?;
        let throttled = match self.columns.places[THROTTLED].map(|_| self.field(THROTTLED)) {
            None | Some("0" | "false" | "False" | "FALSE") => false,
            Some("1" | "true" | "True" | "TRUE") => true,
            Some(_) => return Err(self.bad(THROTTLED, "true, false, 1 or 0")),
        };
        rows.push(names, latency, throttled, self.line as u32);
        Ok(())
    }

    fn field(&self, column: usize) -> &str {
        self.columns.places[column].and_then(|place| self.record.get(place)).unwrap_or_default()
    }

    /// An error about one field, with the text that stands there.
    fn bad(&self, column: usize, expected: &'static str) -> SourceError {
        let found = match self.field(column) {
            "" => "an empty field".to_owned(),
            field => format!("{:?}", field.chars().take(60).collect::<String>()),
        };
        SourceError::Value {
            path: self.path.to_owned(),
            line: self.line as usize,
            column: COLUMNS[column],
            expected,
            found,
        }
    }
}
