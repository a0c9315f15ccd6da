//! A group in a directory service: the process that keeps in touch with it.
//!
//! A session is believed in for nine tenths of its timeout after the last request that was
//! answered was *sent*: the service has heard of it later than that, so that whoever relies on a
//! membership knows of its end before others do. The children are read again at each return to
//! the service and every quarter of the timeout: a watch that got lost delays news, no more.

mod wishes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use libprocess::{Ctx, Handle, Node, Process, Routes, Time, Timer};

use super::session::{Connect, Session, SessionError, SessionEvent, SessionFuture};
use super::zookeeper::ZooKeeperConnect;
use super::{Ending, Group, GroupError, GroupFuture, Lease, Member, Membership};
use crate::url::ZkUrl;
use wishes::{Task, Wish};

/// First pause after the service has refused; doubles up to the longest.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A group that is reached by sessions; clones share the session. The process behind it ends with
/// its node only.
#[derive(Clone)]
pub struct SessionGroup {
    keeper: Handle<Keeper>,
}

impl SessionGroup {
    /// Starts keeping in touch, under the next free `group(N)`.
    pub fn start(node: &Node, connect: Arc<dyn Connect>, timeout: Duration) -> Self {
        Self { keeper: node.spawn_numbered("group", Keeper::new(connect, timeout)) }
    }

    /// Keeps in touch with a group in a ZooKeeper ensemble.
    pub fn zookeeper(node: &Node, url: ZkUrl, timeout: Duration) -> Self {
        Self::start(node, Arc::new(ZooKeeperConnect::new(url)), timeout)
    }

    /// Leaves for good: memberships end, and others need not wait for the session's timeout. The
    /// group answers nothing afterwards.
    pub fn leave(&self) -> BoxFuture<'static, ()> {
        let left = self.keeper.ask(Keeper::leave);
        Box::pin(async move {
            if let Ok(Some(session)) = left.await {
                session.closed().await;
            }
        })
    }

    /// Takes a step in a session, again and again until the service answers: it must bear that.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        step: impl Fn(Arc<dyn Session>) -> SessionFuture<T> + Send + 'static,
    ) -> GroupFuture<T> {
        self.request(|answer| Wish::Run(Box::new(Task { step, answer })))
    }

    fn request<T: Send + 'static>(&self, make: impl FnOnce(Answer<T>) -> Wish) -> GroupFuture<T> {
        let (sender, receiver) = oneshot::channel();
        let wish = make(sender);
        self.keeper.tell(move |keeper, cx| {
            keeper.wishes.push(wish);
            keeper.flush(cx);
        });
        Box::pin(async move { receiver.await.unwrap_or(Err(GroupError::Ended)) })
    }
}

impl Group for SessionGroup {
    fn join(&self, label: Option<&str>, data: Bytes) -> GroupFuture<Membership> {
        let label = label.map(str::to_owned);
        self.keeper.tell(|keeper, _| keeper.joining += 1);
        self.request(|answer| Wish::Join { label, data, unsure: false, answer })
    }

    fn cancel(&self, member: &Member) -> GroupFuture<bool> {
        let name = member.name();
        self.request(|answer| Wish::Cancel { name, answer })
    }

    fn data(&self, member: &Member) -> GroupFuture<Option<Bytes>> {
        let name = member.name();
        self.run(move |session| {
            let reading = session.read(name.clone());
            Box::pin(async move { Ok(reading.await?.map(|(data, _)| data)) })
        })
    }

    fn watch(&self, known: Option<BTreeSet<Member>>) -> GroupFuture<BTreeSet<Member>> {
        let (sender, receiver) = oneshot::channel();
        self.keeper.tell(move |keeper, _| {
            keeper.watchers.retain(|(_, watcher)| !watcher.is_canceled());
            keeper.watchers.push((known, sender));
            keeper.tell();
        });
        Box::pin(async move { receiver.await.unwrap_or(Err(GroupError::Ended)) })
    }
}

type Answer<T> = oneshot::Sender<Result<T, GroupError>>;
/// Who waits for other members than it knows.
type Watcher = (Option<BTreeSet<Member>>, Answer<BTreeSet<Member>>);

