//! RECONCILE: what became of tasks.

use libprocess::Time;
use protos::ids::{ExecutorId, FrameworkId, SlaveId, TaskId};
use protos::mesos::TaskState;
use protos::mesos::internal::StatusUpdateMessage;
use protos::mesos::task_status::{Reason, Source};
use protos::status;

use super::aware;
use crate::effects::Effects;
use crate::registrar::time_info;
use crate::state::{Framework, State, TaskEntry};

/// One task that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) task: TaskId,
    pub(crate) slave: Option<SlaveId>,
}

/// Tells a framework the state of all its tasks that are known and active.
pub(crate) fn implicit(state: &State, id: &FrameworkId, now: Time, fx: &mut Effects) {
    let Some(framework) = state.frameworks.get(id).filter(|f| f.connected) else { return };
    let mut answers = Answers::new(framework, now);
    for (task_id, task) in framework.tasks.active() {
        answers.known(task_id, task, fx);
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
    let Some(framework) = state.frameworks.get(id).filter(|f| f.connected) else { return };
    let mut answers = Answers::new(framework, now);
    for query in queries {
        match framework.tasks.get(&query.task) {
            Some(task) => answers.known(&query.task, task, fx),
            None => answers.unknown(state, query, fx),
        }
    }
}

/// Answers to one framework: a single message, filled in anew for each task, as there may be tens of
/// thousands of them.
struct Answers<'a> {
    framework: &'a Framework,
    message: StatusUpdateMessage,
}

impl<'a> Answers<'a> {
    fn new(framework: &'a Framework, now: Time) -> Self {
        let update = status::of(&TaskId::new(""), TaskState::TaskUnknown, now.as_secs_f64())
            .source(Source::Master)
            .reason(Reason::Reconciliation)
            .update(&framework.id);
        Self { framework, message: StatusUpdateMessage { update, pid: None } }
    }

    fn send(
        &mut self,
        task: &TaskId,
        slave: Option<&SlaveId>,
        executor: Option<&ExecutorId>,
        told: (TaskState, &'static str),
        fx: &mut Effects,
    ) {
        let update = &mut self.message.update;
        let status = &mut update.status;
        refill(&mut status.task_id.value, task.as_str());
        status.set_state(told.0);
        refill(status.message.get_or_insert_default(), told.1);
        for place in [&mut update.slave_id, &mut status.slave_id] {
            match slave {
                Some(id) => refill(&mut place.get_or_insert_default().value, id.as_str()),
                None => *place = None,
            }
        }
        for place in [&mut update.executor_id, &mut status.executor_id] {
            *place = executor.map(ExecutorId::wire);
        }
        fx.send(&self.framework.pid, &self.message);
    }

    fn known(&mut self, id: &TaskId, task: &TaskEntry, fx: &mut Effects) {
        let told = (task.told_state(), "Reconciliation: Latest task state");
        self.send(id, Some(&task.slave), task.executor.as_ref(), told, fx);
    }

    fn unknown(&mut self, state: &State, query: &Query, fx: &mut Effects) {
        let slave = query.slave.as_ref();
        let Some((found, message)) = verdict(state, slave) else { return };
        let since = slave.and_then(|id| state.slaves.unreachable_since(id));
        self.message.update.status.unreachable_time = since.map(time_info);
        self.send(&query.task, slave, None, (aware(self.framework, found), message), fx);
        self.message.update.status.unreachable_time = None;
    }
}

fn refill(place: &mut String, text: &str) {
    place.clear();
    place.push_str(text);
}

/// What to say of a task that is not in the books, by where it was; nothing while that is not known.
fn verdict(state: &State, slave: Option<&SlaveId>) -> Option<(TaskState, &'static str)> {
    // While a registry change is under way the truth is not known yet.
    if slave.is_some_and(|id| state.slaves.is_changing(id)) {
        return None;
    }
    // Neither is it while slaves of an earlier master are expected back that may have the task.
    let expected = match slave {
        Some(id) => state.slaves.is_recovered(id),
        None => !state.slaves.recovered().is_empty(),
    };
    if expected {
        return None;
    }
    Some(match slave {
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
    })
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
