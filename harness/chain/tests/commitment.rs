//! The commitment codec: strict out, forgiving in, known bytes, arbitrary bytes.

use edgemaxx_chain::commitment::{
    Commitment, CommitmentError, DaySeal, EngineKind, MAX_BYTES, Opening, Provider, Revision, Sealed,
    Submission, Unreadable, fresh_salt, read,
};
use edgemaxx_contract::sealed_claim::Salt;
use proptest::prelude::*;

fn example() -> Submission {
    Submission {
        contest: "sdxl-4090".into(),
        provider: Provider::HuggingFace,
        repository: "miner/newdream-fast".into(),
        revision: "000102030405060708090a0b0c0d0e0f10111213".parse().unwrap(),
        engine: EngineKind::Command,
        opens: None,
    }
}

#[test]
fn version_one_has_exactly_these_bytes() {
    let mut expected = b"EM\x01\x01\x09sdxl-4090\x13miner/newdream-fast".to_vec();
    expected.extend(0u8..20);
    assert_eq!(example().to_bytes().unwrap(), expected);
}

#[test]
fn a_seal_and_what_opens_it_have_exactly_these_bytes() {
    let sealed = Sealed { contest: "sdxl-4090".into(), digest: [9; 32].into() };
    let mut expected = b"ES\x01\x09sdxl-4090".to_vec();
    expected.extend([9; 32]);
    assert_eq!(sealed.to_bytes().unwrap(), expected);
    assert_eq!(read(&expected), Commitment::Sealed(sealed));
    assert!(matches!(read(&expected[..20]), Commitment::Unreadable(Unreadable::Truncated(_))));
    assert!(matches!(read(b"ES\x02"), Commitment::Unreadable(Unreadable::Version(2))));

    let opening = Opening { block: 0x0102_0304, salt: Salt([7; 16]) };
    let entry = Submission { opens: Some(opening), ..example() };
    let mut expected = example().to_bytes().unwrap();
    expected.extend([1, 4, 3, 2, 1]);
    expected.extend([7; 16]);
    assert_eq!(entry.to_bytes().unwrap(), expected);
    assert_eq!(read(&expected), Commitment::Submission(entry));
    // Cut, or of a kind that only a later version knows: an entry in the open.
    for rest in [&expected[..expected.len() - 1], &[&example().to_bytes().unwrap()[..], &[2; 21]].concat()] {
        assert_eq!(read(rest), Commitment::Submission(example()));
    }
    assert_ne!(fresh_salt(), fresh_salt());
}

#[test]
fn the_writer_refuses_what_could_change_its_meaning() {
    let with = |change: fn(&mut Submission)| {
        let mut s = example();
        change(&mut s);
        s.to_bytes()
    };
    assert!(matches!(with(|s| s.contest.clear()), Err(CommitmentError::Contest(_))));
    assert!(matches!(with(|s| s.contest = "a".repeat(33)), Err(CommitmentError::Contest(_))));
    for repository in ["", "name", "a/b/c", "/b", "a/", "a/..", "a/b c", "a/-b", "a/é", "a/b.", "a--b/c"] {
        let mut s = example();
        s.repository = repository.into();
        assert!(matches!(s.to_bytes(), Err(CommitmentError::Repository(_))), "{repository}");
    }
    for revision in ["main", "0001", &"A".repeat(40), &"0".repeat(41), &"g".repeat(64)] {
        assert!(matches!(revision.parse::<Revision>(), Err(CommitmentError::Revision(_))));
    }
}

#[test]
fn the_size_limit_is_exact() {
    let mut s = example();
    s.repository = format!("m/{}", "n".repeat(91));
    assert_eq!(s.to_bytes().unwrap().len(), MAX_BYTES);
    s.repository.push('n');
    assert_eq!(s.to_bytes(), Err(CommitmentError::TooLong { got: MAX_BYTES + 1 }));
    s.revision = Revision::Sha256([7; 32]);
    let error = s.to_bytes().unwrap_err();
    assert!(error.to_string().ends_with("by 13"), "{error}");
}

#[test]
fn format_two_of_the_original_subnet_is_read() {
    // struct.pack(">HB", 2, 11) + b"owner/model" + struct.pack(">fH", 1.25, 3)
    let bytes = b"\x00\x02\x0bowner/model\x3f\xa0\x00\x00\x00\x03";
    let Commitment::Legacy(entry) = read(bytes) else { panic!("{:?}", read(bytes)) };
    assert_eq!((entry.repository.as_str(), entry.claimed_seconds, entry.contest), ("owner/model", 1.25, 3));
    assert_eq!(read(&bytes[..bytes.len() - 1]), Commitment::Unreadable(Unreadable::Foreign));
}

