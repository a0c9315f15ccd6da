//! A replica: rules over a store, and the process around them.

mod actor;
mod local;
mod rules;
#[cfg(test)]
mod rules_tests;
mod store;

pub(super) use actor::Replica;
pub(super) use rules::is_whole;
