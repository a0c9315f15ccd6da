//! What the scheduler driver decides: who the master is, what is taken from whom, what to do next.
//! No I/O happens here; decisions are [`Effect`]s.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess::Pid;
use protos::ids::{ExecutorId, FrameworkId, OfferId, SlaveId, TaskId};
use protos::mesos::internal::{
    ExecutorToFrameworkMessage, ExitedExecutorMessage, FrameworkToExecutorMessage,
    StatusUpdateMessage,
};
use protos::mesos::offer::Operation;
use protos::mesos::scheduler::Call;
use protos::mesos::task_status::{Reason, Source};
use protos::mesos::{
    Filters, FrameworkInfo, MasterInfo, Offer, TaskInfo, TaskState, framework_info::capability,
};

use super::calls;
use super::effects::{Effect, Event};
pub(super) use proof::{Attempt, Proof};

/// Longest wait before a SUBSCRIBE is repeated (`REGISTRATION_RETRY_INTERVAL_MAX`).
const RETRY_MAX: Duration = Duration::from_secs(60);

/// A scheduler's relation to the master.
#[derive(Debug)]
pub(super) struct Session {
    framework: FrameworkInfo,
    backoff: Duration,
    implicit_acknowledgements: bool,
    master: Option<Pid>,
    proof: Proof,
    connected: bool,
    /// The first SUBSCRIBE of a scheduler that resumes a framework takes it over.
    force: bool,
    retry_limit: Duration,
    aborted: bool,
    /// PIDs of slaves by the offers that are open.
    offers: BTreeMap<OfferId, (SlaveId, Pid)>,
    /// PIDs of slaves on which offers were accepted.
    slaves: BTreeMap<SlaveId, Pid>,
}

impl Session {
    pub(super) fn new(
        framework: FrameworkInfo,
        backoff: Duration,
        implicit_acknowledgements: bool,
        proof: Proof,
    ) -> Self {
        Self {
            force: framework.id.as_ref().is_some_and(|id| !id.value.is_empty()),
            framework,
            backoff,
            implicit_acknowledgements,
            master: None,
            proof,
            connected: false,
            retry_limit: backoff,
            aborted: false,
            offers: BTreeMap::new(),
            slaves: BTreeMap::new(),
        }
    }

    fn id(&self) -> Option<FrameworkId> {
        self.framework.id.as_ref().map(FrameworkId::from)
    }

    /// Nothing is taken from the network and no callback is made any more.
    pub(super) fn is_aborted(&self) -> bool {
        self.aborted
    }

    /// The detector named a master, or none.
    pub(super) fn detected(&mut self, master: Option<Pid>) -> Vec<Effect> {
        if self.aborted {
            return Vec::new();
        }
        let mut effects = self.disconnect();
        self.master = master;
        self.proof.reset();
        self.retry_limit = self.backoff;
        effects.push(Effect::StopRetrying);
        effects.extend(self.subscribe());
        effects
    }

    /// Subscribes, and sees to it that this is repeated until the master answers.
    pub(super) fn subscribe(&mut self) -> Vec<Effect> {
        let Some(master) = self.master.clone() else { return Vec::new() };
        if self.connected || self.aborted {
            return Vec::new();
        }
        if let Some(effects) = self.prove(&master) {
            return effects;
        }
        let call = calls::subscribe(&self.framework, self.force);
        let limit = self.retry_limit.min(self.retry_cap());
        self.retry_limit = limit.saturating_mul(2);
        vec![
            Effect::Link(master.clone()),
            Effect::Call(master, Box::new(call)),
            Effect::Retry(limit),
        ]
    }

    fn retry_cap(&self) -> Duration {
        let failover = self.framework.failover_timeout();
        match protos::duration::from_secs_f64(failover / 10.0) {
            Some(share) if failover > 0.0 => share.min(RETRY_MAX),
            _ => RETRY_MAX,
        }
    }

    fn disconnect(&mut self) -> Vec<Effect> {
        if !self.connected {
            return Vec::new();
        }
        self.connected = false;
        self.offers.clear();
        vec![Effect::Tell(Event::Disconnected)]
    }

    /// The link to a process broke.
    pub(super) fn exited(&mut self, pid: &Pid) -> Vec<Effect> {
        if self.aborted || self.master.as_ref() != Some(pid) {
            return Vec::new();
        }
        if !self.proof.reset() && !self.connected {
            // While a subscription is under way its retry is armed already.
            return Vec::new();
        }
        let mut effects = self.disconnect();
        self.retry_limit = self.backoff;
        effects.push(Effect::Retry(self.retry_limit));
        effects
    }

