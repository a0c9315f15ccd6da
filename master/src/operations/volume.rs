//! What operations on persistent volumes share.

use protos::mesos;
use protos::mesos::resource::disk_info::{Persistence, source::Type as SourceType};
use protos::resources::{Resources, is_volume};

use super::OperationError;

/// The persistence of each volume.
///
/// # Errors
/// [`OperationError::NotVolume`] naming the first resource that is none.
pub(super) fn persistences(
    volumes: &Resources,
) -> Result<Vec<(&mesos::Resource, &Persistence)>, OperationError> {
    let mut found = Vec::new();
    for resource in volumes.kinds() {
        let persistence = resource.disk.as_ref().and_then(|disk| disk.persistence.as_ref());
        match persistence.filter(|_| resource.name == "disk" && is_volume(resource)) {
            Some(persistence) => found.push((resource, persistence)),
            None => return Err(OperationError::NotVolume(resource.name.clone())),
        }
    }
    Ok(found)
}

/// A single volume that exists and can change its size.
///
/// # Errors
/// When it is no volume, shared, on an exclusive disk, or not on the slave.
pub(super) fn resizable(volume: &Resources, total: &Resources) -> Result<String, OperationError> {
    let found = persistences(volume)?;
    let Some((resource, persistence)) = found.first().copied() else {
        return Err(OperationError::Empty("volume"));
    };
    let source = resource.disk.as_ref().and_then(|disk| disk.source.as_ref());
    let fixed = source.is_some_and(|s| s.r#type() != SourceType::Path);
    if resource.shared.is_some() || fixed {
        return Err(OperationError::NotResizable(persistence.id.clone()));
    }
    if !total.contains(&volume.unallocated()) {
        return Err(OperationError::VolumeUnknown(persistence.id.clone()));
    }
    Ok(persistence.id.clone())
}

/// The same volume with another amount.
pub(super) fn resized(volume: &Resources, mb: f64) -> Resources {
    let mut wire = volume.to_refined();
    for resource in &mut wire {
        resource.scalar = Some(mesos::value::Scalar { value: mb });
    }
    Resources::from_wire(&wire).unwrap_or_default()
}
