//! A small blocking HTTP client for tests, apart from the code under test.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No answer of a healthy process takes so long.
const LIMIT: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head, as it came.
    pub head: String,
    /// The body, chunks joined.
    pub body: String,
}

/// `GET path`.
///
/// # Errors
/// When there is no connection, or no HTTP on it.
pub fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    exchange(
        address,
        format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes(),
    )
}

/// Sends bytes and reads until the peer closes.
///
/// # Errors
/// As [`get`].
pub fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let bytes = raw(address, request)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) =
        text.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("answer without head"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("answer without status"))?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { join_chunks(body) } else { body.to_owned() };
    Ok(Answer { status, head: head.to_owned(), body })
}

/// Sends bytes; everything that came back until the peer closed.
///
/// # Errors
/// When there is no connection.
pub fn raw(address: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    // The peer may close while noise is still being written.
    let _ = stream.write_all(request);
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(bytes),
        Err(error) => Err(error),
    }
}

fn join_chunks(body: &str) -> String {
    let (mut joined, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        joined.push_str(after.get(..size).unwrap_or_default());
        rest = after.get(size + 2..).unwrap_or_default();
    }
    joined
}