#[test]
fn each_way_to_be_unreadable_is_named() {
    let good = example().to_bytes().unwrap();
    let at = |i: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[i] = value;
        read(&bytes)
    };
    let bad = Commitment::Unreadable;
    assert_eq!(read(b""), bad(Unreadable::Foreign));
    assert_eq!(read(b"hello"), bad(Unreadable::Foreign));
    assert_eq!(at(2, 9), bad(Unreadable::Version(9)));
    assert_eq!(at(3, 5 << 2), bad(Unreadable::Provider(5)));
    assert_eq!(at(5, b' '), bad(Unreadable::Malformed("contest".into())));
    assert_eq!(at(14, 255), bad(Unreadable::Truncated("repository".into())));
    assert_eq!(read(&good[..good.len() - 1]), bad(Unreadable::Truncated("revision".into())));
}

/// Bytes written out by hand, so that no later writer can change them unnoticed.
#[test]
fn a_sealed_day_is_no_entry_of_a_miner() {
    let manifest = edgemaxx_contract::digest::Digest::of("manifest");
    let seal = DaySeal { day: "2026-11-22".parse().unwrap(), manifest };
    let bytes = seal.to_bytes();
    assert_eq!(bytes, [b"ED\x012026-11-22".as_slice(), manifest.as_bytes()].concat());
    assert!(bytes.len() <= MAX_BYTES);
    assert_eq!(read(&[&bytes[..], b"more"].concat()), Commitment::Day(seal));
    let bad = Commitment::Unreadable;
    assert_eq!(read(&bytes[..44]), bad(Unreadable::Truncated("digest".into())));
    assert_eq!(read(b"ED\x012026-13-22"), bad(Unreadable::Malformed("day".into())));
    assert_eq!(read(b"ED\x02"), bad(Unreadable::Version(2)));
    // As the readers before it saw such bytes: neither ours nor the original subnet's.
    assert!(!bytes.starts_with(b"EM") && !bytes.starts_with(&[0, 2]));
}

/// Anything that fits: 4 bytes of head, 2 lengths, at most 32 + 20 + 1 + 37 of text and 32 of revision are 128.
fn submission() -> impl Strategy<Value = Submission> {
    let revision = prop_oneof![
        any::<[u8; 20]>().prop_map(Revision::Sha1),
        any::<[u8; 32]>().prop_map(Revision::Sha256),
    ];
    let engine = prop_oneof![Just(EngineKind::Native), Just(EngineKind::Command)];
    ("[a-z0-9_.-]{1,32}", "[a-zA-Z0-9_]{1,20}", "[a-zA-Z0-9_]{1,37}", revision, engine).prop_map(
        |(contest, owner, name, revision, engine)| Submission {
            contest,
            provider: Provider::HuggingFace,
            repository: format!("{owner}/{name}"),
            revision,
            engine,
            opens: None,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_written_is_read_back_even_with_more_behind(s in submission(), more in any::<Vec<u8>>()) {
        let mut bytes = s.to_bytes().unwrap();
        prop_assert!(bytes.len() <= MAX_BYTES);
        bytes.extend(&more);
        // What begins like an opening, and is as long as one, is one.
        let opening = more.first() == Some(&1) && more.len() > 20;
        let Commitment::Submission(found) = read(&bytes) else { panic!("{bytes:?}") };
        prop_assert_eq!(found.opens.is_some(), opening);
        prop_assert_eq!(Submission { opens: None, ..found }, s);
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_what_reads_can_be_rewritten(
        prefix in prop_oneof![Just(&b""[..]), Just(&b"EM\x01"[..]), Just(&b"ES\x01"[..]), Just(&b"\x00\x02"[..])],
        tail in proptest::collection::vec(any::<u8>(), 0..160),
    ) {
        let bytes = [prefix, &tail].concat();
        if let Commitment::Submission(s) = read(&bytes) {
            match s.to_bytes() {
                Ok(again) => prop_assert!(bytes.starts_with(&again)),
                Err(e) => { let too_long = matches!(e, CommitmentError::TooLong { .. }); prop_assert!(too_long) }
            }
        }
    }

    #[test]
    fn damaged_entries_never_panic(s in submission(), at in any::<prop::sample::Index>(), value: u8) {
        let mut bytes = s.to_bytes().unwrap();
        let i = at.index(bytes.len());
        bytes[i] = value;
        let _ = read(&bytes[..i]);
        let _ = read(&bytes);
    }
}
