//! A directory service for simulated worlds: a process that keeps sessions and children as
//! ZooKeeper does, and sessions with it over messages, so that faults of the network and of hosts
//! do to it what they do to the real one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::channel::oneshot;
use libprocess::{Ctx, Handle, Node, Pid, Process, Routes, SpawnError, Time};
use prost::{Message, Name};

use super::session::{Connect, Events, Session, SessionError, SessionEvent, SessionFuture};

/// What a session asks; a ping when nothing else is set.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(uint64, tag = "1")]
    id: u64,
    /// The session; 0 for a new one.
    #[prost(uint64, tag = "2")]
    session: u64,
    #[prost(uint64, tag = "3")]
    timeout_ms: u64,
    #[prost(string, optional, tag = "4")]
    create: Option<String>,
    #[prost(bytes = "bytes", tag = "5")]
    data: Bytes,
    #[prost(string, optional, tag = "6")]
    delete: Option<String>,
    #[prost(string, optional, tag = "7")]
    read: Option<String>,
    #[prost(bool, tag = "8")]
    list: bool,
    #[prost(bool, tag = "9")]
    close: bool,
}

/// What the service answers; with id 0 it tells that children have changed.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    session: u64,
    #[prost(bool, tag = "3")]
    expired: bool,
    #[prost(bool, tag = "4")]
    found: bool,
    #[prost(bytes = "bytes", tag = "5")]
    data: Bytes,
    #[prost(string, repeated, tag = "6")]
    names: Vec<String>,
}

const PACKAGE: &str = "coordination.simulated";

impl Name for Request {
    const NAME: &'static str = "Request";
    const PACKAGE: &'static str = PACKAGE;
}

impl Name for Response {
    const NAME: &'static str = "Response";
    const PACKAGE: &'static str = PACKAGE;
}

#[derive(Debug, Clone)]
struct Alive {
    timeout: Duration,
    heard: Time,
    client: Pid,
    watches: bool,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    sessions: BTreeMap<u64, Alive>,
    /// Name → data and session.
    children: BTreeMap<String, (Bytes, u64)>,
    last_session: u64,
}

/// What the service knows, which outlives its processes as an ensemble's data does. One group.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    state: Arc<Mutex<State>>,
}

impl Directory {
    /// Starts the service's process, `directory`, on a node.
    ///
    /// # Errors
    /// When the id is taken.
    pub fn serve(&self, node: &Node) -> Result<Pid, SpawnError> {
        Ok(node.spawn("directory", Service { directory: self.clone() })?.pid().clone())
    }

    /// The children's names and data, sorted by name.
    pub fn children(&self) -> Vec<(String, Bytes)> {
        let state = self.lock();
        state.children.iter().map(|(name, (data, _))| (name.clone(), data.clone())).collect()
    }

    /// No panic can happen while the state is half-changed, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The service's process.
struct Service {
    directory: Directory,
}

impl Process for Service {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::request);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        // A new leader of an ensemble gives all sessions their whole time again.
        let now = cx.now();
        self.directory.lock().sessions.values_mut().for_each(|session| session.heard = now);
        self.tick(cx);
    }
}

impl Service {
    fn tick(&mut self, cx: &mut Ctx<Self>) {
        let now = cx.now();
        let directory = self.directory.clone();
        let mut state = directory.lock();
        let over = |session: &Alive| now.since(session.heard) > session.timeout;
        let gone: Vec<u64> =
            state.sessions.iter().filter(|(_, alive)| over(alive)).map(|(id, _)| *id).collect();
        for id in gone {
            Self::end(&mut state, id, cx);
        }
        cx.after(Duration::from_millis(50), Self::tick);
    }

    fn end(state: &mut State, session: u64, cx: &Ctx<Self>) {
        state.sessions.remove(&session);
        let before = state.children.len();
        state.children.retain(|_, (_, owner)| *owner != session);
        if state.children.len() != before {
            Self::changed(state, cx);
        }
    }

    fn changed(state: &mut State, cx: &Ctx<Self>) {
        for session in state.sessions.values_mut() {
            if std::mem::take(&mut session.watches) {
                cx.send(&session.client, &Response::default());
            }
        }
    }

    fn request(&mut self, request: Request, cx: &mut Ctx<Self>) {
        let directory = self.directory.clone();
        let mut state = directory.lock();
        let mut session = request.session;
        if session == 0 {
            state.last_session += 1;
            session = state.last_session;
            let timeout = Duration::from_millis(request.timeout_ms);
            let (heard, client) = (cx.now(), cx.from().clone());
            state.sessions.insert(session, Alive { timeout, heard, client, watches: false });
        }
        let mut response = Response { id: request.id, session, ..Response::default() };
        let Some(alive) = state.sessions.get_mut(&session) else {
            response.expired = true;
            return cx.reply(&response);
        };
        alive.heard = cx.now();
        alive.watches |= request.list;
        if request.list {
            response.names = state.children.keys().cloned().collect();
        } else if let Some(prefix) = request.create {
            let name = format!("{prefix}{:010}", state.next);
            state.next += 1;
            state.children.insert(name.clone(), (request.data, session));
            response.names.push(name);
            Self::changed(&mut state, cx);
        } else if let Some(name) = request.delete {
            response.found = state.children.remove(&name).is_some();
            Self::changed(&mut state, cx);
        } else if let Some(name) = request.read
            && let Some((data, _)) = state.children.get(&name)
        {
            (response.found, response.data) = (true, data.clone());
        } else if request.close {
            Self::end(&mut state, session, cx);
        }
        cx.reply(&response);
    }
}

