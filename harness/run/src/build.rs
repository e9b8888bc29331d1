//! How this EdgeMaxx was built, as its build script found it.

use edgemaxx_contract::environment::Build;

const COMMIT: &str = env!("EDGEMAXX_BUILD_COMMIT");
const PROFILE: &str = env!("EDGEMAXX_BUILD_PROFILE");
const RUSTC: &str = env!("EDGEMAXX_BUILD_RUSTC");
const FEATURES: &str = env!("EDGEMAXX_BUILD_FEATURES");

/// Version, commit, profile, compiler, and the parts that may be left out and are there: what `--version` prints.
pub const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit: ",
    env!("EDGEMAXX_BUILD_COMMIT"),
    "\nprofile: ",
    env!("EDGEMAXX_BUILD_PROFILE"),
    "\ncompiler: ",
    env!("EDGEMAXX_BUILD_RUSTC"),
    "\nfeatures: ",
    env!("EDGEMAXX_BUILD_FEATURES"),
);

/// The same for `environment.json`.
pub fn build() -> Build {
    Build {
        commit: COMMIT.to_owned(),
        profile: PROFILE.to_owned(),
        rustc: RUSTC.to_owned(),
        features: FEATURES.split_whitespace().map(str::to_owned).collect(),
    }
}
