//! Takes a connection's bytes apart: libprocess messages and plain requests.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes, BytesMut};

use crate::http::{Request, decode_component, parse_query};

/// The longest head of a request.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The longest body, and the longest chunk of one.
const MAX_BODY_BYTES: usize = 128 * 1024 * 1024;
const MAX_HEADERS: usize = 100;
const METHODS: [&str; 9] =
    ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT"];

/// One request, taken apart.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A message: the text naming its sender, the receiver's id, the message's name, its body.
    Message { from: String, id: String, name: String, body: Bytes, keep_alive: bool },
    /// A plain request.
    Plain { request: Request, keep_alive: bool },
    /// A request that is answered with a status and a reason without reaching any process.
    Refused { status: u16, reason: String, keep_alive: bool },
}

/// The stream is no HTTP: the connection is closed without a reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(&'static str);

#[derive(Debug, Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
}

#[derive(Debug)]
struct Head {
    method: String,
    target: String,
    from: Option<String>,
    headers: BTreeMap<String, String>,
    framing: Framing,
    keep_alive: bool,
    gzip: bool,
}

/// Incremental decoder of one connection.
#[derive(Default)]
pub(crate) struct Decoder {
    /// What was read and not yet taken apart.
    pub(crate) buffer: BytesMut,
    head: Option<Head>,
    body: BytesMut,
    first_chunk: Option<Bytes>,
    last_chunk_seen: bool,
}

impl Decoder {
    /// The next request, or None until more bytes are read.
    pub(crate) fn next(&mut self) -> Result<Option<Incoming>, Broken> {
        if self.head.is_none() {
            self.head = self.parse_head()?;
        }
        let Some(head) = &self.head else {
            return Ok(None);
        };
        let body = match head.framing {
            Framing::Length(length) if self.buffer.len() < length => return Ok(None),
            Framing::Length(length) => self.buffer.split_to(length).freeze(),
            Framing::Chunked => match self.chunked_body()? {
                Some(body) => body,
                None => return Ok(None),
            },
        };
        Ok(self.head.take().map(|head| assemble(head, body)))
    }

    fn parse_head(&mut self) -> Result<Option<Head>, Broken> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(&self.buffer) {
            Err(_) => Err(Broken("malformed head")),
            Ok(httparse::Status::Partial) if self.buffer.len() > MAX_HEAD_BYTES => {
                Err(Broken("head too long"))
            }
            Ok(httparse::Status::Partial) => Ok(None),
            Ok(httparse::Status::Complete(length)) => {
                let head = read_head(&parsed)?;
                self.buffer.advance(length);
                Ok(Some(head))
            }
        }
    }

    fn chunked_body(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") else {
                // Neither size lines nor trailers are long.
                return if self.buffer.len() > 1024 {
                    Err(Broken("bad chunk size"))
                } else {
                    Ok(None)
                };
            };
            if self.last_chunk_seen {
                self.buffer.advance(end + 2);
                if end > 0 {
                    continue; // a trailer
                }
                self.last_chunk_seen = false;
                let joined = std::mem::take(&mut self.body).freeze();
                return Ok(Some(self.first_chunk.take().unwrap_or(joined)));
            }
            let size = chunk_size(&self.buffer[..end])?;
            if size == 0 {
                self.buffer.advance(end + 2);
                self.last_chunk_seen = true;
                continue;
            }
            if self.buffer.len() < end + 2 + size + 2 {
                return Ok(None);
            }
            self.buffer.advance(end + 2);
            let chunk = self.buffer.split_to(size).freeze();
            if !self.buffer.starts_with(b"\r\n") {
                return Err(Broken("chunk without its end"));
            }
            self.buffer.advance(2);
            self.collect(chunk)?;
        }
    }

    /// Keeps a single chunk as it is, without copying; joins further ones.
    fn collect(&mut self, chunk: Bytes) -> Result<(), Broken> {
        match self.first_chunk.take() {
            None if self.body.is_empty() => self.first_chunk = Some(chunk),
            first => {
                self.body.extend_from_slice(&first.unwrap_or_default());
                self.body.extend_from_slice(&chunk);
            }
        }
        if self.body.len() > MAX_BODY_BYTES { Err(Broken("body too long")) } else { Ok(()) }
    }
}

fn chunk_size(line: &[u8]) -> Result<usize, Broken> {
    let text = std::str::from_utf8(line).map_err(|_| Broken("bad chunk size"))?;
    let digits = text.split(';').next().unwrap_or_default().trim();
    match usize::from_str_radix(digits, 16) {
        Ok(size) if size <= MAX_BODY_BYTES => Ok(size),
        _ => Err(Broken("bad chunk size")),
    }
}

