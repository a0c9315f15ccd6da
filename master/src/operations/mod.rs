//! Operations on resources: what each consumes and makes, and why it is refused. A file for each.

mod create;
mod destroy;
mod grow;
mod reserve;
mod shrink;
#[cfg(test)]
pub(crate) mod tests;
mod unreserve;
mod volume;

use protos::mesos;
use protos::mesos::offer::{Operation, operation::Type};
use protos::mesos::resource::reservation_info::Type as ReservationType;
use protos::mesos::slave_info::capability::Type as SlaveCapability;
use protos::resources::{ResourceError, Resources};

use crate::state::{Framework, Slave};

/// Where an operation is to be applied, and by whom.
pub(crate) struct At<'a> {
    pub(crate) slave: &'a Slave,
    /// None for an operator.
    pub(crate) framework: Option<&'a Framework>,
    /// The role of the offers; None for an operator.
    pub(crate) role: Option<&'a str>,
    /// Of the framework or the operator.
    pub(crate) principal: Option<&'a str>,
    /// What tasks and executors hold of the slave; allocated to nobody.
    pub(crate) used: &'a Resources,
}

/// What an operation turns into what.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Conversion {
    pub(crate) consumed: Resources,
    pub(crate) converted: Resources,
    /// False when the result may not be used by later operations of the same ACCEPT.
    pub(crate) usable: bool,
}

/// Why an operation is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum OperationError {
    #[error("operation {0} is empty")]
    Empty(&'static str),
    #[error("operation {0} is not supported")]
    Unsupported(&'static str),
    #[error("{0}")]
    Resources(#[from] ResourceError),
    #[error("resources are allocated to role '{found}', not '{expected}'")]
    AllocatedElsewhere { found: String, expected: String },
    #[error("revocable resources cannot be reserved or made volumes of")]
    Revocable,
    #[error("resource '{0}' is not dynamically reserved")]
    NotDynamic(String),
    #[error("resource '{0}' is a persistent volume")]
    IsVolume(String),
    #[error("reservation is for role '{reserved}', but the offers are for role '{offered}'")]
    ForeignRole { reserved: String, offered: String },
    #[error("role '{0}' of a reservation is not an ancestor of '{1}'")]
    NotRefined(String, String),
    #[error("reservation is by principal '{reserved}', but the request is by '{requested}'")]
    ForeignPrincipal { reserved: String, requested: String },
    #[error("source of a reservation may be given by operators only")]
    Source,
    #[error("source differs from the reserved resources in more than reservations")]
    SourceDiffers,
    #[error("slave lacks the capability {0}")]
    SlaveLacks(&'static str),
    #[error("framework lacks the capability {0}")]
    FrameworkLacks(&'static str),
    #[error("resource '{0}' is not a persistent volume")]
    NotVolume(String),
    #[error("persistent volume is not reserved")]
    VolumeUnreserved,
    #[error("persistence {0}")]
    PersistenceId(#[from] protos::ids::IdError),
    #[error("persistent volume '{0}' must have a container path, mode RW and no host path")]
    VolumePath(String),
    #[error("persistent volume '{0}' exists already")]
    VolumeExists(String),
    #[error("persistent volume '{0}' does not exist")]
    VolumeUnknown(String),
    #[error("persistent volume '{0}' is in use")]
    VolumeInUse(String),
    #[error("persistent volume '{0}' is shared or on an exclusive disk and cannot be resized")]
    NotResizable(String),
    #[error("addition differs from the volume's disk in more than its amount")]
    AdditionDiffers,
    #[error("amount to add or take off must be above zero and leave some of the volume")]
    ResizeAmount,
    #[error("operation needs {needed}, but there are {free}")]
    TooMuch { needed: String, free: String },
}

/// Checks an operation against all rules but what is free.
///
/// # Errors
/// The first rule broken.
pub(crate) fn convert(operation: &Operation, at: &At<'_>) -> Result<Conversion, OperationError> {
    let kind = operation.r#type();
    let empty = || OperationError::Empty(kind.as_str_name());
    match kind {
        Type::Reserve => reserve::convert(operation.reserve.as_ref().ok_or_else(empty)?, at),
        Type::Unreserve => unreserve::convert(operation.unreserve.as_ref().ok_or_else(empty)?, at),
        Type::Create => create::convert(operation.create.as_ref().ok_or_else(empty)?, at),
        Type::Destroy => destroy::convert(operation.destroy.as_ref().ok_or_else(empty)?, at),
        Type::GrowVolume => grow::convert(operation.grow_volume.as_ref().ok_or_else(empty)?, at),
        Type::ShrinkVolume => {
            shrink::convert(operation.shrink_volume.as_ref().ok_or_else(empty)?, at)
        }
        _ => Err(OperationError::Unsupported(kind.as_str_name())),
    }
}

/// The result of taking what an operation consumes out of what is free.
///
/// # Errors
/// [`OperationError::TooMuch`] when it is not all there.
pub(crate) fn apply(
    free: &Resources,
    conversion: &Conversion,
) -> Result<Resources, OperationError> {
    free.checked_sub(&conversion.consumed).ok_or_else(|| OperationError::TooMuch {
        needed: conversion.consumed.to_string(),
        free: free.to_string(),
    })
}

impl At<'_> {
    /// Reads wire resources as resources of the offers: allocated to their role.
    fn read(&self, wire: &[mesos::Resource]) -> Result<Resources, OperationError> {
        let resources = Resources::from_wire(wire)?;
        let Some(role) = self.role else { return Ok(resources.unallocated()) };
        for found in resources.allocations().into_keys() {
            if !found.is_empty() && found != role {
                let expected = role.to_owned();
                return Err(OperationError::AllocatedElsewhere { found, expected });
            }
        }
        Ok(resources.unallocated().allocated_to(role))
    }

    fn has(&self, capability: SlaveCapability) -> bool {
        self.slave.has(capability)
    }

    /// Refined reservations and roles below others need slaves that know of them.
    fn check_slave_knows(&self, resources: &Resources) -> Result<(), OperationError> {
        if resources.has_refined() && !self.has(SlaveCapability::ReservationRefinement) {
            return Err(OperationError::SlaveLacks("RESERVATION_REFINEMENT"));
        }
        let nested = resources.reservations().into_keys().any(|role| role.contains('/'));
        if nested && !self.has(SlaveCapability::HierarchicalRole) {
            return Err(OperationError::SlaveLacks("HIERARCHICAL_ROLE"));
        }
        Ok(())
    }

    fn check_principal(&self, named: Option<&str>) -> Result<(), OperationError> {
        match (named, self.principal) {
            (Some(reserved), requested) if requested != Some(reserved) => {
                let requested = requested.unwrap_or_default().to_owned();
                Err(OperationError::ForeignPrincipal { reserved: reserved.to_owned(), requested })
            }
            _ => Ok(()),
        }
    }
}

fn check_not_revocable(resources: &Resources) -> Result<(), OperationError> {
    match resources.revocable().is_empty() {
        true => Ok(()),
        false => Err(OperationError::Revocable),
    }
}

/// Each must be reserved dynamically and be no volume.
fn check_dynamic(resources: &Resources) -> Result<(), OperationError> {
    for resource in resources.kinds() {
        let dynamic = Some(ReservationType::Dynamic.into());
        if resource.reservations.last().is_none_or(|last| last.r#type != dynamic) {
            return Err(OperationError::NotDynamic(resource.name.clone()));
        }
        if protos::resources::is_volume(resource) {
            return Err(OperationError::IsVolume(resource.name.clone()));
        }
    }
    Ok(())
}
