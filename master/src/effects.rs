//! What a decision wants done: data that the actor carries out and tests compare.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use allocator::{FrameworkSpec, InverseStatus, SlaveSpec};
use bytes::Bytes;
use libprocess::{MessageName, Pid};
use prost::{Message, Name};
use protos::ids::{FrameworkId, OfferId, SlaveId};
use protos::mesos::internal::{RegisterSlaveMessage, ReregisterSlaveMessage};
use protos::mesos::{self, Unavailability};
use protos::resources::Resources;

use crate::registrar::Operation;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Sends an encoded message.
    Send {
        /// To whom.
        to: Pid,
        /// Full name of the message.
        name: MessageName,
        /// The encoded message.
        body: Bytes,
    },
    /// Asks to be told when the peer goes.
    Link(Pid),
    /// Calls the allocator. In a box, as there may be tens of thousands of effects at once, most of
    /// which send something.
    Allocator(Box<AllocatorCall>),
    /// Reminds the master later.
    Remind(Duration, Reminder),
    /// Starts pinging a slave.
    Observe(SlaveId, Pid),
    /// Tells the slave's observer whether the slave is connected.
    ObserverConnected(SlaveId, bool),
    /// The master cannot go on; why.
    GiveUp(String),
    /// Frameworks came or went: metrics follow.
    SettleFrameworks,
    /// Stops pinging a slave.
    Unobserve(SlaveId),
    /// Changes the registry; the master goes on with `then` once that is durable.
    Registry {
        /// The change.
        operation: Box<Operation>,
        /// What waits for it.
        then: AfterRegistry,
    },
    /// A line for the log: something happened that operators want to follow.
    Note(String),
    /// A line for the log: something was refused.
    Refused {
        /// What and why.
        reason: String,
    },
    /// Counts an event under a metric's name.
    Count(Cow<'static, str>),
    /// Counts an event of a framework, under the name that follows the framework's own.
    CountOf(FrameworkId, Cow<'static, str>),
    /// The allocator starts over with a slave: once all else is done it is told who holds what.
    Resync(SlaveId),
}

/// What the master is reminded of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reminder {
    /// A disconnected framework's time to come back is over. The number tells disconnections apart.
    FrameworkFailover(FrameworkId, u64),
    /// A disconnected slave's time to come back is over.
    SlaveReregister(SlaveId, u64),
    /// An offer lay unanswered for too long.
    OfferTimeout(OfferId),
    /// A silent slave's turn to be marked unreachable has come.
    SlaveDoomed(SlaveId),
    /// The time that an earlier master's slaves had to come back is over.
    SlavesRecovered,
    /// It is time to forget slaves that have been unreachable or gone for long.
    RegistryGc,
}

/// What waits for a registry change.
#[derive(Debug, Clone, PartialEq)]
pub enum AfterRegistry {
    /// The slave that registers from there is admitted.
    Admitted(Pid, Box<RegisterSlaveMessage>),
    /// A slave that came back is reachable again.
    Readmitted(Pid, Box<ReregisterSlaveMessage>),
    /// A registered slave came back with another description, which the registry holds now.
    Updated(Pid, Box<ReregisterSlaveMessage>),
    /// The slave is on the list of unreachable ones.
    Unreachable(SlaveId),
    /// The slave is on the list of those that never come back.
    Gone(SlaveId),
    /// The slave that was to be emptied is known to be empty.
    Drained(SlaveId),
    /// These slaves are on no list any more.
    Pruned(Vec<SlaveId>),
    /// The slave is off the list; with the registration that replaces it, if that was why.
    Removed(SlaveId, Option<(Pid, Box<RegisterSlaveMessage>)>),
}

