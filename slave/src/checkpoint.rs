//! The form of checkpoints: each message behind its length, four bytes in the host's order.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

/// Longest record that is believed.
const MAX_RECORD_BYTES: u32 = 64 * 1024 * 1024;

/// One record.
pub fn encode(message: &impl Message) -> Bytes {
    let body = message.encode_to_vec();
    let mut record = BytesMut::with_capacity(body.len() + 4);
    // Messages of the protocol are far below four gigabytes.
    record.put_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_ne_bytes());
    record.put_slice(&body);
    record.freeze()
}

/// A file cannot be read as records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It ends within a record.
    #[error("checkpoint ends within a record at byte {0}")]
    Truncated(usize),
    /// A record is no such message.
    #[error("record at byte {0} is malformed")]
    Malformed(usize),
}

/// The first record of a file.
///
/// # Errors
/// [`CheckpointError`].
pub fn decode_one<M: Message + Default>(bytes: &[u8]) -> Result<M, CheckpointError> {
    record(bytes, 0).map(|(message, _)| message)
}

/// All records of a file, and how many bytes of it they take: a torn last record is left out.
///
/// # Errors
/// [`CheckpointError::Malformed`] for a record in the middle.
pub fn decode_all<M: Message + Default>(bytes: &[u8]) -> Result<(Vec<M>, usize), CheckpointError> {
    match decode_sound(bytes) {
        (messages, used, None) => Ok((messages, used)),
        (.., Some(error)) => Err(error),
    }
}

/// The records of a file up to the first that is none, how many bytes of it they take, and what is
/// wrong with the next; a torn last one is only left out.
pub fn decode_sound<M: Message + Default>(
    bytes: &[u8],
) -> (Vec<M>, usize, Option<CheckpointError>) {
    let (mut messages, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        match record(bytes, at) {
            Ok((message, next)) => {
                messages.push(message);
                at = next;
            }
            Err(CheckpointError::Truncated(_)) => break,
            Err(error) => return (messages, at, Some(error)),
        }
    }
    (messages, at, None)
}

fn record<M: Message + Default>(bytes: &[u8], at: usize) -> Result<(M, usize), CheckpointError> {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some((length, rest)) = rest.split_first_chunk::<4>() else {
        return Err(CheckpointError::Truncated(at));
    };
    let length = u32::from_ne_bytes(*length);
    if length > MAX_RECORD_BYTES {
        return Err(CheckpointError::Malformed(at));
    }
    let body = rest.get(..length as usize).ok_or(CheckpointError::Truncated(at))?;
    let message = M::decode(body).map_err(|_| CheckpointError::Malformed(at))?;
    Ok((message, at + 4 + body.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protos::mesos::TaskId;

    #[test]
    fn checkpoint_torn_tail_is_left_out() {
        let id = |value: &str| TaskId { value: value.to_owned() };
        let mut file = [encode(&id("a")), encode(&id("b"))].concat();
        let whole = file.len();
        file.extend_from_slice(&encode(&id("c"))[..5]);
        let (records, used) = decode_all::<TaskId>(&file).unwrap();
        assert_eq!((records, used), (vec![id("a"), id("b")], whole));
        assert_eq!(decode_one::<TaskId>(&file).unwrap(), id("a"));
        assert_eq!(decode_one::<TaskId>(&[1, 0]), Err(CheckpointError::Truncated(0)));
    }
}
