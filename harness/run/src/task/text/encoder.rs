//! What turns prompts into tokens: the baseline's tokenizer, or what a plan says that it made of them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use edgemaxx_candle::llama::Vocabulary;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::task::{Encoder, text};

use crate::error::{Result, RunError};

/// The tokenizer of a checkpoint.
pub struct Tokenizer(Vocabulary);

impl Tokenizer {
    /// That of the checkpoint in a folder.
    ///
    /// # Errors
    /// It has none, or one that cannot be read here.
    pub fn open(folder: &Path) -> Result<Self> {
        Vocabulary::open(folder).map(Self).map_err(|error| RunError::input(error.to_string()))
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokenizer of {} entries", self.0.size)
    }
}

impl Encoder for Tokenizer {
    fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        self.0.tokenizer.encode(text).map_err(|error| error.to_string())
    }

    fn ends(&self) -> Vec<u32> {
        self.0.ends.clone()
    }

    fn size(&self) -> u32 {
        self.0.size
    }

    fn largest(&self) -> u32 {
        self.0.tokenizer.largest
    }
}

/// The tokens that a plan holds of its prompts: where the baseline is not here, everything else of the plan can be drawn
/// again with them.
#[derive(Debug)]
pub struct Recalled {
    ids: BTreeMap<String, Vec<u32>>,
    ends: Vec<u32>,
    size: u32,
}

impl Recalled {
    /// Those of a plan.
    ///
    /// # Errors
    /// It is another task's.
    pub fn of(plan: &Plan) -> Result<Self> {
        let mut recalled = Self { ids: BTreeMap::new(), ends: Vec::new(), size: 0 };
        for request in &plan.requests {
            let ask: text::Ask = request.ask.view()?;
            (recalled.ends, recalled.size) = (ask.end_ids, ask.vocabulary);
            recalled.ids.insert(ask.prompt, ask.prompt_ids);
        }
        Ok(recalled)
    }
}

impl Encoder for Recalled {
    fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        self.ids.get(text).cloned().ok_or_else(|| format!("the plan has no tokens of {text:?}"))
    }

    fn ends(&self) -> Vec<u32> {
        self.ends.clone()
    }

    fn size(&self) -> u32 {
        self.size
    }

    fn largest(&self) -> u32 {
        self.ids.values().flatten().chain(&self.ends).copied().max().unwrap_or(0)
    }
}
