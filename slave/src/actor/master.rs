//! Finding and keeping the master.

use libprocess::{Ctx, Pid};
use protos::mesos;
use protos::mesos::internal::*;
use protos::task_state::is_terminal;

use super::Slave;
use crate::calls::{run_task, updates};
use crate::registration::Standing;
use crate::state::{CAPABILITIES, ExecutorState, Framework};
use crate::{checkpoint, paths};

impl Slave {
    pub(super) fn detect(&mut self, cx: &mut Ctx<Self>) {
        let detecting = self.detector.detect(self.leader.clone());
        cx.defer(detecting, |slave, leader, cx| {
            slave.leader = leader.clone();
            slave.follow(leader.map(|leader| leader.pid), cx);
            slave.detect(cx);
        });
    }

    /// Turns to a master, or waits for one.
    pub(super) fn follow(&mut self, master: Option<Pid>, cx: &mut Ctx<Self>) {
        self.manage(|manager, _| manager.pause());
        self.state.master = None;
        if let Some(limit) = self.registration.detected(master) {
            let epoch = self.registration.epoch;
            let wait = cx.random_within(limit);
            cx.after(wait, move |slave, cx| slave.approach(epoch, 0, cx));
        }
    }

    pub(super) fn attempt(&mut self, epoch: u64, cx: &mut Ctx<Self>) {
        if !self.registration.wants(epoch) {
            return;
        }
        let Some(master) = self.registration.master.clone() else { return };
        cx.link(&master);
        if self.state.info.id.is_some() {
            cx.send(&master, &self.reregister_message());
        } else {
            let message = RegisterSlaveMessage {
                slave: self.state.info.clone(),
                version: Some(self.state.config.version.clone()),
                checkpointed_resources: self.state.checkpointed.clone(),
                agent_capabilities: capabilities(),
                resource_version_uuid: None,
            };
            cx.send(&master, &message);
        }
        let limit = self.registration.attempted();
        let wait = cx.random_within(limit);
        cx.after(wait, move |slave, cx| slave.attempt(epoch, cx));
    }

    pub(super) fn reregister_message(&self) -> ReregisterSlaveMessage {
        let frameworks = self.state.frameworks.values();
        let executors = frameworks.clone().flat_map(|framework| framework.executors.values());
        let queued = frameworks.clone().flat_map(|framework| {
            framework.executors.values().flat_map(move |executor| {
                let named = (!executor.generated).then_some(&executor.id);
                let waiting = executor.queued.iter();
                waiting.map(move |task| run_task::task_of(task, &framework.id, named))
            })
        });
        let launched = executors.clone().flat_map(|executor| executor.launched.values().cloned());
        let known = executors
            .filter(|executor| !executor.generated && executor.state != ExecutorState::Terminated);
        ReregisterSlaveMessage {
            slave: self.state.info.clone(),
            tasks: launched.chain(queued).collect(),
            executor_infos: known.map(|executor| executor.info.clone()).collect(),
            completed_frameworks: self.state.completed.iter().map(archived).collect(),
            version: Some(self.state.config.version.clone()),
            checkpointed_resources: self.state.checkpointed.clone(),
            frameworks: frameworks.map(|framework| framework.info.clone()).collect(),
            agent_capabilities: capabilities(),
            resource_version_uuid: None,
        }
    }

    pub(super) fn registered(&mut self, m: SlaveRegisteredMessage, cx: &mut Ctx<Self>) {
        if !self.is_from_master(cx, "registration") {
            return;
        }
        let known = self.state.info.id.as_ref().is_some_and(|id| *id != m.slave_id);
        if known {
            let (own, given) = (self.state.id(), m.slave_id.value);
            return self.exit(1, format!("the master calls this slave {given}, not {own}"), cx);
        }
        if self.registration.standing != Standing::Disconnected {
            return;
        }
        self.state.info.id = Some(m.slave_id);
        self.settle(m.connection, cx);
    }

