//! `linux/nnp`: programs give a container no rights that it does not have already.

use protos::ids::ContainerId;

use crate::launch::LaunchInfo;
use crate::preparer::Preparer;
use crate::setup::ContainerSetup;

/// The isolator.
#[derive(Debug, Default)]
pub struct NoNewPrivileges;

impl Preparer for NoNewPrivileges {
    const NAME: &'static str = "linux/nnp";

    fn launch(&self, _: &ContainerId, _: &ContainerSetup) -> Result<LaunchInfo, String> {
        Ok(LaunchInfo { no_new_privileges: Some(true), ..LaunchInfo::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nnp_is_asked_for_every_container() {
        let info = NoNewPrivileges.launch(&ContainerId::new("c"), &ContainerSetup::default());
        assert_eq!(info.unwrap().no_new_privileges, Some(true));
    }
}