/// Makes sessions with a [`Directory`] that runs somewhere in the same world.
#[derive(Debug, Clone)]
pub struct SimulatedConnect {
    /// The service's processes; attempts go round.
    pub servers: Vec<Pid>,
}

impl Connect for SimulatedConnect {
    fn connect(
        &self,
        node: &Node,
        timeout: Duration,
        attempt: u64,
        events: Events,
    ) -> Arc<dyn Session> {
        let count = self.servers.len().max(1) as u64;
        let server = self.servers.get((attempt % count) as usize).cloned().unwrap_or_default();
        let client = Client {
            server,
            timeout,
            events,
            session: 0,
            connected: false,
            last: 0,
            heard: Time::EPOCH,
            waiting: BTreeMap::new(),
        };
        // The name is random, so it is free.
        let id = format!("session-{}", node.random_uuid().simple());
        Arc::new(SimulatedSession { client: node.spawn(&id, client).ok() })
    }

    fn name(&self) -> String {
        "simulated".to_owned()
    }
}

struct SimulatedSession {
    client: Option<Handle<Client>>,
}

impl SimulatedSession {
    fn ask<T: Send + 'static>(
        &self,
        request: Request,
        read: impl FnOnce(Response) -> T + Send + 'static,
    ) -> SessionFuture<T> {
        let (sender, receiver) = oneshot::channel();
        if let Some(client) = &self.client {
            client.tell(move |client, cx| client.ask(request, sender, cx));
        }
        Box::pin(async move { receiver.await.unwrap_or(Err(SessionError::Disconnected)).map(read) })
    }
}

impl Session for SimulatedSession {
    fn create(&self, prefix: String, data: Bytes) -> SessionFuture<String> {
        let request = Request { create: Some(prefix), data, ..Request::default() };
        self.ask(request, |response| response.names.into_iter().next().unwrap_or_default())
    }

    fn delete(&self, name: String) -> SessionFuture<bool> {
        let request = Request { delete: Some(name), ..Request::default() };
        self.ask(request, |response| response.found)
    }

    fn children(&self) -> SessionFuture<Vec<String>> {
        let request = Request { list: true, ..Request::default() };
        self.ask(request, |response| response.names)
    }

    fn data(&self, name: String) -> SessionFuture<Option<Bytes>> {
        let request = Request { read: Some(name), ..Request::default() };
        self.ask(request, |response| response.found.then_some(response.data))
    }

    fn close(&self) {
        if let Some(client) = &self.client {
            client.tell(|client, cx| {
                let session = client.session;
                if session != 0 {
                    let close = Request { session, close: true, ..Request::default() };
                    cx.send(&client.server, &close);
                }
                cx.stop();
            });
        }
    }
}

type Waiting = oneshot::Sender<Result<Response, SessionError>>;

/// A session's process.
struct Client {
    server: Pid,
    timeout: Duration,
    events: Events,
    /// 0 until the service has given a number.
    session: u64,
    connected: bool,
    last: u64,
    heard: Time,
    /// Requests that are not answered, and since when.
    waiting: BTreeMap<u64, (Waiting, Time)>,
}

impl Process for Client {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::response);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.heard = cx.now();
        self.ping(cx);
    }
}

impl Client {
    fn send(&mut self, request: Request, cx: &mut Ctx<Self>) {
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        cx.send(&self.server, &Request { session: self.session, timeout_ms, ..request });
    }

    fn ping(&mut self, cx: &mut Ctx<Self>) {
        // A client of the real service finds the same by silence; nothing is lost on its connection
        // that does not end the connection.
        let oldest = self.waiting.values().map(|waiting| waiting.1).min().unwrap_or(cx.now());
        let patience = self.timeout * 2 / 3;
        if self.connected && cx.now().since(self.heard.min(oldest)) > patience {
            self.disconnect();
        }
        self.send(Request::default(), cx);
        cx.after(self.timeout / 4, Self::ping);
    }

    fn disconnect(&mut self) {
        self.connected = false;
        for (waiting, _) in std::mem::take(&mut self.waiting).into_values() {
            let _ = waiting.send(Err(SessionError::Disconnected));
        }
        (self.events)(SessionEvent::Disconnected);
    }

    fn ask(&mut self, request: Request, waiting: Waiting, cx: &mut Ctx<Self>) {
        if !self.connected {
            let _ = waiting.send(Err(SessionError::Disconnected));
            return;
        }
        self.last += 1;
        self.waiting.insert(self.last, (waiting, cx.now()));
        self.send(Request { id: self.last, ..request }, cx);
    }

    fn response(&mut self, response: Response, cx: &mut Ctx<Self>) {
        self.heard = cx.now();
        if response.expired {
            (self.events)(SessionEvent::Expired);
            return cx.stop();
        }
        if response.session == 0 {
            return (self.events)(SessionEvent::Changed);
        }
        // Had a lost answer made two sessions, one of them ends by itself.
        if self.session == 0 {
            self.session = response.session;
        }
        if let Some((waiting, _)) = self.waiting.remove(&response.id) {
            let _ = waiting.send(Ok(response));
        }
        if !std::mem::replace(&mut self.connected, true) {
            (self.events)(SessionEvent::Connected);
        }
    }
}
