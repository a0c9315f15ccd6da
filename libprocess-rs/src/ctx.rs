//! The context: a process's only window to the world.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prost::{Message, Name};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::disk::Disk;
use crate::driver::{LinkMode, TimerId};
use crate::envelope::Letter;
use crate::inbox::{Event, Inbox, Mail};
use crate::subprocess::Subprocesses;
use crate::{Envelope, Handle, MessageName, Node, Pid, Process, Time};

/// What a handler gets beside its process: clock, randomness, messages, links, timers, disk and
/// subprocesses of the node that hosts the process.
pub struct Ctx<P: Process> {
    node: Node,
    me: Pid,
    inbox: Arc<Inbox<P>>,
    pub(crate) from: Option<Pid>,
    pub(crate) stopping: bool,
    // What few processes need is made when it is first used: there may be millions of idle ones.
    rng: Option<Box<ChaCha8Rng>>,
    log: OnceCell<Box<slog::Logger>>,
    last_receiver: RefCell<Option<Box<Receiver>>>,
    delegates: Option<Box<Delegates>>,
}

/// Where messages of some names go.
#[derive(Default)]
struct Delegates(BTreeMap<String, Pid>);

/// The local process that was last sent to. Its mail never changes: when it takes no more, a new
/// process may have taken the name, which is then looked up.
struct Receiver {
    pid: Pid,
    mail: Arc<dyn Mail>,
}

/// A timer that [`Ctx::after`] armed.
#[derive(Debug, Clone)]
pub struct Timer {
    id: TimerId,
    cancelled: Arc<AtomicBool>,
}

impl<P: Process> Ctx<P> {
    pub(crate) fn new(node: Node, me: Pid, inbox: Arc<Inbox<P>>) -> Self {
        Self {
            node,
            me,
            inbox,
            from: None,
            stopping: false,
            rng: None,
            log: OnceCell::new(),
            last_receiver: RefCell::new(None),
            delegates: None,
        }
    }

    /// The PID of the process itself.
    pub fn pid(&self) -> &Pid {
        &self.me
    }

    /// The sender of the message being handled; empty in other events.
    pub fn from(&self) -> &Pid {
        static NOBODY: std::sync::LazyLock<Pid> = std::sync::LazyLock::new(Pid::empty);
        self.from.as_ref().unwrap_or(&NOBODY)
    }

    /// The node that hosts the process.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The process's logger, which names its PID.
    pub fn log(&self) -> &slog::Logger {
        self.log
            .get_or_init(|| Box::new(self.node.log().new(slog::o!("pid" => self.me.to_string()))))
    }

    /// The node's time.
    pub fn now(&self) -> Time {
        self.node.driver().now()
    }

    /// The process's own seeded generator.
    pub fn rng(&mut self) -> &mut ChaCha8Rng {
        let node = &self.node;
        self.rng.get_or_insert_with(|| Box::new(ChaCha8Rng::from_seed(node.driver().seed())))
    }

    /// A random (version 4) UUID from the process's generator.
    pub fn uuid(&mut self) -> uuid::Uuid {
        let bytes: [u8; 16] = rand::Rng::random(self.rng());
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A uniformly random duration in `[0, limit]`: the back-off of the wire protocols.
    pub fn random_within(&mut self, limit: Duration) -> Duration {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(rand::Rng::random_range(self.rng(), 0..=nanos))
    }

    /// Encodes `message` and sends it; at most once, in order for each receiver's node.
    pub fn send<M: Message + Name + 'static>(&self, to: &Pid, message: &M) {
        self.send_raw(to, MessageName::of::<M>(), message.encode_to_vec().into());
    }

    /// Sends an encoded message under a name.
    pub fn send_raw(&self, to: &Pid, name: MessageName, body: bytes::Bytes) {
        let letter = Letter { from: self.me.clone(), name, body };
        if to.address() == self.me.address() {
            self.send_local(to, letter);
        } else {
            self.node.post(letter.to(to));
        }
    }

    fn send_local(&self, to: &Pid, mut letter: Letter) {
        let mut last = self.last_receiver.borrow_mut();
        if let Some(known) = last.as_ref().filter(|known| known.pid.is_same(to)) {
            match known.mail.message(letter) {
                Ok(()) => return,
                Err(returned) => letter = returned,
            }
        }
        let Some(mail) = self.node.mail(to.id()) else {
            return;
        };
        // When the process ends at this moment, the message is dropped as any other then.
        let _ = mail.message(letter);
        match last.as_mut() {
            Some(known) => **known = Receiver { pid: to.clone(), mail },
            None => *last = Some(Box::new(Receiver { pid: to.clone(), mail })),
        }
    }

