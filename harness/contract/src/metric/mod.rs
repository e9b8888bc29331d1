//! What answers are judged by: the table of all metrics, how documents name them, and the gates on them.

mod by_name;
mod class;
mod gate;
mod table;

pub(crate) use by_name::also;
pub use by_name::{Metric, UnknownMetric};
pub use class::{CLASSES, Class};
pub use gate::{Gate, Statistic};
pub use table::{Direction, Entry, Model, TABLE, Unit};
