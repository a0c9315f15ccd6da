//! The life of the one task: what each event makes of it, as data.

use std::time::Duration;

use libprocess::Time;
use libprocess::subprocess::{Command, ExitStatus};
use protos::ids::TaskId;
use protos::mesos::{DurationInfo, KillPolicy, TaskInfo, TaskState};

use super::outcome::{Outcome, outcome};

/// Asks a command to end.
pub(super) const SIGTERM: i32 = 15;
/// Ends it.
pub(super) const SIGKILL: i32 = 9;
/// From SIGTERM to SIGKILL when neither task nor kill says otherwise.
const DEFAULT_KILL_GRACE: Duration = Duration::from_secs(3);

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    /// Tell the slave.
    Update(Outcome),
    /// Start the command, and say how that went.
    Start(Box<Command>),
    /// Signal everything that the command started.
    Signal(i32),
    /// Say when the grace period is over; the last one counts.
    Grace(Duration),
    /// Say when the task has had its time.
    LimitTime(Duration),
    /// No more news is needed but the acknowledgement of what was told.
    AwaitAcknowledgement,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Running,
    Ended,
}

/// A kill under way.
#[derive(Debug, Clone, Copy)]
struct Kill {
    /// When SIGKILL is due; another kill may only make it sooner.
    due: Time,
    /// It was due already.
    over: bool,
}

/// The task, and how far it got.
#[derive(Debug)]
pub(super) struct CommandTask {
    info: TaskInfo,
    phase: Phase,
    kill: Option<Kill>,
    time_over: bool,
}

impl CommandTask {
    /// A task that is to run its command; an error says why it has none.
    pub(super) fn launch(info: TaskInfo, command: Result<Command, String>) -> (Self, Vec<Effect>) {
        let mut task = Self { info, phase: Phase::Starting, kill: None, time_over: false };
        let mut effects = vec![Effect::Update(Outcome::of(TaskState::TaskStarting))];
        match command {
            Ok(command) => effects.push(Effect::Start(Box::new(command))),
            Err(reason) => effects.extend(task.failed(&reason)),
        }
        (task, effects)
    }

    /// As the framework described it.
    pub(super) fn info(&self) -> &TaskInfo {
        &self.info
    }

    /// Its id.
    pub(super) fn id(&self) -> TaskId {
        TaskId::from(&self.info.task_id)
    }

    /// True when nothing more can become of it.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// True while it runs and is to go on.
    pub(super) fn is_running(&self) -> bool {
        self.phase == Phase::Running && self.kill.is_none()
    }

    /// The grace period of a kill: the message's policy, else the task's, else 3 s.
    pub(super) fn grace(&self, policy: Option<&KillPolicy>) -> Duration {
        let policy = policy.or(self.info.kill_policy.as_ref());
        let grace = policy.and_then(|policy| policy.grace_period.as_ref());
        grace.map_or(DEFAULT_KILL_GRACE, duration)
    }

    /// The command runs.
    pub(super) fn started(&mut self) -> Vec<Effect> {
        self.phase = Phase::Running;
        match self.kill {
            // A kill came while the command was being started: there was nobody to signal.
            Some(Kill { over: true, .. }) => vec![Effect::Signal(SIGKILL)],
            Some(_) => vec![Effect::Signal(SIGTERM)],
            None => {
                let limit = self.info.max_completion_time.as_ref().map(duration);
                let running = Effect::Update(Outcome::of(TaskState::TaskRunning));
                limit.map(Effect::LimitTime).into_iter().chain([running]).collect()
            }
        }
    }

    /// The command cannot be started.
    pub(super) fn failed(&mut self, reason: &str) -> Vec<Effect> {
        self.phase = Phase::Ended;
        let message = reason.to_owned();
        let failed = Outcome { message, ..Outcome::of(TaskState::TaskFailed) };
        vec![Effect::Update(failed), Effect::AwaitAcknowledgement]
    }

