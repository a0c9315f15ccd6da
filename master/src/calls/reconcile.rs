//! RECONCILE: what became of tasks.

use libprocess::Time;
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos::TaskState;
use protos::mesos::task_status::{Reason, Source};
use protos::status;

use super::{aware, tell};
use crate::effects::Effects;
use crate::state::{Framework, State, TaskEntry};

/// One task that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) task: TaskId,
    pub(crate) slave: Option<SlaveId>,
}

/// Tells a framework the state of all its tasks that are known and active.
pub(crate) fn implicit(state: &State, id: &FrameworkId, now: Time, fx: &mut Effects) {
    let Some(framework) = state.frameworks.get(id) else { return };
    for (task_id, task) in framework.tasks.active() {
        tell_known(framework, task_id, task, now, fx);
    }
}

/// Tells a framework the state of the tasks it asks for.
pub(crate) fn explicit(
    state: &State,
    id: &FrameworkId,
    queries: &[Query],
    now: Time,
    fx: &mut Effects,
) {
    let Some(framework) = state.frameworks.get(id) else { return };
    for query in queries {
        match framework.tasks.get(&query.task) {
            Some(task) => tell_known(framework, &query.task, task, now, fx),
            None => tell_unknown(state, framework, query, now, fx),
        }
    }
}

fn tell_known(framework: &Framework, id: &TaskId, task: &TaskEntry, now: Time, fx: &mut Effects) {
    let mut answer = status::of(id, task.told_state(), now.as_secs_f64())
        .source(Source::Master)
        .reason(Reason::Reconciliation)
        .slave(&task.slave)
        .message("Reconciliation: Latest task state");
    if let Some(executor) = &task.executor {
        answer = answer.executor(executor);
    }
    tell(framework, answer, fx);
}

fn tell_unknown(state: &State, framework: &Framework, query: &Query, now: Time, fx: &mut Effects) {
    let slave = query.slave.as_ref();
    // While a registry change is under way the truth is not known yet.
    if slave.is_some_and(|id| state.slaves.is_changing(id)) {
        return;
    }
    // Neither is it while slaves of an earlier master are expected back that may have the task.
    let expected = match slave {
        Some(id) => state.slaves.is_recovered(id),
        None => !state.slaves.recovered().is_empty(),
    };
    if expected {
        return;
    }
    let (found, message) = match slave {
        Some(id) if state.slaves.get(id).is_some() => {
            (TaskState::TaskGone, "Reconciliation: Task is unknown to the agent")
        }
        Some(id) if state.slaves.unreachable_since(id).is_some() => {
            (TaskState::TaskUnreachable, "Reconciliation: Task is unreachable")
        }
        Some(id) if state.slaves.is_gone(id) => (
            TaskState::TaskGoneByOperator,
            "Reconciliation: Task is gone because the agent has been marked gone",
        ),
        _ => (TaskState::TaskUnknown, "Reconciliation: Task is unknown"),
    };
    let mut answer = status::of(&query.task, aware(framework, found), now.as_secs_f64())
        .source(Source::Master)
        .reason(Reason::Reconciliation)
        .message(message);
    if let Some(slave) = slave {
        answer = answer.slave(slave);
        if let Some(since) = state.slaves.unreachable_since(slave) {
            answer = answer.unreachable_since(since.as_nanos());
        }
    }
    tell(framework, answer, fx);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    fn explicit_answer(state: &mut State, task: &str, slave: Option<&str>) -> Option<TaskState> {
        let query = Query { task: task.into(), slave: slave.map(SlaveId::from) };
        let fx = decide(state, |state, fx| explicit(state, &f(), &[query], NOW, fx));
        for (_, message) in fx.sent::<protos::mesos::internal::StatusUpdateMessage>() {
            assert_eq!(message.update.uuid, None);
        }
        updates(&fx).first().map(|(_, state, _)| *state)
    }

    #[test]
    fn reconciliation_answers_by_what_is_known_of_the_slave() {
        use TaskState::*;
        let cases = [
            ("known", None, [TaskRunning, TaskRunning]),
            ("t", Some("S"), [TaskGone, TaskLost]),
            ("t", Some("U"), [TaskUnreachable, TaskLost]),
            ("t", Some("G"), [TaskGoneByOperator, TaskLost]),
            ("t", Some("X"), [TaskUnknown, TaskLost]),
            ("t", None, [TaskUnknown, TaskLost]),
        ];
        let aware = protos::mesos::framework_info::capability::Type::PartitionAware;
        for (index, capabilities) in [vec![aware], vec![]].into_iter().enumerate() {
            let mut state = cluster_with(&capabilities);
            running(&mut state, "known");
            let lost = crate::state::Slave::new("U".into(), slave_info(), pid("u@10.9.9.9:1"), NOW);
            state.slaves.add(lost);
            state.slaves.lose(&"U".into(), NOW);
            state.slaves.mark_gone(&"G".into(), NOW);
            for (task, slave, answers) in cases {
                let answer = explicit_answer(&mut state, task, slave);
                assert_eq!(answer, Some(answers[index]), "{task} on {slave:?}");
            }
        }
    }

    #[test]
    fn reconciliation_while_slaves_are_expected_back_is_not_answered_for_them() {
        let mut state = cluster();
        let recovered = [(SlaveId::new("R"), slave_info())].into();
        state.slaves.recover(recovered, Default::default(), Default::default());
        assert_eq!(explicit_answer(&mut state, "t", Some("R")), None);
        assert_eq!(explicit_answer(&mut state, "t", None), None);
        let answer = explicit_answer(&mut state, "t", Some("S"));
        assert_eq!(answer, Some(TaskState::TaskLost));
    }

    #[test]
    fn reconciliation_during_a_registry_change_is_not_answered() {
        let mut state = cluster();
        state.slaves.begin_change(&s());
        assert_eq!(explicit_answer(&mut state, "t", Some("S")), None);
    }

    #[test]
    fn reconciliation_without_tasks_tells_all_active_ones() {
        let mut state = cluster();
        running(&mut state, "a");
        running(&mut state, "b");
        let fx = decide(&mut state, |state, fx| implicit(state, &f(), NOW, fx));
        assert_eq!(updates(&fx).len(), 2);
    }
}
