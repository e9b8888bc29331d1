//! How many threads the built-in engine computes with.

use std::fmt::Display;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

/// As many as are asked for, one at least; as there are processors for this process where nobody asks.
pub(crate) fn count(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
}

/// A pool of so many.
pub(crate) fn pool(asked: Option<usize>) -> Result<ThreadPool> {
    let count = count(asked);
    ThreadPoolBuilder::new().num_threads(count).build().map_err(|error| refused(count, error))
}

/// The system does not grant them.
pub(crate) fn refused(count: usize, error: impl Display) -> Error {
    let expected = format!("a number of threads the system grants ({error})");
    Error::Request { field: "threads", found: count.to_string(), expected }
}
