//! CREATE: persistent volumes out of reserved disk.

use std::collections::BTreeSet;

use protos::ids;
use protos::mesos::framework_info::capability::Type as Capability;
use protos::mesos::offer::operation::Create;
use protos::mesos::volume::Mode;
use protos::resources::{Resources, reservation_role};

use super::volume::persistences;
use super::{At, Conversion, OperationError, check_not_revocable};

pub(super) fn convert(create: &Create, at: &At<'_>) -> Result<Conversion, OperationError> {
    let converted = at.read(&create.volumes)?;
    if converted.is_empty() {
        return Err(OperationError::Empty("CREATE"));
    }
    check_not_revocable(&converted)?;
    at.check_slave_knows(&converted)?;
    check_volumes(&converted, at)?;
    let consumed = converted.without_volumes();
    Ok(Conversion { consumed, converted, usable: true })
}

fn check_volumes(volumes: &Resources, at: &At<'_>) -> Result<(), OperationError> {
    let existing = at.slave.total.volumes();
    let mut taken: BTreeSet<(String, String)> = BTreeSet::new();
    for (resource, persistence) in persistences(&existing)? {
        let role = reservation_role(resource).unwrap_or_default();
        taken.insert((role.to_owned(), persistence.id.clone()));
    }
    for (resource, persistence) in persistences(volumes)? {
        ids::validate(&persistence.id)?;
        let Some(role) = reservation_role(resource) else {
            return Err(OperationError::VolumeUnreserved);
        };
        at.check_principal(persistence.principal.as_deref())?;
        let mount = resource.disk.as_ref().and_then(|disk| disk.volume.as_ref());
        let mounts = mount.is_some_and(|v| {
            v.mode == i32::from(Mode::Rw) && !v.container_path.is_empty() && v.host_path.is_none()
        });
        if !mounts {
            return Err(OperationError::VolumePath(persistence.id.clone()));
        }
        let knows_shared = at.framework.is_none_or(|f| f.has(Capability::SharedResources));
        if resource.shared.is_some() && !knows_shared {
            return Err(OperationError::FrameworkLacks("SHARED_RESOURCES"));
        }
        if !taken.insert((role.to_owned(), persistence.id.clone())) {
            return Err(OperationError::VolumeExists(persistence.id.clone()));
        }
    }
    // Two volumes of one id and amount are a single entry that is there twice.
    if volumes.to_wire().len() > volumes.kinds().count() {
        let id = persistences(volumes)?.first().map(|(_, p)| p.id.clone()).unwrap_or_default();
        return Err(OperationError::VolumeExists(id));
    }
    Ok(())
}
