//! The pages of a day, made of its files in this process.

use std::path::Path;

use edgemaxx_validator::world::Pages;

use crate::stage::report::report_day;

/// Renders what the day's folder holds.
pub struct Rendered;

impl Pages for Rendered {
    fn write(&mut self, folder: &Path) -> Result<(), String> {
        report_day(folder).map_err(|error| error.words())
    }
}
