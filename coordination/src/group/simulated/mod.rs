//! A directory service for simulated worlds: a process that keeps sessions and children as
//! ZooKeeper does, and sessions with it over messages, so that faults of the network and of hosts
//! do to it what they do to the real one.

mod client;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use libprocess::{Ctx, Node, Pid, Process, Routes, SpawnError, Time};

use super::session::{Connect, Events, Session};
use client::{Client, SimulatedSession};
use wire::{Request, Response};

#[derive(Debug, Clone)]
struct Alive {
    timeout: Duration,
    heard: Time,
    client: Pid,
    watches: bool,
}

#[derive(Debug, Clone)]
struct Child {
    data: Bytes,
    version: i32,
    /// The session that it goes with; None for one that stays.
    owner: Option<u64>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    sessions: BTreeMap<u64, Alive>,
    children: BTreeMap<String, Child>,
    last_session: u64,
}

impl State {
    /// Does what a session asks; true when there are other children afterwards.
    fn answer(&mut self, request: Request, session: u64, response: &mut Response) -> bool {
        let data = request.data;
        if request.list {
            response.names = self.children.keys().cloned().collect();
        } else if let Some(prefix) = request.create {
            let name = format!("{prefix}{:010}", self.next);
            self.next += 1;
            let child = Child { data, version: 0, owner: Some(session) };
            self.children.insert(name.clone(), child);
            response.names.push(name);
            return true;
        } else if let Some(name) = request.write {
            match (self.children.get_mut(&name), request.version) {
                (None, None) => {
                    self.children.insert(name, Child { data, version: 0, owner: None });
                    response.found = true;
                    return true;
                }
                (Some(child), Some(version)) if child.version == version => {
                    (child.data, child.version) = (data, version + 1);
                    response.found = true;
                }
                _ => {}
            }
        } else if let Some(name) = request.delete {
            let child = self.children.get(&name);
            response.found = child.is_some_and(|child| {
                request.version.is_none_or(|version| version == child.version)
            });
            if response.found {
                self.children.remove(&name);
            }
            return response.found;
        } else if let Some(child) = request.read.and_then(|name| self.children.get(&name)) {
            (response.found, response.version) = (true, child.version);
            response.data = child.data.clone();
        }
        false
    }
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
        state.children.iter().map(|(name, child)| (name.clone(), child.data.clone())).collect()
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
        state.children.retain(|_, child| child.owner != Some(session));
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
        if request.close {
            Self::end(&mut state, session, cx);
        } else if state.answer(request, session, &mut response) {
            Self::changed(&mut state, cx);
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
        let client = Client::new(server, timeout, events);
        // The name is random, so it is free.
        let id = format!("session-{}", node.random_uuid().simple());
        Arc::new(SimulatedSession { client: node.spawn(&id, client).ok() })
    }

    fn name(&self) -> String {
        "simulated".to_owned()
    }
}
