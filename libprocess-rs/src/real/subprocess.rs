//! Real operating-system processes.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid as OsPid;
use tokio::io::AsyncReadExt;

use super::killing::{self, Killer};
use super::orphans::Orphans;
use super::processes;
use crate::subprocess::{
    Child, Command, Ended, ExitStatus, Output, Remains, SubprocessError, Subprocesses, Target,
};

/// Most bytes collected of one output.
const MAX_COLLECTED_BYTES: u64 = 1024 * 1024;
/// How often a process that is no child is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Starts children on the node's arbiter, where they are reaped.
pub(crate) struct RealSubprocesses {
    arbiter: actix_rt::ArbiterHandle,
    killer: Killer,
    orphans: Option<Arc<Orphans>>,
}

impl RealSubprocesses {
    /// With `adopt` the orphans of processes that it starts become children of this process.
    pub(crate) fn new(arbiter: actix_rt::ArbiterHandle, adopt: bool) -> Self {
        let orphans = adopt.then(|| Orphans::adopt(&arbiter)).flatten();
        Self { arbiter, killer: Killer::default(), orphans }
    }
}

impl Subprocesses for RealSubprocesses {
    fn spawn(&self, command: Command) -> BoxFuture<'static, Result<Child, SubprocessError>> {
        let (sender, receiver) = oneshot::channel();
        let program = command.program.clone();
        let orphans = self.orphans.clone();
        self.arbiter.spawn(async move {
            let (ended_sender, ended) = oneshot::channel();
            // No other child is reaped between a child's start and its entry among our own: that
            // happens on this thread, too.
            match start(&command) {
                Err(source) => {
                    let _ = sender.send(Err(source));
                }
                Ok(child) => {
                    let pid = child.id().unwrap_or_default();
                    let own = orphans.as_ref().map(|orphans| orphans.own_child(pid));
                    let _ = sender.send(Ok((pid, ended)));
                    let ended = watch(child).await;
                    drop(own);
                    let _ = ended_sender.send(ended);
                }
            }
        });
        Box::pin(async move {
            let gone = || Err(std::io::Error::other("the node is shut down"));
            let started = receiver.await.unwrap_or_else(|_| gone());
            let (pid, ended) =
                started.map_err(|source| SubprocessError::Spawn { program, source })?;
            let unknown = Ended { status: None, stdout: Bytes::new(), stderr: Bytes::new() };
            let ended = async move { ended.await.unwrap_or(unknown) };
            Ok(Child { pid, ended: Box::pin(ended) })
        })
    }

    fn wait(&self, pid: u32) -> BoxFuture<'static, Ended> {
        let (sender, receiver) = oneshot::channel();
        self.arbiter.spawn(async move {
            let mut tick = tokio::time::interval(POLL);
            while exists(pid) {
                tick.tick().await;
            }
            let _ = sender.send(());
        });
        Box::pin(async move {
            let _ = receiver.await;
            Ended { status: None, stdout: Bytes::new(), stderr: Bytes::new() }
        })
    }

    fn signal(&self, target: Target, signal: i32) -> Result<(), SubprocessError> {
        let failed = |errno: Errno| SubprocessError::Signal { target, source: errno.into() };
        let signal = Signal::try_from(signal).map_err(failed)?;
        let sent = match target {
            Target::Process(pid) => nix::sys::signal::kill(os_pid(pid), signal),
            Target::Group(pid) => nix::sys::signal::killpg(os_pid(pid), signal),
            Target::Tree(pid) if signal == Signal::SIGKILL => {
                let adopted = self.orphans.as_ref().and_then(|orphans| orphans.left(pid));
                // Whoever is left would have been adopted: nothing is looked for.
                if adopted.as_ref().is_none_or(|adopted| !adopted.is_empty()) {
                    let reaped = !exists(pid);
                    let remains = Remains { pid: Some(pid), reaped, mark: None };
                    killing::kill(&[remains], &adopted.unwrap_or_default());
                }
                Ok(())
            }
            Target::Tree(pid) => {
                for member in tree(pid) {
                    // Members come and go while they are signalled.
                    let _ = nix::sys::signal::kill(OsPid::from_raw(member), signal);
                }
                Ok(())
            }
        };
        match sent {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(failed(errno)),
        }
    }

    fn kill_remains(&self, remains: Remains) -> BoxFuture<'static, Result<(), SubprocessError>> {
        self.killer.kill(remains)
    }
}