/// The process that keeps in touch.
struct Keeper {
    connect: Arc<dyn Connect>,
    timeout: Duration,
    session: Option<Arc<dyn Session>>,
    /// Counts sessions: what comes from an earlier one is old.
    attempt: u64,
    connected: bool,
    /// Counted from when the last request that was answered was sent, or the session was asked for;
    /// memberships in the session share it.
    lease: Lease,
    fence: Option<Timer>,
    pause: Duration,
    reading: bool,
    /// The children have changed while they were being read.
    again: bool,
    /// What is being read is not to be told.
    outdated: bool,
    wishes: Vec<Wish>,
    /// Joins that are wished for or under way. Meanwhile the members are told to nobody here: one
    /// of them may be what an unanswered request has created, and will not last.
    joining: usize,
    /// Znodes of this session that stand for memberships.
    owned: BTreeMap<String, Ending>,
    /// Znodes of earlier sessions, which may be there still.
    condemned: BTreeSet<String>,
    members: Option<BTreeSet<Member>>,
    watchers: Vec<Watcher>,
}

impl Process for Keeper {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.connect(cx);
        self.tick(cx);
    }

    fn finalize(&mut self, _: &mut Ctx<Self>) {
        if let Some(session) = self.session.take() {
            session.close();
        }
    }
}

impl Keeper {
    fn new(connect: Arc<dyn Connect>, timeout: Duration) -> Self {
        Self {
            connect,
            timeout,
            session: None,
            attempt: 0,
            connected: false,
            lease: Lease::until(Time::EPOCH),
            fence: None,
            pause: PAUSE,
            reading: false,
            again: false,
            outdated: false,
            wishes: Vec::new(),
            joining: 0,
            owned: BTreeMap::new(),
            condemned: BTreeSet::new(),
            members: None,
            watchers: Vec::new(),
        }
    }

    fn connect(&mut self, cx: &mut Ctx<Self>) {
        self.attempt += 1;
        let (attempt, keeper) = (self.attempt, cx.handle());
        let events = Box::new(move |event| {
            keeper.tell(move |keeper: &mut Self, cx| keeper.event(attempt, &event, cx));
        });
        (self.connected, self.reading, self.again, self.outdated) = (false, false, false, false);
        self.session = Some(self.connect.connect(cx.node(), self.timeout, attempt, events));
        self.lease = Lease::until(Time::EPOCH);
        self.touched(cx.now(), cx);
    }

    /// Reads the children from time to time, whatever happens to watches.
    fn tick(&mut self, cx: &mut Ctx<Self>) {
        self.read(cx);
        cx.after(self.timeout / 4, Self::tick);
    }

    /// The service has heard of the session no earlier than `sent`.
    fn touched(&mut self, sent: Time, cx: &mut Ctx<Self>) {
        if let Some(fence) = self.fence.take() {
            cx.cancel(&fence);
        }
        let until = sent + self.timeout * 9 / 10;
        self.lease.renew(until);
        let (attempt, left) = (self.attempt, until.since(cx.now()));
        self.fence = Some(cx.after(left, move |keeper: &mut Self, cx| {
            if keeper.attempt == attempt {
                slog::warn!(cx.log(), "no contact within the session's timeout: it counts as over";
                    "group" => keeper.connect.name());
                keeper.expire(cx);
            }
        }));
    }

    fn event(&mut self, attempt: u64, event: &SessionEvent, cx: &mut Ctx<Self>) {
        if attempt != self.attempt {
            return;
        }
        slog::debug!(cx.log(), "session: {event:?}"; "group" => self.connect.name());
        match event {
            SessionEvent::Connected => {
                self.connected = true;
                self.reading = false;
                self.bury(cx);
                self.read(cx);
                self.flush(cx);
            }
            SessionEvent::Disconnected => self.connected = false,
            SessionEvent::Expired => {
                slog::warn!(cx.log(), "session expired"; "group" => self.connect.name());
                self.expire(cx);
            }
            SessionEvent::Changed => self.read(cx),
        }
    }

