//! Append-only files of checksummed frames, as bytes: what is appended, and what a file that a
//! crash has left still holds.
//!
//! A frame is a marker (2 bytes), a check of its head (2 bytes), the payload's length and a CRC-32C
//! (4 bytes each, all little-endian), and the payload. Both checks cover the frame's offset and
//! length, the second one the payload too, so that bytes of a frame at another place are none here.
//! One frame is appended and synced at a time: only the last one can be incomplete, and it was not
//! acknowledged.

mod crc32c;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crc32c::Crc32c;

const MARKER: [u8; 2] = [0xC7, b'J'];
/// Bytes of a frame before its payload.
pub(crate) const HEADER: usize = 12;
/// What disks write as a whole.
const SECTOR: usize = 512;

/// Bytes of a journal are neither a frame nor what a crash leaves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("damaged at byte {offset} of {length}: {reason}")]
pub struct Corrupt {
    /// Where the first damaged frame starts.
    pub offset: usize,
    /// Bytes of the file.
    pub length: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// What a journal holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Scan {
    /// Offset of each payload in the file, and the payload.
    pub(crate) payloads: Vec<(u64, Bytes)>,
    /// Bytes up to the end of the last whole frame: what follows is to be cut off.
    pub(crate) valid: usize,
}

/// The checks of a frame: of its head, and of all of it.
fn checks(offset: u64, length: u32, payload: &[u8]) -> (u16, u32) {
    let mut crc = Crc32c::default();
    crc.update(&offset.to_le_bytes());
    crc.update(&length.to_le_bytes());
    // Half of a checksum will do for twelve bytes.
    let head = (crc.finish() >> 16) as u16;
    crc.update(payload);
    (head, crc.finish())
}

/// The checksum of some bytes.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc32c::default();
    crc.update(bytes);
    crc.finish()
}

/// The frame of `payload`, for a file that is `offset` bytes long. The payload is neither empty
/// nor longer than `u32::MAX` bytes: None otherwise.
pub(crate) fn frame(offset: u64, payload: &[u8]) -> Option<Bytes> {
    let length = u32::try_from(payload.len()).ok().filter(|length| *length > 0)?;
    let mut bytes = BytesMut::with_capacity(HEADER + payload.len());
    let (head, all) = checks(offset, length, payload);
    bytes.put_slice(&MARKER);
    bytes.put_u16_le(head);
    bytes.put_u32_le(length);
    bytes.put_u32_le(all);
    bytes.put_slice(payload);
    Some(bytes.freeze())
}

/// The end that the frame at `at` should have, and its checksum; None when no whole head with a
/// right check is there.
fn head(bytes: &[u8], at: usize) -> Option<(usize, u32)> {
    let mut head = bytes.get(at..at + HEADER)?;
    if !head.starts_with(&MARKER) {
        return None;
    }
    head.advance(MARKER.len());
    let (check, length, all) = (head.get_u16_le(), head.get_u32_le(), head.get_u32_le());
    let right = length > 0 && checks(at as u64, length, &[]).0 == check;
    right.then_some((at + HEADER + length as usize, all))
}

/// The end of the frame that starts at `at`, if there is a whole one.
fn whole(bytes: &[u8], at: usize) -> Option<usize> {
    let (end, all) = head(bytes, at)?;
    let payload = bytes.get(at + HEADER..end)?;
    // A frame's length fits, since it was read from four bytes.
    (checks(at as u64, payload.len() as u32, payload).1 == all).then_some(end)
}

/// True when `bytes[at..end]` covers a sector, or the part of one that lies in it, of nothing but
/// zeros: the file had grown before that sector was written.
fn has_hole(bytes: &[u8], at: usize, end: usize) -> bool {
    let mut start = at;
    while start < end {
        let next = ((start / SECTOR + 1) * SECTOR).min(end);
        if bytes[start..next].iter().all(|byte| *byte == 0) {
            return true;
        }
        start = next;
    }
    false
}

/// Why the rest from `at`, which starts with no whole frame, is not what a crash leaves of a last
/// frame; None when it is.
fn damage(bytes: &[u8], at: usize) -> Option<&'static str> {
    let rest = &bytes[at..];
    let known = rest.len().min(MARKER.len());
    let short = rest.len() < HEADER && rest[..known] == MARKER[..known];
    match head(bytes, at) {
        Some((end, _)) if end <= bytes.len() && !has_hole(bytes, at, end) => {
            return Some("a frame's checksum is wrong");
        }
        Some(_) => {}
        None if short || has_hole(bytes, at, bytes.len().min(at + HEADER)) => {}
        None => return Some("no frame starts here"),
    }
    let later = (at + 1..bytes.len()).find(|later| whole(bytes, *later).is_some());
    later.map(|_| "a whole frame follows one that is not")
}

/// Reads a journal: whole frames, then at most what a crash leaves of a last one.
///
/// # Errors
/// [`Corrupt`] when what was acknowledged may be damaged.
pub(crate) fn scan(bytes: &Bytes) -> Result<Scan, Corrupt> {
    let mut scan = Scan::default();
    while scan.valid < bytes.len() {
        let at = scan.valid;
        let Some(end) = whole(bytes, at) else {
            let corrupt = |reason| Corrupt { offset: at, length: bytes.len(), reason };
            return damage(bytes, at).map_or(Ok(scan), |reason| Err(corrupt(reason)));
        };
        let payload = bytes.slice(at + HEADER..end);
        scan.payloads.push(((at + HEADER) as u64, payload));
        scan.valid = end;
    }
    Ok(scan)
}

#[cfg(test)]
mod tests;