    /// The command's first process has ended.
    pub(super) fn ended(&mut self, status: Option<ExitStatus>) -> Vec<Effect> {
        self.phase = Phase::Ended;
        let outcome = outcome(status, self.kill.is_some(), self.time_over);
        // Whatever the command left behind in its session goes with it.
        vec![Effect::Signal(SIGKILL), Effect::Update(outcome), Effect::AwaitAcknowledgement]
    }

    /// SIGTERM now, SIGKILL after the grace period; `announce` it when the framework wants to know.
    pub(super) fn kill(&mut self, grace: Duration, now: Time, announce: bool) -> Vec<Effect> {
        let due = now + grace;
        match &mut self.kill {
            _ if self.phase == Phase::Ended => Vec::new(),
            Some(kill) if kill.over || kill.due <= due => Vec::new(),
            Some(kill) => {
                kill.due = due;
                vec![Effect::Grace(grace)]
            }
            None => {
                self.kill = Some(Kill { due, over: false });
                let killing = Effect::Update(Outcome::of(TaskState::TaskKilling));
                let announced = announce.then_some(killing);
                let term = (self.phase == Phase::Running).then_some(Effect::Signal(SIGTERM));
                announced.into_iter().chain(term).chain([Effect::Grace(grace)]).collect()
            }
        }
    }

    /// The grace period of a kill is over.
    pub(super) fn grace_is_over(&mut self) -> Vec<Effect> {
        if let Some(kill) = &mut self.kill {
            kill.over = true;
        }
        match self.phase {
            Phase::Running => vec![Effect::Signal(SIGKILL)],
            Phase::Starting | Phase::Ended => Vec::new(),
        }
    }

    /// The task has had its time. A kill that is under way goes on instead.
    pub(super) fn time_is_over(&mut self, now: Time) -> Vec<Effect> {
        if self.kill.is_some() || self.is_over() {
            return Vec::new();
        }
        self.time_over = true;
        self.kill(Duration::ZERO, now, false)
    }
}