    /// The session is over, or nobody here can know that it is not.
    fn expire(&mut self, cx: &mut Ctx<Self>) {
        if let Some(session) = self.session.take() {
            session.close();
        }
        self.lease.renew(Time::EPOCH);
        for (name, lost) in std::mem::take(&mut self.owned) {
            self.condemned.insert(name);
            lost.tell();
        }
        self.members = None;
        self.connected = false;
        self.connect(cx);
    }

    fn leave(&mut self, cx: &mut Ctx<Self>) -> Option<Arc<dyn Session>> {
        self.lease.renew(Time::EPOCH);
        std::mem::take(&mut self.owned).into_values().for_each(Ending::tell);
        let session = self.session.take();
        if let Some(session) = &session {
            session.close();
        }
        cx.stop();
        session
    }

    /// The children cannot be read: that is tried again after a while, or in a new session.
    fn refused(&mut self, reason: String, cx: &mut Ctx<Self>) {
        let group = self.connect.name();
        slog::error!(cx.log(), "group refuses: {reason}"; "group" => &group);
        for (_, watcher) in std::mem::take(&mut self.watchers) {
            let (group, reason) = (group.clone(), reason.clone());
            let _ = watcher.send(Err(GroupError::Refused { group, reason }));
        }
        let attempt = self.attempt;
        cx.after(self.pause, move |keeper: &mut Self, cx| {
            if keeper.attempt == attempt {
                keeper.read(cx);
            }
        });
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Removes what earlier sessions may have left behind.
    fn bury(&mut self, cx: &mut Ctx<Self>) {
        let Some(session) = &self.session else { return };
        for name in self.condemned.clone() {
            let (attempt, deleted) = (self.attempt, session.delete(name.clone(), None));
            cx.defer(deleted, move |keeper: &mut Self, deleted, _| {
                if attempt == keeper.attempt && deleted.is_ok() {
                    keeper.condemned.remove(&name);
                }
            });
        }
    }

    fn read(&mut self, cx: &mut Ctx<Self>) {
        let Some(session) = self.session.as_ref().filter(|_| self.connected) else { return };
        if std::mem::replace(&mut self.reading, true) {
            self.again = true;
            return;
        }
        let (attempt, sent) = (self.attempt, cx.now());
        cx.defer(session.children(), move |keeper: &mut Self, children, cx| {
            if attempt == keeper.attempt {
                keeper.reading = false;
                keeper.has_read(sent, children, cx);
            }
        });
    }

    fn has_read(
        &mut self,
        sent: Time,
        children: Result<Vec<String>, SessionError>,
        cx: &mut Ctx<Self>,
    ) {
        match children {
            Ok(children) => {
                self.touched(sent, cx);
                self.pause = PAUSE;
                let children: BTreeSet<String> = children.into_iter().collect();
                let gone = self.owned.extract_if(.., |name, _| !children.contains(name));
                for (name, lost) in gone.collect::<Vec<_>>() {
                    slog::warn!(cx.log(), "membership is gone"; "znode" => name);
                    lost.tell();
                }
                let members = children.iter().filter(|name| !self.condemned.contains(*name));
                let members = members.filter_map(|name| Member::parse(name)).collect();
                if !std::mem::take(&mut self.outdated) {
                    self.members = Some(members);
                }
                self.tell();
                self.flush(cx);
            }
            Err(SessionError::Disconnected) => {}
            Err(SessionError::Expired) => return self.expire(cx),
            Err(SessionError::Refused(reason)) => return self.refused(reason, cx),
        }
        if std::mem::take(&mut self.again) {
            self.read(cx);
        }
    }

    /// Tells the members to those who know others.
    fn tell(&mut self) {
        let Some(members) = self.members.as_ref().filter(|_| self.joining == 0) else { return };
        for (known, watcher) in std::mem::take(&mut self.watchers) {
            if known.as_ref() == Some(members) {
                self.watchers.push((known, watcher));
            } else {
                // Who watched may be gone.
                let _ = watcher.send(Ok(members.clone()));
            }
        }
    }
}
