//! Clusters in virtual time: a master, slaves, a framework that wants tasks run, and faults.

mod checks;
mod cluster;
mod crowd;
pub mod ha;
mod jobs;
mod model_slave;
mod programs;
mod stand_in;

pub use checks::{StateWatch, problems_of_state};
pub use cluster::{Cluster, Shape};
pub use crowd::{Crowd, CrowdShape, Member};
pub use jobs::{Jobs, Ledger, SharedLedger};
pub use model_slave::ModelSlave;
pub use stand_in::command_executor;
