//! Slaves' infos.

use protos::mesos;
use protos::resources::Resources;

/// Checks what a slave tells of itself.
///
/// # Errors
/// The first rule broken.
pub(crate) fn validate(info: &mesos::SlaveInfo, version: Option<&str>) -> Result<(), String> {
    if info.hostname.is_empty() {
        return Err("hostname is empty".to_owned());
    }
    if let Some(id) = &info.id {
        protos::ids::validate(&id.value).map_err(|error| error.to_string())?;
    }
    Resources::from_wire(&info.resources).map_err(|error| error.to_string())?;
    // Slaves below 1.0.0 speak an older protocol. Those that tell no version predate versions.
    let major = version.and_then(|v| v.split('.').next()?.parse::<u32>().ok());
    match major {
        Some(1..) => Ok(()),
        _ => Err(format!("version '{}' is older than 1.0.0", version.unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slave_info_rules_are_told_apart() {
        let good = mesos::SlaveInfo { hostname: "h".into(), ..Default::default() };
        assert_eq!(validate(&good, Some("1.11.0")), Ok(()));
        for version in [None, Some("0.28.3"), Some("new")] {
            assert!(validate(&good, version).is_err(), "{version:?}");
        }
        assert!(validate(&mesos::SlaveInfo::default(), Some("1.11.0")).is_err());
    }
}
