//! Builds task statuses and the updates that carry them.

use bytes::Bytes;

use crate::ids::{ExecutorId, FrameworkId, SlaveId, TaskId};
use crate::mesos::internal::StatusUpdate;
use crate::mesos::task_status::{Reason, Source};
use crate::mesos::{TaskState, TaskStatus, TimeInfo};

/// A status under construction.
#[derive(Debug, Clone)]
pub struct Builder(TaskStatus);

/// Starts a status of a task at `timestamp` (seconds since the epoch).
pub fn of(task: &TaskId, state: TaskState, timestamp: f64) -> Builder {
    Builder(TaskStatus {
        task_id: task.wire(),
        state: state.into(),
        timestamp: Some(timestamp),
        ..TaskStatus::default()
    })
}

impl Builder {
    /// Who made the status.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Why the task is in that state.
    #[must_use]
    pub fn reason(mut self, reason: Reason) -> Self {
        self.0.reason = Some(reason.into());
        self
    }

    /// Text for people; an empty one is left out.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.0.message = Some(message.into()).filter(|message| !message.is_empty());
        self
    }

    /// Where the task runs.
    #[must_use]
    pub fn slave(mut self, slave: &SlaveId) -> Self {
        self.0.slave_id = Some(slave.wire());
        self
    }

    /// What runs the task.
    #[must_use]
    pub fn executor(mut self, executor: &ExecutorId) -> Self {
        self.0.executor_id = Some(executor.wire());
        self
    }

    /// Since when the task has been unreachable, in nanoseconds since the epoch
    /// (`TaskStatus.unreachable_time`).
    #[must_use]
    pub fn unreachable_since(mut self, nanoseconds: u64) -> Self {
        let nanoseconds = i64::try_from(nanoseconds).unwrap_or(i64::MAX);
        self.0.unreachable_time = Some(TimeInfo { nanoseconds });
        self
    }

    /// Makes the status one that must be acknowledged.
    #[must_use]
    pub fn uuid(mut self, uuid: [u8; 16]) -> Self {
        self.0.uuid = Some(Bytes::copy_from_slice(&uuid));
        self
    }

    /// The status.
    pub fn build(self) -> TaskStatus {
        self.0
    }

    /// The update that carries the status.
    pub fn update(self, framework: &FrameworkId) -> StatusUpdate {
        let status = self.0;
        StatusUpdate {
            framework_id: framework.wire(),
            executor_id: status.executor_id.clone(),
            slave_id: status.slave_id.clone(),
            timestamp: status.timestamp.unwrap_or_default(),
            uuid: status.uuid.clone(),
            latest_state: None,
            status,
        }
    }
}
