//! What a process was started with: by the variable `MESOS_DIRECTORY` a restarted slave knows the
//! processes of its containers again.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How often a process between two programs is looked at. That takes it microseconds, unless the
/// host has no time for it: the looker gives way each time.
const LOOKS: usize = 10_000;

/// The sandbox that a process was started in, as its environment tells; none when it tells no such
/// thing, or may not be read.
pub fn sandbox_of(pid: u32) -> Option<PathBuf> {
    let environment = environment(pid).ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    let directory = variables.find_map(|variable| variable.strip_prefix(b"MESOS_DIRECTORY="))?;
    Some(PathBuf::from(OsStr::from_bytes(directory)))
}

/// The environment that a process was started with (`/proc/PID/environ`), variables ended by zero
/// bytes. Empty for kernel threads and for processes that ended.
///
/// # Errors
/// When it may not be read, or there is no such process.
pub fn environment(pid: u32) -> std::io::Result<Vec<u8>> {
    let process = Path::new("/proc").join(pid.to_string());
    let read = |name: &str| std::fs::read(process.join(name));
    for _ in 1..LOOKS {
        let environment = read("environ")?;
        // The kernel lends a new program its memory before it says where in it the arguments and
        // the environment are: amid `execve` a process seems to have neither.
        if !environment.is_empty() || process.join("exe").read_link().is_err() {
            return Ok(environment);
        }
        if !read("cmdline")?.is_empty() {
            break;
        }
        std::thread::yield_now();
    }
    // Known by now, if there is one.
    read("environ")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn process_amid_exec_is_known_by_its_sandbox() {
        for round in 0..200 {
            let directory = format!("/sandbox/{round}");
            let mut command = Command::new("sleep");
            command.arg("1000").env("MESOS_DIRECTORY", &directory).stdout(Stdio::null());
            let mut child = command.spawn().unwrap();
            // Until the kernel calls it so, it may be the program that started it still.
            let comm = format!("/proc/{}/comm", child.id());
            while std::fs::read_to_string(&comm).unwrap() != "sleep\n" {
                std::thread::yield_now();
            }
            let sandbox = sandbox_of(child.id());
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(sandbox, Some(PathBuf::from(directory)));
        }
    }

    #[test]
    fn environment_of_a_process_that_is_over_is_empty() {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id();
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        while !state().contains(") Z ") {
            std::thread::yield_now();
        }
        assert_eq!(environment(pid).unwrap_or_default(), Vec::<u8>::new());
        child.wait().unwrap();
        assert!(environment(pid).is_err());
    }
}
