//! The process `slave(1)`: takes messages, has them decided, carries the effects out.

mod authentication;
mod effects;
mod launch;
mod master;
mod orders;
mod oversubscription;
mod recover;
mod resources;
mod shown;

use std::sync::Arc;

use coordination::{Detector, Leader};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use libprocess::files::Files;
use libprocess::{Ctx, Handle, Node, Pid, Process, Routes, Time};

use protos::resources::Resources;

use crate::containerizer::Containerizer;
use crate::gc::GarbageCollector;
use crate::oversubscription::{QosController, ResourceEstimator};
use crate::recovery::recover;
use crate::registration::Registration;
use crate::security::{self, Sandboxes};
use crate::state::State;
use crate::status_updates::StatusUpdateManager;
use crate::{Config, http, metrics};

/// The slave's actor.
pub struct Slave {
    pub(crate) state: State,
    pub(crate) registration: Registration,
    pub(crate) containerizer: Arc<dyn Containerizer>,
    detector: Arc<dyn Detector>,
    leader: Option<Leader>,
    updates: Option<Handle<StatusUpdateManager>>,
    files: Option<Handle<Files>>,
    /// Whose sandboxes are shown where.
    sandboxes: Arc<Sandboxes>,
    gc: Option<Handle<GarbageCollector>>,
    /// Ready when the newest checkpoint is on disk.
    last_write: Shared<BoxFuture<'static, ()>>,
    /// The exit code and why the slave is on its way out, once it is to wait for its executors only.
    leaving: Option<(i32, String)>,
    /// The executors of an earlier run are known.
    taken_over: bool,
    /// What earlier runs left has been looked for.
    looked_for_leftovers: bool,
    estimator: Option<Box<dyn ResourceEstimator>>,
    controller: Option<Box<dyn QosController>>,
    /// What the master was last told of revocable resources.
    pub(crate) oversubscribed: Option<Resources>,
    /// Before that, `/monitor/statistics` is not measured again.
    pub(crate) next_statistics: Time,
}

/// Starts a slave on a node, under the next `slave(N)`.
pub fn start(
    node: &Node,
    config: Config,
    containerizer: Arc<dyn Containerizer>,
    detector: Arc<dyn Detector>,
) -> Handle<Slave> {
    let registration = Registration::new(config.registration_backoff);
    // The id is known once the process runs: it takes it from its context.
    let state = State::new(config, Pid::empty(), node.now());
    let (leader, updates) = (None, None);
    // A node that hosts several slaves has one process for all their files.
    let files = node.spawn("files", Files::default()).ok();
    let last_write = futures::future::ready(()).boxed().shared();
    let slave = Slave {
        state,
        registration,
        containerizer,
        detector,
        leader,
        updates,
        files,
        sandboxes: Arc::default(),
        gc: None,
        last_write,
        leaving: None,
        taken_over: false,
        looked_for_leftovers: false,
        estimator: None,
        controller: None,
        oversubscribed: None,
        next_statistics: node.now(),
    };
    node.spawn_numbered("slave", slave)
}

impl Process for Slave {
    fn routes(r: &mut Routes<Self>) {
        r.on(Self::registered)
            .on(Self::reregistered)
            .on(Self::ping)
            .on(Self::shutdown)
            .on(Self::run_task)
            .on(Self::run_task_group)
            .on(Self::kill_task)
            .on(Self::shutdown_executor)
            .on(Self::shutdown_framework)
            .on(Self::update_framework)
            .on(Self::framework_message)
            .on(Self::acknowledge_update)
            .on(Self::checkpoint_resources)
            .on(Self::apply_operation)
            .on(Self::reconcile_operations)
            .on(Self::acknowledge_operation)
            .on(Self::register_executor)
            .on(Self::reregister_executor)
            .on(Self::status_update)
            .on(Self::executor_message);
        http::routes(r);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.state.pid = cx.pid().clone();
        self.state.info.port = Some(i32::from(cx.pid().address().port()));
        let handle = cx.handle();
        let forward = Arc::new(move |update: Arc<protos::mesos::internal::StatusUpdate>| {
            handle.tell(move |slave, cx| slave.forward(&update, cx));
        });
        let manager = StatusUpdateManager::new(forward);
        self.updates = Some(cx.spawn_numbered("status-update-manager", manager));
        let gc = GarbageCollector::new(self.state.config.gc_limits(), self.files.clone());
        self.gc = Some(cx.spawn_numbered("agent-garbage-collector", gc));
        metrics::register(cx);
        security::authenticate(cx.node(), &self.state.config.security);
        if let Some(acls) = &self.state.config.security.acls {
            security::authorize(cx.node(), cx.pid().id(), acls, &self.sandboxes);
        }
        self.start_oversubscription(cx);
        let work_dir = self.state.config.work_dir.clone();
        let strict = self.state.config.strict;
        cx.defer(recover(cx.disk(), work_dir, strict), Self::recovered);
    }

    fn exited(&mut self, pid: &Pid, cx: &mut Ctx<Self>) {
        if self.registration.is_master(pid) {
            slog::warn!(cx.log(), "connection to the master broke"; "master" => %pid);
            self.follow(self.registration.master.clone(), cx);
        }
    }
}
