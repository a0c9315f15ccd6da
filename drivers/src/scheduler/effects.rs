//! What the scheduler driver's decisions are made of.

use std::time::Duration;

use libprocess::Pid;
use protos::ids::{ExecutorId, FrameworkId, OfferId, SlaveId};
use protos::mesos::internal::{DeactivateFrameworkMessage, FrameworkToExecutorMessage};
use protos::mesos::scheduler::Call;
use protos::mesos::{MasterInfo, Offer, TaskStatus};

use super::session::Attempt;

/// What the scheduler is told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    Registered(FrameworkId, MasterInfo),
    Reregistered(MasterInfo),
    Disconnected,
    Offers(Vec<Offer>),
    Rescinded(OfferId),
    Update(Box<TaskStatus>),
    Message(ExecutorId, SlaveId, bytes::Bytes),
    SlaveLost(SlaveId),
    ExecutorLost(ExecutorId, SlaveId, i32),
    Error(String),
}

/// What the driver's actor must do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    Link(Pid),
    /// Proves who the framework is.
    Authenticate(Box<Attempt>),
    Call(Pid, Box<Call>),
    /// As `Call`, unless the scheduler aborted in the callback before.
    Acknowledge(Pid, Box<Call>),
    Deactivate(Pid, DeactivateFrameworkMessage),
    ToExecutor(Pid, FrameworkToExecutorMessage),
    /// Subscribe again after a random part of this.
    Retry(Duration),
    StopRetrying,
    Tell(Event),
    /// No more callbacks: whoever waits for the driver may go on.
    Abort,
    /// A line for the log, about input that was not taken.
    Note(String),
}