/// A duration of the protocol; negative ones are none at all.
fn duration(info: &DurationInfo) -> Duration {
    Duration::from_nanos(u64::try_from(info.nanoseconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Effect::*;
    use TaskState::*;

    const GRACE: Duration = Duration::from_secs(5);

    fn now() -> Time {
        Time::from_nanos(1_000_000_000)
    }

    fn told(state: TaskState) -> Effect {
        Update(Outcome::of(state))
    }

    fn launched() -> CommandTask {
        CommandTask::launch(TaskInfo::default(), Ok(Command::default())).0
    }

    fn running() -> CommandTask {
        let mut task = launched();
        task.started();
        task
    }

    /// The states that effects tell of.
    fn states(effects: &[Effect]) -> Vec<TaskState> {
        let state = |effect: &Effect| match effect {
            Update(outcome) => Some(outcome.state),
            _ => None,
        };
        effects.iter().filter_map(state).collect()
    }

    #[test]
    fn task_starts_runs_and_ends() {
        let command = Command::default();
        let (mut task, effects) = CommandTask::launch(TaskInfo::default(), Ok(command.clone()));
        assert_eq!(effects, [told(TaskStarting), Start(Box::new(command))]);
        assert_eq!(task.started(), [told(TaskRunning)]);
        assert!(!task.is_over());
        let effects = task.ended(Some(ExitStatus::exited(0)));
        assert_eq!(effects.first(), Some(&Signal(SIGKILL)));
        assert_eq!(states(&effects), [TaskFinished]);
        assert_eq!(effects.last(), Some(&AwaitAcknowledgement));
        assert!(task.is_over());
    }

    #[test]
    fn task_without_a_command_or_that_cannot_start_fails() {
        let (task, effects) = CommandTask::launch(TaskInfo::default(), Err("none".to_owned()));
        assert_eq!(states(&effects), [TaskStarting, TaskFailed]);
        assert!(task.is_over());
        let mut task = launched();
        assert_eq!(states(&task.failed("no such file")), [TaskFailed]);
        assert!(task.is_over());
    }

    #[test]
    fn kill_escalates_and_is_announced_to_who_wants_it() {
        let mut task = running();
        assert_eq!(task.kill(GRACE, now(), false), [Signal(SIGTERM), Grace(GRACE)]);
        assert_eq!(task.grace_is_over(), [Signal(SIGKILL)]);
        assert_eq!(states(&task.ended(Some(ExitStatus::signalled(9)))), [TaskKilled]);
        let mut task = running();
        let expected = [told(TaskKilling), Signal(SIGTERM), Grace(GRACE)];
        assert_eq!(task.kill(GRACE, now(), true), expected);
        assert_eq!(states(&task.ended(Some(ExitStatus::exited(0)))), [TaskKilled]);
    }

    #[test]
    fn kill_again_can_only_hasten() {
        let mut task = running();
        task.kill(GRACE, now(), true);
        assert_eq!(task.kill(GRACE, now(), true), []);
        assert_eq!(task.kill(2 * GRACE, now(), true), []);
        assert_eq!(task.kill(GRACE / 5, now(), true), [Grace(GRACE / 5)]);
        assert_eq!(task.kill(GRACE / 2, now(), true), []);
        task.grace_is_over();
        assert_eq!(task.kill(Duration::ZERO, now(), true), []);
    }

    #[test]
    fn kill_while_starting_reaches_the_command_once_it_runs() {
        let mut task = launched();
        assert_eq!(task.kill(GRACE, now(), false), [Grace(GRACE)]);
        assert_eq!(task.started(), [Signal(SIGTERM)]);
        let mut task = launched();
        task.kill(Duration::ZERO, now(), false);
        assert_eq!(task.grace_is_over(), []);
        assert_eq!(task.started(), [Signal(SIGKILL)]);
    }

    #[test]
    fn kill_of_an_ended_task_does_nothing() {
        let mut task = running();
        task.ended(Some(ExitStatus::exited(0)));
        assert_eq!(task.kill(GRACE, now(), true), []);
        assert_eq!(task.grace_is_over(), []);
        assert_eq!(task.time_is_over(now()), []);
    }

    #[test]
    fn time_over_fails_the_task_unless_a_kill_came_first() {
        let limit = Some(DurationInfo { nanoseconds: 7 });
        let info = TaskInfo { max_completion_time: limit, ..Default::default() };
        let (mut task, _) = CommandTask::launch(info, Ok(Command::default()));
        assert_eq!(task.started(), [LimitTime(Duration::from_nanos(7)), told(TaskRunning)]);
        let expected = [Signal(SIGTERM), Grace(Duration::ZERO)];
        assert_eq!(task.time_is_over(now()), expected);
        assert_eq!(states(&task.ended(Some(ExitStatus::signalled(9)))), [TaskFailed]);
        let mut task = running();
        task.kill(GRACE, now(), false);
        assert_eq!(task.time_is_over(now()), []);
        assert_eq!(states(&task.ended(Some(ExitStatus::signalled(15)))), [TaskKilled]);
    }

    #[test]
    fn grace_is_the_kills_else_the_tasks_else_the_default() {
        let policy = |seconds: i64| KillPolicy {
            grace_period: Some(DurationInfo { nanoseconds: seconds * 1_000_000_000 }),
        };
        let mut task = launched();
        assert_eq!(task.grace(None), DEFAULT_KILL_GRACE);
        task.info.kill_policy = Some(policy(7));
        assert_eq!(task.grace(None), Duration::from_secs(7));
        assert_eq!(task.grace(Some(&policy(1))), Duration::from_secs(1));
        assert_eq!(task.grace(Some(&policy(-1))), Duration::ZERO);
    }
}
