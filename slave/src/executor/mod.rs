//! The command executor: runs the one command of a command task.
//!
//! `checks` look at it while it runs. `task` decides what each event means for the task, `actor` carries it out; `command` and
//! `outcome` say what runs and what its end means, `settings` what the slave tells, `inside` how it is started in a root of its own.

mod actor;
mod checks;
mod command;
mod docker;
mod docker_main;
mod inside;
mod main;
pub mod multicall;
mod outcome;
mod runner;
mod settings;
mod task;

pub use actor::CommandExecutor;
pub use docker_main::main as docker_main;
pub use inside::Inside;
pub(crate) use inside::{LAUNCH_INFO, TASK_LAUNCH_INFO};
pub use main::main;
pub use outcome::{Outcome, outcome};
pub use settings::{Settings, SettingsError};