fn read_head(parsed: &httparse::Request<'_, '_>) -> Result<Head, Broken> {
    let method = parsed.method.unwrap_or_default();
    if !METHODS.contains(&method) {
        return Err(Broken("unknown method"));
    }
    let mut head = Head {
        method: method.to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        from: None,
        headers: BTreeMap::new(),
        framing: Framing::Length(0),
        keep_alive: parsed.version == Some(1),
        gzip: false,
    };
    let mut agent = None;
    for header in parsed.headers.iter() {
        let value = String::from_utf8_lossy(header.value).trim().to_owned();
        let name = header.name.to_ascii_lowercase();
        match name.as_str() {
            "libprocess-from" => head.from = Some(value),
            "user-agent" => {
                agent = value.strip_prefix("libprocess/").map(str::to_owned);
                head.headers.insert(name, value);
            }
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => {
                head.framing = Framing::Chunked;
            }
            "transfer-encoding" => return Err(Broken("unknown transfer encoding")),
            "content-length" if !matches!(head.framing, Framing::Chunked) => {
                let length = value.parse().map_err(|_| Broken("bad content length"))?;
                if length > MAX_BODY_BYTES {
                    return Err(Broken("body too long"));
                }
                head.framing = Framing::Length(length);
            }
            "connection" if value.eq_ignore_ascii_case("close") => head.keep_alive = false,
            "connection" if value.eq_ignore_ascii_case("keep-alive") => head.keep_alive = true,
            "content-encoding" if value.eq_ignore_ascii_case("gzip") => head.gzip = true,
            _ => {
                head.headers.insert(name, value);
            }
        }
    }
    head.from = head.from.or(agent);
    Ok(head)
}

fn assemble(head: Head, body: Bytes) -> Incoming {
    let keep_alive = head.keep_alive;
    let refused = |status, reason: String| Incoming::Refused { status, reason, keep_alive };
    if !head.target.starts_with('/') {
        return refused(400, "request path must start with '/'".to_owned());
    }
    let body = match if head.gzip { gunzip(&body) } else { Ok(body) } {
        Ok(body) => body,
        Err(error) => return refused(500, format!("cannot decompress the body: {error}")),
    };
    if head.method == "POST"
        && let Some(from) = head.from
    {
        let (id, name) = head.target[1..].split_once('/').unwrap_or((&head.target[1..], ""));
        return match decode_component(id) {
            Ok(id) => Incoming::Message { from, id, name: name.to_owned(), body, keep_alive },
            Err(error) => refused(500, error.to_string()),
        };
    }
    let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
    match parse_query(query) {
        Ok(query) => {
            let (method, headers) = (head.method, head.headers);
            let path = path.to_owned();
            let request = Request { method, path, query, headers, body, peer: None };
            Incoming::Plain { request, keep_alive }
        }
        Err(error) => refused(400, error.to_string()),
    }
}

fn gunzip(body: &[u8]) -> std::io::Result<Bytes> {
    use std::io::Read;
    let mut plain = Vec::new();
    let limit = MAX_BODY_BYTES as u64;
    flate2::read::GzDecoder::new(body).take(limit + 1).read_to_end(&mut plain)?;
    if plain.len() > MAX_BODY_BYTES {
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
            while let Some(next) = decoder.next()? {
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
                Incoming::Message { from, id, name, body, keep_alive } => {
                    assert!(keep_alive);
                    (from, id, name, body)
                }
                other => panic!("{other:?}"),
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
        let [Incoming::Message { body, .. }] = &incoming[..] else { panic!("{incoming:?}") };
        assert_eq!(body.as_ref(), b"abc");
    }

    #[test]
    fn decoder_receiver_id_is_percent_decoded_and_name_is_not() {
        let bytes = b"POST /worker%281%29/a%20b HTTP/1.1\r\nLibprocess-From: x\r\n\r\n";
        let incoming = decode_all(bytes).unwrap();
        let [Incoming::Message { id, name, .. }] = &incoming[..] else { panic!("{incoming:?}") };
        assert_eq!((id.as_str(), name.as_str()), ("worker(1)", "a%20b"));
    }

    #[test]
    fn decoder_plain_request_keeps_query_and_headers() {
        let bytes = b"GET /m/state?jsonp=f%28&x HTTP/1.0\r\nHost: h\r\n\r\n";
        let incoming = decode_all(bytes).unwrap();
        let [Incoming::Plain { request, keep_alive }] = &incoming[..] else {
            panic!("{incoming:?}")
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
            let [Incoming::Refused { status, .. }] = &incoming[..] else { panic!("{incoming:?}") };
            assert_eq!(*status, expected, "{text}");
        }
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
