//! Connections that this node makes: one persistent and one temporary at most for each peer.
//!
//! Sends take the persistent connection first, then the temporary one, else open a temporary one,
//! which closes once its queue has drained. Only the end of a persistent one is reported.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::driver::LinkMode;
use crate::node::WeakNode;
use crate::{Envelope, Node};

/// Most bytes that wait for one peer; beyond it messages are dropped, as they are for a dead one.
const MAX_QUEUED_BYTES: usize = 256 * 1024 * 1024;
/// Most bytes written at once.
const MAX_WRITE_BYTES: usize = 256 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a drained temporary connection waits for the peer's last replies.
const LINGER: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Persistent,
    Temporary,
}

#[derive(Default)]
struct Queue {
    envelopes: VecDeque<Envelope>,
    bytes: usize,
}

struct Socket {
    kind: Kind,
    queue: Mutex<Queue>,
    more: Notify,
    /// Replaced by a newer connection: its end is nobody's business.
    replaced: AtomicBool,
}

impl Socket {
    fn new(kind: Kind, queue: Queue) -> Arc<Self> {
        let (queue, more) = (Mutex::new(queue), Notify::new());
        Arc::new(Self { kind, queue, more, replaced: AtomicBool::new(false) })
    }

    /// False when the peer is too slow and the message was dropped.
    fn push(&self, envelope: Envelope) -> bool {
        let mut queue = lock(&self.queue);
        let bytes = envelope.body.len();
        if queue.bytes + bytes > MAX_QUEUED_BYTES {
            return false;
        }
        queue.bytes += bytes;
        queue.envelopes.push_back(envelope);
        drop(queue);
        self.more.notify_one();
        true
    }

    /// Fills `buffer` with framed messages.
    fn drain(&self, buffer: &mut BytesMut) {
        let mut queue = lock(&self.queue);
        while buffer.len() < MAX_WRITE_BYTES
            && let Some(envelope) = queue.envelopes.pop_front()
        {
            queue.bytes -= envelope.body.len();
            encode(&envelope, buffer);
        }
    }
}

#[derive(Default)]
struct Sockets {
    persistent: BTreeMap<SocketAddrV4, Arc<Socket>>,
    temporary: BTreeMap<SocketAddrV4, Arc<Socket>>,
}

/// All outgoing connections of a node.
pub(crate) struct Outbound {
    sockets: Mutex<Sockets>,
    node: WeakNode,
    arbiter: actix_rt::ArbiterHandle,
}

impl Outbound {
    pub(crate) fn new(node: &Node, arbiter: actix_rt::ArbiterHandle) -> Arc<Self> {
        Arc::new(Self { sockets: Mutex::default(), node: node.downgrade(), arbiter })
    }

    pub(crate) fn transmit(self: &Arc<Self>, envelope: Envelope) {
        let peer = envelope.to.address();
        let mut sockets = lock(&self.sockets);
        let known = sockets.persistent.get(&peer).or_else(|| sockets.temporary.get(&peer));
        let taken = match known {
            Some(socket) => socket.push(envelope),
            None => {
                let socket = Socket::new(Kind::Temporary, Queue::default());
                socket.push(envelope);
                sockets.temporary.insert(peer, socket.clone());
                self.run(peer, socket);
                true
            }
        };
        drop(sockets);
        if !taken && let Some(node) = self.node.upgrade() {
            slog::warn!(node.log(), "message dropped: peer is too slow"; "peer" => %peer);
        }
    }

    pub(crate) fn connect(self: &Arc<Self>, peer: SocketAddrV4, mode: LinkMode) {
        let mut sockets = lock(&self.sockets);
        let queue = match sockets.persistent.get(&peer) {
            Some(_) if mode == LinkMode::Reuse => return,
            Some(old) => {
                old.replaced.store(true, Ordering::Release);
                old.more.notify_one();
                std::mem::take(&mut *lock(&old.queue))
            }
            None => Queue::default(),
        };
        let socket = Socket::new(Kind::Persistent, queue);
        sockets.persistent.insert(peer, socket.clone());
        self.run(peer, socket);
    }

    fn run(self: &Arc<Self>, peer: SocketAddrV4, socket: Arc<Socket>) {
        let outbound = self.clone();
        self.arbiter.spawn(async move {
            let outcome = outbound.serve(peer, &socket).await;
            outbound.ended(peer, &socket, outcome);
        });
    }

