//! Requests and responses as processes see them, whichever server or simulator carries them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use percent_encoding::percent_decode_str;

use crate::authentication::Principal;

/// One HTTP request that was read fully.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `GET`, `POST`, ... in upper case.
    pub method: String,
    /// The raw path as sent, or as rewritten by the delegate rule; starts with `/`.
    pub path: String,
    /// Decoded query parameters; of several with one name the last counts.
    pub query: BTreeMap<String, String>,
    /// Headers with lower-case names.
    pub headers: BTreeMap<String, String>,
    /// The body, decompressed.
    pub body: Bytes,
    /// The peer's socket address, when there is a socket.
    pub peer: Option<SocketAddr>,
    /// Who asks, as the authenticator of the route's realm has it; None without one.
    pub principal: Option<Principal>,
    /// The body as it comes in; only of routes that take it so.
    pub(crate) reader: Option<BodyReader>,
}

/// The way in which a body's chunks come in. Whoever takes it first has it.
#[derive(Clone)]
pub(crate) struct BodyReader(Arc<Mutex<Option<Chunks>>>);

/// A body as a stream.
pub type Chunks = BoxStream<'static, std::io::Result<Bytes>>;

impl BodyReader {
    pub(crate) fn new(chunks: Chunks) -> Self {
        Self(Arc::new(Mutex::new(Some(chunks))))
    }
}

impl std::fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BodyReader")
    }
}

impl Request {
    /// A request for `target` (path and query) without headers or body.
    ///
    /// # Errors
    /// [`BadQuery`] when the query has a bad percent escape.
    pub fn new(method: &str, target: &str) -> Result<Self, BadQuery> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Ok(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: parse_query(query)?,
            ..Self::default()
        })
    }

    /// The value of a query parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// The value of a header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The body as a stream: as it comes in on routes that take it so
    /// ([`crate::Routes::streaming`]), in one piece on others.
    pub fn chunks(&mut self) -> Chunks {
        let taken = self
            .reader
            .take()
            .and_then(|reader| reader.0.lock().unwrap_or_else(PoisonError::into_inner).take());
        let whole = std::mem::take(&mut self.body);
        taken.unwrap_or_else(|| {
            let pieces = (!whole.is_empty()).then_some(Ok(whole));
            Box::pin(futures::stream::iter(pieces))
        })
    }

    /// The path's segments after the receiver's id, joined by `/`.
    pub fn endpoint(&self) -> String {
        let trimmed = self.path.trim_matches('/');
        trimmed.split_once('/').map_or("", |(_, rest)| rest.trim_matches('/')).to_owned()
    }

    /// The receiver's id: the first segment, percent-decoded. None when the path has none.
    pub fn receiver(&self) -> Option<String> {
        let first =
            self.path.trim_start_matches('/').split('/').next().filter(|s| !s.is_empty())?;
        decode_component(first).ok()
    }
}

/// A query string or path has a bad percent escape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad percent escape in '{0}'")]
pub struct BadQuery(pub String);

/// Splits a query string at `&` and `;` and decodes its parts (`+` is a blank).
///
/// # Errors
/// [`BadQuery`] naming the part with a bad escape.
pub fn parse_query(query: &str) -> Result<BTreeMap<String, String>, BadQuery> {
    let mut parameters = BTreeMap::new();
    for pair in query.split(['&', ';']).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameters.insert(decode_component(key)?, decode_component(value)?);
    }
    Ok(parameters)
}

