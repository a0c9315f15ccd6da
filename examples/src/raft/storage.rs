//! A server's file: records, each behind its length in four bytes, little-endian.

use std::path::PathBuf;
use std::sync::Arc;

use libprocess::disk::{Disk, DiskError};
use prost::Message;

use super::log::Log;
use super::messages::Record;

const LENGTH: usize = 4;

/// What a server knows after it started: what its file holds.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The term it is in.
    pub term: u64,
    /// Whom it voted for in that term.
    pub voted_for: Option<usize>,
    /// Its log.
    pub log: Log,
}

/// The bytes that a record adds to the file.
pub fn encode(record: &Record) -> Vec<u8> {
    let body = record.encode_to_vec();
    // No record comes near four gigabytes.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes()[..], &body].concat()
}

/// Reads a server's file, which a new server does not have yet, and repairs its end.
///
/// # Errors
/// When the disk fails.
pub async fn load(disk: Arc<dyn Disk>, file: PathBuf) -> Result<Recovered, DiskError> {
    let bytes = match disk.read(&file).await {
        Err(error) if error.is_not_found() => return Ok(Recovered::default()),
        read => read?,
    };
    let (recovered, valid) = recover(&bytes);
    if valid < bytes.len() {
        disk.truncate(&file, valid as u64).await?;
    }
    Ok(recovered)
}

/// Understands a file's bytes. A crash may have torn its last record: that was never promised to anybody, so it
/// does not count. Also tells how many bytes do; what follows must be cut off before more is added.
pub fn recover(file: &[u8]) -> (Recovered, usize) {
    let (mut recovered, mut rest) = (Recovered::default(), file);
    while let Some((record, after)) = first(rest) {
        rest = after;
        recovered.term = record.term;
        recovered.voted_for = record.voted_for.and_then(|index| usize::try_from(index).ok());
        recovered.log.replay(record);
    }
    (recovered, file.len() - rest.len())
}

fn first(file: &[u8]) -> Option<(Record, &[u8])> {
    let (length, rest) = file.split_first_chunk::<LENGTH>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    // A file that grew before it was written ends in zeros, and no record is empty.
    let (body, rest) = rest.split_at_checked(length).filter(|_| length > 0)?;
    Some((Record::decode(body).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::messages::Entry;

    #[test]
    fn storage_torn_anywhere_gives_all_whole_records() {
        let entry = Entry { term: 7, command: None };
        let one = Record { term: 7, voted_for: Some(2), keep: 0, entries: vec![entry.clone()] };
        let two = Record { term: 8, voted_for: None, keep: 1, entries: vec![entry] };
        let (one, two) = (encode(&one), encode(&two));
        let file = [one.clone(), two.clone()].concat();
        for cut in 0..=file.len() {
            let (recovered, valid) = recover(&file[..cut]);
            let (term, length) = match cut {
                _ if cut == file.len() => (8, file.len()),
                _ if cut >= one.len() => (7, one.len()),
                _ => (0, 0),
            };
            assert_eq!((recovered.term, valid), (term, length), "cut at {cut}");
            assert_eq!(recovered.voted_for, (term == 7).then_some(2));
        }
        let (recovered, valid) = recover(&[&file[..], &[0; 9]].concat());
        assert_eq!((recovered.term, valid), (8, file.len()));
    }
}
