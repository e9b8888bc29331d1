//! What a build without some of its features says.

use crate::error::{Class, RunError};

/// That `what` needs a feature that this build was made without.
pub fn left_out(what: &str, feature: &str) -> RunError {
    let message = format!(
        "{what}: left out of this build; build EdgeMaxx with its default features, or with --features {feature}"
    );
    RunError::of(Class::Environment, message)
}
