//! Serves one accepted connection: requests in order, replies in the same order.

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::decoder::{Decoder, Incoming};
use super::web::WebApp;
use super::wire;
use crate::{Envelope, Node, Pid, PidError};

/// As much as one read takes in.
const READ_BYTES: usize = 80 * 1024;

/// What all connections of a node share.
pub(crate) struct Shared {
    pub(crate) node: Node,
    pub(crate) web: WebApp,
    /// Refuse messages whose sender's ip is not the socket's peer.
    pub(crate) require_peer_match: bool,
}

pub(crate) async fn serve(mut stream: TcpStream, peer: SocketAddr, shared: Rc<Shared>) {
    let mut connection = Connection { shared, peer, resolved: None };
    if let Err(error) = connection.run(&mut stream).await {
        slog::debug!(connection.shared.node.log(), "connection closed";
            "peer" => %peer, "reason" => %error);
    }
}

struct Connection {
    shared: Rc<Shared>,
    peer: SocketAddr,
    /// The last sender text that needed a lookup, with its outcome.
    resolved: Option<(String, Pid)>,
}

impl Connection {
    async fn run(&mut self, stream: &mut TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut decoder = Decoder::default();
        let mut replies = BytesMut::new();
        loop {
            decoder.buffer.reserve(READ_BYTES);
            if stream.read_buf(&mut decoder.buffer).await? == 0 {
                return Ok(());
            }
            loop {
                let next = match decoder.next() {
                    Ok(Some(next)) => next,
                    Ok(None) => break,
                    Err(broken) => {
                        stream.write_all(&replies).await?;
                        return Err(std::io::Error::other(broken));
                    }
                };
                if !self.answer(next, &mut replies, stream).await? {
                    stream.write_all(&replies).await?;
                    return stream.shutdown().await;
                }
            }
            stream.write_all(&replies).await?;
            replies.clear();
        }
    }

    /// Handles one request; false closes the connection after the replies so far.
    async fn answer(
        &mut self,
        incoming: Incoming,
        replies: &mut BytesMut,
        stream: &mut TcpStream,
    ) -> std::io::Result<bool> {
        match incoming {
            Incoming::Message { from, id, name, body, keep_alive } => {
                let from = self.sender(&from).await;
                let status =
                    self.deliver(Envelope { from, to: self.shared.node.pid(&id), name, body });
                wire::put_status(replies, self.shared.node.now(), status, None, keep_alive);
                Ok(keep_alive)
            }
            Incoming::Refused { status, reason, keep_alive } => {
                let now = self.shared.node.now();
                wire::put_status(replies, now, status, Some(&reason), keep_alive);
                Ok(keep_alive)
            }
            Incoming::Plain { mut request, keep_alive } => {
                request.peer = Some(self.peer);
                let response = self.shared.web.call(request).await;
                wire::put_response(replies, stream, self.shared.node.now(), response, keep_alive)
                    .await
            }
        }
    }

    fn deliver(&self, envelope: Envelope) -> u16 {
        let matches = |ip: Ipv4Addr| self.peer.ip() == std::net::IpAddr::V4(ip);
        if self.shared.require_peer_match && !matches(*envelope.from.address().ip()) {
            slog::warn!(self.shared.node.log(), "message refused: sender's ip is not the peer's";
                "from" => %envelope.from, "peer" => %self.peer);
            return 400;
        }
        if self.shared.node.deliver(envelope) { 202 } else { 404 }
    }

    /// The sender a request names: empty when it cannot be read; host names are looked up.
    async fn sender(&mut self, text: &str) -> Pid {
        match text.parse::<Pid>() {
            Ok(pid) => pid,
            Err(PidError::BadHost(_)) => self.look_up(text).await,
            Err(_) => Pid::empty(),
        }
    }

    async fn look_up(&mut self, text: &str) -> Pid {
        if let Some((known, pid)) = &self.resolved
            && known == text
        {
            return pid.clone();
        }
        let host_and_port = text.split_once('@').map_or("", |(_, rest)| rest);
        let found = tokio::net::lookup_host(host_and_port).await.ok();
        let ip = found.and_then(|mut addresses| {
            addresses.find_map(|address| match address {
                SocketAddr::V4(v4) => Some(*v4.ip()),
                SocketAddr::V6(_) => None,
            })
        });
        let pid = Pid::parse_with(text, |_| ip).unwrap_or_default();
        self.resolved = Some((text.to_owned(), pid.clone()));
        pid
    }
}
