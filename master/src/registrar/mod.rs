//! The registrar: what must be durable before the cluster sees it.
//!
//! Operations are applied in the order in which they arrive, all that wait in one go, and answered
//! once the whole is durable. A registry that cannot be stored, or that somebody else has changed,
//! ends the registrar: what is not durable must never be seen.

mod operation;
mod registry;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coordination::state::{InMemoryStorage, Storage, StorageFuture, Variable};
use futures::channel::oneshot;
use futures::future::{Either, select};
use libprocess::http::{Request, Response};
use libprocess::metrics::{Timer, Unit};
use libprocess::{Ctx, Help, Process, Routes, Time};
use prost::Message;
use protos::mesos;
use protos::mesos::internal as wire;

pub use operation::Operation;
pub(crate) use operation::{expired, same_machine};
pub use registry::{Admitted, Away, Registry};
pub(crate) use registry::{CAPABILITIES, time_info};

const REGISTRY: Help = Help::new("The registry: what survives the master", "");
/// How far statistics of timers look back.
const WINDOW: Duration = Duration::from_secs(86_400);
/// The name of the only variable.
const VARIABLE: &str = "registry";

/// How a registrar works.
#[derive(Clone)]
pub struct Config {
    /// Where the registry is kept.
    pub storage: Arc<dyn Storage>,
    /// How long a fetch may take (flag `registry_fetch_timeout`, 60 s).
    pub fetch_timeout: Duration,
    /// How long a store may take (flag `registry_store_timeout`, 20 s).
    pub store_timeout: Duration,
}

impl Default for Config {
    /// A registry in memory.
    fn default() -> Self {
        Self {
            storage: Arc::new(InMemoryStorage::default()),
            fetch_timeout: Duration::from_secs(60),
            store_timeout: Duration::from_secs(20),
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "registrar within {:?} and {:?}", self.fetch_timeout, self.store_timeout)
    }
}

/// An operation's answer: whether it took effect. Nothing is sent when the registrar fails.
type Answer = oneshot::Sender<bool>;

/// The process `registrar(1)`.
pub struct Registrar {
    config: Config,
    /// With all operations so far; what is durable may lack those that wait.
    registry: Registry,
    /// What is durable; None before recovery.
    durable: Option<Variable>,
    /// Operations in the registry but not in a store yet.
    waiting: Vec<(bool, Answer)>,
    /// Something that waits has changed the registry.
    changed: bool,
    storing: bool,
    recovered: Option<oneshot::Sender<Registry>>,
    /// `registrar/state_fetch_ms` and `registrar/state_store_ms`.
    timers: Option<[Timer; 2]>,
}

impl Process for Registrar {
    fn routes(routes: &mut Routes<Self>) {
        routes.any("/registry", REGISTRY, Self::show).realm(crate::http::READONLY);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        let (metrics, own) = (cx.node().metrics(), cx.handle());
        metrics.gauge("registrar/queued_operations", &own, |r| r.waiting.len() as f64);
        metrics.gauge("registrar/registry_size_bytes", &own, |registrar| {
            registrar.durable.as_ref().map_or(0.0, |durable| durable.value.len() as f64)
        });
        let names = ["registrar/state_fetch", "registrar/state_store"];
        self.timers = Some(names.map(|name| metrics.timer_over(name, Unit::Milliseconds, WINDOW)));
    }
}

