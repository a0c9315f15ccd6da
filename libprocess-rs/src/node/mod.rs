//! A runtime as a value: address, process table, clock, randomness and transport.

mod web;

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use futures::channel::oneshot;

use crate::driver::{Driver, LinkMode};
use crate::gate::Guards;
use crate::http::Request;
use crate::inbox::Inbox;
use crate::logging::Verbosity;
use crate::metrics::Metrics;
use crate::runner::Runner;
use crate::table::{Entry, Table};
use crate::{Envelope, Handle, MessageName, Pid, Process, Routes, Time};

/// Checks a message's body by its full name before it is decoded: the place for rules that the
/// decoder does not know, such as required fields. The error text goes to the log.
pub type SchemaCheck = fn(&str, &[u8]) -> Result<(), String>;

/// What a node knows of itself besides its transport.
#[derive(Clone)]
pub struct NodeConfig {
    /// Id of the process that plain HTTP requests without a known receiver go to.
    pub delegate: Option<String>,
    /// Checks messages before they are decoded.
    pub schema: SchemaCheck,
    /// What `/version` answers.
    pub version: serde_json::Value,
    /// Where the node and its processes log.
    pub log: slog::Logger,
    /// How many snapshots of the metrics are served in each duration, spaced evenly
    /// (`LIBPROCESS_METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT`, see [`crate::metrics::parse_rate_limit`]);
    /// None for no limit. Two a second by default.
    pub metrics_rate_limit: Option<(u32, Duration)>,
    /// How much `log` takes, which `/logging/toggle` changes; that of [`crate::logging::Verbosity::filter`]
    /// around its drain.
    pub verbosity: Verbosity,
    /// Whether `/profiler/start` may sample the program (`LIBPROCESS_ENABLE_PROFILER=1`).
    pub profiler: bool,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            delegate: None,
            schema: |_, _| Ok(()),
            version: serde_json::json!({"version": env!("CARGO_PKG_VERSION")}),
            log: slog::Logger::root(slog::Discard, slog::o!()),
            metrics_rate_limit: Some((2, Duration::from_secs(1))),
            verbosity: Verbosity::default(),
            profiler: false,
        }
    }
}

/// A node: one address under which processes run. Cloning gives another handle to the same node.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

/// A node that may be gone; for drivers, which the node owns.
#[derive(Clone)]
pub(crate) struct WeakNode(Weak<Inner>);

impl WeakNode {
    pub(crate) fn upgrade(&self) -> Option<Node> {
        self.0.upgrade().map(|inner| Node { inner })
    }
}

struct Inner {
    address: SocketAddrV4,
    config: NodeConfig,
    table: Mutex<Table>,
    metrics: Metrics,
    guards: Guards,
    filtered: AtomicBool,
    filter: RwLock<Option<Arc<Filter>>>,
    driver: OnceLock<Arc<dyn Driver>>,
}

