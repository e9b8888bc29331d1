//! What must hold of the decoder whatever bytes come: shared by the fuzz target and the tests.

use edgemaxx_protocol::{AnswerLimits, Decoder, Limits, Message, encode, preamble};

/// What the harness's decoder allows here.
const ANSWER: AnswerLimits = AnswerLimits { parts: 3, parts_bytes: 256, answer_bytes: 1 << 16 };

/// Decodes `input` and panics where the decoder breaks a promise. The first byte says who reads
/// (odd: the harness, even: an engine) and whether a good preamble came before (its second bit);
/// the second one in pieces of how many bytes; the rest is what arrives.
pub(crate) fn survive(input: &[u8]) {
    let [how, piece, bytes @ ..] = input else { return };
    let limits = if how & 1 == 1 {
        Limits::harness(ANSWER)
    } else {
        Limits { ask_bytes: 1 << 16, ..Limits::engine() }
    };
    let mut start = if how & 2 == 2 { preamble().to_vec() } else { Vec::new() };
    start.extend_from_slice(bytes);
    let whole = decode(limits, &start, start.len().max(1));
    let pieces = decode(limits, &start, usize::from(*piece).max(1));
    assert!(whole == pieces, "the pieces in which bytes arrive must not matter");
    for bytes in whole.0 {
        let mut decoder = Decoder::new(limits);
        decoder.push(&mut &preamble()[..]).expect("the preamble");
        let again = decoder.push(&mut &bytes[..]).expect("what was encoded is valid").expect("and whole");
        assert_eq!(encode(&again).expect("it was encoded before"), bytes, "a round trip changes nothing");
    }
}

/// The messages in `bytes`, encoded anew, and the error that ended them, in words.
fn decode(limits: Limits, bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, Option<String>) {
    // The largest header, twice: it is kept while its payload is read.
    let bound = (512 << 10) + (1 << 16);
    let mut decoder = Decoder::new(limits);
    let mut messages = Vec::new();
    let mut failed = None;
    for mut piece in bytes.chunks(piece) {
        while !piece.is_empty() {
            match decoder.push(&mut piece) {
                Ok(message) => {
                    assert!(failed.is_none(), "it went on after an error");
                    messages.extend(message.as_ref().and_then(encoded));
                }
                Err(error) => {
                    let words = error.to_string();
                    assert!(failed.as_ref().is_none_or(|first| *first == words), "an error is final");
                    failed = Some(words);
                }
            }
            assert!(decoder.allocated() <= bound, "{} bytes held, {bound} allowed", decoder.allocated());
        }
    }
    (messages, failed)
}

/// `None` where a number written in full makes the header longer than is allowed.
fn encoded(message: &Message) -> Option<Vec<u8>> {
    encode(message).ok()
}
