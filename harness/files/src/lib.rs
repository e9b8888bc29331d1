//! Files that are on the disk as a whole, or not at all; the whole lines of logs; text, folders and digests, read within limits.

#![forbid(unsafe_code)]

mod digests;
mod text;
mod walk;
mod whole_file;
mod whole_lines;

pub use digests::{FileError, file_digest, folder_digest};
pub use text::{MOST_TEXT, open_plain, read_text, read_text_of};
pub use walk::{Bounds, FoundFile, WalkError, boundary, files_of, is_clutter};
pub use whole_file::{WholeFile, is_full, write_whole};
pub use whole_lines::read_whole_lines;
