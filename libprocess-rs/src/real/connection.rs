//! Serves one accepted connection: requests in order, replies in the same order.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::decoder::{Decoder, Incoming};
use super::head::{MessageHead, Way};
use super::io::Io;
use super::limits::Limits;
use super::web::WebApp;
use super::wire::{self, Heads};
use super::{streaming, tls};
use crate::envelope::Letter;
use crate::http::Request;
use crate::inbox::Mail;
use crate::{Node, Pid, PidError};

/// How often a receiver that is behind is looked at.
const BEHIND_PAUSE: Duration = Duration::from_millis(1);
/// Replies are written at the latest when there are this many bytes of them.
const MAX_REPLY_BYTES: usize = 64 * 1024;

/// What all connections of a node share.
pub(crate) struct Shared {
    pub(crate) node: Node,
    pub(crate) web: WebApp,
    /// Refuse messages whose sender's ip is not the socket's peer.
    pub(crate) require_peer_match: bool,
    pub(crate) limits: Limits,
    pub(crate) tls: Option<Arc<tls::Tls>>,
    pub(crate) heads: RefCell<Heads>,
    pub(crate) open: Cell<usize>,
}

pub(crate) async fn serve(io: Io, peer: SocketAddr, shared: &Rc<Shared>) {
    let mut connection = Connection {
        shared: shared.clone(),
        peer,
        decoder: Decoder::new(shared.limits),
        run: Run::default(),
        replies: BytesMut::new(),
        io,
    };
    if let Err(error) = connection.run().await {
        slog::debug!(connection.shared.node.log(), "connection closed";
            "peer" => %peer, "reason" => %error);
    }
}

/// Messages of one head that came one after another and are delivered together.
#[derive(Default)]
struct Run {
    head: Option<Rc<MessageHead>>,
    letters: Vec<Letter>,
}

pub(super) struct Connection {
    pub(super) shared: Rc<Shared>,
    peer: SocketAddr,
    pub(super) decoder: Decoder,
    run: Run,
    pub(super) replies: BytesMut,
    pub(super) io: Io,
}

impl Connection {
    async fn run(&mut self) -> std::io::Result<()> {
        loop {
            if self.io.read(&mut self.decoder.buffer).await? == 0 {
                return Ok(());
            }
            loop {
                let node = self.shared.node.clone();
                let next = match self.decoder.next(|request| node.streams(request)) {
                    Ok(Some(next)) => next,
                    Ok(None) => break,
                    Err(broken) => {
                        self.deliver_run().await?;
                        self.io.write_all(&mut self.replies).await?;
                        return Err(std::io::Error::other(broken));
                    }
                };
                if !self.answer(next).await? {
                    self.io.write_all(&mut self.replies).await?;
                    return self.io.shutdown().await;
                }
            }
            self.decoder.relax();
            self.deliver_run().await?;
            if !self.replies.is_empty() {
                // What the messages lead to goes out first: nobody waits for the replies.
                tokio::task::yield_now().await;
                self.io.write_all(&mut self.replies).await?;
                self.replies = BytesMut::new();
            }
        }
    }

    /// Handles one request; false closes the connection after the replies so far.
    async fn answer(&mut self, incoming: Incoming) -> std::io::Result<bool> {
        match incoming {
            Incoming::Message { head, body, keep_alive } => {
                self.message(head, body).await?;
                if !keep_alive {
                    self.deliver_run().await?;
                }
                Ok(keep_alive)
            }
            Incoming::Refused { status, reason, keep_alive } => {
                self.deliver_run().await?;
                self.put_status(status, Some(&reason), keep_alive);
                Ok(keep_alive)
            }
            Incoming::Plain { request, keep_alive } => {
                self.deliver_run().await?;
                self.plain(request, keep_alive).await
            }
            Incoming::Streaming { mut request, shape } => {
                self.deliver_run().await?;
                request.peer = Some(self.peer);
                streaming::serve(self, request, shape).await
            }
        }
    }

    async fn plain(&mut self, mut request: Request, keep_alive: bool) -> std::io::Result<bool> {
        request.peer = Some(self.peer);
        let bodiless = request.method == "HEAD";
        let response = self.shared.web.call(request).await;
        let now = self.shared.node.now();
        let (out, io) = (&mut self.replies, &self.io);
        let how = (keep_alive, bodiless);
        wire::put_response(out, io, &self.shared.heads, now, response, how).await
    }

