//! Requests whose bodies are handed on as they come in.

use std::cell::RefCell;
use std::io::Write;

use bytes::{Bytes, BytesMut};
use futures::channel::mpsc;
use futures::future::join;
use futures::{SinkExt, StreamExt};

use super::body::Piece;
use super::connection::Connection;
use super::decoder::Decoder;
use super::head::Shape;
use super::io::Io;
use super::wire;
use crate::http::{BodyReader, Request};

/// Pieces that wait for a handler that is slower than its client.
const QUEUED_PIECES: usize = 8;

type Sender = mpsc::Sender<std::io::Result<Bytes>>;

/// Serves a request while its body comes in; false closes the connection afterwards.
pub(super) async fn serve(
    connection: &mut Connection,
    mut request: Request,
    shape: Shape,
) -> std::io::Result<bool> {
    let Connection { shared, decoder, replies, io, .. } = connection;
    // The client waits for the replies before this one, and may wait to be asked for the body.
    if request.header("expect").is_some_and(|what| what.eq_ignore_ascii_case("100-continue")) {
        replies.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    io.write_all(replies).await?;
    let (sender, receiver) = mpsc::channel(QUEUED_PIECES);
    request.reader = Some(BodyReader::new(receiver.boxed()));
    let bodiless = request.method == "HEAD";
    let respond = async {
        let response = shared.web.call(request).await;
        let now = shared.node.now();
        let how = (shape.keep_alive, bodiless);
        let kept = wire::put_response(replies, io, &shared.heads, now, response, how).await?;
        io.write_all(replies).await?;
        Ok::<_, std::io::Error>(kept)
    };
    let feed = feed(decoder, io, sender, shape.gzip);
    let (kept, fed) = join(respond, feed).await;
    Ok(kept? && fed?)
}

/// Hands the body on until its end; what a handler does not want is skipped. False when the
/// connection ended before the body.
async fn feed(
    decoder: &mut Decoder,
    io: &Io,
    mut sender: Sender,
    gzip: bool,
) -> std::io::Result<bool> {
    let inflate = gzip.then(|| RefCell::new(flate2::write::GzDecoder::new(Vec::new())));
    loop {
        match decoder.piece() {
            Ok(Some(Piece::End)) => return Ok(true),
            Ok(Some(Piece::Data(data))) => {
                let data = match &inflate {
                    Some(inflate) => inflated(&mut inflate.borrow_mut(), &data),
                    None => Ok(data),
                };
                let failed = data.is_err();
                // A handler that dropped its end has all that it wants.
                let _ = sender.send(data).await;
                if failed {
                    return Ok(false);
                }
            }
            Ok(None) => {
                let mut more = BytesMut::new();
                if io.read(&mut more).await? == 0 {
                    let cut = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                    let _ = sender.send(Err(cut)).await;
                    return Ok(false);
                }
                decoder.buffer.unsplit(more);
            }
            Err(broken) => {
                let _ = sender.send(Err(std::io::Error::other(broken))).await;
                return Ok(false);
            }
        }
    }
}

fn inflated(
    decoder: &mut flate2::write::GzDecoder<Vec<u8>>,
    data: &[u8],
) -> std::io::Result<Bytes> {
    decoder.write_all(data)?;
    decoder.flush()?;
    Ok(std::mem::take(decoder.get_mut()).into())
}