/// Calls to the allocator. See [`allocator::Allocator`].
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "named after the trait's methods and their parameters")]
pub enum AllocatorCall {
    AddFramework {
        id: FrameworkId,
        spec: FrameworkSpec,
        active: bool,
        used: BTreeMap<SlaveId, Resources>,
    },
    UpdateFramework(FrameworkId, FrameworkSpec),
    RemoveFramework(FrameworkId),
    ActivateFramework(FrameworkId),
    DeactivateFramework(FrameworkId),
    AddSlave {
        id: SlaveId,
        spec: SlaveSpec,
        total: Resources,
        used: BTreeMap<FrameworkId, Resources>,
    },
    UpdateSlave(SlaveId, Resources),
    RemoveSlave(SlaveId),
    ActivateSlave(SlaveId),
    DeactivateSlave(SlaveId),
    Recover {
        framework: FrameworkId,
        slave: SlaveId,
        resources: Resources,
        refuse_for: Option<Duration>,
    },
    /// An operation turned `before` into `after`, both allocated: what the framework holds of the
    /// slave, or what is free when there is no framework. The slave's total is another now.
    Convert {
        framework: Option<FrameworkId>,
        slave: SlaveId,
        total: Resources,
        before: Resources,
        after: Resources,
    },
    Unavailability(SlaveId, Option<Unavailability>),
    InverseAnswer {
        slave: SlaveId,
        framework: FrameworkId,
        status: Option<InverseStatus>,
        refuse_for: Option<Duration>,
    },
    Request(FrameworkId, Vec<(Option<SlaveId>, Resources)>),
    Suppress(FrameworkId, BTreeSet<String>),
    Revive(FrameworkId, BTreeSet<String>),
}

/// Effects in the order in which they are to be carried out.
#[derive(Debug, Default)]
pub struct Effects(pub Vec<Effect>);

impl Effects {
    /// Sends a message.
    pub fn send<M: Message + Name + 'static>(&mut self, to: &Pid, message: &M) {
        let (name, body) = (MessageName::of::<M>(), message.encode_to_vec().into());
        self.0.push(Effect::Send { to: to.clone(), name, body });
    }

    /// Calls the allocator.
    pub fn allocator(&mut self, call: AllocatorCall) {
        self.0.push(Effect::Allocator(Box::new(call)));
    }

    /// Changes the registry.
    pub fn registry(&mut self, operation: Operation, then: AfterRegistry) {
        self.0.push(Effect::Registry { operation: Box::new(operation), then });
    }

    /// The calls to the allocator.
    #[cfg(test)]
    pub(crate) fn calls(&self) -> Vec<&AllocatorCall> {
        let mut calls = Vec::new();
        for effect in &self.0 {
            if let Effect::Allocator(call) = effect {
                calls.push(&**call);
            }
        }
        calls
    }

    /// Gives allocated resources back.
    pub fn recover(
        &mut self,
        framework: &FrameworkId,
        slave: &SlaveId,
        resources: Resources,
        refuse_for: Option<Duration>,
    ) {
        if resources.is_empty() {
            return;
        }
        let (framework, slave) = (framework.clone(), slave.clone());
        self.allocator(AllocatorCall::Recover { framework, slave, resources, refuse_for });
    }

    /// Notes an event for the log.
    pub fn note(&mut self, what: impl Into<String>) {
        self.0.push(Effect::Note(what.into()));
    }

    /// Notes a refusal for the log.
    pub fn refuse(&mut self, reason: impl Into<String>) {
        self.0.push(Effect::Refused { reason: reason.into() });
    }

    /// Counts an event.
    pub fn count(&mut self, metric: impl Into<Cow<'static, str>>) {
        self.0.push(Effect::Count(metric.into()));
    }

    /// Counts an event of a framework.
    pub fn count_of(&mut self, id: &FrameworkId, what: impl Into<Cow<'static, str>>) {
        self.0.push(Effect::CountOf(id.clone(), what.into()));
    }

    /// Counts a task that has ended, or that has never begun.
    pub fn count_end(&mut self, framework: &FrameworkId, status: &mesos::TaskStatus) {
        let state = status.state().as_str_name().to_lowercase();
        self.count(format!("master/{}", state.replacen("task_", "tasks_", 1)));
        let source = status.source().as_str_name().to_lowercase();
        let reason = status.reason.map(|_| status.reason().as_str_name().to_lowercase());
        if let Some(reason) = reason {
            self.count(format!("master/{state}/{source}/{reason}"));
        }
        self.count_of(framework, format!("tasks/terminal/{state}"));
    }

    /// Adds any other effect.
    pub fn push(&mut self, effect: Effect) {
        self.0.push(effect);
    }

    /// The messages of one type that are to be sent; for tests.
    pub fn sent<M: Message + Name + Default>(&self) -> Vec<(Pid, M)> {
        let of_type = |effect: &Effect| match effect {
            Effect::Send { to, name, body } if **name == *M::full_name() => {
                M::decode(body.clone()).ok().map(|message| (to.clone(), message))
            }
            _ => None,
        };
        self.0.iter().filter_map(of_type).collect()
    }
}