    fn put_status(&mut self, status: u16, text: Option<&str>, keep_alive: bool) {
        let mut heads = self.shared.heads.borrow_mut();
        heads.at(self.shared.node.now()).put_status(&mut self.replies, status, text, keep_alive);
    }

    fn put_accepted(&mut self, count: usize) {
        let mut heads = self.shared.heads.borrow_mut();
        heads.at(self.shared.node.now()).put_accepted(&mut self.replies, count);
    }

    async fn message(&mut self, head: Rc<MessageHead>, body: Bytes) -> std::io::Result<()> {
        let same = self.run.head.as_ref().is_some_and(|current| Rc::ptr_eq(current, &head));
        if !same {
            self.deliver_run().await?;
            if head.way.borrow().is_none() {
                let way = self.way(&head).await;
                *head.way.borrow_mut() = Some(way);
            }
        }
        let from = head.way.borrow().as_ref().map(|way| way.from.clone()).unwrap_or_default();
        self.run.letters.push(Letter { from, name: head.name.clone(), body });
        self.run.head = Some(head);
        Ok(())
    }

    async fn way(&self, head: &MessageHead) -> Way {
        let from = match head.from.parse::<Pid>() {
            Ok(pid) => pid,
            Err(PidError::BadHost(_)) => look_up(&head.from).await,
            Err(_) => Pid::empty(),
        };
        let matches = |ip: Ipv4Addr| self.peer.ip() == std::net::IpAddr::V4(ip);
        let allowed = !self.shared.require_peer_match || matches(*from.address().ip());
        Way { from, allowed, mail: None }
    }

    /// Delivers the messages that have come so far and puts their replies.
    async fn deliver_run(&mut self) -> std::io::Result<()> {
        let Some(head) = self.run.head.take() else {
            return Ok(());
        };
        let count = self.run.letters.len();
        let delivered = {
            let mut way = head.way.borrow_mut();
            way.as_mut().and_then(|way| self.deliver(&head, way))
        };
        self.run.letters.clear();
        match delivered {
            Some(Ok(mail)) => {
                self.put_accepted(count);
                self.hold_back(&*mail).await?;
            }
            Some(Err(status)) => (0..count).for_each(|_| self.put_status(status, None, true)),
            None => {}
        }
        if self.replies.len() > MAX_REPLY_BYTES {
            self.io.write_all(&mut self.replies).await?;
        }
        Ok(())
    }

    fn deliver(&mut self, head: &MessageHead, way: &mut Way) -> Option<Result<Arc<dyn Mail>, u16>> {
        if !way.allowed {
            slog::warn!(self.shared.node.log(), "message refused: sender's ip is not the peer's";
                "from" => %way.from, "peer" => %self.peer);
            return Some(Err(400));
        }
        if let Some(mail) = &way.mail
            && mail.messages(&mut self.run.letters)
        {
            return Some(Ok(mail.clone()));
        }
        // Not looked up yet, or that process has ended and another may have its name.
        way.mail = self.shared.node.mail(&head.id);
        match &way.mail {
            Some(mail) if mail.messages(&mut self.run.letters) => Some(Ok(mail.clone())),
            _ => Some(Err(404)),
        }
    }

    /// Reads no further while the receiver is far behind: the peer's own queue fills up then.
    async fn hold_back(&mut self, mail: &dyn Mail) -> std::io::Result<()> {
        if mail.waiting() <= self.shared.limits.waiting_events {
            return Ok(());
        }
        self.io.write_all(&mut self.replies).await?;
        while mail.waiting() > self.shared.limits.waiting_events / 2 {
            self.shared.node.sleep(BEHIND_PAUSE).await;
        }
        Ok(())
    }
}

/// The sender whose host is a name.
async fn look_up(text: &str) -> Pid {
    let host_and_port = text.split_once('@').map_or("", |(_, rest)| rest);
    let found = tokio::net::lookup_host(host_and_port).await.ok();
    let ip = found.and_then(|mut addresses| {
        addresses.find_map(|address| match address {
            SocketAddr::V4(v4) => Some(*v4.ip()),
            SocketAddr::V6(_) => None,
        })
    });
    Pid::parse_with(text, |_| ip).unwrap_or_default()
}
