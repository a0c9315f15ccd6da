//! DESTROY: persistent volumes become plain reserved disk again.

use protos::mesos::offer::operation::Destroy;
use protos::resources::Resources;

use super::volume::persistences;
use super::{At, Conversion, OperationError};

pub(super) fn convert(destroy: &Destroy, at: &At<'_>) -> Result<Conversion, OperationError> {
    let consumed = at.read(&destroy.volumes)?;
    if consumed.is_empty() {
        return Err(OperationError::Empty("DESTROY"));
    }
    for (resource, persistence) in persistences(&consumed)? {
        let same = |other: &protos::mesos::Resource| {
            let bare = |r: &protos::mesos::Resource| protos::mesos::Resource {
                allocation_info: None,
                ..r.clone()
            };
            bare(other) == bare(resource)
        };
        let present = |held: &Resources| held.kinds().any(same);
        if !present(&at.slave.total) {
            return Err(OperationError::VolumeUnknown(persistence.id.clone()));
        }
        if present(at.used) {
            return Err(OperationError::VolumeInUse(persistence.id.clone()));
        }
    }
    let converted = consumed.without_volumes();
    Ok(Conversion { consumed, converted, usable: true })
}
