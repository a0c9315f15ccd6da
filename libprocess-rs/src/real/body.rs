//! Bodies of requests, taken off a connection's bytes whole or piece by piece.

use bytes::{Buf, Bytes, BytesMut};

use super::head::{Broken, Framing};

/// Bodies up to this size are copied out of the read buffer: a small message that is kept must not
/// keep a large buffer.
const COPIED_BYTES: usize = 16 * 1024;
/// Neither size lines nor trailers are longer.
const MAX_LINE_BYTES: usize = 1024;

/// Where a body's reader stands.
#[derive(Debug)]
pub(crate) struct BodyReader {
    state: State,
    /// Bytes of the body so far.
    seen: usize,
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// This much of the body, or of a chunk, is left.
    Plain(usize),
    ChunkSize,
    Chunk(usize),
    ChunkEnd,
    Trailers,
    Done,
}

/// What comes next of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Data(Bytes),
    End,
}

impl BodyReader {
    pub(crate) fn new(framing: Framing, limit: usize) -> Self {
        let state = match framing {
            Framing::Length(length) => State::Plain(length),
            Framing::Chunked => State::ChunkSize,
        };
        Self { state, seen: 0, limit }
    }

    /// The whole of a body that lies in one chunk, when all of it is there already: how messages
    /// come. None changes nothing.
    pub(crate) fn whole(&mut self, buffer: &mut BytesMut) -> Option<Bytes> {
        if self.state != State::ChunkSize {
            return None;
        }
        let digits = buffer.iter().take(8).position(|byte| *byte == b'\r')?;
        let size = hexadecimal(&buffer[..digits])?;
        let start = digits + 2;
        let end = start.checked_add(size)?;
        let rest = buffer.get(end..end + 7)?;
        if size == 0 || size > self.limit || buffer[digits + 1] != b'\n' || rest != b"\r\n0\r\n\r\n"
        {
            return None;
        }
        let body = if size <= COPIED_BYTES {
            let body = Bytes::copy_from_slice(&buffer[start..end]);
            buffer.advance(end);
            body
        } else {
            buffer.advance(start);
            buffer.split_to(size).freeze()
        };
        buffer.advance(7);
        self.state = State::Done;
        Some(body)
    }

    /// The next piece, or None until more bytes are read. With `partly`, data comes as soon as it
    /// is there; without, each chunk whole.
    pub(crate) fn next(
        &mut self,
        buffer: &mut BytesMut,
        partly: bool,
    ) -> Result<Option<Piece>, Broken> {
        loop {
            match self.state {
                State::Done | State::Plain(0) => return Ok(Some(Piece::End)),
                State::Plain(left) | State::Chunk(left) => {
                    let Some(data) = take(buffer, left, partly) else { return Ok(None) };
                    let left = left - data.len();
                    self.state = match (self.state, left) {
                        (State::Chunk(_), 0) => State::ChunkEnd,
                        (State::Chunk(_), _) => State::Chunk(left),
                        _ => State::Plain(left),
                    };
                    return Ok(Some(Piece::Data(data)));
                }
                State::ChunkEnd => {
                    if buffer.len() < 2 {
                        return Ok(None);
                    }
                    if !buffer.starts_with(b"\r\n") {
                        return Err(Broken("chunk without its end"));
                    }
                    buffer.advance(2);
                    self.state = State::ChunkSize;
                }
                State::ChunkSize => {
                    let Some(line) = take_line(buffer)? else { return Ok(None) };
                    self.state = self.sized(&line)?;
                }
                State::Trailers => match take_line(buffer)? {
                    None => return Ok(None),
                    Some(line) if line.is_empty() => self.state = State::Done,
                    Some(_) => {}
                },
            }
        }
    }

    fn sized(&mut self, line: &[u8]) -> Result<State, Broken> {
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let size = hexadecimal(digits).ok_or(Broken("bad chunk size"))?;
        if size == 0 {
            return Ok(State::Trailers);
        }
        self.seen = self.seen.saturating_add(size);
        if self.seen > self.limit { Err(Broken("body too long")) } else { Ok(State::Chunk(size)) }
    }
}

fn take(buffer: &mut BytesMut, left: usize, partly: bool) -> Option<Bytes> {
    let there = buffer.len().min(left);
    if there == 0 || (!partly && there < left) {
        return None;
    }
    let data = buffer.split_to(there);
    Some(if there <= COPIED_BYTES { Bytes::copy_from_slice(&data) } else { data.freeze() })
}

fn take_line(buffer: &mut BytesMut) -> Result<Option<BytesMut>, Broken> {
    let near = &buffer[..buffer.len().min(MAX_LINE_BYTES)];
    match near.windows(2).position(|pair| pair == b"\r\n") {
        Some(end) => {
            let line = buffer.split_to(end);
            buffer.advance(2);
            Ok(Some(line))
        }
        None if buffer.len() >= MAX_LINE_BYTES => Err(Broken("bad chunk size")),
        None => Ok(None),
    }
}

/// One to fifteen hexadecimal digits and nothing else.
fn hexadecimal(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    digits.iter().try_fold(0_usize, |sum, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some(sum << 4 | value as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_whole_takes_one_chunk_and_nothing_of_what_follows() {
        let mut buffer = BytesMut::from(&b"3\r\nabc\r\n0\r\n\r\nPOST"[..]);
        let mut reader = BodyReader::new(Framing::Chunked, 10);
        assert_eq!(reader.whole(&mut buffer).as_deref(), Some(&b"abc"[..]));
        assert_eq!(&buffer[..], b"POST");
    }

    #[test]
    fn body_whole_leaves_everything_else_as_it_is() {
        for text in ["3\r\nabc\r\n0\r\n\r", "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", "b\r\n", "", "z\r\n"]
        {
            let mut buffer = BytesMut::from(text.as_bytes());
            let mut reader = BodyReader::new(Framing::Chunked, 10);
            assert_eq!(reader.whole(&mut buffer), None, "{text}");
            assert_eq!(&buffer[..], text.as_bytes());
        }
    }

    #[test]
    fn body_pieces_come_as_they_are_there_when_wanted_so() {
        let mut reader = BodyReader::new(Framing::Chunked, 100);
        let mut buffer = BytesMut::from(&b"a\r\nhello"[..]);
        let data = |text: &'static str| Ok(Some(Piece::Data(text.into())));
        assert_eq!(reader.next(&mut buffer, false), Ok(None));
        assert_eq!(reader.next(&mut buffer, true), data("hello"));
        assert_eq!(reader.next(&mut buffer, true), Ok(None));
        buffer.extend_from_slice(b"there\r\n0\r\n\r\n");
        assert_eq!(reader.next(&mut buffer, true), data("there"));
        assert_eq!(reader.next(&mut buffer, true), Ok(Some(Piece::End)));
    }

    #[test]
    fn body_longer_than_the_limit_breaks() {
        let mut reader = BodyReader::new(Framing::Chunked, 5);
        let mut buffer = BytesMut::from(&b"3\r\nabc\r\n3\r\ndef\r\n"[..]);
        assert_eq!(reader.next(&mut buffer, true), Ok(Some(Piece::Data("abc".into()))));
        assert_eq!(reader.next(&mut buffer, true), Err(Broken("body too long")));
    }
}
