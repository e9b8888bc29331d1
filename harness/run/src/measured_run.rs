//! A run that was measured and judged, read as a whole to be compared with another.

use std::path::Path;

use edgemaxx_analyze::telemetry::Derived;
use edgemaxx_analyze::{ComparableRun, Evidence};
use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::quality::QualityLog;
use edgemaxx_contract::run_files::{ESTIMATES_FILE, RANKING_FILE};
use edgemaxx_contract::sample::Log;

use crate::error::Result;
use crate::folder::RunFolder;

/// A run, read.
#[derive(Debug)]
pub struct MeasuredRun {
    label: String,
    contest: Contest,
    plan: Plan,
    log: Log,
    telemetry: Option<Derived>,
    quality: QualityLog,
    quality_digest: Digest,
    environment: Environment,
}

impl MeasuredRun {
    /// Reads what a comparison needs of the run in `path`.
    ///
    /// # Errors
    /// A file is missing, cannot be read, or rests on another.
    pub fn read(path: &Path) -> Result<Self> {
        let folder = RunFolder::open(path)?;
        let plan = folder.plan()?;
        let (log, telemetry) = folder.samples_with_telemetry(&plan)?;
        let (quality, quality_digest) = folder.quality(&plan, &log)?;
        // A comparison must not contradict what the run says of itself.
        if folder.holds(ESTIMATES_FILE) {
            folder.estimates(&plan, &log, quality_digest)?;
        }
        if folder.holds(RANKING_FILE) {
            folder.ranking()?;
        }
        let name = path.canonicalize().ok().and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned()));
        Ok(Self {
            label: name.unwrap_or_else(|| path.display().to_string()),
            contest: folder.contest(&plan)?,
            quality,
            quality_digest,
            environment: folder.environment(&plan)?,
            plan,
            log,
            telemetry,
        })
    }

    /// The run as it is compared.
    pub fn comparable(&self) -> ComparableRun<'_> {
        ComparableRun {
            label: &self.label,
            evidence: Evidence {
                contest: &self.contest,
                plan: &self.plan,
                log: &self.log,
                quality: &self.quality,
                quality_digest: self.quality_digest,
                environment: Some(&self.environment),
                telemetry: self.telemetry.as_ref(),
            },
            environment: &self.environment,
        }
    }
}
