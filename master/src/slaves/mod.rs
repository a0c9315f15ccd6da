//! Slaves' life: registration, silence, updates, removal.

pub(crate) mod lost;
pub(crate) mod register;
pub(crate) mod reregister;
pub(crate) mod update;
