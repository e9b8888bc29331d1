//! The judge of texts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::metric::Model;
use edgemaxx_contract::quality::{Judgement, Sides};
use edgemaxx_contract::task::text::{self, Scores};
use serde_json::Value;

use super::detail::detail;
use super::metric_functions::{Said, Texts, judgement};
use super::reader::{Read, Reader};
use crate::error::{QualityError, Result};
use crate::judge::{Artefact, Judge, Pair};

/// Judges texts.
#[derive(Default)]
pub struct TextJudge {
    reader: Option<Mutex<Reader>>,
}

/// What the model said of an answer to a request, kept while pairs are judged: sides that said the same are read once.
type Known = BTreeMap<(u32, Digest), Read>;

impl TextJudge {
    /// With the baseline's checkpoint, where it is in these folders.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub fn load(models: &BTreeMap<Model, PathBuf>) -> Result<Self> {
        let reader = models.get(&Model::Baseline).map(|folder| Reader::load(folder)).transpose()?;
        Ok(Self { reader: reader.map(Mutex::new) })
    }

    /// What the metrics say of two answers to a request, the first of them the baseline's.
    ///
    /// # Errors
    /// The model cannot read one of them.
    pub fn of(reader: &mut Reader, ask: &text::Ask, ids: [&[u32]; 2]) -> Result<Judgement> {
        let [baseline, candidate] = [reader.read(ask, ids[0])?, reader.read(ask, ids[1])?];
        Ok(judgement(&Texts { ids, read: Some([&baseline, &candidate]), said: None }))
    }

    fn pair(&self, pair: &Pair, known: &mut Known) -> Result<Judgement> {
        let ask: text::Ask = pair.ask.view()?;
        let sides = [&pair.baseline, &pair.answer];
        let [baseline, candidate] = sides.map(tokens);
        let (baseline, candidate) = (baseline?, candidate?);
        let scores = match &pair.scores {
            Some([own, other]) => Some([lists(own)?, lists(other)?]),
            None => None,
        };
        let own_choices =
            scores.as_ref().and_then(|scores| own_choices(&ask, [&baseline, &candidate], scores));
        let Some(reader) = &self.reader else {
            let said = scores.map(|_| Said { divergence: None, own_choices });
            return Ok(judgement(&Texts { ids: [&baseline, &candidate], read: None, said }));
        };
        let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = sides.map(|side| (pair.request, side.digest));
        let mut said = None;
        if let Some([own, other]) = &scores {
            let (read, [baseline, candidate]) = reader.read_scored(&ask, &baseline, [own, other])?;
            known.insert(keys[0], read);
            said = Some(Said { divergence: Some(Sides { baseline, candidate }), own_choices });
        }
        for (key, ids) in keys.into_iter().zip([&baseline, &candidate]) {
            if let std::collections::btree_map::Entry::Vacant(e) = known.entry(key) {
                e.insert(reader.read(&ask, ids)?);
            }
        }
        let [of_baseline, of_candidate] = keys.map(|key| &known[&key]);
        let read = Some([of_baseline, of_candidate]);
        let mut found = judgement(&Texts { ids: [&baseline, &candidate], read, said });
        found.detail = detail(&reader.vocabulary, [(&baseline, of_baseline), (&candidate, of_candidate)])?;
        Ok(found)
    }
}

/// What each side's own scores put first of what it chose itself: of the baseline everything, of the candidate what it chose
/// where it had said the same until then. Chosen is what comes first where nothing is sampled.
fn own_choices(ask: &text::Ask, [baseline, candidate]: [&[u32]; 2], scores: &[Scores; 2]) -> Option<Sides> {
    if ask.decoding != text::AskedDecoding::Greedy {
        return None;
    }
    let same = baseline.iter().zip(candidate).take_while(|(own, other)| own == other).count();
    let known = &candidate[..candidate.len().min(same + 1)];
    let [own, other] = scores;
    Some(Sides { baseline: own.own_choices(baseline)?, candidate: other.own_choices(known)? })
}

fn open(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| QualityError::Read { path: path.to_owned(), source })
}

/// The bytes of what was kept, which are those that were recorded.
fn checked(artefact: &Artefact) -> Result<Vec<u8>> {
    let bytes = open(&artefact.path)?;
    let (found, recorded) = (Digest::of(&bytes), artefact.digest);
    if found != recorded {
        return Err(QualityError::Exchanged { path: artefact.path.clone(), found, recorded });
    }
    Ok(bytes)
}

fn parsed<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8], what: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| QualityError::Settings {
        path: path.to_owned(),
        problem: format!("expected {what}: {error}"),
    })
}

const TOKENS: &str = "a list of tokens";

/// The tokens of an answer.
fn tokens(artefact: &Artefact) -> Result<Vec<u32>> {
    parsed(&artefact.path, &checked(artefact)?, TOKENS)
}

/// What was said of an answer.
fn lists(artefact: &Artefact) -> Result<Scores> {
    parsed(&artefact.path, &checked(artefact)?, "lists of tokens, each with its logarithm")
}

impl Judge for TextJudge {
    /// There are none: every token was looked at.
    fn draw_views(&self, _: Digest) -> Vec<Value> {
        Vec::new()
    }

    fn read(&self, artefact: &Artefact) -> Result<Vec<u8>> {
        checked(artefact)
    }

    fn judge(&self, pairs: &[Pair], _: &[Value], done: &(dyn Fn() + Sync)) -> Result<Vec<Judgement>> {
        let mut known = Known::new();
        let judge = |pair: &Pair| {
            let found = self.pair(pair, &mut known);
            done();
            found
        };
        pairs.iter().map(judge).collect()
    }

    fn compare(&self, a: &Path, b: &Path, _: Option<&str>) -> Result<Judgement> {
        let ids = |path: &Path| parsed::<Vec<u32>>(path, &open(path)?, TOKENS);
        Ok(judgement(&Texts { ids: [&ids(a)?, &ids(b)?], read: None, said: None }))
    }
}