impl Registrar {
    /// A registrar that has yet to be spawned and to recover.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            registry: Registry::default(),
            durable: None,
            waiting: Vec::new(),
            changed: false,
            storing: false,
            recovered: None,
            timers: None,
        }
    }

    /// Fetches the registry and enters this master: what was in it before. Dropped without an answer
    /// when that fails.
    pub fn recover(
        &mut self,
        info: mesos::MasterInfo,
        cx: &mut Ctx<Self>,
    ) -> oneshot::Receiver<Registry> {
        let (sender, receiver) = oneshot::channel();
        self.recovered = Some(sender);
        let fetch = self.config.storage.fetch(VARIABLE);
        let timeout = cx.sleep(self.config.fetch_timeout);
        let within = async move { limited(fetch, timeout).await };
        let start = cx.now();
        cx.defer(within, move |registrar, fetched, cx| {
            registrar.took(0, start, cx);
            registrar.fetched(fetched, info, cx);
        });
        receiver
    }

    fn fetched(
        &mut self,
        fetched: Result<Variable, String>,
        info: mesos::MasterInfo,
        cx: &mut Ctx<Self>,
    ) {
        let variable = match fetched {
            Ok(variable) => variable,
            Err(error) => return self.fail(&format!("registry cannot be fetched: {error}"), cx),
        };
        match wire::Registry::decode(variable.value.clone()) {
            Ok(found) => self.registry = Registry::from_wire(found),
            Err(error) => return self.fail(&format!("registry cannot be read: {error}"), cx),
        }
        if let Some(capability) = self.registry.lacking() {
            let why =
                format!("registry needs the capability {capability}, which this master lacks");
            return self.fail(&why, cx);
        }
        self.durable = Some(variable);
        self.registry.master = Some(info);
        self.changed = true;
        self.store(cx);
    }

    /// Applies an operation; the receiver learns whether it took effect once that is durable.
    pub fn apply(&mut self, operation: Operation, cx: &mut Ctx<Self>) -> oneshot::Receiver<bool> {
        let (sender, receiver) = oneshot::channel();
        let applied = operation.apply(&mut self.registry);
        self.changed |= applied;
        self.waiting.push((applied, sender));
        if !self.storing {
            // One store takes all that is queued behind this event, too.
            self.storing = true;
            cx.later(|registrar, cx| registrar.store(cx));
        }
        receiver
    }

    fn store(&mut self, cx: &mut Ctx<Self>) {
        let batch = std::mem::take(&mut self.waiting);
        let Some(durable) = &self.durable else {
            return self.fail("operation before recovery", cx);
        };
        if !std::mem::take(&mut self.changed) {
            self.storing = false;
            return answer(batch);
        }
        self.storing = true;
        let change = durable.change(self.registry.encode(), cx.uuid());
        let store = self.config.storage.store(change);
        let timeout = cx.sleep(self.config.store_timeout);
        let within = async move { limited(store, timeout).await };
        let start = cx.now();
        cx.defer(within, move |registrar, stored, cx| {
            registrar.took(1, start, cx);
            registrar.stored(stored, batch, cx);
        });
    }

    /// A fetch (0) or a store (1) has ended.
    fn took(&self, which: usize, start: Time, cx: &Ctx<Self>) {
        if let Some(timers) = &self.timers {
            timers[which].record(cx.now().since(start));
        }
    }

    fn stored(
        &mut self,
        stored: Result<Option<Variable>, String>,
        batch: Vec<(bool, Answer)>,
        cx: &mut Ctx<Self>,
    ) {
        self.durable = match stored {
            Ok(Some(variable)) => Some(variable),
            Ok(None) => return self.fail("registry was changed by another master", cx),
            Err(error) => return self.fail(&format!("registry cannot be stored: {error}"), cx),
        };
        self.storing = false;
        answer(batch);
        if let Some(recovered) = self.recovered.take() {
            // A master that lost interest is on its way out.
            let _ = recovered.send(self.registry.clone());
        }
        if !self.waiting.is_empty() {
            self.store(cx);
        }
    }

    /// Ends: all that wait learn that there will be no answer.
    fn fail(&mut self, why: &str, cx: &mut Ctx<Self>) {
        slog::crit!(cx.log(), "registrar ends"; "reason" => why);
        self.waiting.clear();
        self.recovered = None;
        cx.stop();
    }

    fn show(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        let value = self.durable.as_ref().map_or_else(Bytes::new, |d| d.value.clone());
        let document = match wire::Registry::decode(value) {
            Ok(registry) if self.durable.is_some() => protos::json::to_json(&registry),
            _ => serde_json::json!({}),
        };
        Response::json(&document, request.param("jsonp"))
    }
}

fn answer(batch: Vec<(bool, Answer)>) {
    for (applied, sender) in batch {
        // Who asked may have gone; the change has happened all the same.
        let _ = sender.send(applied);
    }
}

/// The future's result, or an error when the timeout is over first.
async fn limited<T>(
    future: StorageFuture<T>,
    timeout: impl Future<Output = ()> + Send,
) -> Result<T, String> {
    match select(future, Box::pin(timeout)).await {
        Either::Left((result, _)) => result.map_err(|error| error.to_string()),
        Either::Right(_) => Err("no answer in time".to_owned()),
    }
}