    /// True when a message may be taken: from the master, which was subscribed to.
    fn takes(&self, from: &Pid) -> bool {
        !self.aborted && self.connected && self.master.as_ref() == Some(from)
    }

    fn refuse(&self, what: &str, from: &Pid) -> Vec<Effect> {
        if self.aborted {
            return Vec::new();
        }
        let master = self.master.as_ref().map_or_else(|| "nobody".to_owned(), Pid::to_string);
        let state = if self.connected { "subscribed" } else { "not subscribed" };
        vec![Effect::Note(format!("{what} from {from} ignored: {state} to {master}"))]
    }

    /// `FrameworkRegisteredMessage`.
    pub(super) fn registered(
        &mut self,
        from: &Pid,
        id: FrameworkId,
        master: MasterInfo,
    ) -> Vec<Effect> {
        if self.aborted || self.connected || self.master.as_ref() != Some(from) {
            return self.refuse("registration", from);
        }
        self.framework.id = Some(id.wire());
        self.connect(Event::Registered(id, master))
    }

    /// `FrameworkReregisteredMessage`.
    pub(super) fn reregistered(
        &mut self,
        from: &Pid,
        id: &FrameworkId,
        master: MasterInfo,
    ) -> Vec<Effect> {
        if self.aborted || self.connected || self.master.as_ref() != Some(from) {
            return self.refuse("re-registration", from);
        }
        if self.id().as_ref() != Some(id) {
            let text = format!("re-registration of {id} from {from} ignored: not this framework");
            return vec![Effect::Note(text)];
        }
        self.connect(Event::Reregistered(master))
    }

    fn connect(&mut self, event: Event) -> Vec<Effect> {
        self.connected = true;
        self.force = false;
        self.retry_limit = self.backoff;
        // The link made with the subscription may have broken before the answer came: then that
        // must be heard, or the end of this master would not be.
        let link = self.master.clone().map(Effect::Link);
        link.into_iter().chain([Effect::StopRetrying, Effect::Tell(event)]).collect()
    }

    /// `ResourceOffersMessage`: `pids` runs parallel to `offers`.
    pub(super) fn offered(
        &mut self,
        from: &Pid,
        offers: Vec<Offer>,
        pids: &[String],
    ) -> Vec<Effect> {
        if !self.takes(from) {
            return self.refuse("offers", from);
        }
        for (offer, pid) in offers.iter().zip(pids) {
            if let Ok(pid) = pid.parse::<Pid>() {
                let slave = SlaveId::from(&offer.slave_id);
                self.offers.insert(OfferId::from(&offer.id), (slave, pid));
            }
        }
        vec![Effect::Tell(Event::Offers(offers))]
    }

    /// `RescindResourceOfferMessage`.
    pub(super) fn rescinded(&mut self, from: &Pid, offer: OfferId) -> Vec<Effect> {
        if !self.takes(from) {
            return self.refuse("rescinded offer", from);
        }
        self.offers.remove(&offer);
        vec![Effect::Tell(Event::Rescinded(offer))]
    }

    /// `StatusUpdateMessage`. Updates that the master made itself (no uuid or no pid) carry nothing
    /// to acknowledge.
    pub(super) fn updated(&mut self, from: &Pid, message: StatusUpdateMessage) -> Vec<Effect> {
        if !self.takes(from) {
            return self.refuse("status update", from);
        }
        let update = message.update;
        let id = FrameworkId::from(&update.framework_id);
        if self.id().as_ref() != Some(&id) {
            return vec![Effect::Note(format!(
                "status update for {id} ignored: not this framework"
            ))];
        }
        let mut status = update.status;
        let from_slave = message.pid.is_some_and(|pid| !pid.is_empty());
        status.uuid = update.uuid.filter(|uuid| from_slave && !uuid.is_empty());
        status.timestamp = Some(update.timestamp);
        status.slave_id = status.slave_id.or(update.slave_id);
        status.executor_id = status.executor_id.or(update.executor_id);
        let acknowledgement = calls::acknowledge(&status);
        let mut effects = vec![Effect::Tell(Event::Update(Box::new(status)))];
        if self.implicit_acknowledgements
            && let Some(call) = acknowledgement
        {
            effects.push(Effect::Acknowledge(from.clone(), Box::new(calls::by(&id, call))));
        }
        effects
    }

