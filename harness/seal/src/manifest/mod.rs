//! `manifest.json`: what a sealed run consists of, the day before it, who answers for it; sealing and checking.

mod check;
mod document;
mod error;
mod folder;
mod seal;

pub use check::{check_file, check_files, check_previous, check_signature, is_of_a_run};
pub use document::{MANIFEST_FILE, MOST_MANIFEST, Manifest, PreviousDay, SealedFile, Signature};
pub use error::SealError;
pub use folder::{publish, read, sealed_days};
pub use seal::seal;
