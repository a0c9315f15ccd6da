//! Records in a stream: `<decimal length>\n<bytes>`, again and again.
//!
//! ```
//! use libprocess::recordio::{Decoder, encode};
//!
//! let mut decoder = Decoder::new(1024);
//! decoder.push(&encode(b"one"));
//! decoder.push(b"3\ntw");
//! assert_eq!(decoder.next().unwrap().as_deref(), Some(&b"one"[..]));
//! assert_eq!(decoder.next().unwrap(), None);
//! decoder.push(b"o");
//! assert_eq!(decoder.next().unwrap().as_deref(), Some(&b"two"[..]));
//! ```

use bytes::{Buf, Bytes, BytesMut};

/// Digits of the longest length that is taken.
const MAX_DIGITS: usize = 10;

/// A stream is not made of records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A length is not one to ten decimal digits and a newline.
    #[error("malformed record length")]
    Length,
    /// A record is longer than the decoder takes.
    #[error("record of {length} bytes is longer than {limit}")]
    TooLong {
        /// What the stream announces, in bytes.
        length: usize,
        /// The decoder's limit, in bytes.
        limit: usize,
    },
}

/// One framed record. An empty one is legal.
pub fn encode(record: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(record.len() + MAX_DIGITS + 1);
    out.extend_from_slice(record.len().to_string().as_bytes());
    out.extend_from_slice(b"\n");
    out.extend_from_slice(record);
    out.freeze()
}

/// Takes a stream apart, however it is cut into pieces. After an error it stays failed.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    length: Option<usize>,
    limit: usize,
    failed: Option<RecordError>,
}

impl Decoder {
    /// A decoder that refuses records longer than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), length: None, limit, failed: None }
    }

    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next whole record, or None until more is pushed.
    ///
    /// # Errors
    /// [`RecordError`] for what is no record; then for ever.
    #[expect(clippy::should_implement_trait, reason = "an iterator's end would be for good")]
    pub fn next(&mut self) -> Result<Option<Bytes>, RecordError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let next = self.take();
        if let Err(error) = &next {
            self.failed = Some(error.clone());
            self.buffer = BytesMut::new();
        }
        next
    }

    fn take(&mut self) -> Result<Option<Bytes>, RecordError> {
        let length = match self.length {
            Some(length) => length,
            None => match self.length()? {
                Some(length) => length,
                None => return Ok(None),
            },
        };
        if self.buffer.len() < length {
            self.length = Some(length);
            return Ok(None);
        }
        self.length = None;
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    fn length(&mut self) -> Result<Option<usize>, RecordError> {
        let head = &self.buffer[..self.buffer.len().min(MAX_DIGITS + 1)];
        let Some(end) = head.iter().position(|byte| *byte == b'\n') else {
            let hopeless = head.len() > MAX_DIGITS || head.iter().any(|b| !b.is_ascii_digit());
            return if hopeless { Err(RecordError::Length) } else { Ok(None) };
        };
        let digits = &head[..end];
        if digits.is_empty() || digits.iter().any(|byte| !byte.is_ascii_digit()) {
            return Err(RecordError::Length);
        }
        // At most ten digits fit.
        let length = digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
        if length > self.limit {
            return Err(RecordError::TooLong { length, limit: self.limit });
        }
        self.buffer.advance(end + 1);
        Ok(Some(length))
    }

    /// True when the stream may end here: nothing of a record is left over.
    pub fn is_complete(&self) -> bool {
        self.buffer.is_empty() && self.length.is_none() && self.failed.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_whole_however_the_stream_is_cut() {
        let records: [&[u8]; 4] = [b"a", b"", b"hello\n3\n", &[0; 300]];
        let stream: Vec<u8> = records.iter().flat_map(|record| encode(record)).collect();
        for cut in 1..20 {
            let mut decoder = Decoder::new(1000);
            let mut seen = Vec::new();
            for piece in stream.chunks(cut) {
                decoder.push(piece);
                while let Some(record) = decoder.next().unwrap() {
                    seen.push(record);
                }
            }
            assert_eq!(seen, records, "cut into {cut}");
            assert!(decoder.is_complete());
        }
    }

    #[test]
    fn records_malformed_or_too_long_fail_for_good() {
        let cases: [(&[u8], RecordError); 5] = [
            (b"x\n", RecordError::Length),
            (b"\n", RecordError::Length),
            (b"-1\n", RecordError::Length),
            (b"12345678901", RecordError::Length),
            (b"11\n", RecordError::TooLong { length: 11, limit: 10 }),
        ];
        for (bytes, error) in cases {
            let mut decoder = Decoder::new(10);
            decoder.push(bytes);
            assert_eq!(decoder.next(), Err(error.clone()));
            decoder.push(b"1\na");
            assert_eq!(decoder.next(), Err(error));
        }
    }
}
