//! Takes a connection's bytes apart: libprocess messages and plain requests.

use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};

use super::body::{BodyReader, Piece};
use super::head::{self, Asks, Broken, MessageHead, Shape};
use super::limits::Limits;
use crate::http::Request;

const MAX_HEADERS: usize = 100;
/// Heads of messages that a connection remembers: a peer's messages differ little in theirs.
const REMEMBERED: usize = 8;
/// Longer heads are not worth remembering.
const MAX_REMEMBERED_BYTES: usize = 1024;

/// One request, taken apart.
pub(crate) enum Incoming {
    /// A message. Those with the same head share it.
    Message { head: Rc<MessageHead>, body: Bytes, keep_alive: bool },
    /// A plain request.
    Plain { request: Request, keep_alive: bool },
    /// A plain request whose body is to be taken by [`Decoder::piece`].
    Streaming { request: Request, shape: Shape },
    /// A request that is answered with a status and a reason without reaching any process.
    Refused { status: u16, reason: String, keep_alive: bool },
}

struct Remembered {
    bytes: Box<[u8]>,
    head: Rc<MessageHead>,
    shape: Shape,
}

/// What the body that is being read belongs to.
enum Current {
    Message(Rc<MessageHead>),
    Plain(Request),
    Refused(u16, String),
}

struct Unfinished {
    current: Current,
    shape: Shape,
    reader: BodyReader,
    first: Option<Bytes>,
    joined: BytesMut,
}

/// Incremental decoder of one connection.
#[derive(Default)]
pub(crate) struct Decoder {
    /// What was read and not yet taken apart.
    pub(crate) buffer: BytesMut,
    limits: Limits,
    unfinished: Option<Unfinished>,
    /// The body that is being streamed.
    streamed: Option<BodyReader>,
    /// Most recently used first.
    remembered: Vec<Remembered>,
}

impl Decoder {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The next request, or None until more bytes are read. `streams` says of a request's head
    /// whether its body is to be streamed.
    pub(crate) fn next(
        &mut self,
        streams: impl Fn(&Request) -> bool,
    ) -> Result<Option<Incoming>, Broken> {
        let mut unfinished = match self.unfinished.take() {
            Some(unfinished) => unfinished,
            None => {
                let Some((current, shape)) = self.head()? else { return Ok(None) };
                let reader = BodyReader::new(shape.framing, self.limits.body_bytes);
                if let Current::Plain(request) = current {
                    if streams(&request) {
                        self.streamed = Some(reader);
                        return Ok(Some(Incoming::Streaming { request, shape }));
                    }
                    unfinished_of(Current::Plain(request), shape, reader)
                } else {
                    unfinished_of(current, shape, reader)
                }
            }
        };
        if let Some(body) = unfinished.reader.whole(&mut self.buffer) {
            return Ok(Some(self.assemble(unfinished, body)));
        }
        loop {
            match unfinished.reader.next(&mut self.buffer, false)? {
                None => {
                    self.unfinished = Some(unfinished);
                    return Ok(None);
                }
                Some(Piece::Data(data)) => unfinished.collect(data),
                Some(Piece::End) => {
                    let joined = std::mem::take(&mut unfinished.joined).freeze();
                    let body = unfinished.first.take().unwrap_or(joined);
                    return Ok(Some(self.assemble(unfinished, body)));
                }
            }
        }
    }

    /// The next piece of a streamed body, or None until more bytes are read.
    pub(crate) fn piece(&mut self) -> Result<Option<Piece>, Broken> {
        let Some(reader) = &mut self.streamed else {
            return Ok(Some(Piece::End));
        };
        let piece = reader.next(&mut self.buffer, true)?;
        if piece == Some(Piece::End) {
            self.streamed = None;
        }
        Ok(piece)
    }

