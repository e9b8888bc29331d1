//! The streams of a server: how long each holds what, and how much of it.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use crate::content::{Content, PART_BYTES};
use crate::limits::{
    AROUND_BYTES, BUNDLE_BYTES, BUNDLES_BYTES, LANE_BYTES, LOGS_BYTES, STATE_BYTES, STATES_BYTES,
    WAITING_BUNDLES,
};
use crate::subject::{HOSTS, INPUTS, LEASES, PARTS, RESULTS};

/// How long what nobody fetched is held by the server: whoever still wants it says so.
pub(crate) const HOLD: Duration = Duration::from_secs(6 * 3600);

/// How long a result that no coordinator took is held; workers hold it for longer.
const HOLD_RESULT: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a server is to hold of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of what lanes are measured with.
    pub(crate) inputs: u64,
    /// Bytes of what workers have measured.
    pub(crate) parts: u64,
}

impl Room {
    /// That of a run with so many lanes, which are measured with these contents.
    pub fn of<'a>(lanes: u32, inputs: impl IntoIterator<Item = &'a Content>) -> Self {
        let around = AROUND_BYTES as u64;
        let inputs = inputs.into_iter().map(|content| content.bytes + content.parts() * around).sum::<u64>();
        // A lane more: of a worker that has lost its own, and sends what it has.
        Self { inputs: inputs + LOGS_BYTES, parts: u64::from(lanes + 1) * LANE_BYTES }
    }
}

/// All streams. Each takes messages of a bounded size, and at most so many bytes: beyond them the oldest goes, since
/// whoever still needs it says so.
pub(crate) fn streams(room: Room) -> [Config; 5] {
    let stream = |name: &str, subjects: &str, message: usize, bytes: i64| Config {
        name: name.to_owned(),
        subjects: vec![subjects.to_owned()],
        storage: StorageType::File,
        allow_direct: true,
        discard: DiscardPolicy::Old,
        max_messages_per_subject: 1,
        max_message_size: i32::try_from(message).unwrap_or(i32::MAX),
        max_bytes: bytes,
        max_age: HOLD,
        ..Config::default()
    };
    let capped = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let part = PART_BYTES + AROUND_BYTES;
    [
        stream(HOSTS, "em.host.*", STATE_BYTES, STATES_BYTES),
        Config { max_age: Duration::ZERO, ..stream(LEASES, "em.lease.*", STATE_BYTES, STATES_BYTES) },
        Config {
            retention: RetentionPolicy::WorkQueue,
            max_messages_per_subject: WAITING_BUNDLES,
            max_age: HOLD_RESULT,
            ..stream(RESULTS, "em.result.*", BUNDLE_BYTES, BUNDLES_BYTES)
        },
        stream(INPUTS, "em.input.*.*", part, capped(room.inputs)),
        stream(PARTS, "em.part.*.*.*", part, capped(room.parts)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_stream_is_without_a_bound() {
        let content = Content::of(&[7; 3 * PART_BYTES]);
        let room = Room::of(2, [&content]);
        assert!(room.inputs > LOGS_BYTES + content.bytes && room.parts == 3 * LANE_BYTES);
        for stream in streams(room) {
            assert!(stream.max_bytes > 0 && stream.max_messages_per_subject > 0, "{}", stream.name);
            assert!(stream.max_message_size > 0 && stream.discard == DiscardPolicy::Old, "{}", stream.name);
            // Only what the coordinator itself says is held for ever.
            assert!(stream.max_age > Duration::ZERO || stream.name == LEASES);
        }
    }
}
