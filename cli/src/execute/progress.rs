//! What `mesos-execute` does with what it hears: a state machine that prints lines and asks for
//! actions.

use protos::ids::{FrameworkId, OfferId};
use protos::mesos::{Offer, TaskInfo, TaskState, TaskStatus};
use protos::resources::Resources;
use protos::task_state;

use super::job::Job;
use super::output;

/// What is to be done next.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Print lines to standard output.
    Print(String),
    /// Launch the task on an offer.
    Launch(OfferId, Box<TaskInfo>),
    /// Give an offer back.
    Decline(OfferId),
    /// The task runs: start the clock of `--kill_after`.
    Running,
    /// Show the task's output, if it can be reached, before what follows.
    ShowOutput,
    /// The end: success, or why not.
    End(Result<(), String>),
}

/// How far a job is.
#[derive(Debug)]
pub struct Progress {
    job: Job,
    launched: bool,
    running: bool,
}

impl Progress {
    /// A job that was not launched yet.
    pub fn new(job: Job) -> Self {
        Self { job, launched: false, running: false }
    }

    /// The framework has an id.
    pub fn subscribed(&mut self, id: &FrameworkId) -> Vec<Action> {
        vec![Action::Print(format!("Subscribed with ID {id}"))]
    }

    /// Takes the first offer that is large enough, and exactly what is needed of it.
    pub fn offered(&mut self, offers: Vec<Offer>) -> Vec<Action> {
        let mut actions = Vec::new();
        for offer in offers {
            let id = OfferId::from(&offer.id);
            let found = Resources::from_wire(&offer.resources)
                .ok()
                .filter(|_| !self.launched)
                .and_then(|resources| resources.find(&self.job.resources));
            let Some(resources) = found else {
                actions.push(Action::Decline(id));
                continue;
            };
            self.launched = true;
            let task = TaskInfo {
                slave_id: offer.slave_id.clone(),
                resources: resources.to_wire(),
                ..self.job.task.clone()
            };
            let line =
                format!("Submitted task '{}' to agent '{}'", task.name, offer.slave_id.value);
            actions.push(Action::Launch(id, Box::new(task)));
            actions.push(Action::Print(line));
        }
        actions
    }

    /// A task changed.
    pub fn updated(&mut self, status: &TaskStatus) -> Vec<Action> {
        let state = task_state::from_wire(status.state);
        let terminal = state.is_some_and(task_state::is_terminal);
        let mut actions = Vec::new();
        if terminal {
            actions.push(Action::ShowOutput);
        }
        actions.push(Action::Print(output::status_update(status)));
        if state == Some(TaskState::TaskRunning) && !self.running {
            self.running = true;
            actions.push(Action::Running);
        }
        if terminal {
            actions.push(Action::End(match state {
                Some(TaskState::TaskFinished) => Ok(()),
                _ => Err(output::failure(status)),
            }));
        }
        actions
    }

    /// The master refuses the framework.
    pub fn refused(&mut self, reason: &str) -> Vec<Action> {
        vec![Action::End(Err(format!("the master refuses the framework: {reason}")))]
    }
}

#[cfg(test)]
mod tests {
    use libprocess::flags::Loader;
    use protos::ids::{SlaveId, TaskId};

    use super::*;
    use crate::execute::flags::Flags;

    fn progress() -> Progress {
        let arguments = ["--name=n", "--command=c", "--resources=cpus:1;mem:128"];
        let loaded = Loader::new("mesos-execute").load::<Flags>(arguments).unwrap();
        Progress::new(Job::from_flags(&loaded.flags).unwrap())
    }

    fn offer(id: &str, resources: &str) -> Offer {
        Offer {
            id: OfferId::new(id).wire(),
            slave_id: SlaveId::new("S0").wire(),
            resources: Resources::parse(resources, "*").unwrap().to_wire(),
            ..Offer::default()
        }
    }

    fn status(state: TaskState) -> TaskStatus {
        protos::status::of(&TaskId::new("n"), state, 1.0).build()
    }

    #[test]
    fn offers_first_large_enough_is_used_for_what_is_needed() {
        let offers = vec![
            offer("small", "cpus:0.5;mem:1000"),
            offer("large", "cpus:4;mem:1000"),
            offer("late", "cpus:4;mem:1000"),
        ];
        let actions = progress().offered(offers);
        let [Action::Decline(first), Action::Launch(taken, task), Action::Print(line), last] =
            &actions[..]
        else {
            panic!("{actions:?}");
        };
        assert_eq!((first.as_str(), taken.as_str()), ("small", "large"));
        assert_eq!(*last, Action::Decline(OfferId::new("late")));
        let resources = Resources::from_wire(&task.resources).unwrap();
        assert_eq!(resources, Resources::parse("cpus:1;mem:128", "*").unwrap());
        assert_eq!(line, "Submitted task 'n' to agent 'S0'");
        assert_eq!(task.slave_id.value, "S0");
    }

    #[test]
    fn updates_end_the_job_when_terminal() {
        let cases = [
            (TaskState::TaskStarting, None),
            (TaskState::TaskRunning, None),
            (TaskState::TaskUnreachable, None),
            (TaskState::TaskFinished, Some(true)),
            (TaskState::TaskFailed, Some(false)),
            (TaskState::TaskKilled, Some(false)),
            (TaskState::TaskLost, Some(false)),
            (TaskState::TaskError, Some(false)),
        ];
        for (state, expected) in cases {
            let actions = progress().updated(&status(state));
            let end = actions.iter().find_map(|action| match action {
                Action::End(result) => Some(result.is_ok()),
                _ => None,
            });
            assert_eq!(end, expected, "{state:?}");
            assert_eq!(actions[0] == Action::ShowOutput, expected.is_some(), "{state:?}");
        }
    }

    #[test]
    fn running_starts_the_kill_clock_once() {
        let mut progress = progress();
        assert!(progress.updated(&status(TaskState::TaskRunning)).contains(&Action::Running));
        assert!(!progress.updated(&status(TaskState::TaskRunning)).contains(&Action::Running));
    }
}
