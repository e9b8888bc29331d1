//! The pages of a day, made of its files in this process.

use std::path::Path;

use edgemaxx_run::stage::report::report_day;
use edgemaxx_validator::world::Pages;

/// Renders what the day's folder holds.
pub(crate) struct Rendered;

impl Pages for Rendered {
    fn write(&mut self, folder: &Path) -> Result<(), String> {
        report_day(folder).map_err(|error| error.words())
    }
}
