//! The command executor: runs the one command of a command task.
//!
//! `checks` look at it while it runs. `task` decides what each event means for the task, `actor` carries it out; `command` and
//! `outcome` say what runs and what its end means, `settings` what the slave tells.

mod actor;
mod checks;
mod command;
mod main;
pub mod multicall;
mod outcome;
mod settings;
mod task;

pub use actor::CommandExecutor;
pub use main::main;
pub use outcome::{Outcome, outcome};
pub use settings::{Settings, SettingsError};
