//! What a decision wants done: data that the actor carries out and tests compare.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use isolators::Allocation;
use libprocess::Pid;
use prost::{Message, Name};
use protos::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use protos::mesos::internal::StatusUpdate;

pub use crate::calls::resources::ResourceChange;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Sends an encoded message.
    Send {
        /// To whom.
        to: Pid,
        /// Full name of the message.
        name: String,
        /// The encoded message.
        body: Bytes,
    },
    /// Asks to be told when the peer goes.
    Link(Pid),
    /// Writes a checkpoint.
    Write(PathBuf, Bytes),
    /// Remembers reserved resources, and makes and removes volumes.
    Resources(ResourceChange),
    /// Starts the container of an executor that is in the books already.
    Launch(FrameworkId, ExecutorId),
    /// Gives a container other resources, then goes on.
    Resize {
        /// Whose container.
        framework: FrameworkId,
        /// Whose container.
        executor: ExecutorId,
        /// Which container.
        container: ContainerId,
        /// What it may use from now on.
        allocation: Allocation,
    },
    /// Kills everything in a container.
    Destroy(ContainerId),
    /// Hands an update to its stream; `then` is told once it is safe.
    Update {
        /// The update.
        update: Box<StatusUpdate>,
        /// Where it is written first, if the framework checkpoints.
        path: Option<PathBuf>,
        /// The executor that waits for the acknowledgement, if one made the update.
        executor: Option<Pid>,
    },
    /// Hands a framework's acknowledgement to its stream.
    Acknowledge(FrameworkId, TaskId, Bytes),
    /// Reminds the slave later.
    Remind(Duration, Reminder),
    /// Drops all streams of a framework.
    ForgetUpdates(FrameworkId),
    /// Has directories removed once they are old.
    Collect(Vec<PathBuf>),
    /// Keeps directories that are used again.
    Keep(Vec<PathBuf>),
    /// A line for the log: something happened that operators want to follow.
    Note(String),
    /// A line for the log: something was refused.
    Refused(String),
    /// Counts an event under a metric's name.
    Count(&'static str),
    /// The slave must end.
    Exit(i32, String),
}

/// What the slave is reminded of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reminder {
    /// An executor's time to register is over.
    ExecutorRegistration(FrameworkId, ExecutorId, ContainerId),
    /// An executor's time to shut down is over.
    ExecutorShutdown(FrameworkId, ExecutorId, ContainerId),
}

/// Effects in the order in which they are to be carried out.
#[derive(Debug, Default)]
pub struct Effects(pub Vec<Effect>);

impl Effects {
    /// Sends a message.
    pub fn send<M: Message + Name>(&mut self, to: &Pid, message: &M) {
        let (name, body) = (M::full_name(), message.encode_to_vec().into());
        self.0.push(Effect::Send { to: to.clone(), name, body });
    }

    /// Notes an event for the log.
    pub fn note(&mut self, what: impl Into<String>) {
        self.0.push(Effect::Note(what.into()));
    }

    /// Notes a refusal for the log.
    pub fn refuse(&mut self, reason: impl Into<String>) {
        self.0.push(Effect::Refused(reason.into()));
    }

    /// Adds any other effect.
    pub fn push(&mut self, effect: Effect) {
        self.0.push(effect);
    }

    /// The messages of one type that are to be sent; for tests.
    pub fn sent<M: Message + Name + Default>(&self) -> Vec<(Pid, M)> {
        let of_type = |effect: &Effect| match effect {
            Effect::Send { to, name, body } if *name == M::full_name() => {
                M::decode(body.clone()).ok().map(|message| (to.clone(), message))
            }
            _ => None,
        };
        self.0.iter().filter_map(of_type).collect()
    }

    /// The updates that are to be made; for tests.
    pub fn updates(&self) -> Vec<StatusUpdate> {
        let update = |effect: &'_ Effect| match effect {
            Effect::Update { update, .. } => Some((**update).clone()),
            _ => None,
        };
        self.0.iter().filter_map(update).collect()
    }
}
