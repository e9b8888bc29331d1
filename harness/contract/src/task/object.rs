//! What a task knows of a request, a pipeline's settings: JSON objects that only the task has
//! looked into.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::input::{Input, InputError};

/// A JSON object whose keys are sorted at every depth: equal objects give equal bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Object(BTreeMap<String, Value>);

impl Object {
    /// The object that `value` is in JSON.
    ///
    /// # Errors
    /// [`InputError`]: it is no object.
    pub fn of(value: &impl Serialize) -> Result<Self, InputError> {
        let error = |source| InputError::Json { field: "task".to_owned(), source };
        let value = serde_json::to_value(value).map_err(error)?;
        let object: BTreeMap<String, Value> = serde_json::from_value(value).map_err(error)?;
        Ok(Self(object.into_iter().map(|(key, value)| (key, sorted(value))).collect()))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// All keys and values, in the order of keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This object with what `other` holds instead of, or beside, its own.
    pub fn replaced_by(&self, other: &Self) -> Self {
        Self(self.0.iter().chain(&other.0).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    /// The object as a JSON value.
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

impl<'a> FromIterator<(&'a str, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (&'a str, Value)>>(items: I) -> Self {
        Self(items.into_iter().map(|(key, value)| (key.to_owned(), sorted(value))).collect())
    }
}

/// A value whose objects are filled in the order of their keys, whatever order serde_json keeps.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let map: BTreeMap<String, Value> = map.into_iter().collect();
            Value::Object(map.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// One newtype for each role; only [`super::TaskRef`] makes them, from what its task has checked.
macro_rules! checked {
    ($($(#[$doc:meta])* $name:ident, $field:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(Object);

        impl $name {
            pub(super) fn checked(object: Object) -> Self {
                Self(object)
            }

            /// The object itself.
            pub fn object(&self) -> &Object {
                &self.0
            }

            /// The task's own type of it.
            ///
            /// # Errors
            /// [`InputError`]: it is another task's.
            pub fn view<T: DeserializeOwned>(&self) -> Result<T, InputError> {
                Input::json($field, &self.0.to_value()).read()
            }
        }
    )*};
}

checked! {
    /// What every request of a contest shares.
    RequestSpec, "request";
    /// The settings of a pipeline, complete.
    Settings, "settings";
    /// The settings in which a pipeline differs from the baseline.
    SettingsPatch, "settings";
    /// What one request asks.
    Ask, "ask";
}

impl RequestSpec {
    /// The file that what is asked is taken from, relative to the contest file.
    pub fn prompts(&self) -> &str {
        self.0.get("prompts").and_then(Value::as_str).unwrap_or_default()
    }
}

impl Default for SettingsPatch {
    /// No difference.
    fn default() -> Self {
        Self(Object::default())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_objects_give_equal_bytes() {
        let one = Object::of(&json!({"b": {"d": 1, "c": [{"z": 1.0, "y": 2}]}, "a": null})).unwrap();
        let other = Object::of(&json!({"a": null, "b": {"c": [{"y": 2, "z": 1.0}], "d": 1}})).unwrap();
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(text, r#"{"a":null,"b":{"c":[{"y":2,"z":1.0}],"d":1}}"#);
        assert_eq!(serde_json::to_string(&other).unwrap(), text);
        assert!(Object::of(&json!([1])).is_err());
    }
}
