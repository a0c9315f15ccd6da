//! What is asked of a slave: one thing in a file, each a function from state to effects.

pub(crate) mod executors;
pub(crate) mod framework;
pub(crate) mod kill;
pub(crate) mod messages;
pub(crate) mod operations;
pub(crate) mod reregister;
pub(crate) mod resources;
pub(crate) mod run_task;
pub(crate) mod run_task_group;
pub(crate) mod shutdown;
pub(crate) mod terminated;
pub(crate) mod updates;

#[cfg(test)]
mod tests;
