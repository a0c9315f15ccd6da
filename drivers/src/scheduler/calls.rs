//! The calls of a scheduler as messages.

use protos::ids::{ExecutorId, FrameworkId, OfferId, SlaveId, TaskId};
use protos::mesos::offer::Operation;
use protos::mesos::scheduler::{Call, call};
use protos::mesos::{Filters, FrameworkInfo, KillPolicy, Request, TaskInfo, TaskStatus};

fn of(kind: call::Type) -> Call {
    Call { r#type: Some(kind.into()), ..Call::default() }
}

/// `SUBSCRIBE`: `force` takes the framework over from another scheduler.
pub(super) fn subscribe(framework: &FrameworkInfo, force: bool) -> Call {
    Call {
        framework_id: framework.id.clone(),
        subscribe: Some(call::Subscribe {
            framework_info: framework.clone(),
            force: Some(force),
            ..call::Subscribe::default()
        }),
        ..of(call::Type::Subscribe)
    }
}

/// `TEARDOWN`.
pub(super) fn teardown() -> Call {
    of(call::Type::Teardown)
}

/// `ACCEPT`.
pub(super) fn accept(
    offers: &[OfferId],
    operations: Vec<Operation>,
    filters: Option<Filters>,
) -> Call {
    Call {
        accept: Some(call::Accept {
            offer_ids: offers.iter().map(OfferId::wire).collect(),
            operations,
            filters,
        }),
        ..of(call::Type::Accept)
    }
}

/// `DECLINE`.
pub(super) fn decline(offers: &[OfferId], filters: Option<Filters>) -> Call {
    Call {
        decline: Some(call::Decline {
            offer_ids: offers.iter().map(OfferId::wire).collect(),
            filters,
        }),
        ..of(call::Type::Decline)
    }
}

/// `REVIVE`; no roles means all.
pub(super) fn revive(roles: Vec<String>) -> Call {
    Call { revive: Some(call::Revive { roles }), ..of(call::Type::Revive) }
}

/// `SUPPRESS`; no roles means all.
pub(super) fn suppress(roles: Vec<String>) -> Call {
    Call { suppress: Some(call::Suppress { roles }), ..of(call::Type::Suppress) }
}

/// `KILL`.
pub(super) fn kill(task: &TaskId, kill_policy: Option<KillPolicy>) -> Call {
    Call {
        kill: Some(call::Kill { task_id: task.wire(), kill_policy, ..call::Kill::default() }),
        ..of(call::Type::Kill)
    }
}

/// `ACKNOWLEDGE`, or None when the status carries nothing to acknowledge.
pub(super) fn acknowledge(status: &TaskStatus) -> Option<Call> {
    let uuid = status.uuid.clone().filter(|uuid| !uuid.is_empty())?;
    Some(Call {
        acknowledge: Some(call::Acknowledge {
            slave_id: status.slave_id.clone()?,
            task_id: status.task_id.clone(),
            uuid,
        }),
        ..of(call::Type::Acknowledge)
    })
}

/// `RECONCILE`; no tasks means all that the master knows.
pub(super) fn reconcile(tasks: &[(TaskId, Option<SlaveId>)]) -> Call {
    let tasks = tasks
        .iter()
        .map(|(task, slave)| call::reconcile::Task {
            task_id: task.wire(),
            slave_id: slave.as_ref().map(SlaveId::wire),
        })
        .collect();
    Call { reconcile: Some(call::Reconcile { tasks }), ..of(call::Type::Reconcile) }
}

/// `MESSAGE`, for executors whose slave's PID is not known.
pub(super) fn message(executor: &ExecutorId, slave: &SlaveId, data: bytes::Bytes) -> Call {
    Call {
        message: Some(call::Message { slave_id: slave.wire(), executor_id: executor.wire(), data }),
        ..of(call::Type::Message)
    }
}

/// `REQUEST`.
pub(super) fn request(requests: Vec<Request>) -> Call {
    Call { request: Some(call::Request { requests }), ..of(call::Type::Request) }
}

/// A `LAUNCH` operation.
pub(super) fn launch(tasks: Vec<TaskInfo>) -> Operation {
    use protos::mesos::offer::operation;
    Operation {
        r#type: Some(operation::Type::Launch.into()),
        launch: Some(operation::Launch { task_infos: tasks }),
        ..Operation::default()
    }
}

/// The same call on behalf of a framework.
pub(super) fn by(framework: &FrameworkId, call: Call) -> Call {
    Call { framework_id: Some(framework.wire()), ..call }
}
