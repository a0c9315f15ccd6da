//! Writes responses: status line, headers, body framing.

use std::fmt::Write;

use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;

use super::io::Io;
use super::web::{WebBody, WebResponse};
use crate::Time;
use crate::http::reason;

/// Bodies up to here are copied behind their heads; larger ones are written in pieces of this size.
const PIECE_BYTES: usize = 64 * 1024;

/// Heads of answers of one second: the date in them is formatted once.
#[derive(Default)]
pub(crate) struct Heads {
    second: u64,
    date: String,
    accepted: Vec<u8>,
}

impl Heads {
    /// Turns to the second of `now`.
    pub(crate) fn at(&mut self, now: Time) -> &Self {
        let second = now.as_nanos() / 1_000_000_000;
        if second != self.second || self.date.is_empty() {
            self.second = second;
            let since_epoch = std::time::Duration::from_secs(second);
            self.date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + since_epoch);
            let mut accepted = BytesMut::new();
            self.put_status(&mut accepted, 202, None, true);
            self.accepted = accepted.to_vec();
        }
        self
    }

    /// Appends `count` answers to messages that were delivered.
    pub(crate) fn put_accepted(&self, out: &mut BytesMut, count: usize) {
        out.reserve(self.accepted.len() * count);
        for _ in 0..count {
            out.put_slice(&self.accepted);
        }
    }

    /// Appends a response without body, or with the status's customary one or `text`.
    pub(crate) fn put_status(
        &self,
        out: &mut BytesMut,
        status: u16,
        text: Option<&str>,
        keep_alive: bool,
    ) {
        let customary =
            if status < 300 { String::new() } else { format!("{status} {}.", reason(status)) };
        let body = text.unwrap_or(&customary);
        let close = if keep_alive { "" } else { "Connection: close\r\n" };
        // Writing into memory cannot fail.
        let _ = write!(
            out,
            "HTTP/1.1 {status} {}\r\nDate: {}\r\n{close}Content-Length: {}\r\n\r\n{body}",
            reason(status),
            self.date,
            body.len(),
        );
    }

    fn put_head(&self, out: &mut BytesMut, response: &WebResponse, keep_alive: bool) -> bool {
        let WebResponse { status, headers, .. } = response;
        let _ = write!(out, "HTTP/1.1 {status} {}\r\nDate: {}\r\n", reason(*status), self.date);
        let mut close = !keep_alive;
        for (name, value) in headers {
            close |= name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close");
            // A header value from inside must not start another header.
            let value = value.replace(['\r', '\n'], " ");
            let _ = write!(out, "{name}: {value}\r\n");
        }
        if !keep_alive {
            out.put_slice(b"Connection: close\r\n");
        }
        !close
    }
}

/// Writes a response after what waits in `out`, its head alone when it is `bodiless` (to HEAD); false closes the connection afterwards.
pub(crate) async fn put_response(
    out: &mut BytesMut,
    io: &Io,
    heads: &std::cell::RefCell<Heads>,
    now: Time,
    response: WebResponse,
    (keep_alive, bodiless): (bool, bool),
) -> std::io::Result<bool> {
    let keep_alive = heads.borrow_mut().at(now).put_head(out, &response, keep_alive);
    match response.body {
        WebBody::Bytes(bytes) => {
            let _ = write!(out, "Content-Length: {}\r\n\r\n", bytes.len());
            if bodiless {
                return Ok(keep_alive);
            }
            if bytes.len() <= PIECE_BYTES {
                out.put_slice(&bytes);
            } else {
                io.write_all(out).await?;
                write_large(io, bytes).await?;
            }
        }
        WebBody::Sized(length, mut chunks) => {
            let _ = write!(out, "Content-Length: {length}\r\n\r\n");
            if bodiless {
                return Ok(keep_alive);
            }
            io.write_all(out).await?;
            while let Some(chunk) = chunks.next().await {
                io.write_all(&mut BytesMut::from(chunk?)).await?;
            }
        }
        WebBody::Stream(mut chunks) => {
            out.put_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            if bodiless {
                return Ok(keep_alive);
            }
            io.write_all(out).await?;
            while let Some(chunk) = chunks.next().await {
                io.write_all(&mut framed_chunk(&chunk?)).await?;
            }
            out.put_slice(b"0\r\n\r\n");
        }
    }
    Ok(keep_alive)
}

/// Writes a body from where it lies: many clients may be reading the same one. Between two pieces
/// others have their turn, however fast the client reads.
async fn write_large(io: &Io, mut body: Bytes) -> std::io::Result<()> {
    while !body.is_empty() {
        let piece = body.len().min(PIECE_BYTES);
        io.write_all(&mut body.split_to(piece)).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn framed_chunk(chunk: &Bytes) -> BytesMut {
    let mut out = BytesMut::with_capacity(chunk.len() + 16);
    // An empty chunk would end the stream.
    if !chunk.is_empty() {
        let _ = write!(out, "{:x}\r\n", chunk.len());
        out.put_slice(chunk);
        out.put_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io;
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll, Waker};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::*;

    /// A client that takes whatever it is sent, at once.
    #[derive(Clone, Default)]
    struct Greedy(Arc<Mutex<Vec<u8>>>);

    impl AsyncRead for Greedy {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Greedy {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// What a client has after each turn of a response with that body, and what is left to be written.
    fn turns(body: &Bytes) -> (Vec<Vec<u8>>, BytesMut) {
        let client = Greedy::default();
        let io = Io::new(Box::new(client.clone()));
        let (mut out, heads) = (BytesMut::new(), RefCell::new(Heads::default()));
        let response =
            WebResponse { status: 200, headers: Vec::new(), body: WebBody::Bytes(body.clone()) };
        let mut seen = Vec::new();
        {
            let put = put_response(&mut out, &io, &heads, Time::EPOCH, response, (true, false));
            let mut put = std::pin::pin!(put);
            let mut context = Context::from_waker(Waker::noop());
            loop {
                let over = put.as_mut().poll(&mut context).is_ready();
                seen.push(client.0.lock().unwrap().clone());
                if over {
                    break;
                }
            }
        }
        (seen, out)
    }

    #[test]
    fn large_body_is_written_a_piece_a_turn_and_arrives_whole() {
        let body: Bytes = (0..5 * PIECE_BYTES + 7).map(|at| at as u8).collect();
        let (seen, left) = turns(&body);
        let head = seen[0].len() - PIECE_BYTES;
        assert!(left.is_empty(), "nothing is copied");
        let last = seen.last().unwrap();
        assert_eq!(last[head..], body[..]);
        for pair in seen.windows(2) {
            assert!(pair[1].len() - pair[0].len() <= PIECE_BYTES, "others must have their turn");
        }
        assert!(seen.len() >= 6);
    }

    #[test]
    fn small_body_goes_behind_its_head() {
        let (seen, left) = turns(&Bytes::from_static(b"hello"));
        assert_eq!(seen, [b""]);
        assert!(left.ends_with(b"Content-Length: 5\r\n\r\nhello"), "{left:?}");
    }
}
