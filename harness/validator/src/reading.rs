//! Reading the chain for a day: at the first finalised block at or after its start, and, where somebody's entry was sealed
//! then, once more at the first block after the time that the contest leaves for opening seals.

use edgemaxx_contract::day::{BlockRef, DayRecord, Fate};
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::Day;

use crate::collect;
use crate::machine::Event;
use crate::status::{Contact, Seen};
use crate::store::{Store, StoreError};
use crate::world::{Chain, ChainTrouble, Seal, Snapshot};

/// What is asked of the chain.
pub(crate) struct Asked<'a> {
    pub(crate) day: &'a Day,
    /// When submissions close, seconds since 1970-01-01 UTC.
    pub(crate) start: i64,
    /// How long the chain may be away before the day goes on without what it would have said.
    pub(crate) until: i64,
    /// Seconds that sealed entries may be opened for after the close.
    pub(crate) open_for_s: i64,
    pub(crate) netuid: u16,
    pub(crate) validator: String,
}

/// What came of it.
#[expect(clippy::large_enum_variant, reason = "there is one of it at a time")]
pub(crate) enum Read {
    Happened(Event),
    /// It is too early to read everything.
    TooEarly,
}

/// Reads everything, or learns that it is too early.
pub(crate) fn read(
    asked: &Asked<'_>,
    chain: &mut dyn Chain,
    store: &mut Store,
    seen: &mut Seen,
    now: i64,
) -> Result<Read, StoreError> {
    let late = now >= asked.until;
    let mut record = DayRecord {
        format: DayRecord::expected_format(),
        day: asked.day.clone(),
        netuid: asked.netuid,
        validator: asked.validator.clone(),
        closed_unix_s: asked.start,
        block: None,
        opened: None,
        registered: Vec::new(),
        submissions: Vec::new(),
        undecoded: Vec::new(),
        not_measured: None,
    };
    let trouble = |trouble: ChainTrouble| Ok(Read::Happened(Event::Trouble(trouble.to_string())));
    let (block, mut snapshot, head) = match at_close(asked, chain, seen, now) {
        // The chain's clock decides: until it says noon, it is not noon.
        Ok(None) => {
            return Ok(Read::Happened(Event::Trouble("no block after noon is final yet".to_owned())));
        }
        Err(away) if !late => return trouble(away),
        Err(away) => {
            record.not_measured = Some(away.to_string());
            return Ok(Read::Happened(Event::Collected(record)));
        }
        Ok(Some(found)) => found,
    };
    if snapshot.commitments.iter().any(|commitment| commitment.seal == Seal::Closed) && asked.open_for_s > 0 {
        let opened_by = asked.start + asked.open_for_s;
        if head < opened_by {
            return Ok(Read::TooEarly);
        }
        match at(opened_by, chain) {
            Ok(None) => return Ok(Read::TooEarly),
            Ok(Some((later, after))) => {
                collect::open(&mut snapshot, &after, block.number);
                record.opened = Some(later);
            }
            Err(away) if !late => return trouble(away),
            // Nobody could look: what was sealed stays so.
            Err(_) => {}
        }
    }
    let mut first_seen = Vec::new();
    for commitment in &snapshot.commitments {
        first_seen.push(store.first_seen(commitment)?);
    }
    record.submissions = collect::submissions(&snapshot, |commitment| {
        let index = snapshot.commitments.iter().position(|other| other == commitment)?;
        first_seen[index]
    });
    if let Err(away) = date(&mut record, &snapshot, block.number, chain, late) {
        return trouble(away);
    }
    store.remember(&snapshot.commitments)?;
    snapshot.undecoded.sort_by(|a, b| a.hotkey.cmp(&b.hotkey));
    record.registered = snapshot.registered.into_values().collect();
    record.registered.sort_unstable();
    record.undecoded = snapshot.undecoded;
    record.block = Some(block);
    Ok(Read::Happened(Event::Collected(record)))
}

/// The first block at or after the close with what stands there, and the head's time; `None`: there is none yet.
fn at_close(
    asked: &Asked<'_>,
    chain: &mut dyn Chain,
    seen: &mut Seen,
    now: i64,
) -> Result<Option<(BlockRef, Snapshot, i64)>, ChainTrouble> {
    let head = chain.head()?;
    seen.contact = Some(Contact { head: head.number, unix_s: now });
    seen.skew_s = Some(now - head.unix_s);
    if head.unix_s < asked.start {
        return Ok(None);
    }
    Ok(at(asked.start, chain)?.map(|(block, snapshot)| (block, snapshot, head.unix_s)))
}

fn at(unix_s: i64, chain: &mut dyn Chain) -> Result<Option<(BlockRef, Snapshot)>, ChainTrouble> {
    let Some(block) = chain.block_at(unix_s)? else { return Ok(None) };
    let snapshot = chain.snapshot(&block)?;
    Ok(Some((block, snapshot)))
}

/// Dates every submission: by the seal that it opens, and by its place in a block that it shares with others. What a
/// block would have said that is not kept any more is done without; one that is away is asked again unless it is `late`.
fn date(
    record: &mut DayRecord,
    snapshot: &Snapshot,
    closed: u64,
    chain: &mut dyn Chain,
    late: bool,
) -> Result<(), ChainTrouble> {
    let wait = |trouble: &ChainTrouble| matches!(trouble, ChainTrouble::Away(_)) && !late;
    for submission in record.submissions.iter_mut().filter(|submission| submission.fate == Fate::Pending) {
        let of = |commitment: &&crate::world::Commitment| commitment.hotkey == submission.hotkey;
        let Some(commitment) = snapshot.commitments.iter().find(of) else { continue };
        let Seal::Opened { block, .. } = commitment.seal else { continue };
        match chain.sealed(block, &submission.hotkey) {
            Err(trouble) if wait(&trouble) => return Err(trouble),
            Err(_) => {}
            Ok(found) => collect::claim(submission, commitment, &found, closed),
        }
    }
    record.submissions.sort_by(|a, b| a.order().cmp(&b.order()));
    for (number, hotkeys) in collect::shared_blocks(&record.submissions) {
        match chain.places(number, &hotkeys) {
            Err(trouble) if wait(&trouble) => return Err(trouble),
            // The block is not kept any more: the order by name stays.
            Err(_) => {}
            Ok(places) => collect::set_places(&mut record.submissions, number, &places),
        }
    }
    Ok(())
}
