//! SHRINK_VOLUME.

use protos::mesos::offer::operation::ShrinkVolume;
use protos::mesos::slave_info::capability::Type as SlaveCapability;

use super::volume::{resizable, resized};
use super::{At, Conversion, OperationError};

pub(super) fn convert(shrink: &ShrinkVolume, at: &At<'_>) -> Result<Conversion, OperationError> {
    if !at.has(SlaveCapability::ResizeVolume) {
        return Err(OperationError::SlaveLacks("RESIZE_VOLUME"));
    }
    let volume = at.read(std::slice::from_ref(&shrink.volume))?;
    resizable(&volume, &at.slave.total)?;
    let (size, off) = (volume.disk(), shrink.subtract.value);
    // Amounts are counted in thousandths.
    if off.is_nan() || off < 0.001 || off > size - 0.001 {
        return Err(OperationError::ResizeAmount);
    }
    let converted = resized(&volume, size - off).plus(&resized(&volume.without_volumes(), off));
    Ok(Conversion { consumed: volume, converted, usable: false })
}
