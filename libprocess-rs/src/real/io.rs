//! A connection's stream, read and written by futures of one task at the same time.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// As much as one read takes in.
const READ_BYTES: usize = 80 * 1024;

/// A stream of either kind: clear text or TLS.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

pub(crate) struct Io {
    stream: RefCell<Box<dyn Duplex>>,
    /// Bytes read in all; tells whether a peer does anything.
    read: Cell<u64>,
}

thread_local! {
    /// Reads go here first, so that idle connections hold no buffer.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

impl Io {
    pub(crate) fn new(stream: Box<dyn Duplex>) -> Self {
        Self { stream: RefCell::new(stream), read: Cell::new(0) }
    }

    /// Reads what there is and hands it to `take`; 0 at the end of the stream.
    async fn read_with(&self, mut take: impl FnMut(&[u8])) -> std::io::Result<usize> {
        poll_fn(|context| {
            SCRATCH.with_borrow_mut(|scratch| {
                let mut buffer = ReadBuf::new(scratch);
                let mut stream = self.stream.borrow_mut();
                ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
                let filled = buffer.filled();
                self.read.set(self.read.get() + filled.len() as u64);
                take(filled);
                Poll::Ready(Ok(filled.len()))
            })
        })
        .await
    }

    /// Appends what there is to `into`; 0 at the end of the stream.
    pub(crate) async fn read(&self, into: &mut BytesMut) -> std::io::Result<usize> {
        self.read_with(|bytes| into.extend_from_slice(bytes)).await
    }

    /// Reads and forgets what there is; 0 at the end of the stream.
    pub(crate) async fn skip(&self) -> std::io::Result<usize> {
        self.read_with(|_| {}).await
    }

    /// Writes some of `out` and takes it off.
    pub(crate) async fn write(&self, out: &mut impl Buf) -> std::io::Result<()> {
        let written = poll_fn(|context| {
            let mut stream = self.stream.borrow_mut();
            Pin::new(&mut *stream).poll_write(context, out.chunk())
        })
        .await?;
        if written == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        out.advance(written);
        Ok(())
    }

    pub(crate) async fn write_all(&self, out: &mut impl Buf) -> std::io::Result<()> {
        while out.has_remaining() {
            self.write(out).await?;
        }
        self.flush().await
    }

    /// Pushes out what TLS holds back.
    pub(crate) async fn flush(&self) -> std::io::Result<()> {
        poll_fn(|context| Pin::new(&mut *self.stream.borrow_mut()).poll_flush(context)).await
    }

    pub(crate) async fn shutdown(&self) -> std::io::Result<()> {
        poll_fn(|context| Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(context)).await
    }
}
