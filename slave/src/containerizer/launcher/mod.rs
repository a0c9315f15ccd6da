//! How the first process of a container comes to be.

pub(super) mod posix;
