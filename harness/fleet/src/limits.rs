//! How much anybody may send: a key that was taken fills neither a disk nor a memory. What is beyond a limit is refused where
//! it is announced, and again where it comes.

/// Bytes of lines in one bundle: a longer log is sent in pieces.
pub const LINES_BYTES: u64 = 8 << 20;

/// Answers that one bundle names.
pub const ANSWERS: usize = 400;

/// Bytes of the files of these answers, but for the last of them.
pub const ANSWERS_BYTES: u64 = 64 << 20;

/// Bytes of an `environment.json`.
pub const ENVIRONMENT_BYTES: u64 = 1 << 20;

/// Bytes of a lane's `telemetry.jsonl`, a day and a half of one card; of a longer one, none is sent.
pub const TELEMETRY_BYTES: u64 = 128 << 20;

/// Letters of what a worker is called, and of why it cannot go on.
pub const NAME_LETTERS: usize = 64;
/// See [`NAME_LETTERS`].
pub const WHY_LETTERS: usize = 1000;

/// Bytes of what a worker says of itself, and of what it is told.
pub(crate) const STATE_BYTES: usize = 64 << 10;

/// Bytes of a bundle, which names at most [`ANSWERS`] answers.
pub(crate) const BUNDLE_BYTES: usize = 256 << 10;

/// Bytes of what stands around a part: its signature and the names of its headers.
pub(crate) const AROUND_BYTES: usize = 4 << 10;

/// Bundles of one worker that wait, of whatever plan: the oldest goes for a new one, and is sent again where it still matters.
pub(crate) const WAITING_BUNDLES: i64 = 16;

/// Bytes that the server holds of what workers say, of what they are told, and of bundles.
pub(crate) const STATES_BYTES: i64 = 32 << 20;
/// See [`STATES_BYTES`].
pub(crate) const BUNDLES_BYTES: i64 = 128 << 20;

/// Bytes that the server holds of what workers have measured, for each lane of a run: what a bundle may name, twice.
pub(crate) const LANE_BYTES: u64 = 2 * (LINES_BYTES + ANSWERS_BYTES + ENVIRONMENT_BYTES) + TELEMETRY_BYTES;

/// Bytes that the server holds beside what a run's lanes are measured with: the logs of lanes that decide together.
pub(crate) const LOGS_BYTES: u64 = 1 << 30;

/// Messages that wait unheard in this process; what comes beyond them is not heard, and asked for where it matters.
pub(crate) const UNHEARD: usize = 128;