fn os_pid(pid: u32) -> OsPid {
    // Process ids fit: the kernel's limit is 2^22.
    OsPid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX))
}

/// True unless there is no such process, or only its unreaped remains.
fn exists(pid: u32) -> bool {
    let found = i32::try_from(pid).ok().and_then(processes::stat);
    found.is_some_and(|stat| !matches!(stat.state, b'Z' | b'X'))
}

/// The process, its descendants, and whoever is in a group or session that one of them leads.
fn tree(root: u32) -> BTreeSet<i32> {
    let root = i32::try_from(root).unwrap_or(i32::MAX);
    let mut members = processes::related(&processes::table(), BTreeSet::from([root]));
    members.insert(root);
    members
}

/// The file that takes a child's output; a new one belongs to the child's user. A symbolic link is
/// refused: whoever may write to the directory could point it at a file of ours.
fn output_file(path: &Path, user: Option<(u32, u32)>) -> std::io::Result<File> {
    let mut options = File::options();
    // Opening never waits for a reader of a pipe; regular files know no such flag.
    options.append(true).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            if let Some((uid, gid)) = user {
                std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
            }
            Ok(file)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

fn stdio(output: &Output, user: Option<(u32, u32)>) -> std::io::Result<Stdio> {
    Ok(match output {
        Output::Inherit => Stdio::inherit(),
        Output::Null => Stdio::null(),
        Output::Collect => Stdio::piped(),
        Output::File(path) => Stdio::from(output_file(path, user)?),
    })
}

fn start(command: &Command) -> std::io::Result<tokio::process::Child> {
    let mut os = tokio::process::Command::new(&command.program);
    if let Some((zeroth, rest)) = command.argv.split_first() {
        os.arg0(zeroth).args(rest);
    }
    os.env_clear().envs(&command.env).stdin(Stdio::null());
    os.stdout(stdio(&command.stdout, command.user)?);
    os.stderr(stdio(&command.stderr, command.user)?);
    if let Some(cwd) = &command.cwd {
        os.current_dir(cwd);
    }
    if let Some((uid, gid)) = command.user {
        // The standard library also drops supplementary groups when it changes the user as root.
        os.gid(gid).uid(uid);
    }
    if command.session {
        new_session(&mut os);
    }
    if command.die_with_parent {
        die_with_parent(&mut os);
    }
    os.spawn()
}

#[allow(unsafe_code)]
fn die_with_parent(os: &mut tokio::process::Command) {
    // SAFETY: the closure runs in the forked child before exec and calls nothing but prctl(2),
    // which is async-signal-safe and allocates nothing.
    unsafe {
        os.pre_exec(|| {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(std::io::Error::from)
        });
    }
}

#[allow(unsafe_code)]
fn new_session(os: &mut tokio::process::Command) {
    // SAFETY: the closure runs in the forked child before exec and calls nothing but setsid(2),
    // which is async-signal-safe and allocates nothing.
    unsafe {
        os.pre_exec(|| nix::unistd::setsid().map(drop).map_err(std::io::Error::from));
    }
}

async fn watch(mut child: tokio::process::Child) -> Ended {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (status, stdout, stderr) = futures::join!(child.wait(), collect(stdout), collect(stderr));
    let status = status.ok().map(|status| ExitStatus { raw: status.into_raw() });
    Ended { status, stdout, stderr }
}

async fn collect(output: Option<impl tokio::io::AsyncRead + Unpin>) -> Bytes {
    let Some(output) = output else {
        return Bytes::new();
    };
    let mut bytes = Vec::new();
    let mut limited = output.take(MAX_COLLECTED_BYTES);
    // What was read before an error is kept.
    let _ = limited.read_to_end(&mut bytes).await;
    let mut rest = limited.into_inner();
    let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_of_a_process_has_the_process() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(tree(std::process::id()).contains(&own));
        assert!(exists(std::process::id()) && !exists(u32::MAX));
    }
}
