//! What images of Docker's kind want.

pub mod runtime;
