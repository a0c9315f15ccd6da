//! Rules of task states.

use crate::mesos::TaskState;

/// True for states that never change again (FINISHED, FAILED, KILLED, ERROR, LOST, DROPPED, GONE,
/// GONE_BY_OPERATOR).
pub fn is_terminal(state: TaskState) -> bool {
    use TaskState::*;
    matches!(
        state,
        TaskFinished
            | TaskFailed
            | TaskKilled
            | TaskError
            | TaskLost
            | TaskDropped
            | TaskGone
            | TaskGoneByOperator
    )
}

/// The state of a wire number; None for one that this version does not know.
pub fn from_wire(number: i32) -> Option<TaskState> {
    TaskState::try_from(number).ok()
}

/// The name of a wire number, such as `TASK_RUNNING`.
pub fn name(number: i32) -> &'static str {
    from_wire(number).map_or("TASK_UNKNOWN", |state| state.as_str_name())
}
