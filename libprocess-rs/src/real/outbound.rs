//! Connections that this node makes: one persistent and one temporary at most for each peer.
//!
//! Sends take the persistent connection first, then the temporary one, else open a temporary one,
//! which closes once its queue has drained. Only the end of a persistent one is reported.

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::framer::Framer;
use super::io::Io;
use super::limits::Limits;
use super::tls::Tls;
use crate::driver::LinkMode;
use crate::node::WeakNode;
use crate::{Envelope, Node};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a drained temporary connection waits for the peer's last replies.
const LINGER: Duration = Duration::from_secs(10);

/// A peer that takes nothing for this long counts as slow where memory is short.
const STUCK_AFTER: Duration = Duration::from_secs(1);
/// A queue that once was longer gives its memory back.
const MAX_KEPT_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Persistent,
    Temporary,
}

/// Messages that wait for a connection, framed.
struct Queue {
    framer: Framer,
    bytes: BytesMut,
    messages: usize,
    /// When the connection last took what waited; at first, when it was asked for.
    taken: Instant,
}

impl Queue {
    fn new() -> Self {
        let (framer, bytes) = (Framer::default(), BytesMut::new());
        Self { framer, bytes, messages: 0, taken: Instant::now() }
    }

    /// The peer has taken nothing for a while.
    fn is_stuck(&self) -> bool {
        self.taken.elapsed() > STUCK_AFTER
    }
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

    /// False when too much waits already and the message was dropped.
    fn push(&self, envelope: &Envelope, limits: &Limits, total: &AtomicUsize) -> bool {
        let mut queue = lock(&self.queue);
        let (before, more) = (queue.bytes.len(), envelope.body.len());
        let all = total.load(Ordering::Relaxed);
        let crowded = all + more > limits.queued_bytes;
        if before + more > limits.queued_bytes_per_peer
            || (crowded && before + more > limits.queued_bytes_reserved && queue.is_stuck())
        {
            return false;
        }
        let Queue { framer, bytes, messages, .. } = &mut *queue;
        framer.frame(envelope, bytes);
        *messages += 1;
        total.fetch_add(bytes.len() - before, Ordering::Relaxed);
        drop(queue);
        if before == 0 {
            self.more.notify_one();
        }
        true
    }