/// Decodes `%HH` and `+`; invalid UTF-8 is replaced.
///
/// # Errors
/// [`BadQuery`] when a `%` is not followed by two hexadecimal digits.
pub fn decode_component(text: &str) -> Result<String, BadQuery> {
    let bytes = text.as_bytes();
    let well_formed = bytes.iter().enumerate().filter(|(_, b)| **b == b'%').all(|(at, _)| {
        bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    if !well_formed {
        return Err(BadQuery(text.to_owned()));
    }
    let spaced = text.replace('+', " ");
    Ok(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

/// What a response carries.
#[derive(Default)]
pub enum Body {
    /// Nothing: `Content-Length: 0`.
    #[default]
    Empty,
    /// Bytes in memory; compressed when large and the client accepts it.
    Bytes(Bytes),
    /// Chunks as they come; never compressed.
    Stream(BoxStream<'static, std::io::Result<Bytes>>),
    /// A file; 404 when it is missing or a directory.
    File(PathBuf),
}

/// One HTTP response.
#[derive(Default)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Headers besides those that framing adds.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.status, self.headers)
    }
}

impl Response {
    /// The status with its customary body, such as `404 Not Found.`; 200 and 202 have none.
    pub fn status(status: u16) -> Self {
        if status < 300 {
            return Self { status, ..Self::default() };
        }
        Self::text(status, format!("{status} {}.", reason(status)))
    }

    /// A plain text answer.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::with(status, "text/plain; charset=utf-8", text.into())
    }

    /// 200 with a body of the given content type.
    pub fn ok(content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::with(200, content_type, body)
    }

    /// A status with a body of the given content type.
    pub fn with(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self { status, headers, body: Body::Bytes(body.into()) }
    }

    /// 200 with JSON, wrapped in the function that `?jsonp=` names when it is given.
    pub fn json(value: &serde_json::Value, jsonp: Option<&str>) -> Self {
        match jsonp {
            Some(function) => Self::ok("text/javascript", format!("{function}({value})")),
            None => Self::ok("application/json", value.to_string()),
        }
    }

    /// 400 with a reason.
    pub fn bad_request(reason: impl Into<String>) -> Self {
        Self::text(400, reason)
    }

    /// 405 naming what was expected.
    pub fn method_not_allowed(expected: &[&str], received: &str) -> Self {
        let quoted: Vec<String> = expected.iter().map(|method| format!("'{method}'")).collect();
        let text = format!(
            "405 Method Not Allowed. Expecting one of {{ {} }}, but received '{received}'.",
            quoted.join(", ")
        );
        Self::text(405, text).header("Allow", &expected.join(", "))
    }

    /// 200 with a file of the node's host, whose content type follows from its name.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let kind = content_type(&path.to_string_lossy());
        Self { status: 200, headers: Vec::new(), body: Body::File(path) }
            .header("Content-Type", kind)
    }

    /// 200 with chunks as they come.
    pub fn stream(content_type: &str, chunks: Chunks) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Stream(chunks) }
            .header("Content-Type", content_type)
    }

    /// 307 to `location`.
    pub fn redirect(location: &str) -> Self {
        Self { status: 307, ..Self::default() }.header("Location", location)
    }

    /// The same response with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The body's bytes when it is in memory; for tests and in-process callers.
    pub fn bytes(&self) -> Bytes {
        match &self.body {
            Body::Bytes(bytes) => bytes.clone(),
            _ => Bytes::new(),
        }
    }
}

/// What an endpoint's handler returns: a response now, or one that is still being made.
pub enum Answer {
    /// Ready.
    Now(Response),
    /// Comes later; other requests of the process are served meanwhile.
    Later(BoxFuture<'static, Response>),
}

impl Answer {
    /// An answer that `future` makes. Futures may only wait for what the context hands out.
    pub fn later(future: impl Future<Output = Response> + Send + 'static) -> Self {
        Self::Later(Box::pin(future))
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self::Now(response)
    }
}

/// The content type that a file's extension stands for; bytes of any kind when it stands for none.
pub fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css",
        "js" => "application/javascript",
        "json" => "application/json",
        "txt" | "log" | "md" => "text/plain; charset=utf-8",
        "csv" => "text/csv",
        "xml" => "text/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "gif" => "image/gif",
        "jpg" | "jpeg" => "image/jpeg",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "gz" | "tgz" => "application/gzip",
        "zip" => "application/zip",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

/// The reason phrase of a status code.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        202 => "Accepted",
        206 => "Partial Content",
        301 => "Moved Permanently",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Time-out",
        409 => "Conflict",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        415 => "Unsupported Media Type",
        416 => "Requested range not satisfiable",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version not supported",
        _ => "Unknown",
    }
}
