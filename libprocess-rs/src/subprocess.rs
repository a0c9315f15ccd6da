//! Operating-system processes as actors start, watch and signal them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use futures::future::BoxFuture;

const SIGKILL: i32 = 9;

/// Where a child's output goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Output {
    /// The parent's own.
    #[default]
    Inherit,
    /// Nowhere.
    Null,
    /// Appended to a file that is created when missing, for the child's user. Never through a
    /// symbolic link.
    File(PathBuf),
    /// Collected and handed over when the child ends, at most 1 MiB; more is dropped.
    Collect,
}

/// What to run, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// The file to execute; searched in `PATH` when it has no slash.
    pub program: String,
    /// Arguments including the zeroth.
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// Working directory; the parent's when absent.
    pub cwd: Option<PathBuf>,
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
    /// Starts a session (and process group) of its own.
    pub session: bool,
    /// Is killed when the thread that started it ends, so that it cannot outlive its parent.
    pub die_with_parent: bool,
    /// Numeric user and group to become before the program runs; supplementary groups are dropped.
    pub user: Option<(u32, u32)>,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus {
    /// The status as `waitpid` tells it.
    pub raw: i32,
}

impl ExitStatus {
    /// Ended by itself with `code`.
    pub const fn exited(code: u8) -> Self {
        Self { raw: (code as i32) << 8 }
    }

    /// Ended by a signal.
    pub const fn signalled(signal: i32) -> Self {
        Self { raw: signal & 0x7f }
    }

    /// The exit code, when it ended by itself.
    pub const fn code(self) -> Option<i32> {
        if self.raw & 0x7f == 0 { Some((self.raw >> 8) & 0xff) } else { None }
    }

    /// The signal that ended it.
    pub const fn signal(self) -> Option<i32> {
        let signal = self.raw & 0x7f;
        if signal == 0 || signal == 0x7f { None } else { Some(signal) }
    }

    /// True when the kernel wrote a core image.
    pub const fn core_dumped(self) -> bool {
        self.raw & 0x80 != 0
    }

    /// True for exit code 0.
    pub const fn success(self) -> bool {
        self.raw == 0
    }
}

/// What a child left when it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How it ended; None when the status could not be learnt (a process that is not our child).
    pub status: Option<ExitStatus>,
    /// Standard output, if it was to be collected.
    pub stdout: Bytes,
    /// Standard error, if it was to be collected.
    pub stderr: Bytes,
}

/// A child that runs.
pub struct Child {
    /// Its process id.
    pub pid: u32,
    /// Ready when it has ended and been reaped.
    pub ended: BoxFuture<'static, Ended>,
}

/// Who gets a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One process.
    Process(u32),
    /// A process group.
    Group(u32),
    /// The process, its descendants, and the groups and sessions these lead.
    Tree(u32),
}

/// What may be left of something that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// Its first process; None when its number is not known any more.
    pub pid: Option<u32>,
    /// The first process has been reaped: its number may be another's by now.
    pub reaped: bool,
    /// A variable and its value in the environment of all of its processes: by that those are found
    /// that left their parents and their session.
    pub mark: Option<(String, String)>,
}

/// An operation on a process failed.
#[derive(Debug, thiserror::Error)]
pub enum SubprocessError {
    /// The program could not be started.
    #[error("cannot start {program}: {source}")]
    Spawn {
        /// Which program.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The signal could not be delivered.
    #[error("cannot signal {target:?}: {source}")]
    Signal {
        /// To whom.
        target: Target,
        /// Why not.
        source: std::io::Error,
    },
}

/// Starts, watches and signals processes of the operating system, or their stand-ins.
pub trait Subprocesses: Send + Sync {
    /// Starts a program.
    fn spawn(&self, command: Command) -> BoxFuture<'static, Result<Child, SubprocessError>>;
    /// Ready when a process that need not be a child is gone; at once when there is none.
    fn wait(&self, pid: u32) -> BoxFuture<'static, Ended>;
    /// Sends a signal; a target that is gone is no error.
    ///
    /// # Errors
    /// [`SubprocessError::Signal`] when the kernel refuses.
    fn signal(&self, target: Target, signal: i32) -> Result<(), SubprocessError>;
    /// Kills the first process, its descendants, the groups and sessions these lead, and whoever has
    /// the mark; ready when they have been told. Nobody there is no error.
    ///
    /// # Errors
    /// [`SubprocessError::Signal`] when nobody can be killed.
    fn kill_remains(&self, remains: Remains) -> BoxFuture<'static, Result<(), SubprocessError>> {
        let tree = remains.pid.map(Target::Tree);
        let killed = tree.map_or(Ok(()), |tree| self.signal(tree, SIGKILL));
        Box::pin(std::future::ready(killed))
    }
}