    pub(super) fn reregistered(&mut self, m: SlaveReregisteredMessage, cx: &mut Ctx<Self>) {
        let leaving = self.registration.standing == Standing::Terminating;
        if !self.is_from_master(cx, "re-registration") || leaving {
            return;
        }
        if self.state.info.id.as_ref() != Some(&m.slave_id) {
            let (own, given) = (self.state.id(), m.slave_id.value);
            return self.exit(1, format!("the master calls this slave {given}, not {own}"), cx);
        }
        self.settle(m.connection, cx);
        let now = cx.now();
        for reconciliation in m.reconciliations {
            let mut uuids = Vec::new();
            uuids.resize_with(reconciliation.statuses.len(), || cx.uuid().into_bytes());
            self.decide(cx, |state, fx| {
                let mut uuids = uuids.into_iter();
                let uuid = || uuids.next().unwrap_or_default();
                updates::reconcile(state, &reconciliation, now, uuid, fx);
            });
        }
    }

    /// The master knows this slave: what had to wait goes on.
    pub(super) fn settle(&mut self, connection: Option<MasterSlaveConnection>, cx: &mut Ctx<Self>) {
        let seconds = connection.and_then(|connection| connection.total_ping_timeout_seconds);
        let timeout = seconds.and_then(protos::duration::from_secs_f64);
        self.registration.registered(timeout);
        self.state.master = self.registration.master.clone();
        let id = self.state.id();
        slog::info!(cx.log(), "registered"; "id" => %id);
        let work_dir = &self.state.config.work_dir;
        let info = checkpoint::encode(&self.state.info);
        let written = cx.disk().write(&paths::slave_info(work_dir, &id), info);
        let linked =
            cx.disk().symlink(&paths::meta_slave(work_dir, &id), &paths::latest_slave(work_dir));
        cx.defer(async move { written.await.and(linked.await) }, |slave, stored, cx| {
            if let Err(error) = stored {
                slave.exit(1, format!("cannot remember this slave's id: {error}"), cx);
            }
        });
        self.manage(|manager, cx| manager.resume(cx));
        self.collect_leftovers(cx);
        self.watch_pings(cx);
        if let Some(master) = &self.state.master {
            let message = UpdateSlaveMessage { slave_id: id.wire(), ..Default::default() };
            cx.send(master, &message);
        }
        self.tell_oversubscribed(cx);
    }

    pub(super) fn ping(&mut self, m: PingSlaveMessage, cx: &mut Ctx<Self>) {
        cx.reply(&PongSlaveMessage {});
        if self.registration.standing != Standing::Running {
            return;
        }
        if m.connected {
            self.registration.epoch += 1;
            self.watch_pings(cx);
        } else {
            slog::warn!(cx.log(), "the master takes this slave for disconnected");
            self.follow(self.registration.master.clone(), cx);
        }
    }

    pub(super) fn watch_pings(&mut self, cx: &mut Ctx<Self>) {
        let epoch = self.registration.epoch;
        cx.after(self.registration.ping_timeout, move |slave, cx| {
            let silent = slave.registration.epoch == epoch;
            if silent && slave.registration.standing == Standing::Running {
                slog::warn!(cx.log(), "the master is silent: registering again");
                slave.follow(slave.registration.master.clone(), cx);
            }
        });
    }

    pub(super) fn is_from_master(&self, cx: &Ctx<Self>, what: &str) -> bool {
        let from_master = self.registration.is_master(cx.from());
        if !from_master {
            slog::warn!(cx.log(), "ignored: not from the master";
                "what" => what, "from" => %cx.from());
        }
        from_master
    }
}

/// What this slave can do, as masters are told.
fn capabilities() -> Vec<mesos::slave_info::Capability> {
    CAPABILITIES.map(|own| mesos::slave_info::Capability { r#type: Some(own.into()) }).to_vec()
}

/// A framework that has nothing here any more, with its tasks: a master that was not there when they
/// ended learns of them.
fn archived(framework: &Framework) -> archive::Framework {
    let executors = framework.completed.iter();
    let tasks = executors.flat_map(|it| it.completed.iter().chain(it.launched.values()));
    archive::Framework {
        framework_info: framework.info.clone(),
        pid: framework.pid.as_ref().map(ToString::to_string),
        // What a framework that was shut down still had has no end of its own.
        tasks: tasks.filter(|task| is_terminal(task.state())).cloned().collect(),
    }
}
