//! `posix/rlimits`: limits that each process of the container has.

use protos::ids::ContainerId;
use protos::mesos::RLimitInfo;
use protos::mesos::r_limit_info::r_limit::Type;

use crate::launch::LaunchInfo;
use crate::preparer::Preparer;
use crate::setup::ContainerSetup;

/// The isolator.
#[derive(Debug, Default)]
pub struct PosixRlimits;

fn check(info: &RLimitInfo) -> Result<(), String> {
    let mut seen = Vec::new();
    for limit in &info.rlimits {
        let kind = limit.r#type();
        let name = kind.as_str_name();
        if kind == Type::Unknown {
            return Err("a resource limit has no known type".to_owned());
        }
        if seen.contains(&kind) {
            return Err(format!("resource limit {name} is given twice"));
        }
        seen.push(kind);
        match (limit.soft, limit.hard) {
            (None, None) => {}
            (Some(soft), Some(hard)) if soft <= hard => {}
            (Some(_), Some(_)) => return Err(format!("soft limit {name} is above the hard one")),
            _ => return Err(format!("resource limit {name} needs both numbers or none")),
        }
    }
    Ok(())
}

impl Preparer for PosixRlimits {
    const NAME: &'static str = "posix/rlimits";

    fn launch(&self, _: &ContainerId, setup: &ContainerSetup) -> Result<LaunchInfo, String> {
        let info = setup.container_info.as_ref();
        let rlimits = info.and_then(|info| info.rlimit_info.clone());
        rlimits.as_ref().map_or(Ok(()), check)?;
        Ok(LaunchInfo { rlimits, ..LaunchInfo::default() })
    }
}

#[cfg(test)]
mod tests {
    use protos::mesos::{ContainerInfo, r_limit_info::RLimit};

    use super::*;

    fn asks(limits: &[(Option<u64>, Option<u64>)]) -> Result<LaunchInfo, String> {
        let limit = |(soft, hard): &(Option<u64>, Option<u64>)| RLimit {
            r#type: Some(Type::RlmtNofile as i32),
            soft: *soft,
            hard: *hard,
        };
        let rlimit_info = Some(RLimitInfo { rlimits: limits.iter().map(limit).collect() });
        let info = ContainerInfo { rlimit_info, ..ContainerInfo::default() };
        let setup = ContainerSetup { container_info: Some(info), ..ContainerSetup::default() };
        PosixRlimits.launch(&ContainerId::new("c"), &setup)
    }

    #[test]
    fn rlimits_are_passed_on() {
        let info = asks(&[(Some(10), Some(20))]).unwrap();
        assert_eq!(info.rlimits.unwrap().rlimits[0].hard, Some(20));
        assert!(asks(&[(None, None)]).is_ok());
    }

    #[test]
    fn rlimits_that_make_no_sense_are_refused() {
        assert!(asks(&[(Some(21), Some(20))]).is_err());
        assert!(asks(&[(Some(1), None)]).is_err());
        assert!(asks(&[(None, Some(1))]).is_err());
        assert!(asks(&[(None, None), (None, None)]).is_err());
    }
}
