//! A session with the service.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::oneshot;
use libprocess::{Ctx, Handle, Pid, Process, Routes, Time};

use super::wire::{Request, Response};
use crate::group::session::{Events, Session, SessionError, SessionEvent, SessionFuture};

pub(super) struct SimulatedSession {
    pub(super) client: Option<Handle<Client>>,
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

    fn delete(&self, name: String, version: Option<i32>) -> SessionFuture<bool> {
        let request = Request { delete: Some(name), version, ..Request::default() };
        self.ask(request, |response| response.found)
    }

    fn children(&self) -> SessionFuture<Vec<String>> {
        let request = Request { list: true, ..Request::default() };
        self.ask(request, |response| response.names)
    }

    fn read(&self, name: String) -> SessionFuture<Option<(Bytes, i32)>> {
        let request = Request { read: Some(name), ..Request::default() };
        self.ask(request, |response| response.found.then_some((response.data, response.version)))
    }

    fn write(&self, name: String, data: Bytes, version: Option<i32>) -> SessionFuture<bool> {
        let request = Request { write: Some(name), data, version, ..Request::default() };
        self.ask(request, |response| response.found)
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
pub(super) struct Client {
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
    pub(super) fn new(server: Pid, timeout: Duration, events: Events) -> Self {
        Self {
            server,
            timeout,
            events,
            session: 0,
            connected: false,
            last: 0,
            heard: Time::EPOCH,
            waiting: BTreeMap::new(),
        }
    }

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
