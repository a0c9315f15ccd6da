//! Serves a file of the host, whole or a range of it, in pieces.

use std::path::Path;

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// Bytes read at once.
const PIECE_BYTES: usize = 128 * 1024;

pub(crate) async fn serve(
    mut builder: HttpResponseBuilder,
    path: &Path,
    range: Option<&str>,
) -> HttpResponse {
    let not_found = || HttpResponse::NotFound().body("404 Not Found.");
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => not_found(),
        _ => HttpResponse::InternalServerError().body(error.to_string()),
    };
    let opened = async {
        let file = File::open(path).await?;
        let info = file.metadata().await?;
        Ok::<_, std::io::Error>((file, info))
    };
    let (mut file, info) = match opened.await {
        Ok((_, info)) if info.is_dir() => return not_found(),
        Ok(opened) => opened,
        Err(error) => return failed(error),
    };
    let size = info.len();
    builder.insert_header((header::ACCEPT_RANGES, "bytes"));
    let (start, length) = match range.map_or(Wanted::All, |range| wanted(range, size)) {
        Wanted::All => (0, size),
        Wanted::Part { start, end } => {
            builder.status(StatusCode::PARTIAL_CONTENT);
            builder.insert_header((header::CONTENT_RANGE, format!("bytes {start}-{end}/{size}")));
            (start, end - start + 1)
        }
        Wanted::Nothing => {
            return HttpResponse::RangeNotSatisfiable()
                .insert_header((header::CONTENT_RANGE, format!("bytes */{size}")))
                .finish();
        }
    };
    if start > 0
        && let Err(error) = file.seek(std::io::SeekFrom::Start(start)).await
    {
        return failed(error);
    }
    builder.body(FileBody { state: State::Idle(file), left: length })
}

/// What a `Range` header asks of a file.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// The whole: the header is none that is understood, or asks for several parts.
    All,
    /// From `start` to `end`, both included.
    Part { start: u64, end: u64 },
    /// A part that does not exist.
    Nothing,
}

fn wanted(range: &str, size: u64) -> Wanted {
    let Some((from, to)) = range.trim().strip_prefix("bytes=").and_then(|r| r.split_once('-'))
    else {
        return Wanted::All;
    };
    match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(start), _) if start >= size => Wanted::Nothing,
        (Ok(start), Ok(end)) if start <= end => Wanted::Part { start, end: end.min(size - 1) },
        (Ok(start), Err(_)) if to.is_empty() => Wanted::Part { start, end: size - 1 },
        (Err(_), Ok(last)) if from.is_empty() && (last == 0 || size == 0) => Wanted::Nothing,
        (Err(_), Ok(last)) if from.is_empty() => {
            Wanted::Part { start: size.saturating_sub(last), end: size - 1 }
        }
        _ => Wanted::All,
    }
}

/// A file as a body of known size.
struct FileBody {
    state: State,
    left: u64,
}

type Read = BoxFuture<'static, (File, std::io::Result<Bytes>)>;

enum State {
    Idle(File),
    Reading(Read),
    Done,
}

impl MessageBody for FileBody {
    type Error = std::io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.left)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, std::io::Error>>> {
        loop {
            match std::mem::replace(&mut self.state, State::Done) {
                State::Done => return Poll::Ready(None),
                State::Idle(_) if self.left == 0 => return Poll::Ready(None),
                State::Idle(file) => {
                    let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE_BYTES);
                    self.state = State::Reading(Box::pin(read(file, most)));
                }
                State::Reading(mut reading) => {
                    let polled = reading.as_mut().poll(context);
                    if polled.is_pending() {
                        self.state = State::Reading(reading);
                    }
                    let (file, piece) = ready!(polled);
                    let piece = piece?;
                    self.left -= piece.len() as u64;
                    self.state = State::Idle(file);
                    return Poll::Ready(Some(Ok(piece)));
                }
            }
        }
    }
}

/// Reads a piece. A file that shrank meanwhile is an error: its size is announced already.
async fn read(mut file: File, most: usize) -> (File, std::io::Result<Bytes>) {
    let mut piece = vec![0; most];
    let read = file.read(&mut piece).await;
    let piece = match read {
        Ok(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
        Ok(read) => {
            piece.truncate(read);
            Ok(piece.into())
        }
        Err(error) => Err(error),
    };
    (file, piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_headers_ask_for_parts_that_exist() {
        let part = |start, end| Wanted::Part { start, end };
        let cases = [
            ("bytes=0-4", part(0, 4)),
            ("bytes=5-", part(5, 9)),
            ("bytes=5-100", part(5, 9)),
            ("bytes=-3", part(7, 9)),
            ("bytes=-30", part(0, 9)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=4-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("lines=0-1", Wanted::All),
            ("bytes=x-y", Wanted::All),
        ];
        for (header, expected) in cases {
            assert_eq!(wanted(header, 10), expected, "{header}");
        }
    }
}
