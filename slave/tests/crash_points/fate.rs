//! What must become of a task, given what was on disk and who had heard of what when its slave went.

use super::master::{Told, WITH_ITS_SLAVE};
use super::plan::Job;
use super::scene::Scene;

/// What must become of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// No slave was told of it yet: if one is, it runs to its end.
    NotGivenYet,
    /// It is its executor's, which outlives the slave: nothing of it is lost.
    Runs,
    /// It goes with a slave that does not remember what does not checkpoint.
    Forgotten,
    /// The slave had not yet written its own id down.
    WithItsSlave,
    /// It never reached an executor, and ends for that reason without ever having begun.
    Dropped(&'static str, &'static str),
    /// As `Dropped`, for any such reason.
    NeverBegins,
}

pub(crate) const UNKNOWN: Fate = Fate::Dropped("TASK_LOST", "REASON_RECONCILIATION");
pub(crate) const NO_PROCESS: Fate = Fate::Dropped("TASK_FAILED", "REASON_EXECUTOR_TERMINATED");
pub(crate) const NO_ADDRESS: Fate =
    Fate::Dropped("TASK_LOST", "REASON_EXECUTOR_REREGISTRATION_TIMEOUT");
pub(crate) const NOT_SENT: Fate = Fate::Dropped("TASK_LOST", "REASON_SLAVE_RESTARTED");

/// The fate of a task whose slave has just been killed.
pub(crate) fn of(scene: &Scene, job: &Job) -> Fate {
    let (is_given, end) = {
        let books = scene.books.lock().unwrap();
        (books.of(job).given, books.of(job).end)
    };
    if !is_given {
        return Fate::NotGivenYet;
    }
    let exists = |path: &str| scene.world.file(scene.slave, format!("/w/meta/slaves/{path}"));
    if end == Some(WITH_ITS_SLAVE) || exists("latest/slave.info").is_none() {
        return Fate::WithItsSlave;
    }
    if !job.is_checkpointed() {
        return Fate::Forgotten;
    }
    if scene.reached(job) {
        return Fate::Runs;
    }
    let framework = format!("latest/frameworks/{}", job.framework);
    let executor = format!("{framework}/executors/{}", job.executor());
    let run = format!("{executor}/runs/latest");
    let written = [
        format!("{framework}/framework.info"),
        format!("{executor}/executor.info"),
        format!("{run}/tasks/{}/task.info", job.task),
    ];
    if written.iter().any(|path| exists(path).is_none()) {
        return UNKNOWN;
    }
    if exists(&format!("{run}/pids/forked.pid")).is_none() {
        return NO_PROCESS;
    }
    // Who has heard that it is registered does not ask again: it waits to be asked.
    let is_silent = exists(&format!("{run}/pids/libprocess.pid")).is_none()
        && scene.heard(job, "ExecutorRegisteredMessage");
    if is_silent { NO_ADDRESS } else { NOT_SENT }
}

const LIFE: [&str; 3] = ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"];

/// What is wrong with what was told of a task of that fate.
pub(crate) fn objection(fate: Fate, told: &[Told], end: Option<&str>) -> Option<String> {
    let steps = match steps(told) {
        Ok(steps) => steps,
        Err(reason) => return Some(reason),
    };
    let states: Vec<&str> = steps.iter().map(|told| told.state).collect();
    let reason = steps.last().map_or("-", |told| told.reason);
    let fits = match fate {
        Fate::NotGivenYet => states.is_empty() || states == LIFE,
        Fate::Runs => states == LIFE,
        Fate::Forgotten => {
            let begun = states.len().saturating_sub(1);
            let lost = reason == "REASON_RECONCILIATION" && states.last() == Some(&"TASK_LOST");
            states == LIFE || (lost && begun < LIFE.len() && states[..begun] == LIFE[..begun])
        }
        Fate::WithItsSlave => states.is_empty() && end == Some(WITH_ITS_SLAVE),
        Fate::Dropped(state, why) => states == [state] && reason == why,
        Fate::NeverBegins => states.len() == 1 && !LIFE.contains(&states[0]),
    };
    (!fits).then(|| format!("{states:?} {reason}"))
}

/// The tellings without repetitions: each state has one uuid, and what was told is told again only
/// as long as nothing later was.
fn steps(told: &[Told]) -> Result<Vec<&Told>, String> {
    let mut steps: Vec<&Told> = Vec::new();
    for one in told {
        match steps.last() {
            Some(last) if *last == one => {}
            _ if steps.iter().any(|it| it.state == one.state && it.uuid == one.uuid) => {
                return Err(format!("{} was told again behind a later one", one.state));
            }
            _ if steps.iter().any(|it| it.state == one.state) => {
                return Err(format!("{} has two uuids", one.state));
            }
            _ if steps.iter().any(|it| it.uuid == one.uuid) => {
                return Err(format!("{} has the uuid of another", one.state));
            }
            _ => steps.push(one),
        }
    }
    Ok(steps)
}