    async fn serve(&self, peer: SocketAddrV4, socket: &Arc<Socket>) -> std::io::Result<()> {
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(peer));
        let mut stream = connecting.await??;
        stream.set_nodelay(true)?;
        let (mut reader, mut writer) = stream.split();
        let mut replies = vec![0; 8 * 1024];
        let mut out = BytesMut::new();
        loop {
            socket.drain(&mut out);
            if !out.is_empty() {
                tokio::select! {
                    biased;
                    read = reader.read(&mut replies) => if read? == 0 { return closed() },
                    written = writer.write_buf(&mut out) => { written?; }
                }
                continue;
            }
            if socket.replaced.load(Ordering::Acquire) || self.retire(peer, socket) {
                break;
            }
            tokio::select! {
                biased;
                () = socket.more.notified() => {}
                read = reader.read(&mut replies) => if read? == 0 { return closed() },
            }
        }
        // Closing with replies unread would reset the connection and lose what is under way.
        writer.shutdown().await?;
        let rest = async { while reader.read(&mut replies).await.is_ok_and(|read| read > 0) {} };
        let _ = tokio::time::timeout(LINGER, rest).await;
        Ok(())
    }

    /// Takes a temporary connection with an empty queue off the books; false to go on.
    fn retire(&self, peer: SocketAddrV4, socket: &Arc<Socket>) -> bool {
        if socket.kind == Kind::Persistent {
            return false;
        }
        let mut sockets = lock(&self.sockets);
        // Sends happen under this lock, so an empty queue stays empty.
        if !lock(&socket.queue).envelopes.is_empty() {
            return false;
        }
        sockets.temporary.remove(&peer);
        true
    }

    fn ended(&self, peer: SocketAddrV4, socket: &Arc<Socket>, outcome: std::io::Result<()>) {
        let mut sockets = lock(&self.sockets);
        let map = match socket.kind {
            Kind::Persistent => &mut sockets.persistent,
            Kind::Temporary => &mut sockets.temporary,
        };
        let current = map.get(&peer).is_some_and(|current| Arc::ptr_eq(current, socket));
        if current {
            map.remove(&peer);
        }
        drop(sockets);
        let Some(node) = self.node.upgrade() else {
            return;
        };
        if let Err(error) = outcome {
            let lost = lock(&socket.queue).envelopes.len();
            slog::debug!(node.log(), "connection ended";
                "peer" => %peer, "reason" => %error, "messages lost" => lost);
        }
        if current && socket.kind == Kind::Persistent {
            node.connection_lost(peer);
        }
    }

    /// Forgets all connections; their tasks end with the arbiter.
    pub(crate) fn close(&self) {
        *lock(&self.sockets) = Sockets::default();
    }
}

fn closed() -> std::io::Result<()> {
    Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "closed by peer"))
}

/// Appends the framing of one message: header order, one chunk, nothing for an empty body.
pub(crate) fn encode(envelope: &Envelope, out: &mut BytesMut) {
    let Envelope { from, to, name, body } = envelope;
    let slash = if to.id().is_empty() { "" } else { "/" };
    let head = format!(
        "POST {slash}{id}/{name} HTTP/1.1\r\nUser-Agent: libprocess/{from}\r\n\
         Libprocess-From: {from}\r\nConnection: Keep-Alive\r\nHost: {host}\r\n",
        id = to.id(),
        host = to.address(),
    );
    out.reserve(head.len() + body.len() + 64);
    out.put_slice(head.as_bytes());
    if body.is_empty() {
        out.put_slice(b"\r\n");
    } else {
        let size = format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len());
        out.put_slice(size.as_bytes());
        out.put_slice(body);
        out.put_slice(b"\r\n0\r\n\r\n");
    }
}

/// No panic can happen while the data is half-changed, so poison is ignored.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn framed(to: &str, body: &'static str) -> String {
        let mut out = BytesMut::new();
        let envelope = Envelope {
            from: "a(1)@1.2.3.4:5".parse().unwrap(),
            to: to.parse().unwrap(),
            name: "x.Ping".into(),
            body: Bytes::from_static(body.as_bytes()),
        };
        encode(&envelope, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn framing_with_body_is_one_lower_case_hex_chunk() {
        let expected = "POST /b(2)/x.Ping HTTP/1.1\r\nUser-Agent: libprocess/a(1)@1.2.3.4:5\r\n\
            Libprocess-From: a(1)@1.2.3.4:5\r\nConnection: Keep-Alive\r\nHost: 9.8.7.6:80\r\n\
            Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n";
        assert_eq!(framed("b(2)@9.8.7.6:80", "hello world"), expected);
    }

    #[test]
    fn framing_without_body_has_no_body_headers() {
        let expected = "POST /b/x.Ping HTTP/1.1\r\nUser-Agent: libprocess/a(1)@1.2.3.4:5\r\n\
            Libprocess-From: a(1)@1.2.3.4:5\r\nConnection: Keep-Alive\r\nHost: 9.8.7.6:80\r\n\r\n";
        assert_eq!(framed("b@9.8.7.6:80", ""), expected);
    }

    #[test]
    fn framing_to_an_empty_id_leaves_the_segment_out() {
        assert!(framed("@9.8.7.6:80", "").starts_with("POST /x.Ping HTTP/1.1\r\n"));
    }
}
