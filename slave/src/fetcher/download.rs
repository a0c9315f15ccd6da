//! HTTP GET into a file: redirects, lengths, chunks, and bounds on time and size.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use super::budget::{Budget, too_large};
use super::curl::curl;

const MAX_REDIRECTS: usize = 10;
const MAX_LINE_BYTES: u64 = 16 * 1024;
const MAX_HEADERS: usize = 200;
/// A server that does not take a connection for so long is not there.
const CONNECT: Duration = Duration::from_secs(30);
/// Between two lines of the log about a long transfer.
const PROGRESS_BYTES: u64 = 256 * 1024 * 1024;

/// What a fetch must not exceed.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    /// A transfer that stands still for so long has failed (flag `fetcher_stall_timeout`).
    pub(super) stall: Duration,
    /// What may still be written.
    pub(super) budget: Budget,
}

fn bad(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

/// Downloads `url` (`http://host[:port]/path`, or what `curl` serves) into a new file.
///
/// # Errors
/// What went wrong, as an IO error; a partial file may be left.
pub(super) fn download(url: &str, to: &Path, bounds: &Bounds) -> io::Result<()> {
    let mut url = url.to_owned();
    for _ in 0..MAX_REDIRECTS {
        if url.starts_with("https://") {
            return curl(&url, to, bounds);
        }
        match get(&url, to, bounds)? {
            None => return Ok(()),
            Some(location) => url = absolute(&url, &location)?,
        }
    }
    Err(bad("too many redirects"))
}

fn split(url: &str) -> io::Result<(String, String)> {
    let served = || bad(format!("cannot fetch {url}: only http:// and https:// are served"));
    let rest = url.strip_prefix("http://").ok_or_else(served)?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    if host.is_empty() || url.contains(['\r', '\n', ' ']) {
        return Err(bad(format!("malformed url {url}")));
    }
    let path = if path.is_empty() { "/" } else { path };
    Ok((host.to_owned(), path.to_owned()))
}

/// A redirect's location as a whole URL, seen from the URL that was asked for.
fn absolute(base: &str, location: &str) -> io::Result<String> {
    let (host, path) = split(base)?;
    Ok(if location.contains("://") {
        location.to_owned()
    } else if let Some(elsewhere) = location.strip_prefix("//") {
        format!("http://{elsewhere}")
    } else if location.starts_with('/') {
        format!("http://{host}{location}")
    } else {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let directory = path.rfind('/').map_or("/", |end| &path[..=end]);
        format!("http://{host}{directory}{location}")
    })
}

fn connect(host: &str, stall: Duration) -> io::Result<TcpStream> {
    // An address in brackets has colons of its own.
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let address = if has_port { host.to_owned() } else { format!("{host}:80") };
    let mut failure = bad(format!("{host} has no address"));
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(stall))?;
                stream.set_write_timeout(Some(stall))?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Fetches once; a redirect's location instead of a body.
fn get(url: &str, to: &Path, bounds: &Bounds) -> io::Result<Option<String>> {
    let (host, path) = split(url)?;
    let mut stream = connect(&host, bounds.stall)?;
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept: */*\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let status_line = line(&mut reader)?;
    let status: u16 = status_line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| bad("malformed status line"))?;
    let (mut length, mut chunked, mut location) = (None, false, None);
    for number in 0.. {
        let header = line(&mut reader)?;
        if header.is_empty() {
            break;
        }
        if number > MAX_HEADERS {
            return Err(bad("too many headers"));
        }
        let Some((name, value)) = header.split_once(':') else { continue };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse::<u64>().ok(),
            "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
            "location" => location = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    match (status, location) {
        (200, _) => body(&mut reader, length, chunked, to, &bounds.budget).map(|()| None),
        (301 | 302 | 303 | 307 | 308, Some(location)) => Ok(Some(location)),
        _ => Err(bad(format!("server answered {status} for {url}"))),
    }
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    reader.take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes)?;
    if bytes.last() != Some(&b'\n') {
        return Err(bad("connection ended within the head, or a line is too long"));
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

fn body(
    reader: &mut impl BufRead,
    length: Option<u64>,
    chunked: bool,
    to: &Path,
    budget: &Budget,
) -> io::Result<()> {
    if length.is_some_and(|length| length > budget.left()) {
        return Err(too_large());
    }
    let mut file = Counted { file: File::create(to)?, bytes: 0 };
    if chunked {
        return chunks(reader, &mut file, budget);
    }
    let copied = budget.copy(reader.take(length.unwrap_or(u64::MAX)), &mut file)?;
    match length {
        Some(length) if copied < length => Err(bad(format!("got {copied} of {length} bytes"))),
        _ => Ok(()),
    }
}

/// A file that says how it grows.
struct Counted {
    file: File,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        let before = self.bytes / PROGRESS_BYTES;
        self.bytes += written as u64;
        if self.bytes / PROGRESS_BYTES > before {
            eprintln!("Fetched {} MB so far", self.bytes >> 20);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn chunks(reader: &mut impl BufRead, file: &mut impl Write, budget: &Budget) -> io::Result<()> {
    loop {
        let header = line(reader)?;
        let size = header.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| bad("malformed chunk"))?;
        if size == 0 {
            return Ok(());
        }
        budget.take(size)?;
        let copied = io::copy(&mut reader.by_ref().take(size), file)?;
        if copied < size || !line(reader)?.is_empty() {
            return Err(bad("malformed chunk"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_of_every_form_becomes_a_whole_url() {
        let cases = [
            ("https://h/x", "https://h/x"),
            ("//other:1/x", "http://other:1/x"),
            ("/x?y", "http://h:2/x?y"),
            ("x", "http://h:2/a/x"),
        ];
        for (location, url) in cases {
            assert_eq!(absolute("http://h:2/a/b?c=/d", location).unwrap(), url);
        }
        assert_eq!(absolute("http://h", "x").unwrap(), "http://h/x");
    }

    #[test]
    fn url_malformed_or_of_another_scheme_is_refused() {
        for url in ["https://h/x", "http:///x", "http://h/a b", "http://h/\r\nX: y"] {
            assert!(split(url).is_err(), "{url}");
        }
        let (host, path) = split("http://user:secret@h:81").unwrap();
        assert_eq!((host.as_str(), path.as_str()), ("h:81", "/"));
    }

    #[test]
    fn body_short_or_malformed_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("f");
        let read = |bytes: &[u8], length, chunked| {
            body(&mut BufReader::new(bytes), length, chunked, &to, &Budget::new(1000, 10))
        };
        assert!(read(b"abc", Some(3), false).is_ok());
        assert!(read(b"abc", None, false).is_ok());
        assert!(read(b"abc", Some(4), false).is_err());
        // An endless body, one that announces too much, and one in too many pieces.
        assert!(read(&[b'x'; 2000], None, false).is_err());
        assert!(read(b"abc", Some(1001), false).is_err());
        let pieces = b"3\r\nabc\r\n".repeat(400);
        assert!(read(&pieces, None, true).is_err());
        assert!(read(b"3\r\nabc\r\n0\r\n\r\n", None, true).is_ok());
        for bad in [&b"x\r\nabc"[..], b"3\r\nab", b"3\r\nabcd\r\n0\r\n\r\n", b""] {
            assert!(read(bad, None, true).is_err(), "{bad:?}");
        }
    }
}
