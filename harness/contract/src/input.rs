//! A value that somebody wrote into a file, with the place where it stands: what is wrong with it is said by line and
//! column, or by key.

use std::fmt;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// A value of a file, not yet looked into.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// The key it stands under, e.g. `baseline.generation`.
    field: String,
    source: Source<'a>,
}

#[derive(Debug, Clone)]
enum Source<'a> {
    /// In a file that people write.
    Toml {
        /// The whole file.
        file: &'a str,
        value: Spanned<DeValue<'a>>,
    },
    /// In a document of ours, or in a message.
    Json(&'a serde_json::Value),
}

/// A TOML file of which every value's place is known.
#[derive(Debug)]
pub(crate) struct TomlFile<'a> {
    text: &'a str,
    root: DeValue<'a>,
}

impl<'a> TomlFile<'a> {
    /// Reads a file's text.
    pub(crate) fn parse(text: &'a str) -> Result<Self, InputError> {
        let root = DeTable::parse(text).map_err(|error| in_file(error, text))?;
        Ok(Self { text, root: DeValue::Table(root.into_inner()) })
    }

    /// The value at `path`, which is called `field`.
    pub(crate) fn input(&self, field: impl Into<String>, path: &[&dyn Key]) -> Result<Input<'a>, InputError> {
        let field = field.into();
        let (mut value, mut found) = (&self.root, None);
        for key in path {
            found = key.of(value);
            value = found.ok_or_else(|| bad(&field, "a value", "none"))?.get_ref();
        }
        let value = found.ok_or_else(|| bad(&field, "a value", "none"))?.clone();
        Ok(Input { field, source: Source::Toml { file: self.text, value } })
    }
}

/// The name of a value in a table, or its place in an array.
pub(crate) trait Key {
    fn of<'v, 'a>(&self, value: &'v DeValue<'a>) -> Option<&'v Spanned<DeValue<'a>>>;
}

impl Key for &str {
    fn of<'v, 'a>(&self, value: &'v DeValue<'a>) -> Option<&'v Spanned<DeValue<'a>>> {
        value.get(*self)
    }
}

impl Key for usize {
    fn of<'v, 'a>(&self, value: &'v DeValue<'a>) -> Option<&'v Spanned<DeValue<'a>>> {
        value.get(*self)
    }
}

fn in_file(mut error: toml::de::Error, text: &str) -> InputError {
    error.set_input(Some(text));
    InputError::Toml(error)
}

/// A value that cannot be used; the caller adds the path.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Not TOML, an unknown or missing key, or a value of the wrong type; shows line and column.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// The same in JSON.
    #[error("{field}: {source}")]
    Json {
        /// The key, e.g. `requests[3].ask`.
        field: String,
        /// What the JSON reader says.
        source: serde_json::Error,
    },
    /// A value outside its range.
    #[error("{field}: expected {expected}, found {found}")]
    Value {
        /// The key, e.g. `measurement.sessions`.
        field: String,
        /// What would be accepted.
        expected: String,
        /// What was there.
        found: String,
    },
}

impl<'a> Input<'a> {
    /// A value of a JSON document.
    pub fn json(field: impl Into<String>, value: &'a serde_json::Value) -> Self {
        Self { field: field.into(), source: Source::Json(value) }
    }

    /// The key of a value inside of this one.
    pub fn key(&self, key: &str) -> String {
        if self.field.is_empty() { key.to_owned() } else { format!("{}.{key}", self.field) }
    }

    /// The value as `T` reads it.
    ///
    /// # Errors
    /// [`InputError::Toml`] or [`InputError::Json`].
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, InputError> {
        match &self.source {
            Source::Toml { file, value } => {
                T::deserialize(ValueDeserializer::from(value.clone())).map_err(|error| in_file(error, file))
            }
            Source::Json(value) => T::deserialize(*value)
                .map_err(|source| InputError::Json { field: self.field.clone(), source }),
        }
    }

    /// `value` of the key `key`, where it lies between `low` and `high`.
    ///
    /// # Errors
    /// [`InputError::Value`]; NaN is refused.
    pub fn within<T>(&self, key: &str, value: T, low: T, high: T) -> Result<T, InputError>
    where
        T: PartialOrd + fmt::Display + Copy,
    {
        within(&self.key(key), value, low, high)
    }

    /// What is wrong with the value of the key `key`.
    pub fn bad(&self, key: &str, expected: &str, found: impl fmt::Display) -> InputError {
        bad(self.key(key), expected, found)
    }
}

pub(crate) fn bad(field: impl Into<String>, expected: &str, found: impl fmt::Display) -> InputError {
    InputError::Value { field: field.into(), expected: expected.to_owned(), found: found.to_string() }
}

pub(crate) fn within<T: PartialOrd + fmt::Display + Copy>(
    field: &str,
    value: T,
    low: T,
    high: T,
) -> Result<T, InputError> {
    // Written so that NaN is refused.
    if value >= low && value <= high {
        return Ok(value);
    }
    Err(bad(field, &format!("a value from {low} to {high}"), value))
}
