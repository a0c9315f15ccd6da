//! HDFS and its kin, which the host's Hadoop client serves. It knows no bounds, so it is watched.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::budget::too_large;
use super::download::Bounds;

/// Between two looks at what has come.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Fetches by the Hadoop client, of `HADOOP_HOME` or in the path. What it brings may be a directory.
pub(super) fn hadoop(url: &str, to: &Path, bounds: &Bounds) -> io::Result<()> {
    let home = std::env::var_os("HADOOP_HOME").filter(|home| !home.is_empty());
    let program = home.map_or("hadoop".into(), |home| Path::new(&home).join("bin/hadoop"));
    let name = program.display().to_string();
    let mut command = Command::new(&program);
    command.args(["fs", "-copyToLocal", url]).arg(to);
    // A group, as the client is a script that starts others.
    command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    let child = start(&mut command, bounds.budget.left());
    let child = child.map_err(|error| io::Error::other(format!("cannot run {name}: {error}")))?;
    let status = watch(child, to, bounds).inspect_err(|_| {
        // It may have been killed before it had one.
        let _ = fs::remove_file(part(to));
    })?;
    bounds.budget.take(size(to))?;
    match (status.success(), bounds.budget.left()) {
        (true, _) => Ok(()),
        // It was not let write more.
        (false, 0) => Err(too_large()),
        (false, _) => Err(io::Error::other(format!("{name} failed: {status}"))),
    }
}

/// Starts a program none of whose files may become larger than that: the kernel sees to it at once,
/// while we look at the whole now and then.
fn start(command: &mut Command, largest: u64) -> io::Result<Child> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE)?;
    // Children have it from us, who write nothing meanwhile.
    setrlimit(Resource::RLIMIT_FSIZE, largest.min(soft), hard)?;
    let child = command.spawn();
    setrlimit(Resource::RLIMIT_FSIZE, soft, hard)?;
    child
}

/// Waits for the end of a program that brings something; it is killed when that is too large, or when
/// nothing more has come for too long.
fn watch(mut child: Child, to: &Path, bounds: &Bounds) -> io::Result<ExitStatus> {
    let group = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let (sender, ended) = channel();
    // It ends with the program.
    std::thread::spawn(move || sender.send(child.wait()));
    outcome(&ended, to, bounds).inspect_err(|_| {
        // One that has ended by itself meanwhile is not there any more.
        let _ = killpg(group, Signal::SIGKILL);
        let _ = ended.recv();
    })
}

fn outcome(
    ended: &Receiver<io::Result<ExitStatus>>,
    to: &Path,
    bounds: &Bounds,
) -> io::Result<ExitStatus> {
    let (mut before, mut still) = (0, Duration::ZERO);
    loop {
        match ended.recv_timeout(LOOK_AGAIN) {
            Ok(status) => return status,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("nobody waits for it"));
            }
            Err(RecvTimeoutError::Timeout) => still += LOOK_AGAIN,
        }
        let now = size(to);
        if now > bounds.budget.left() {
            return Err(too_large());
        }
        if now != before {
            (before, still) = (now, Duration::ZERO);
        }
        if still >= bounds.stall {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "nothing comes any more"));
        }
    }
}

/// What the client calls a file that is not whole.
fn part(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push("._COPYING_");
    name.into()
}

/// How much lies there by now.
fn size(to: &Path) -> u64 {
    below(to) + below(&part(to))
}

fn below(path: &Path) -> u64 {
    match path.symlink_metadata() {
        Ok(info) if info.is_dir() => {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|entry| below(&entry.path())).sum()
        }
        Ok(info) => info.len(),
        // There is none, or it got another name just now.
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetcher::Budget;

    #[test]
    fn program_that_brings_nothing_more_is_given_up_with_all_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("f");
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0\"; sleep 1000 & wait"]).arg(&to).process_group(0);
        let bounds = Bounds { stall: LOOK_AGAIN * 4, budget: Budget::new(1000, 10) };
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let error = watch(child, &to, &bounds).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(to.exists());
        // It ends when the last of them does.
        assert_eq!(io::Read::read(&mut output, &mut [0]).unwrap(), 0);
    }

    #[test]
    fn program_that_brings_too_many_files_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("d");
        let many =
            "mkdir \"$0\"; for i in $(seq 1000); do echo 1234567 > \"$0/$i\"; done; sleep 1000";
        let mut command = Command::new("sh");
        command.args(["-c", many]).arg(&to).process_group(0);
        let bounds = Bounds { stall: Duration::from_secs(5), budget: Budget::new(1000, 10) };
        let error = watch(command.spawn().unwrap(), &to, &bounds).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
