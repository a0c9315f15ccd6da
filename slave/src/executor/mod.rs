//! The command executor: runs the one command of a command task.

mod actor;
mod main;
pub mod multicall;
mod outcome;
mod settings;

pub use actor::CommandExecutor;
pub use main::main;
pub use outcome::{Outcome, outcome};
pub use settings::{Settings, SettingsError};
