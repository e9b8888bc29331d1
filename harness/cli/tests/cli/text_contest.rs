//! Contests of texts for tests, written to a file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::repository;

/// A contest of the tiny story-teller, of which a test says what it is about.
pub(crate) struct TextContest<'a> {
    pub(crate) name: &'a str,
    pub(crate) prompts: &'a str,
    /// Lines of `[request]` beside the prompts, and its strata.
    pub(crate) request: &'a str,
    pub(crate) model: String,
    /// Lines of `[baseline]` beside the checkpoint.
    pub(crate) baseline: &'a str,
    pub(crate) candidates: &'a str,
    pub(crate) pairs: u32,
    pub(crate) warmups: u32,
    /// More lines of `[measurement]`.
    pub(crate) measurement: &'a str,
    pub(crate) class: &'a str,
    /// Tables behind it.
    pub(crate) more: &'a str,
}

impl Default for TextContest<'_> {
    fn default() -> Self {
        Self {
            name: "stories",
            prompts: "prompts/stories-v1.txt",
            request: "",
            model: path("fixtures/models/stories-llama"),
            baseline: "generation = { weights = \"f32\" }",
            candidates: "",
            pairs: 5,
            warmups: 1,
            measurement: "",
            class: "4-bit",
            more: "",
        }
    }
}

impl TextContest<'_> {
    /// Writes it, and says where.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let Self {
            name, request, model, baseline, candidates, pairs, warmups, measurement, class, more, ..
        } = self;
        let prompts = path(self.prompts);
        let text = format!(
            r#"
format = 1
name = "{name}"
task = "text"
[device]
kind = "cpu"
[request]
prompts = "{prompts}"
{request}
[baseline]
checkpoint = "{model}"
{baseline}
{candidates}
[measurement]
sessions = 3
pairs = {pairs}
warmup_min = 1
warmup_max = {warmups}
load_timeout_s = 300
request_timeout_s = 300
{measurement}
[quality]
class = "{class}"
{more}
"#
        );
        let path = folder.join("contest.toml");
        fs::write(&path, text).unwrap();
        path
    }
}

/// A file or folder of the repository, as contests name it.
pub(crate) fn path(relative: &str) -> String {
    repository(relative).canonicalize().unwrap().display().to_string()
}