    fn head(&mut self) -> Result<Option<(Current, Shape)>, Broken> {
        let known = self.remembered.iter().position(|known| self.buffer.starts_with(&known.bytes));
        if let Some(at) = known {
            self.remembered[..=at].rotate_right(1);
            let Remembered { bytes, head, shape } = &self.remembered[0];
            self.buffer.advance(bytes.len());
            return Ok(Some((Current::Message(head.clone()), *shape)));
        }
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let length = match parsed.parse(&self.buffer) {
            Err(_) => return Err(Broken("malformed head")),
            Ok(httparse::Status::Partial) if self.buffer.len() > self.limits.head_bytes => {
                return Err(Broken("head too long"));
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Ok(httparse::Status::Complete(length)) => length,
        };
        let (asks, shape) = head::read(&parsed, self.limits.body_bytes)?;
        let bytes = self.buffer.split_to(length);
        let current = match asks {
            Asks::Message(head) => Current::Message(self.remember(&bytes, head, shape)),
            Asks::Plain(request) => Current::Plain(request),
            Asks::Refused(status, reason) => Current::Refused(status, reason),
        };
        Ok(Some((current, shape)))
    }

    fn remember(&mut self, bytes: &[u8], head: MessageHead, shape: Shape) -> Rc<MessageHead> {
        let head = Rc::new(head);
        // Bodies of known length differ in their heads.
        if bytes.len() <= MAX_REMEMBERED_BYTES {
            self.remembered.truncate(REMEMBERED - 1);
            let known = Remembered { bytes: bytes.into(), head: head.clone(), shape };
            self.remembered.insert(0, known);
        }
        head
    }

    fn assemble(&self, unfinished: Unfinished, body: Bytes) -> Incoming {
        let Unfinished { current, shape: Shape { gzip, keep_alive, .. }, .. } = unfinished;
        let body = match if gzip { gunzip(&body, self.limits.body_bytes) } else { Ok(body) } {
            Ok(body) => body,
            Err(error) => {
                let reason = format!("cannot decompress the body: {error}");
                return Incoming::Refused { status: 500, reason, keep_alive };
            }
        };
        match current {
            Current::Message(head) => Incoming::Message { head, body, keep_alive },
            Current::Plain(request) => {
                Incoming::Plain { request: Request { body, ..request }, keep_alive }
            }
            Current::Refused(status, reason) => Incoming::Refused { status, reason, keep_alive },
        }
    }

    /// Gives memory back when there is nothing to keep.
    pub(crate) fn relax(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }
}

fn unfinished_of(current: Current, shape: Shape, reader: BodyReader) -> Unfinished {
    Unfinished { current, shape, reader, first: None, joined: BytesMut::new() }
}

impl Unfinished {
    /// Keeps a single chunk as it is, without copying; joins further ones.
    fn collect(&mut self, chunk: Bytes) {
        match self.first.take() {
            None if self.joined.is_empty() => self.first = Some(chunk),
            first => {
                self.joined.extend_from_slice(&first.unwrap_or_default());
                self.joined.extend_from_slice(&chunk);
            }
        }
    }
}

fn gunzip(body: &[u8], limit: usize) -> std::io::Result<Bytes> {
    use std::io::Read;
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body).take(limit as u64 + 1).read_to_end(&mut plain)?;
    if plain.len() > limit {
        return Err(std::io::Error::other("too long when decompressed"));
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_all(bytes: &[u8]) -> Result<Vec<Incoming>, Broken> {
        let mut decoder = Decoder::default();
        let mut incoming = Vec::new();
        // One byte at a time: every split of the stream must give the same requests.
        for byte in bytes {
            decoder.buffer.extend_from_slice(&[*byte]);
            while let Some(next) = decoder.next(|_| false)? {
                incoming.push(next);
            }
        }
        Ok(incoming)
    }

    #[test]
    fn decoder_pipelined_messages_come_out_in_order() {
        let bytes = b"POST /a(1)/x.Y HTTP/1.1\r\nUser-Agent: libprocess/b@1.2.3.4:5\r\n\
            Libprocess-From: b@1.2.3.4:5\r\nConnection: Keep-Alive\r\nHost: h\r\n\
            Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
            POST /a/x.Z HTTP/1.1\r\nLibprocess-From: c@1.2.3.4:5\r\nContent-Length: 2\r\n\r\nhi\
            POST /a/x.E HTTP/1.1\r\nUser-Agent: libprocess/d@1.2.3.4:5\r\n\r\n";
        let seen: Vec<_> = decode_all(bytes)
            .unwrap()
            .into_iter()
            .map(|incoming| match incoming {
                Incoming::Message { head, body, keep_alive } => {
                    assert!(keep_alive);
                    (head.from.clone(), head.id.clone(), head.name.to_string(), body)
                }
                _ => panic!("a message was sent"),
            })
            .collect();
        let expected = [
            ("b@1.2.3.4:5", "a(1)", "x.Y", "abc"),
            ("c@1.2.3.4:5", "a", "x.Z", "hi"),
            ("d@1.2.3.4:5", "a", "x.E", ""),
        ];
        let expected = expected.map(|(f, i, n, b)| (f.into(), i.into(), n.into(), b.into()));
        assert_eq!(seen, expected);
    }

    #[test]
    fn decoder_chunks_of_one_body_are_joined() {
        let bytes =
            b"POST /a/n HTTP/1.1\r\nLibprocess-From: x\r\nTransfer-Encoding: chunked\r\n\r\n\
            2\r\nab\r\n1;ext=1\r\nc\r\n0\r\nTrailer: t\r\n\r\n";
        let incoming = decode_all(bytes).unwrap();
        let [Incoming::Message { body, .. }] = &incoming[..] else { panic!("no message") };
        assert_eq!(body.as_ref(), b"abc");
    }

    #[test]
    fn decoder_receiver_id_is_percent_decoded_and_name_is_not() {
        let bytes = b"POST /worker%281%29/a%20b HTTP/1.1\r\nLibprocess-From: x\r\n\r\n";
        let incoming = decode_all(bytes).unwrap();
        let [Incoming::Message { head, .. }] = &incoming[..] else { panic!("no message") };
        assert_eq!((head.id.as_str(), head.name.as_str()), ("worker(1)", "a%20b"));
    }

    #[test]
    fn decoder_plain_request_keeps_query_and_headers() {
        let bytes = b"GET /m/state?jsonp=f%28&x HTTP/1.0\r\nHost: h\r\n\r\n";
        let incoming = decode_all(bytes).unwrap();
        let [Incoming::Plain { request, keep_alive }] = &incoming[..] else {
            panic!("no plain request")
        };
        assert!(!keep_alive);
        assert_eq!(request.path, "/m/state");
        assert_eq!(request.param("jsonp"), Some("f("));
        assert_eq!(request.param("x"), Some(""));
    }

    #[test]
    fn decoder_refused_requests_name_their_status() {
        let cases = [
            ("POST /a%2/n HTTP/1.1\r\nLibprocess-From: x\r\n\r\n", 500),
            ("POST a HTTP/1.1\r\nLibprocess-From: x\r\n\r\n", 400),
            ("GET /a?b=%zz HTTP/1.1\r\n\r\n", 400),
        ];
        for (text, expected) in cases {
            let incoming = decode_all(text.as_bytes()).unwrap();
            let [Incoming::Refused { status, .. }] = &incoming[..] else { panic!("not refused") };
            assert_eq!(*status, expected, "{text}");
        }
    }

    #[test]
    fn decoder_messages_of_one_head_share_it() {
        let message = b"POST /a/x.Y HTTP/1.1\r\nLibprocess-From: b@1.2.3.4:5\r\n\
            Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
        let other = b"POST /a/x.Z HTTP/1.1\r\nLibprocess-From: b@1.2.3.4:5\r\n\r\n";
        let incoming = decode_all(&[&message[..], other, message].concat()).unwrap();
        let heads: Vec<_> = incoming
            .iter()
            .map(|incoming| match incoming {
                Incoming::Message { head, .. } => head,
                _ => panic!("a message was sent"),
            })
            .collect();
        assert!(Rc::ptr_eq(heads[0], heads[2]) && !Rc::ptr_eq(heads[0], heads[1]));
    }

    #[test]
    fn decoder_noise_breaks_the_connection() {
        for text in [
            "\0\x01\x02garbage\r\n\r\n",
            "BREW /pot HTTP/1.1\r\n\r\n",
            "POST /a/n HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "POST /a/n HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "POST /a/n HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n",
        ] {
            assert!(decode_all(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
