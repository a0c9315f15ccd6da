//! `mesos-execute`: runs one task and waits for its end.

pub mod flags;
pub mod job;
pub mod main;
pub mod output;
pub mod progress;
pub mod run;
pub mod tail;
