//! The records of `telemetry.jsonl`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::format::{FITS, Format};
use crate::plan::Side;

/// One line of `telemetry.jsonl`.
///
/// Times (`at_ns`) are on the clock of [`crate::sample::Attempt::started_ns`], which starts anew
/// with each execution of `measure`; a [`TelemetryStart`] heads each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum TelemetryRecord {
    /// The first line.
    Header(TelemetryHeader),
    /// An execution begins.
    Start(TelemetryStart),
    /// What one GPU does.
    Gpu(GpuReading),
    /// What the machine's processors do.
    Host(HostReading),
    /// What an engine's processes use.
    Tree(TreeReading),
    /// An execution ends, not by a crash.
    End(TelemetryEnd),
}

impl TelemetryRecord {
    /// Its line in the file.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect(FITS) + "\n"
    }
}

/// What the file belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TelemetryHeader {
    /// `edgemaxx-telemetry`.
    #[serde(flatten)]
    pub format: Format,
    /// Digest of the plan that is executed.
    pub plan: Digest,
    /// Time between two readings, milliseconds; longer where reading takes long.
    pub period_ms: u64,
    /// GPUs that are watched.
    pub devices: Vec<GpuDevice>,
}

/// A GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GpuDevice {
    /// Number by PCI bus, from 0.
    pub index: u32,
    /// As the driver names it.
    pub name: String,
    /// The driver's version.
    pub driver: String,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Power it is allowed to draw, milliwatts.
    pub power_limit_mw: Option<u32>,
}

/// An execution of `measure` begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TelemetryStart {
    /// Lines that `samples.jsonl` then held, its header included: later ones are of this execution.
    pub lines: u64,
}

/// What one GPU does at one moment. What the driver does not tell is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GpuReading {
    /// When, nanoseconds.
    pub at_ns: u64,
    /// [`GpuDevice::index`].
    pub device: u32,
    /// Clock of its multiprocessors, MHz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sm_mhz: Option<u32>,
    /// Clock of its memory, MHz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mhz: Option<u32>,
    /// Power drawn, milliwatts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_mw: Option<u32>,
    /// Energy drawn since the driver was loaded, millijoules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_mj: Option<u64>,
    /// Temperature, °C.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<u32>,
    /// Share of the last moments in which anything ran on it, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_percent: Option<u32>,
    /// Memory in use, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_used_bytes: Option<u64>,
    /// Why its clocks are lower than they could be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub throttle: Vec<Throttle>,
    /// Who uses it, read in some of the readings; absent: not read, or the driver does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Vec<GpuProcess>>,
}

/// Processes of one owner on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GpuProcess {
    /// Whose.
    pub owner: Owner,
    /// Memory they hold on the GPU, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Share of the last moments in which they ran on it, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_percent: Option<u32>,
}

/// Whose processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The baseline's of the session under way.
    Baseline,
    /// The candidate's of the session under way.
    Candidate,
    /// Neither's.
    Other,
}

impl From<Side> for Owner {
    fn from(side: Side) -> Self {
        match side {
            Side::Baseline => Self::Baseline,
            Side::Candidate => Self::Candidate,
        }
    }
}

/// Why a GPU's clocks are lower than they could be, as NVML names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Throttle {
    /// Nothing runs.
    GpuIdle,
    /// Somebody set application clocks.
    ApplicationsClocksSetting,
    /// The power limit is reached.
    SwPowerCap,
    /// The hardware slows down: too hot, or too little power.
    HwSlowdown,
    /// It keeps step with other GPUs.
    SyncBoost,
    /// The driver slows down: too hot.
    SwThermalSlowdown,
    /// The hardware slows down: too hot.
    HwThermalSlowdown,
    /// An outside signal (the power supply's) slows it down.
    HwPowerBrakeSlowdown,
    /// A display is driven.
    DisplayClockSetting,
    /// A reason that this program does not know.
    Unknown,
}

impl Throttle {
    /// Whether a sample taken meanwhile is marked as throttled: heat and lack of supply.
    ///
    /// Not the power limit: a GPU that works hard is at it all the time, it is the same for both
    /// sides, and drawing less power at the same speed is a merit.
    pub fn slows(self) -> bool {
        matches!(
            self,
            Self::HwSlowdown
                | Self::SwThermalSlowdown
                | Self::HwThermalSlowdown
                | Self::HwPowerBrakeSlowdown
                | Self::Unknown
        )
    }
}

impl fmt::Display for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GpuIdle => "idle",
            Self::ApplicationsClocksSetting => "application clocks are set",
            Self::SwPowerCap => "the power limit is reached",
            Self::HwSlowdown => "slowed down by the hardware",
            Self::SyncBoost => "kept in step with other GPUs",
            Self::SwThermalSlowdown => "too hot, slowed down by the driver",
            Self::HwThermalSlowdown => "too hot, slowed down by the hardware",
            Self::HwPowerBrakeSlowdown => "slowed down by the power supply",
            Self::DisplayClockSetting => "a display is driven",
            Self::Unknown => "a reason that this program does not know",
        })
    }
}

/// What the machine's processors do at one moment. What the system does not tell is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HostReading {
    /// When, nanoseconds.
    pub at_ns: u64,
    /// Mean frequency over all processors, kHz (`cpufreq`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_khz: Option<u64>,
    /// Processor time spent working since the last reading, all processors together, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_ms: Option<u64>,
    /// Processor time that the host of this virtual machine took away since the last reading,
    /// milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal_ms: Option<u64>,
    /// Load over the last minute, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_milli: Option<u64>,
}

/// What an engine's processes use at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TreeReading {
    /// When, nanoseconds.
    pub at_ns: u64,
    /// [`crate::plan::PlannedSession::index`].
    pub session: u32,
    /// Number of the launch.
    pub launch: u32,
    /// Whose engine.
    pub side: Side,
    /// Processes of its tree.
    pub processes: u32,
    /// Resident memory, the sum over them: what they share is counted for each, bytes.
    pub rss_bytes: u64,
    /// The same with shared memory divided among those who share it, bytes. Finding it out makes
    /// the kernel walk all of the engine's pages; it is read seldom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pss_bytes: Option<u64>,
    /// Page faults served from memory since the processes began.
    pub minor_faults: u64,
    /// Page faults that waited for the disk since the processes began.
    pub major_faults: u64,
}

/// An execution ends, not by a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TelemetryEnd {
    /// When, nanoseconds.
    pub at_ns: u64,
    /// How often the machine was read.
    pub readings: u64,
    /// Processor time that this took, nanoseconds.
    pub cpu_ns: u64,
}

/// What a source of telemetry finds; a [`TelemetryRecord`] in the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// Of a GPU.
    Gpu(GpuReading),
    /// Of the machine.
    Host(HostReading),
    /// Of an engine.
    Tree(TreeReading),
}

impl From<Reading> for TelemetryRecord {
    fn from(reading: Reading) -> Self {
        match reading {
            Reading::Gpu(gpu) => Self::Gpu(gpu),
            Reading::Host(host) => Self::Host(host),
            Reading::Tree(tree) => Self::Tree(tree),
        }
    }
}