/// An event that is about to be handled, as a filter sees it.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A message.
    Message {
        /// Its sender.
        from: &'a Pid,
        /// Its full protobuf name.
        name: &'a MessageName,
        /// Its encoded body.
        body: &'a [u8],
    },
    /// A call, a timer or the result of a deferred future.
    Dispatch,
    /// A request.
    Http(&'a Request),
    /// The news that a linked process is gone.
    Exited(&'a Pid),
}

/// True for events that are to be dropped.
type Filter = dyn Fn(&Pid, &Seen<'_>) -> bool + Send + Sync;

/// A process could not be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// A process of that id is running.
    #[error("process id '{0}' is taken")]
    Taken(String),
}

impl Node {
    pub(crate) fn new(address: SocketAddrV4, config: NodeConfig) -> Self {
        let inner = Inner {
            address,
            config,
            table: Mutex::default(),
            metrics: Metrics::default(),
            guards: Guards::default(),
            filtered: AtomicBool::new(false),
            filter: RwLock::new(None),
            driver: OnceLock::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Connects the node to its driver and starts the built-in processes. Called once.
    pub(crate) fn start(&self, driver: Arc<dyn Driver>) {
        self.inner.driver.get_or_init(|| driver);
        crate::builtin::spawn_all(self);
    }

    pub(crate) fn downgrade(&self) -> WeakNode {
        WeakNode(Arc::downgrade(&self.inner))
    }

    #[expect(clippy::expect_used, reason = "both drivers call start before they hand a node out")]
    pub(crate) fn driver(&self) -> &Arc<dyn Driver> {
        self.inner.driver.get().expect("a node is started before use")
    }

    /// The address that PIDs of this node carry.
    pub fn address(&self) -> SocketAddrV4 {
        self.inner.address
    }

    /// The PID of `id` on this node, whether it runs or not.
    pub fn pid(&self, id: &str) -> Pid {
        Pid::new(id, self.inner.address)
    }

    /// The node's logger.
    pub fn log(&self) -> &slog::Logger {
        &self.inner.config.log
    }

    /// The node's configuration.
    pub fn config(&self) -> &NodeConfig {
        &self.inner.config
    }

    /// The node's metrics, served at `/metrics/snapshot`.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// The node's time.
    pub fn now(&self) -> Time {
        self.driver().now()
    }

    /// A random (version 4) UUID from the node's randomness; for names of processes.
    pub fn uuid(&self) -> uuid::Uuid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.driver().seed()[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A random (version 4) UUID from the node's generator.
    pub fn random_uuid(&self) -> uuid::Uuid {
        let seed = self.driver().seed();
        let mut bytes = [0; 16];
        // A seed is twice as long as a UUID.
        bytes.copy_from_slice(&seed[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A future that is ready after `delay` of the node's time.
    pub fn sleep(&self, delay: Duration) -> impl Future<Output = ()> + Send + use<> {
        let (sender, receiver) = oneshot::channel::<()>();
        self.driver().arm(delay, Box::new(move || drop(sender)));
        async move {
            let _ = receiver.await;
        }
    }

    /// Starts `process` under `id`.
    ///
    /// # Errors
    /// [`SpawnError::Taken`] while a process of that id runs.
    pub fn spawn<P: Process>(&self, id: &str, process: P) -> Result<Handle<P>, SpawnError> {
        let inbox = Inbox::new();
        let routes = Routes::<P>::shared();
        let me = self.pid(id);
        if !self.enter(&me, &inbox, &routes) {
            return Err(SpawnError::Taken(id.to_owned()));
        }
        Ok(self.run(process, me, inbox, routes))
    }

    /// Starts `process` under the next free `prefix(N)`; N counts from 1 for each prefix.
    pub fn spawn_numbered<P: Process>(&self, prefix: &str, process: P) -> Handle<P> {
        let inbox = Inbox::new();
        let routes = Routes::<P>::shared();
        loop {
            let id = self.table().number(prefix);
            let me = Pid::new(id, self.inner.address);
            // Somebody may have taken that very name before.
            if self.enter(&me, &inbox, &routes) {
                return self.run(process, me, inbox, routes);
            }
        }
    }

    /// Puts a process on the table; false when its id is taken.
    fn enter<P: Process>(&self, me: &Pid, inbox: &Arc<Inbox<P>>, routes: &Arc<Routes<P>>) -> bool {
        let entry = Entry::new(inbox.clone(), routes.clone());
        self.table().insert(me.id_arc().clone(), entry)
    }

    fn run<P: Process>(
        &self,
        process: P,
        me: Pid,
        inbox: Arc<Inbox<P>>,
        routes: Arc<Routes<P>>,
    ) -> Handle<P> {
        let runner = Runner::new(process, self.clone(), me.clone(), inbox.clone(), routes);
        let (host, slot) = self.driver().host(Box::new(runner));
        inbox.attach(host, slot);
        Handle::new(me, inbox)
    }

    /// Asks a local process to stop: at once, dropping what is queued (`inject`), or after it.
    pub fn terminate(&self, pid: &Pid, inject: bool) {
        if pid.address() == self.inner.address
            && let Some(mail) = self.mail(pid.id())
        {
            mail.terminate(inject);
        }
    }

    /// Ready when the local process is gone; at once when there is none.
    pub fn wait(&self, pid: &Pid) -> impl Future<Output = ()> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        // Where nobody waits for the sender, it is dropped, which makes the receiver ready.
        let _ = self.table().add_waiter(pid.id(), sender);
        async move {
            let _ = receiver.await;
        }
    }

    /// Delivers a message: to a mailbox of this node, or through the transport. A message to a
    /// local process that does not exist is dropped.
    pub fn post(&self, envelope: Envelope) {
        if envelope.to.is_empty() {
            return;
        }
        if envelope.to.address() == self.inner.address {
            self.deliver(envelope);
        } else {
            self.driver().transmit(envelope);
        }
    }

    /// Puts a message into a local mailbox; false when no such process takes it (404).
    pub(crate) fn deliver(&self, envelope: Envelope) -> bool {
        match self.mail(envelope.to.id()) {
            Some(mail) => mail.message(envelope.into()).is_ok(),
            None => false,
        }
    }

    pub(crate) fn check_schema(&self, name: &str, body: &[u8]) -> Result<(), String> {
        (self.inner.config.schema)(name, body)
    }

    pub(crate) fn link(&self, linker: &Pid, to: &Pid, mode: LinkMode) {
        if to.is_empty() {
            return;
        }
        let mut table = self.table();
        if to.address() != self.inner.address {
            table.link_remote(linker.id_arc(), to);
            drop(table);
            self.driver().connect(to.address(), mode);
        } else if !table.link_local(linker.id_arc(), to)
            && let Some(mail) = table.mail(linker.id())
        {
            drop(table);
            mail.exited(to.clone());
        }
    }

    /// The persistent connection to `peer` broke: every link over it gets its event.
    pub(crate) fn connection_lost(&self, peer: SocketAddrV4) {
        let lost = self.table().lost(peer);
        for (mail, pid) in lost {
            mail.exited(pid);
        }
    }

    /// A process of this node has ended.
    pub(crate) fn forget(&self, pid: &Pid) {
        let removed = self.table().remove(pid);
        for mail in removed.linkers {
            mail.exited(pid.clone());
        }
        for waiter in removed.waiters {
            let _ = waiter.send(());
        }
    }

    /// Drops events for which `filter` is true, just before they would be handled; for tests. The
    /// filter runs on the threads of the processes.
    pub fn set_filter(&self, filter: impl Fn(&Pid, &Seen<'_>) -> bool + Send + Sync + 'static) {
        *self.inner.filter.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(filter));
        self.inner.filtered.store(true, Ordering::Release);
    }

    /// Takes the filter away.
    pub fn clear_filter(&self) {
        self.inner.filtered.store(false, Ordering::Release);
        *self.inner.filter.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn is_filtered(&self) -> bool {
        self.inner.filtered.load(Ordering::Relaxed)
    }

    pub(crate) fn drops(&self, to: &Pid, seen: &Seen<'_>) -> bool {
        let filter = self.inner.filter.read().unwrap_or_else(PoisonError::into_inner).clone();
        filter.is_some_and(|filter| filter(to, seen))
    }

    /// Ends all processes, each after what its queue holds, and then the node.
    pub async fn finish(&self) {
        let running = self.processes();
        for id in &running {
            self.terminate(&self.pid(id), false);
        }
        for id in &running {
            self.wait(&self.pid(id)).await;
        }
        self.close();
    }

    /// Ends the node at once, as if its OS process had died: connections break, no process runs any
    /// more.
    pub fn close(&self) {
        self.driver().close();
    }

    /// The ids of the processes that run on this node, sorted.
    pub fn processes(&self) -> Vec<String> {
        self.table().sorted().into_iter().map(|(id, _)| id.to_string()).collect()
    }

    pub(crate) fn mail(&self, id: &str) -> Option<Arc<dyn crate::inbox::Mail>> {
        self.table().mail(id)
    }

    /// No panic can happen while the table is half-changed, so poison is ignored.
    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.inner.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
