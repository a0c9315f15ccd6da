//! HTTP GET into a file: redirects, lengths, chunks, and bounds on time and size.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

const MAX_REDIRECTS: usize = 10;
const MAX_LINE_BYTES: u64 = 16 * 1024;
const MAX_HEADERS: usize = 200;
const MAX_BODY_BYTES: u64 = 64 * 1024 * 1024 * 1024;
/// A transfer that stands still for so long has failed.
const STALL: Duration = Duration::from_secs(60);

fn bad(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

/// Downloads `url` (`http://host[:port]/path`) into a new file.
///
/// # Errors
/// What went wrong, as an IO error; a partial file may be left.
pub(super) fn download(url: &str, to: &Path) -> io::Result<()> {
    let mut url = url.to_owned();
    for _ in 0..MAX_REDIRECTS {
        match get(&url, to)? {
            None => return Ok(()),
            Some(location) => url = absolute(&url, &location),
        }
    }
    Err(bad("too many redirects"))
}

fn split(url: &str) -> io::Result<(String, String)> {
    let rest = url.strip_prefix("http://").ok_or_else(|| bad(format!("cannot fetch {url}")))?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    if host.is_empty() || url.contains(['\r', '\n', ' ']) {
        return Err(bad(format!("malformed url {url}")));
    }
    let path = if path.is_empty() { "/" } else { path };
    Ok((host.to_owned(), path.to_owned()))
}

fn absolute(base: &str, location: &str) -> String {
    if location.contains("://") {
        return location.to_owned();
    }
    let host = split(base).map(|(host, _)| host).unwrap_or_default();
    match location.strip_prefix("//") {
        Some(rest) => format!("http://{rest}"),
        None => format!("http://{host}/{}", location.trim_start_matches('/')),
    }
}

/// Fetches once; a redirect's location instead of a body.
fn get(url: &str, to: &Path) -> io::Result<Option<String>> {
    let (host, path) = split(url)?;
    let address = if host.contains(':') { host.clone() } else { format!("{host}:80") };
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(STALL))?;
    stream.set_write_timeout(Some(STALL))?;
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
        (200, _) => body(&mut reader, length, chunked, to).map(|()| None),
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
) -> io::Result<()> {
    let mut file = File::create(to)?;
    if chunked {
        return chunks(reader, &mut file);
    }
    let copied = io::copy(&mut reader.take(length.unwrap_or(MAX_BODY_BYTES)), &mut file)?;
    match length {
        Some(length) if copied < length => Err(bad(format!("got {copied} of {length} bytes"))),
        None if copied == MAX_BODY_BYTES => Err(bad("body too long")),
        _ => Ok(()),
    }
}

fn chunks(reader: &mut impl BufRead, file: &mut File) -> io::Result<()> {
    let mut total = 0;
    loop {
        let header = line(reader)?;
        let size = header.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| bad("malformed chunk"))?;
        if size == 0 {
            return Ok(());
        }
        total += size;
        if total > MAX_BODY_BYTES {
            return Err(bad("body too long"));
        }
        let copied = io::copy(&mut reader.by_ref().take(size), file)?;
        if copied < size || !line(reader)?.is_empty() {
            return Err(bad("malformed chunk"));
        }
    }
}
