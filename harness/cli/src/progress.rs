//! Progress: a bar with the time left on a terminal, plain lines elsewhere.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use edgemaxx_contract::shown_text::line;
use edgemaxx_run::{Observer, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::ctrl_c;
use crate::terminal::{note, watched};

/// Between two plain lines.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// One stage's progress.
pub(crate) struct Bar {
    bar: ProgressBar,
    stage: &'static str,
    total: u64,
    done: u64,
    /// Steps done by an earlier, interrupted run; they say nothing about this one's pace.
    skipped: u64,
    doing: String,
    began: Instant,
    last_line: Instant,
    watched: bool,
}

impl Bar {
    /// Begins a stage of `total` steps.
    pub(crate) fn begin(stage: &'static str, total: u64) -> Self {
        let watched = watched();
        let target = if watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) =
            ProgressStyle::with_template("{prefix:>9} [{bar:30}] {pos}/{len}  {elapsed} elapsed{wide_msg}")
        {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar.set_prefix(stage);
        if watched {
            bar.enable_steady_tick(Duration::from_millis(250));
        } else {
            note(&format!("{stage}: {total} to do"));
        }
        let now = Instant::now();
        Self {
            bar,
            stage,
            total,
            done: 0,
            skipped: 0,
            doing: String::new(),
            began: now,
            last_line: now,
            watched,
        }
    }

    /// The time left at this stage's pace so far, in words; empty before the first step.
    fn left(&self) -> String {
        let measured = self.done - self.skipped;
        if measured == 0 {
            return String::new();
        }
        let left = self.began.elapsed().as_secs_f64() / measured as f64
            * self.total.saturating_sub(self.done) as f64;
        format!(", about {} left", indicatif::HumanDuration(Duration::from_secs_f64(left.ceil())))
    }

    fn show(&mut self) {
        self.bar.set_position(self.done);
        let left = self.left();
        self.bar.set_message(format!("{left}  {}", self.doing));
        if !self.watched && self.last_line.elapsed() >= PLAIN_INTERVAL {
            self.last_line = Instant::now();
            note(&format!("{}: {}/{}{left}  {}", self.stage, self.done, self.total, self.doing));
        }
    }
}

impl Progress for Bar {
    fn doing(&mut self, what: &str) {
        self.doing = line(what);
        self.show();
    }

    fn skip(&mut self, steps: u64) {
        self.done += steps;
        self.skipped += steps;
        self.show();
    }

    fn advance(&mut self, steps: u64) {
        self.done += steps;
        self.show();
    }

    fn line(&self, text: &str) {
        if self.watched { self.bar.println(line(text)) } else { note(text) }
    }

    fn end(self: Box<Self>, summary: &str) {
        self.bar.finish_and_clear();
        note(&format!("{}: {summary}", self.stage));
    }
}

/// The person before the terminal.
pub(crate) struct Terminal;

impl Observer for Terminal {
    fn note(&self, text: &str) {
        note(text);
    }

    fn begin(&self, stage: &'static str, total: u64) -> Box<dyn Progress> {
        Box::new(Bar::begin(stage, total))
    }

    /// Set by Ctrl-C, whatever is measured; the second one ends the program.
    fn interrupt(&self) -> Arc<AtomicBool> {
        ctrl_c::asked("the request in flight")
    }
}