    /// Sends `message` to the sender of the message being handled.
    pub fn reply<M: Message + Name + 'static>(&self, message: &M) {
        self.send(self.from(), message);
    }

    /// Passes a message on with its sender kept.
    pub fn forward(&self, to: &Pid, mut envelope: Envelope) {
        envelope.to = to.clone();
        self.node.post(envelope);
    }

    /// Lets another process have the messages of a name that this one has no handler for; their
    /// sender is kept. None takes that back.
    pub fn delegate(&mut self, name: &str, to: Option<Pid>) {
        let Delegates(delegates) = &mut **self.delegates.get_or_insert_default();
        match to {
            Some(to) => delegates.insert(name.to_owned(), to),
            None => delegates.remove(name),
        };
    }

    pub(crate) fn delegated(&self, name: &str) -> Option<&Pid> {
        self.delegates.as_ref()?.0.get(name)
    }

    /// Decodes a message after the node's schema check.
    pub(crate) fn decode<M: Message + Default>(&self, letter: Letter) -> Result<M, String> {
        self.node.check_schema(&letter.name, &letter.body)?;
        M::decode(letter.body).map_err(|error| error.to_string())
    }

    /// Asks for one `exited` event when `pid`, or the connection to its node, goes.
    pub fn link(&self, pid: &Pid) {
        self.link_with(pid, LinkMode::Reuse);
    }

    /// As [`Ctx::link`], choosing whether an existing connection will do.
    pub fn link_with(&self, pid: &Pid, mode: LinkMode) {
        self.node.link(&self.me, pid, mode);
    }

    /// Calls `then` once after `delay`.
    pub fn after(
        &self,
        delay: Duration,
        then: impl FnOnce(&mut P, &mut Ctx<P>) + Send + 'static,
    ) -> Timer {
        let cancelled = Arc::new(AtomicBool::new(false));
        let (inbox, flag) = (self.inbox.clone(), cancelled.clone());
        let fire = move || {
            let call = move |process: &mut P, cx: &mut Ctx<P>| {
                // The timer may be cancelled while its event waits in the queue.
                if !flag.load(Ordering::Relaxed) {
                    then(process, cx);
                }
            };
            inbox.push(Event::Dispatch(Box::new(call)));
        };
        Timer { id: self.node.driver().arm(delay, Box::new(fire)), cancelled }
    }

    /// Cancels a timer; its call will not happen any more.
    pub fn cancel(&self, timer: &Timer) {
        timer.cancelled.store(true, Ordering::Relaxed);
        self.node.driver().disarm(timer.id);
    }

    /// Polls `future` beside the process and calls `then` with its result, as an event of its own.
    ///
    /// Futures may only wait for what contexts and handles hand out, so that they are simulable.
    pub fn defer<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
        then: impl FnOnce(&mut P, T, &mut Ctx<P>) + Send + 'static,
    ) {
        let inbox = self.inbox.clone();
        self.node.driver().spawn(Box::pin(async move {
            let value = future.await;
            inbox.push(Event::Dispatch(Box::new(move |process, cx| then(process, value, cx))));
        }));
    }

    /// Calls into another process and comes back with the result (None when it is gone).
    pub fn ask<Q: Process, R: Send + 'static>(
        &self,
        to: &Handle<Q>,
        call: impl FnOnce(&mut Q, &mut Ctx<Q>) -> R + Send + 'static,
        then: impl FnOnce(&mut P, Option<R>, &mut Ctx<P>) + Send + 'static,
    ) {
        let asked = to.ask(call);
        self.defer(async move { asked.await.ok() }, then);
    }

    /// Runs `then` as a later event, after what is queued already.
    pub fn later(&self, then: impl FnOnce(&mut P, &mut Ctx<P>) + Send + 'static) {
        self.inbox.push(Event::Dispatch(Box::new(then)));
    }

    /// A typed handle to the process itself.
    pub fn handle(&self) -> Handle<P> {
        Handle::new(self.me.clone(), self.inbox.clone())
    }

    /// Starts another process on the same node. See [`Node::spawn`].
    ///
    /// # Errors
    /// When the id is taken.
    pub fn spawn<Q: Process>(&self, id: &str, process: Q) -> Result<Handle<Q>, crate::SpawnError> {
        self.node.spawn(id, process)
    }

    /// Starts another process under `prefix(N)`. See [`Node::spawn_numbered`].
    pub fn spawn_numbered<Q: Process>(&self, prefix: &str, process: Q) -> Handle<Q> {
        self.node.spawn_numbered(prefix, process)
    }

    /// Stops the process after the event being handled; what is queued is dropped.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// The node's disk.
    pub fn disk(&self) -> Arc<dyn Disk> {
        self.node.driver().disk()
    }

    /// The node's operating-system processes.
    pub fn subprocesses(&self) -> Arc<dyn Subprocesses> {
        self.node.driver().subprocesses()
    }

    /// A future that is ready after `delay`; for use inside deferred futures.
    pub fn sleep(&self, delay: Duration) -> impl Future<Output = ()> + Send + use<P> {
        self.node.sleep(delay)
    }

    pub(crate) fn inbox(&self) -> &Arc<Inbox<P>> {
        &self.inbox
    }
}
