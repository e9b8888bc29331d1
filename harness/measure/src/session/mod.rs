//! One launch of a session, or of a block: from launching to the recorded end.

mod ask;
mod course;
mod launch;
mod run;
mod score;
mod turns;

pub(crate) use run::{Ended, run};
