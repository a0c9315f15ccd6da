//! What is accepted from others: small pure functions, each with its reason.

pub(crate) mod framework;
pub(crate) mod group;
pub(crate) mod quota;
pub(crate) mod slave;
pub(crate) mod task;
