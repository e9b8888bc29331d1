//! What a task says, as JSON and as types.

use edgemaxx_protocol::Object;
use serde::Deserialize;
use serde_json::Value;

/// An object of these fields.
pub fn object<const N: usize>(fields: [(&str, Value); N]) -> Object {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// An object as a type; fields that the type does not know are ignored.
///
/// # Errors
/// In words: `what` lacks a field, or a field is of another type.
pub fn parse<'a, T: Deserialize<'a>>(what: &str, object: &'a Object) -> Result<T, String> {
    T::deserialize(object).map_err(|error| format!("{what}: {error}"))
}
