//! Files that are on the disk as a whole, or not at all; and digests of files and folders.

#![forbid(unsafe_code)]

mod digests;
mod whole;

pub use digests::{FileError, file_digest, folder_digest};
pub use whole::{WholeFile, is_full, write_whole};
