//! What happened, in words for the journal.

use edgemaxx_contract::day::Fate;

use crate::machine::Event;

/// An event for the journal.
pub(crate) fn describe(event: &Event) -> String {
    match event {
        Event::Noon => "noon in New York".to_owned(),
        Event::Collected(record) => match &record.block {
            Some(block) => format!(
                "block {}: {} submissions, {} commitments that say nothing",
                block.number,
                record.entries().count(),
                record.undecoded.len()
            ),
            None => "the chain could not be read; the day goes without submissions".to_owned(),
        },
        Event::Joined => "every contest has decided".to_owned(),
        Event::Deduplicated(copies) => format!("{} repeat a repository and revision", copies.len()),
        Event::Prepared(hotkey, Fate::Invalid { reason }) => format!("{hotkey}: invalid: {reason}"),
        Event::Prepared(hotkey, _) => format!("{hotkey}: ready"),
        Event::Unreachable(hotkey, unreachable) => format!("{hotkey}: out of reach: {}", unreachable.why),
        Event::Compared(copies) => format!("{} repeat files or weights", copies.len()),
        Event::Measured => "the contest ran to its end".to_owned(),
        Event::NotMeasured(why) => format!("nothing is measured: {why}"),
        Event::Analysed => "the ranking is there".to_owned(),
        Event::Published(weights, manifest) => format!("published {}: {}", manifest.short(), weights.reason),
        Event::HandedOn(weights, manifest) => format!("handed on {}: {}", manifest.short(), weights.reason),
        Event::SettingAfter(block) => format!("setting weights after block {block}"),
        Event::WeightsSet(block) => format!("weights stand in block {block}"),
        Event::WeightsNotSet(why) => format!("weights were not set: {why}"),
        Event::SealCommitted(block) => format!("the manifest's digest stands in block {block}"),
        Event::SealNotCommitted(why) => format!("the manifest's digest was not committed: {why}"),
        Event::Trouble(what) => format!("trouble: {what}"),
    }
}
