//! The judge of texts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::metric::Model;
use edgemaxx_contract::quality::Judgement;
use edgemaxx_contract::task::text;
use serde_json::Value;

use super::detail::detail;
use super::metrics::{Texts, judgement};
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
        Ok(judgement(&Texts { ids, read: Some([&baseline, &candidate]) }))
    }

    fn pair(&self, pair: &Pair, known: &mut Known) -> Result<Judgement> {
        let ask: text::Ask = pair.ask.view()?;
        let sides = [&pair.baseline, &pair.answer];
        let [baseline, candidate] = sides.map(tokens);
        let (baseline, candidate) = (baseline?, candidate?);
        let Some(reader) = &self.reader else {
            return Ok(judgement(&Texts { ids: [&baseline, &candidate], read: None }));
        };
        let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        for (side, ids) in sides.into_iter().zip([&baseline, &candidate]) {
            let key = (pair.request, side.digest);
            if let std::collections::btree_map::Entry::Vacant(e) = known.entry(key) {
                e.insert(reader.read(&ask, ids)?);
            }
        }
        let [of_baseline, of_candidate] = sides.map(|side| &known[&(pair.request, side.digest)]);
        let read = Some([of_baseline, of_candidate]);
        let mut found = judgement(&Texts { ids: [&baseline, &candidate], read });
        found.detail = detail(&reader.vocabulary, [(&baseline, of_baseline), (&candidate, of_candidate)])?;
        Ok(found)
    }
}

/// The tokens of a file, and its bytes.
fn open(path: &Path) -> Result<(Vec<u32>, Vec<u8>)> {
    let bytes = std::fs::read(path).map_err(|source| QualityError::Read { path: path.to_owned(), source })?;
    let ids = serde_json::from_slice(&bytes).map_err(|error| QualityError::Settings {
        path: path.to_owned(),
        problem: format!("expected a list of tokens: {error}"),
    })?;
    Ok((ids, bytes))
}

/// The tokens of an answer, which is the one recorded.
fn tokens(artefact: &Artefact) -> Result<Vec<u32>> {
    Ok(checked(artefact)?.0)
}

fn checked(artefact: &Artefact) -> Result<(Vec<u32>, Vec<u8>)> {
    let (ids, bytes) = open(&artefact.path)?;
    let (found, recorded) = (Digest::of(&bytes), artefact.digest);
    if found != recorded {
        return Err(QualityError::Exchanged { path: artefact.path.clone(), found, recorded });
    }
    Ok((ids, bytes))
}

impl Judge for TextJudge {
    /// There are none: every token was looked at.
    fn draw_views(&self, _: Digest) -> Vec<Value> {
        Vec::new()
    }

    fn read(&self, artefact: &Artefact) -> Result<Vec<u8>> {
        Ok(checked(artefact)?.1)
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
        let (a, b) = (open(a)?.0, open(b)?.0);
        Ok(judgement(&Texts { ids: [&a, &b], read: None }))
    }
}
