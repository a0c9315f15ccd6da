//! The lines that `mesos-execute` prints of status updates.

use protos::mesos::TaskStatus;
use protos::task_state;

/// `Received status update TASK_RUNNING for task 'name'` and what is known besides, indented.
pub fn status_update(status: &TaskStatus) -> String {
    let mut lines = vec![format!(
        "Received status update {} for task '{}'",
        task_state::name(status.state),
        status.task_id.value
    )];
    if let Some(message) = &status.message {
        lines.push(format!("  message: '{message}'"));
    }
    if status.source.is_some() {
        lines.push(format!("  source: {}", status.source().as_str_name()));
    }
    if status.reason.is_some() {
        lines.push(format!("  reason: {}", status.reason().as_str_name()));
    }
    lines.join("\n")
}

/// Why a task did not finish, in one line.
pub fn failure(status: &TaskStatus) -> String {
    let mut text = format!("task ended with {}", task_state::name(status.state));
    if status.reason.is_some() {
        text.push_str(&format!(" ({})", status.reason().as_str_name()));
    }
    if let Some(message) = &status.message {
        text.push_str(&format!(": {message}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use protos::ids::TaskId;
    use protos::mesos::TaskState;
    use protos::mesos::task_status::{Reason, Source};

    use super::*;

    #[test]
    fn update_prints_what_is_present() {
        let task = TaskId::new("my-task");
        let running = protos::status::of(&task, TaskState::TaskRunning, 1.0);
        let failed = protos::status::of(&task, TaskState::TaskFailed, 1.0)
            .message("Command exited with status 3")
            .source(Source::Executor)
            .reason(Reason::CommandExecutorFailed);
        let cases = [
            (running.clone(), "Received status update TASK_RUNNING for task 'my-task'"),
            (
                running.source(Source::Slave),
                "Received status update TASK_RUNNING for task 'my-task'\n  source: SOURCE_SLAVE",
            ),
            (
                failed,
                "Received status update TASK_FAILED for task 'my-task'\n  \
                 message: 'Command exited with status 3'\n  source: SOURCE_EXECUTOR\n  \
                 reason: REASON_COMMAND_EXECUTOR_FAILED",
            ),
        ];
        for (status, expected) in cases {
            assert_eq!(status_update(&status.build()), expected);
        }
    }

    #[test]
    fn failure_names_state_reason_and_message() {
        let status = protos::status::of(&TaskId::new("t"), TaskState::TaskLost, 1.0)
            .reason(Reason::SlaveRemoved)
            .message("slave is gone")
            .build();
        let expected = "task ended with TASK_LOST (REASON_SLAVE_REMOVED): slave is gone";
        assert_eq!(failure(&status), expected);
    }
}
