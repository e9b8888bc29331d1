//! Many runs as a static site: by day, by candidate, by machine, with lasting changes marked.

mod changes;
mod site;

pub use site::{HistoryRun, QuietDay, SiteFile, history};
