//! RESERVE.

use protos::mesos::offer::operation::Reserve;
use protos::resources::Resources;

use super::{At, Conversion, OperationError, check_dynamic, check_not_revocable};

pub(super) fn convert(reserve: &Reserve, at: &At<'_>) -> Result<Conversion, OperationError> {
    let converted = at.read(&reserve.resources)?;
    if converted.is_empty() {
        return Err(OperationError::Empty("RESERVE"));
    }
    check_not_revocable(&converted)?;
    check_dynamic(&converted)?;
    at.check_slave_knows(&converted)?;
    check_reservations(&converted, at)?;
    let consumed = source(reserve, &converted, at)?;
    Ok(Conversion { consumed, converted, usable: true })
}

fn check_reservations(converted: &Resources, at: &At<'_>) -> Result<(), OperationError> {
    for resource in converted.kinds() {
        let Some((last, outer)) = resource.reservations.split_last() else { continue };
        at.check_principal(last.principal.as_deref())?;
        if let Some(offered) = at.role.filter(|role| *role != last.role()) {
            let (reserved, offered) = (last.role().to_owned(), offered.to_owned());
            return Err(OperationError::ForeignRole { reserved, offered });
        }
        if let Some(outer) = outer.last() {
            let below = last.role().strip_prefix(outer.role());
            if below.is_none_or(|rest| !rest.starts_with('/')) {
                let (outer, inner) = (outer.role().to_owned(), last.role().to_owned());
                return Err(OperationError::NotRefined(outer, inner));
            }
        }
    }
    Ok(())
}

/// What becomes reserved: the same with one reservation less, or what an operator names, which may
/// have other reservations.
fn source(
    reserve: &Reserve,
    converted: &Resources,
    at: &At<'_>,
) -> Result<Resources, OperationError> {
    if reserve.source.is_empty() {
        return Ok(converted.pop_reservation());
    }
    if at.framework.is_some() {
        return Err(OperationError::Source);
    }
    let source = at.read(&reserve.source)?;
    if source.to_unreserved() != converted.to_unreserved() {
        return Err(OperationError::SourceDiffers);
    }
    if let Some(volume) = source.kinds().find(|resource| protos::resources::is_volume(resource)) {
        return Err(OperationError::IsVolume(volume.name.clone()));
    }
    Ok(source)
}
