//! UNRESERVE.

use protos::mesos::offer::operation::Unreserve;

use super::{At, Conversion, OperationError, check_dynamic};

pub(super) fn convert(unreserve: &Unreserve, at: &At<'_>) -> Result<Conversion, OperationError> {
    let consumed = at.read(&unreserve.resources)?;
    if consumed.is_empty() {
        return Err(OperationError::Empty("UNRESERVE"));
    }
    check_dynamic(&consumed)?;
    let converted = consumed.pop_reservation();
    Ok(Conversion { consumed, converted, usable: true })
}
