//! Containers of docker's: the daemon runs them, and this side keeps the books.
//!
//! Each has a helper process, `mesos-docker-executor`, which makes the container, starts it, copies its
//! output into the sandbox and ends with it. For a command task the helper is the executor, too. So a
//! slave that restarts finds its helpers again as it finds any executor.

mod actor;
mod api;
mod ending;
mod error;
mod front;
mod launching;
mod parameters;
mod plan;
mod statistics;

use std::collections::BTreeMap;
use std::path::Path;

pub use actor::{DockerContainerizer, DockerOptions, start};
pub use api::Api;
pub use error::DockerError;
pub use plan::{DockerLimits, Plan, Surroundings, plan};

/// The label that tells whose a container is.
const WORK_DIR: &str = "mesos.work_dir";

/// Labels of containers of a slave with this working directory.
pub(crate) fn labels(work_dir: Option<&Path>) -> BTreeMap<String, String> {
    work_dir.map(|path| (WORK_DIR.to_owned(), path.display().to_string())).into_iter().collect()
}
