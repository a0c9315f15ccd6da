//! Records in streams: how a stream is cut changes nothing, and no record is over the limit.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use libprocess::recordio::{Decoder, encode};

const LIMIT: usize = 1000;

/// The records of a stream that arrives in pieces, and whether it failed.
fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Bytes>, bool, bool) {
    let (mut decoder, mut records) = (Decoder::new(LIMIT), Vec::new());
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(record)) => records.push(record),
                Ok(None) => break,
                Err(_) => return (records, true, decoder.is_complete()),
            }
        }
    }
    (records, false, decoder.is_complete())
}

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, stream) = input;
    let whole = decode(std::iter::once(stream));
    let pieces = decode(stream.chunks(usize::from(cut) + 1));
    assert_eq!(whole, pieces);
    assert!(whole.0.iter().all(|record| record.len() <= LIMIT));
    let again: Vec<u8> = whole.0.iter().flat_map(|record| encode(record)).collect();
    assert_eq!(decode(std::iter::once(again.as_slice())), (whole.0, false, true));
});
