//! Tasks that had ended before their slave came back without them.

use std::collections::BTreeSet;

use libprocess::Time;
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::ReregisterSlaveMessage;
use protos::mesos::task_status::{Reason, Source};
use protos::status;
use protos::task_state::is_terminal;

use crate::calls::tell;
use crate::effects::Effects;
use crate::state::State;

/// Closes the books of tasks that have ended and that the slave knows no more. The slave would report
/// them as lost, and a terminal state must not change (I3); so their frameworks are told the state
/// once more, as they may have missed it, and no acknowledgement is waited for.
pub(super) fn close_ended(
    state: &mut State,
    id: &SlaveId,
    message: &ReregisterSlaveMessage,
    now: Time,
    fx: &mut Effects,
) {
    let keep = state.config.max_completed_tasks;
    let told: BTreeSet<(FrameworkId, TaskId)> = message
        .tasks
        .iter()
        .map(|task| (FrameworkId::from(&task.framework_id), TaskId::from(&task.task_id)))
        .collect();
    for framework in state.frameworks.iter_mut() {
        let here = framework.tasks.here(id).filter(|(_, task)| is_terminal(task.state()));
        let ended: Vec<_> = here
            .map(|(task_id, task)| (task_id.clone(), task.state()))
            .filter(|(task_id, _)| !told.contains(&(framework.id.clone(), task_id.clone())))
            .collect();
        for (task_id, state) in ended {
            let answer = status::of(&task_id, state, now.as_secs_f64())
                .source(Source::Master)
                .reason(Reason::Reconciliation)
                .slave(id)
                .message("Task had ended before its agent was restarted");
            tell(framework, answer, fx);
            framework.tasks.complete(&task_id, keep);
        }
    }
}
