//! The command-line tools: `mesos-execute`, `mesos-local`, `mesos-log` and `mesos-resolve`.
//!
//! # Purpose
//! One command that runs a task, one that runs a cluster in a single OS process, one that looks after
//! replicated logs, one that tells who the master is. The binaries are thin; what they decide is here and is tested here.
//!
//! # Non-goals
//! Masters and slaves have binaries of their own in their crates.
//!
//! # Map
//! - [`execute`]: the flags, the job they describe, its progress, its output
//! - [`local`]: a master and slaves in one OS process
//! - [`log`]: replicas of a replicated log
//! - [`node`]: the node that a tool runs on
//! - [`resolve`]: the address of a master
//!
//! # Example
//! ```
//! use cli::execute::{flags::Flags, job::Job};
//! use libprocess::flags::Loader;
//!
//! let arguments = ["--name=first", "--command=echo hello"];
//! let flags = Loader::new("mesos-execute").load::<Flags>(arguments)?.flags;
//! let job = Job::from_flags(&flags)?;
//! assert_eq!(job.resources.cpus(), 1.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod execute;
pub mod local;
pub mod log;
pub mod node;
pub mod resolve;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the slave's helper program that the first argument names, else `main` with all arguments.
///
/// Slaves in this OS process start their executors and fetchers as this same binary, so that one
/// file is all that is needed.
pub fn helper_or(main: impl FnOnce(Vec<OsString>) -> ExitCode) -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let texts: Vec<String> =
        arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
    slave::executor::multicall::run_helper(&texts).unwrap_or_else(|| main(arguments))
}