    /// Takes what waits into `out`, which is empty.
    fn take(&self, out: &mut BytesMut, total: &AtomicUsize) {
        let mut queue = lock(&self.queue);
        std::mem::swap(&mut queue.bytes, out);
        queue.messages = 0;
        queue.taken = Instant::now();
        if queue.bytes.capacity() > MAX_KEPT_BYTES {
            queue.bytes = BytesMut::new();
        }
        total.fetch_sub(out.len(), Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Sockets {
    persistent: IndexMap<SocketAddrV4, Arc<Socket>, FxBuildHasher>,
    temporary: IndexMap<SocketAddrV4, Arc<Socket>, FxBuildHasher>,
}

/// All outgoing connections of a node.
pub(crate) struct Outbound {
    sockets: Mutex<Sockets>,
    /// Bytes that wait for all peers.
    queued: AtomicUsize,
    limits: Limits,
    tls: Option<Arc<Tls>>,
    node: WeakNode,
    arbiter: actix_rt::ArbiterHandle,
}

impl Outbound {
    pub(crate) fn new(
        node: &Node,
        arbiter: actix_rt::ArbiterHandle,
        limits: Limits,
        tls: Option<Arc<Tls>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            sockets: Mutex::default(),
            queued: AtomicUsize::new(0),
            limits,
            tls,
            node: node.downgrade(),
            arbiter,
        })
    }

    pub(crate) fn transmit(self: &Arc<Self>, envelope: &Envelope) {
        let peer = envelope.to.address();
        let mut sockets = lock(&self.sockets);
        let known = sockets.persistent.get(&peer).or_else(|| sockets.temporary.get(&peer));
        let taken = match known {
            Some(socket) => socket.push(envelope, &self.limits, &self.queued),
            None => {
                let socket = Socket::new(Kind::Temporary, Queue::new());
                let taken = socket.push(envelope, &self.limits, &self.queued);
                if taken {
                    sockets.temporary.insert(peer, socket.clone());
                    self.run(peer, socket);
                }
                taken
            }
        };
        drop(sockets);
        if !taken && let Some(node) = self.node.upgrade() {
            slog::warn!(node.log(), "message dropped: peer is too slow";
                "peer" => %peer, "name" => &envelope.name);
        }
    }

    pub(crate) fn connect(self: &Arc<Self>, peer: SocketAddrV4, mode: LinkMode) {
        let mut sockets = lock(&self.sockets);
        let queue = match sockets.persistent.get(&peer) {
            Some(_) if mode == LinkMode::Reuse => return,
            Some(old) => {
                old.replaced.store(true, Ordering::Release);
                old.more.notify_one();
                std::mem::replace(&mut *lock(&old.queue), Queue::new())
            }
            None => Queue::new(),
        };
        let socket = Socket::new(Kind::Persistent, queue);
        sockets.persistent.insert(peer, socket.clone());
        self.run(peer, socket);
    }

    fn run(self: &Arc<Self>, peer: SocketAddrV4, socket: Arc<Socket>) {
        let outbound = self.clone();
        self.arbiter.spawn_fn(move || {
            actix_rt::spawn(async move {
                let outcome = outbound.serve(peer, &socket).await;
                outbound.ended(peer, &socket, outcome);
            });
        });
    }

    async fn serve(&self, peer: SocketAddrV4, socket: &Arc<Socket>) -> std::io::Result<()> {
        let io = tokio::time::timeout(CONNECT_TIMEOUT, self.dial(peer)).await??;
        let mut out = BytesMut::new();
        loop {
            socket.take(&mut out, &self.queued);
            if !out.is_empty() {
                while !out.is_empty() {
                    tokio::select! {
                        biased;
                        written = io.write(&mut out) => written?,
                        read = io.skip() => if read? == 0 { return closed() },
                    }
                }
                io.flush().await?;
                continue;
            }
            // Idle connections hold no buffer.
            out = BytesMut::new();
            if socket.replaced.load(Ordering::Acquire) || self.retire(peer, socket) {
                break;
            }
            tokio::select! {
                biased;
                () = socket.more.notified() => {}
                read = io.skip() => if read? == 0 { return closed() },
            }
        }
        // Closing with replies unread would reset the connection and lose what is under way.
        io.shutdown().await?;
        let rest = async { while io.skip().await.is_ok_and(|read| read > 0) {} };
        let _ = tokio::time::timeout(LINGER, rest).await;
        Ok(())
    }

    async fn dial(&self, peer: SocketAddrV4) -> std::io::Result<Io> {
        let stream = TcpStream::connect(peer).await?;
        self.limits.prepare(&stream)?;
        match &self.tls {
            None => Ok(Io::new(Box::new(stream))),
            Some(tls) => tls.connect(stream, peer).await,
        }
    }

    /// Takes a temporary connection with an empty queue off the books; false to go on.
    fn retire(&self, peer: SocketAddrV4, socket: &Arc<Socket>) -> bool {
        if socket.kind == Kind::Persistent {
            return false;
        }
        let mut sockets = lock(&self.sockets);
        // Sends happen under this lock, so an empty queue stays empty.
        if !lock(&socket.queue).bytes.is_empty() {
            return false;
        }
        sockets.temporary.swap_remove(&peer);
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
            map.swap_remove(&peer);
        }
        drop(sockets);
        let lost = std::mem::replace(&mut *lock(&socket.queue), Queue::new());
        self.queued.fetch_sub(lost.bytes.len(), Ordering::Relaxed);
        let Some(node) = self.node.upgrade() else {
            return;
        };
        if let Err(error) = outcome {
            slog::debug!(node.log(), "connection ended";
                "peer" => %peer, "reason" => %error, "messages lost" => lost.messages);
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

/// No panic can happen while the data is half-changed, so poison is ignored.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
