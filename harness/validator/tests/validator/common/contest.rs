//! The contest that is held, and what a validator is told of it.

use std::path::Path;

use edgemaxx_validator::driver::{Role, Settings};
use edgemaxx_validator::policy::Policy;

pub(crate) const CONTEST: &str = r#"format = 1
name = "sim"
netuid = 39
[device]
kind = "cpu"
[request]
prompts = "p.txt"
width = 64
height = 64
[baseline]
checkpoint = "m"
generation = { steps = 20, guidance_scale = 5.0 }
[quality]
[score]
similarity = "ssim-gray"
similarity_exponent = 0.0
[rewards]
fallback = "owner"
"#;

/// Settings for `folder`.
pub(crate) fn settings(folder: &Path) -> Settings {
    Settings {
        netuid: 39,
        contest: CONTEST.to_owned(),
        days: folder.join("days"),
        publish: None,
        policy: Policy::default(),
        role: Role::Alone,
    }
}
