//! Heads of requests: what of them matters, and whether they carry a message.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::http::{Request, decode_component, parse_query};
use crate::inbox::Mail;
use crate::{MessageName, Pid};

const METHODS: [&str; 9] =
    ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT"];

/// The stream is no HTTP: the connection is closed without a reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(pub(crate) &'static str);

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
}

/// How the rest of a request follows its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) framing: Framing,
    pub(crate) gzip: bool,
    pub(crate) keep_alive: bool,
}

/// What a head asks for.
pub(crate) enum Asks {
    /// To deliver a message.
    Message(MessageHead),
    /// To serve a plain request, whose body is not known yet.
    Plain(Request),
    /// Nothing that can be done: a status and a reason, once the body is skipped.
    Refused(u16, String),
}

/// The head of a message. Many messages of a connection share one, and with it where they go.
pub(crate) struct MessageHead {
    /// The text naming the sender.
    pub(crate) from: String,
    /// The receiver's id.
    pub(crate) id: String,
    pub(crate) name: MessageName,
    pub(crate) way: RefCell<Option<Way>>,
}

/// Sender and receiver of a head's messages, looked up once.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) from: Pid,
    /// False when the sender's ip has to be the peer's and is not.
    pub(crate) allowed: bool,
    /// The receiver's inbox as last seen.
    pub(crate) mail: Option<Arc<dyn Mail>>,
}

/// Reads a parsed head.
pub(crate) fn read(
    parsed: &httparse::Request<'_, '_>,
    max_body: usize,
) -> Result<(Asks, Shape), Broken> {
    let method = parsed.method.unwrap_or_default();
    if !METHODS.contains(&method) {
        return Err(Broken("unknown method"));
    }
    let mut shape =
        Shape { framing: Framing::Length(0), gzip: false, keep_alive: parsed.version == Some(1) };
    let (mut from, mut agent, mut headers) = (None, None, BTreeMap::new());
    for header in parsed.headers.iter() {
        let value = String::from_utf8_lossy(header.value).trim().to_owned();
        let name = header.name.to_ascii_lowercase();
        match name.as_str() {
            "libprocess-from" => from = Some(value),
            "user-agent" => {
                agent = value.strip_prefix("libprocess/").map(str::to_owned);
                headers.insert(name, value);
            }
            "transfer-encoding" | "content-length" => {
                shape.framing = framing(&name, &value, shape.framing, max_body)?;
            }
            "connection" if value.eq_ignore_ascii_case("close") => shape.keep_alive = false,
            "connection" if value.eq_ignore_ascii_case("keep-alive") => shape.keep_alive = true,
            "content-encoding" if value.eq_ignore_ascii_case("gzip") => shape.gzip = true,
            _ => {
                headers.insert(name, value);
            }
        }
    }
    let target = parsed.path.unwrap_or_default();
    Ok((asks(method, target, from.or(agent), headers), shape))
}

fn framing(name: &str, value: &str, so_far: Framing, max_body: usize) -> Result<Framing, Broken> {
    if name == "transfer-encoding" {
        return match value.eq_ignore_ascii_case("chunked") {
            true => Ok(Framing::Chunked),
            false => Err(Broken("unknown transfer encoding")),
        };
    }
    if so_far == Framing::Chunked {
        return Ok(so_far);
    }
    // Digits alone: a sign would parse, too.
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let length = value.parse().ok().filter(|_| digits).ok_or(Broken("bad content length"))?;
    if matches!(so_far, Framing::Length(before) if before != 0 && before != length) {
        return Err(Broken("two content lengths"));
    }
    if length > max_body { Err(Broken("body too long")) } else { Ok(Framing::Length(length)) }
}

fn asks(
    method: &str,
    target: &str,
    from: Option<String>,
    headers: BTreeMap<String, String>,
) -> Asks {
    if !target.starts_with('/') {
        return Asks::Refused(400, "request path must start with '/'".to_owned());
    }
    if method == "POST"
        && let Some(from) = from
    {
        let (id, name) = target[1..].split_once('/').unwrap_or((&target[1..], ""));
        return match decode_component(id) {
            Ok(id) => {
                Asks::Message(MessageHead { from, id, name: name.into(), way: RefCell::new(None) })
            }
            Err(error) => Asks::Refused(500, error.to_string()),
        };
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match parse_query(query) {
        Ok(query) => Asks::Plain(Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query,
            headers,
            ..Request::default()
        }),
        Err(error) => Asks::Refused(400, error.to_string()),
    }
}
