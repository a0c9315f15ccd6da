//! `mesos-local`: a whole cluster in one OS process.

pub mod cluster;
pub mod flags;
pub mod main;