    /// `LostSlaveMessage`.
    pub(super) fn slave_lost(&mut self, from: &Pid, slave: SlaveId) -> Vec<Effect> {
        if !self.takes(from) {
            return self.refuse("lost slave", from);
        }
        self.slaves.remove(&slave);
        vec![Effect::Tell(Event::SlaveLost(slave))]
    }

    /// `ExitedExecutorMessage`.
    pub(super) fn executor_lost(&self, from: &Pid, message: &ExitedExecutorMessage) -> Vec<Effect> {
        if !self.takes(from) {
            return self.refuse("exited executor", from);
        }
        vec![Effect::Tell(Event::ExecutorLost(
            ExecutorId::from(&message.executor_id),
            SlaveId::from(&message.slave_id),
            message.status,
        ))]
    }

    /// `ExecutorToFrameworkMessage`: comes from slaves as well as from the master.
    pub(super) fn message(&self, message: ExecutorToFrameworkMessage) -> Vec<Effect> {
        if self.aborted {
            return Vec::new();
        }
        vec![Effect::Tell(Event::Message(
            ExecutorId::from(&message.executor_id),
            SlaveId::from(&message.slave_id),
            message.data,
        ))]
    }

    /// Sends a call if there is a master that would take it.
    pub(super) fn call(&self, call: Call) -> Vec<Effect> {
        if self.aborted {
            return Vec::new();
        }
        self.send(call)
    }

    fn send(&self, call: Call) -> Vec<Effect> {
        match (&self.master, self.id()) {
            (Some(master), Some(id)) if self.connected => {
                vec![Effect::Call(master.clone(), Box::new(calls::by(&id, call)))]
            }
            _ => vec![Effect::Note(format!(
                "call {} dropped: not subscribed",
                call.r#type().as_str_name()
            ))],
        }
    }

    /// `ACCEPT`. Without a master the tasks are lost at once, and the scheduler hears so.
    pub(super) fn accept(
        &mut self,
        offers: &[OfferId],
        operations: Vec<Operation>,
        filters: Option<Filters>,
        now: f64,
    ) -> Vec<Effect> {
        if self.aborted {
            return Vec::new();
        }
        if !self.connected {
            let tasks = operations
                .iter()
                .flat_map(|operation| operation.launch.iter().flat_map(|l| &l.task_infos));
            return tasks.map(|task| self.lost(task, now)).collect();
        }
        for offer in offers {
            if let Some((slave, pid)) = self.offers.remove(offer) {
                self.slaves.insert(slave, pid);
            }
        }
        self.call(calls::accept(offers, operations, filters))
    }

    fn lost(&self, task: &TaskInfo, now: f64) -> Effect {
        let mut capabilities = self.framework.capabilities.iter();
        let aware = capabilities.any(|one| one.r#type() == capability::Type::PartitionAware);
        let state = if aware { TaskState::TaskDropped } else { TaskState::TaskLost };
        let mut status = protos::status::of(&TaskId::from(&task.task_id), state, now)
            .source(Source::Master)
            .reason(Reason::MasterDisconnected)
            .message("master disconnected")
            .build();
        status.slave_id = Some(task.slave_id.clone());
        Effect::Tell(Event::Update(Box::new(status)))
    }

    /// `DECLINE`.
    pub(super) fn decline(&mut self, offers: &[OfferId], filters: Option<Filters>) -> Vec<Effect> {
        for offer in offers {
            self.offers.remove(offer);
        }
        self.call(calls::decline(offers, filters))
    }

    /// A message to an executor: straight to its slave when its PID is known.
    pub(super) fn to_executor(
        &self,
        executor: &ExecutorId,
        slave: &SlaveId,
        data: bytes::Bytes,
    ) -> Vec<Effect> {
        let (true, Some(pid), Some(id)) = (self.connected, self.slaves.get(slave), self.id())
        else {
            return self.call(calls::message(executor, slave, data));
        };
        let message = FrameworkToExecutorMessage {
            slave_id: slave.wire(),
            framework_id: id.wire(),
            executor_id: executor.wire(),
            data,
        };
        vec![Effect::ToExecutor(pid.clone(), message)]
    }
}

mod ending;
mod proof;
#[cfg(test)]
mod tests;
