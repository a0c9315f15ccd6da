//! What is written for frameworks that checkpoint.

use super::*;
use crate::calls::framework as frameworks;

impl Fixture {
    fn checkpointing() -> Self {
        Self { checkpoint: true, ..Self::new() }
    }

    /// Paths written so far, below the slave's checkpoints.
    fn written(&mut self) -> Vec<String> {
        let paths = self.fx.0.drain(..).filter_map(|effect| match effect {
            Effect::Write(path, _) => Some(path),
            Effect::Update { path, .. } => path,
            _ => None,
        });
        let base = "/w/meta/slaves/S/frameworks/F";
        paths.map(|path| path.strip_prefix(base).unwrap().display().to_string()).collect()
    }
}

#[test]
fn life_of_an_executor_is_written_down() {
    let mut fixture = Fixture::checkpointing();
    fixture.run("t", Some("e"));
    let launched = [
        "framework.info",
        "framework.pid",
        "executors/e/executor.info",
        "executors/e/executor_generated_for_command_task",
        "executors/e/runs/C/tasks/t/task.info",
    ];
    assert_eq!(fixture.written(), launched);
    fixture.register("e");
    assert_eq!(fixture.written(), ["executors/e/runs/C/pids/libprocess.pid"]);
    fixture.report("t", TaskState::TaskRunning, 1);
    assert_eq!(fixture.written(), ["executors/e/runs/C/tasks/t/task.updates"]);
    fixture.end("e", Termination::default(), false);
    assert_eq!(fixture.written(), ["executors/e/runs/C/tasks/t/task.updates"]);
    // A slave that is restarted now still has to tell of the end.
    fixture.closed(&TaskId::new("t"));
    assert_eq!(fixture.written(), ["executors/e/runs/C/executor.sentinel"]);
}

#[test]
fn kill_of_a_waiting_task_is_written_down_and_stays_in_the_books() {
    let mut fixture = Fixture::checkpointing();
    fixture.run("t", None);
    fixture.written();
    fixture.kill("t");
    assert_eq!(fixture.task_state("t", "t"), TaskState::TaskKilled);
    assert_eq!(fixture.written(), ["executors/t/runs/C/tasks/t/task.updates"]);
    // Its container's end adds nothing; the acknowledgement closes the books.
    fixture.end("t", Termination::default(), false);
    assert_eq!(fixture.updates(), []);
    fixture.closed(&TaskId::new("t"));
    assert!(fixture.state.frameworks.is_empty());
}

#[test]
fn framework_is_written_again_only_when_it_changed() {
    let mut fixture = Fixture::checkpointing();
    fixture.run("a", Some("e"));
    fixture.written();
    fixture.run("b", Some("e"));
    assert_eq!(fixture.written(), ["executors/e/runs/C/tasks/b/task.info"]);
    let update = UpdateFrameworkMessage {
        framework_id: framework().wire(),
        pid: Some("scheduler@4.4.4.4:4".into()),
        framework_info: None,
    };
    assert!(frameworks::update(&mut fixture.state, &update, &mut fixture.fx));
    assert_eq!(fixture.written(), ["framework.pid"]);
    assert_eq!(fixture.state.frameworks[&framework()].pid, Some(pid("scheduler@4.4.4.4:4")));
    let stranger = UpdateFrameworkMessage { framework_id: FrameworkId::new("x").wire(), ..update };
    assert!(!frameworks::update(&mut fixture.state, &stranger, &mut fixture.fx));
}
