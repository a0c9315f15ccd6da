//! GROW_VOLUME.

use protos::mesos::offer::operation::GrowVolume;
use protos::mesos::slave_info::capability::Type as SlaveCapability;

use super::volume::{resizable, resized};
use super::{At, Conversion, OperationError};

pub(super) fn convert(grow: &GrowVolume, at: &At<'_>) -> Result<Conversion, OperationError> {
    if !at.has(SlaveCapability::ResizeVolume) {
        return Err(OperationError::SlaveLacks("RESIZE_VOLUME"));
    }
    let volume = at.read(std::slice::from_ref(&grow.volume))?;
    let addition = at.read(std::slice::from_ref(&grow.addition))?;
    resizable(&volume, &at.slave.total)?;
    if addition.disk() <= 0.0 {
        return Err(OperationError::ResizeAmount);
    }
    let disk = volume.without_volumes();
    if !disk.kinds().eq(addition.kinds()) {
        return Err(OperationError::AdditionDiffers);
    }
    let converted = resized(&volume, volume.disk() + addition.disk());
    Ok(Conversion { consumed: volume.plus(&addition), converted, usable: false })
}
