//! Files that are on the disk as a whole, or not at all; text, folders and digests, read within limits.

#![forbid(unsafe_code)]

mod digests;
mod text;
mod walk;
mod whole;

pub use digests::{FileError, file_digest, folder_digest};
pub use text::{MOST_TEXT, open_plain, read_text, read_text_of};
pub use walk::{Bounds, FoundFile, WalkError, boundary, files_of, is_clutter};
pub use whole::{WholeFile, is_full, write_whole};
