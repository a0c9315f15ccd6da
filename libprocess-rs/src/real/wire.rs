//! Writes responses: status line, headers, body framing.

use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::web::{WebBody, WebResponse};
use crate::Time;
use crate::http::reason;

fn date(now: Time) -> String {
    let since_epoch = std::time::Duration::from_nanos(now.as_nanos());
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since_epoch)
}

/// Appends a response without body, or with the status's customary one or `text`.
pub(crate) fn put_status(
    out: &mut BytesMut,
    now: Time,
    status: u16,
    text: Option<&str>,
    keep_alive: bool,
) {
    let customary =
        if status < 300 { String::new() } else { format!("{status} {}.", reason(status)) };
    let body = text.unwrap_or(&customary);
    let close = if keep_alive { "" } else { "Connection: close\r\n" };
    let head = format!(
        "HTTP/1.1 {status} {}\r\nDate: {}\r\n{close}Content-Length: {}\r\n\r\n{body}",
        reason(status),
        date(now),
        body.len(),
    );
    out.put_slice(head.as_bytes());
}

/// Writes a response after what waits in `out`; false closes the connection afterwards.
pub(crate) async fn put_response(
    out: &mut BytesMut,
    stream: &mut TcpStream,
    now: Time,
    response: WebResponse,
    keep_alive: bool,
) -> std::io::Result<bool> {
    let WebResponse { status, headers, body } = response;
    out.put_slice(
        format!("HTTP/1.1 {status} {}\r\nDate: {}\r\n", reason(status), date(now)).as_bytes(),
    );
    let mut close = !keep_alive;
    for (name, value) in &headers {
        close |= name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close");
        // A header value from inside must not start another header.
        let value = value.replace(['\r', '\n'], " ");
        out.put_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !keep_alive {
        out.put_slice(b"Connection: close\r\n");
    }
    match body {
        WebBody::Bytes(bytes) => {
            out.put_slice(format!("Content-Length: {}\r\n\r\n", bytes.len()).as_bytes());
            out.put_slice(&bytes);
        }
        WebBody::Stream(mut chunks) => {
            out.put_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            stream.write_all(out).await?;
            out.clear();
            while let Some(chunk) = chunks.next().await {
                stream.write_all(&framed_chunk(&chunk?)).await?;
            }
            out.put_slice(b"0\r\n\r\n");
        }
    }
    Ok(!close)
}

fn framed_chunk(chunk: &Bytes) -> BytesMut {
    let mut out = BytesMut::with_capacity(chunk.len() + 16);
    // An empty chunk would end the stream.
    if !chunk.is_empty() {
        out.put_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.put_slice(chunk);
        out.put_slice(b"\r\n");
    }
    out
}
