//! What an ended command means for its task.

use libprocess::subprocess::ExitStatus;
use protos::mesos::TaskState;
use protos::mesos::task_status::Reason;

/// A terminal state with its reason and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The state.
    pub state: TaskState,
    /// The reason, if there is one besides the state.
    pub reason: Option<Reason>,
    /// For people.
    pub message: String,
    /// Whether the task is well, when that was looked at.
    pub healthy: Option<bool>,
}

impl Outcome {
    /// A state that needs no words.
    pub(super) fn of(state: TaskState) -> Self {
        Self { state, reason: None, message: String::new(), healthy: None }
    }
}

/// The first signal that programs may use as they like, as the C library numbers them.
const FIRST_REAL_TIME: i32 = 34;
/// The last one.
const LAST_REAL_TIME: i32 = 64;

/// The texts of signals, from number 1 on.
const SIGNALS: [&str; 31] = [
    "Hangup",
    "Interrupt",
    "Quit",
    "Illegal instruction",
    "Trace/breakpoint trap",
    "Aborted",
    "Bus error",
    "Floating point exception",
    "Killed",
    "User defined signal 1",
    "Segmentation fault",
    "User defined signal 2",
    "Broken pipe",
    "Alarm clock",
    "Terminated",
    "Stack fault",
    "Child exited",
    "Continued",
    "Stopped (signal)",
    "Stopped",
    "Stopped (tty input)",
    "Stopped (tty output)",
    "Urgent I/O condition",
    "CPU time limit exceeded",
    "File size limit exceeded",
    "Virtual timer expired",
    "Profiling timer expired",
    "Window changed",
    "I/O possible",
    "Power failure",
    "Bad system call",
];

/// The state that a command's end gives its task: the first that applies of unknown status, time
/// over, kill, exit 0, anything else.
pub fn outcome(status: Option<ExitStatus>, killed: bool, time_over: bool) -> Outcome {
    let message = describe(status);
    let (state, reason) = match status {
        None => (TaskState::TaskFailed, None),
        Some(_) if time_over => (TaskState::TaskFailed, Some(Reason::MaxCompletionTimeReached)),
        Some(_) if killed => (TaskState::TaskKilled, None),
        Some(status) if status.success() => (TaskState::TaskFinished, None),
        Some(_) => (TaskState::TaskFailed, None),
    };
    Outcome { state, reason, message, healthy: None }
}

fn describe(status: Option<ExitStatus>) -> String {
    let Some(status) = status else {
        return "Failed to get exit status for Command".to_owned();
    };
    if let Some(code) = status.code() {
        return format!("Command exited with status {code}");
    }
    let signal = status.signal().unwrap_or_default();
    let known = usize::try_from(signal - 1).ok().and_then(|at| SIGNALS.get(at));
    let text = match known {
        Some(text) => (*text).to_owned(),
        None if (FIRST_REAL_TIME..=LAST_REAL_TIME).contains(&signal) => {
            format!("Real-time signal {}", signal - FIRST_REAL_TIME)
        }
        None => format!("Unknown signal {signal}"),
    };
    let core = if status.core_dumped() { " (core dumped)" } else { "" };
    format!("Command terminated with signal {text}{core}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_of_every_kind_of_end() {
        use TaskState::*;
        let exit = |code| Some(ExitStatus::exited(code));
        let signal = |number| Some(ExitStatus::signalled(number));
        let dumped = Some(ExitStatus { raw: 11 | 0x80 });
        let cases = [
            (exit(0), false, false, TaskFinished, "Command exited with status 0"),
            (exit(3), false, false, TaskFailed, "Command exited with status 3"),
            (exit(0), true, false, TaskKilled, "Command exited with status 0"),
            (signal(9), true, false, TaskKilled, "Command terminated with signal Killed"),
            (signal(15), false, false, TaskFailed, "Command terminated with signal Terminated"),
            (
                dumped,
                false,
                false,
                TaskFailed,
                "Command terminated with signal Segmentation fault (core dumped)",
            ),
            (
                signal(34),
                false,
                false,
                TaskFailed,
                "Command terminated with signal Real-time signal 0",
            ),
            (
                signal(33),
                false,
                false,
                TaskFailed,
                "Command terminated with signal Unknown signal 33",
            ),
            (signal(9), true, true, TaskFailed, "Command terminated with signal Killed"),
            (None, true, false, TaskFailed, "Failed to get exit status for Command"),
        ];
        for (status, killed, time_over, state, message) in cases {
            let found = outcome(status, killed, time_over);
            assert_eq!((found.state, found.message.as_str()), (state, message));
        }
    }
}
