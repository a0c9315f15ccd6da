//! The command-line tools: `mesos-execute`, `mesos-local` and `mesos-resolve`.
//!
//! # Purpose
//! One command that runs a task, one that runs a cluster in a single OS process, one that tells who
//! the master is. The binaries are thin; what they decide is here and is tested here.
//!
//! # Non-goals
//! Masters and slaves have binaries of their own in their crates.
//!
//! # Map
//! - [`execute`]: the flags, the job they describe, its progress, its output
//! - [`resolve`]: the address of a master
//!
//! # Example
//! ```
//! use cli::execute::{flags::Flags, job::Job};
//! use libprocess::flags::Loader;
//!
//! let arguments = ["--name=first", "--command=echo hello"];
//! let flags = Loader::new("mesos-execute").load::<Flags>(arguments)?.flags;
//! let job = Job::from_flags(&flags, "nobody")?;
//! assert_eq!(job.resources.cpus(), 1.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod execute;
pub mod resolve;
