//! `linux/capabilities`: which of root's rights a container has, and which it may ever gain.

use std::collections::BTreeSet;
use std::str::FromStr;

use protos::ids::ContainerId;
use protos::mesos::CapabilityInfo;
use protos::mesos::capability_info::Capability;

use crate::launch::LaunchInfo;
use crate::options::Options;
use crate::preparer::Preparer;
use crate::setup::ContainerSetup;

/// Capabilities by their numbers on the wire.
type Set = BTreeSet<i32>;

/// The isolator.
#[derive(Debug, Clone, Default)]
pub struct Capabilities {
    effective: Option<Set>,
    bounding: Option<Set>,
}

fn set(info: &CapabilityInfo) -> Set {
    info.capabilities.iter().copied().collect()
}

fn wire(set: Set) -> CapabilityInfo {
    CapabilityInfo { capabilities: set.into_iter().collect() }
}

fn name(number: i32) -> &'static str {
    Capability::try_from(number).map_or("UNKNOWN", |capability| capability.as_str_name())
}

/// What the kernel calls a capability of the wire.
///
/// # Errors
/// When neither knows it.
pub fn kernel(number: i32) -> Result<caps::Capability, String> {
    let name = name(number);
    caps::Capability::from_str(&format!("CAP_{name}"))
        .map_err(|_| format!("capability {number} ({name}) is not known"))
}

fn missing(inner: &Set, outer: &Set) -> Option<String> {
    let names: Vec<&str> = inner.difference(outer).map(|number| name(*number)).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

impl Capabilities {
    /// As the flags say.
    ///
    /// # Errors
    /// When the kernel does not know a capability, or the effective ones are not all bounding ones.
    pub fn new(options: &Options) -> Result<Self, String> {
        let effective = options.effective_capabilities.as_ref().map(set);
        let bounding = options.bounding_capabilities.as_ref().map(set);
        let supported = caps::runtime::thread_all_supported();
        for number in effective.iter().chain(&bounding).flatten() {
            if !supported.contains(&kernel(*number)?) {
                return Err(format!("the kernel does not have {}", name(*number)));
            }
        }
        if let (Some(effective), Some(bounding)) = (&effective, &bounding)
            && let Some(names) = missing(effective, bounding)
        {
            return Err(format!(
                "{names} of --effective_capabilities are not in \
                                --bounding_capabilities"
            ));
        }
        Ok(Self { effective, bounding })
    }

    /// The sets of a container that asks for some: what it does not ask for is as the flags say; what
    /// it may gain is what it has, unless said otherwise.
    fn decide(
        &self,
        effective: Option<Set>,
        bounding: Option<Set>,
    ) -> Result<(Option<Set>, Option<Set>), String> {
        // Without a flag of its own, the bound of what may be asked for is the other flag.
        let allowed = self.bounding.as_ref().or(self.effective.as_ref());
        for wanted in [&effective, &bounding] {
            if let (Some(wanted), Some(allowed)) = (wanted, allowed)
                && let Some(names) = missing(wanted, allowed)
            {
                return Err(format!("capabilities {names} are not allowed"));
            }
        }
        let bounding = bounding.or_else(|| {
            let asked = effective.clone().filter(|_| self.bounding.is_none());
            asked.or_else(|| allowed.cloned())
        });
        let effective = effective.or_else(|| {
            // The default shrinks to what the container wants to be able to gain.
            let default = self.effective.as_ref()?;
            Some(bounding.as_ref().map_or_else(|| default.clone(), |it| default & it))
        });
        if let (Some(effective), Some(bounding)) = (&effective, &bounding)
            && let Some(names) = missing(effective, bounding)
        {
            return Err(format!("effective capabilities {names} are not among the bounding ones"));
        }
        Ok((effective, bounding))
    }
}

impl Preparer for Capabilities {
    const NAME: &'static str = "linux/capabilities";

    fn launch(&self, _: &ContainerId, setup: &ContainerSetup) -> Result<LaunchInfo, String> {
        let linux = setup.linux_info();
        let effective = linux.and_then(|linux| {
            linux.effective_capabilities.as_ref().or(linux.capability_info.as_ref())
        });
        let bounding = linux.and_then(|linux| linux.bounding_capabilities.as_ref());
        for number in effective.into_iter().chain(bounding).flat_map(|info| &info.capabilities) {
            kernel(*number)?;
        }
        let (effective, bounding) = self.decide(effective.map(set), bounding.map(set))?;
        Ok(LaunchInfo {
            effective_capabilities: effective.map(wire),
            bounding_capabilities: bounding.map(wire),
            ..LaunchInfo::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use protos::mesos::{ContainerInfo, LinuxInfo};

    use super::*;

    const CHOWN: i32 = Capability::Chown as i32;
    const KILL: i32 = Capability::Kill as i32;

    fn isolator(effective: Option<&[i32]>, bounding: Option<&[i32]>) -> Capabilities {
        let set =
            |numbers: Option<&[i32]>| numbers.map(|numbers| numbers.iter().copied().collect());
        Capabilities { effective: set(effective), bounding: set(bounding) }
    }

    fn asks(effective: &[i32], bounding: Option<&[i32]>) -> ContainerSetup {
        let info = |numbers: &[i32]| CapabilityInfo { capabilities: numbers.to_vec() };
        let linux = LinuxInfo {
            effective_capabilities: Some(info(effective)),
            bounding_capabilities: bounding.map(info),
            ..LinuxInfo::default()
        };
        let info = ContainerInfo { linux_info: Some(linux), ..ContainerInfo::default() };
        ContainerSetup { container_info: Some(info), ..ContainerSetup::default() }
    }

    fn sets(of: &Capabilities, setup: &ContainerSetup) -> Result<[Option<Vec<i32>>; 2], String> {
        let info = of.launch(&ContainerId::new("c"), setup)?;
        let numbers = |info: Option<CapabilityInfo>| info.map(|info| info.capabilities);
        Ok([numbers(info.effective_capabilities), numbers(info.bounding_capabilities)])
    }

    #[test]
    fn capabilities_default_to_the_flags() {
        let nothing = ContainerSetup::default();
        assert_eq!(sets(&isolator(None, None), &nothing).unwrap(), [None, None]);
        let flags = isolator(Some(&[CHOWN]), Some(&[CHOWN, KILL]));
        assert_eq!(sets(&flags, &nothing).unwrap(), [Some(vec![CHOWN]), Some(vec![CHOWN, KILL])]);
        let flags = isolator(Some(&[CHOWN]), None);
        assert_eq!(sets(&flags, &nothing).unwrap(), [Some(vec![CHOWN]), Some(vec![CHOWN])]);
    }

    #[test]
    fn capabilities_asked_for_must_be_allowed() {
        let flags = isolator(Some(&[CHOWN]), Some(&[CHOWN]));
        assert!(sets(&flags, &asks(&[KILL], None)).unwrap_err().contains("KILL"));
        assert!(sets(&flags, &asks(&[CHOWN], Some(&[KILL]))).is_err());
        assert_eq!(sets(&flags, &asks(&[], None)).unwrap(), [Some(vec![]), Some(vec![CHOWN])]);
        assert!(sets(&isolator(None, None), &asks(&[CHOWN], Some(&[]))).is_err());
        let free = sets(&isolator(None, None), &asks(&[KILL], None)).unwrap();
        assert_eq!(free, [Some(vec![KILL]), Some(vec![KILL])]);
    }

    #[test]
    fn capabilities_of_the_wire_are_those_of_the_kernel() {
        for number in 1000..=1040 {
            let known = kernel(number).unwrap();
            assert_eq!(i32::from(known.index()) + 1000, number);
        }
        assert!(kernel(0).is_err());
        assert!(kernel(1041).is_err());
    }

    #[test]
    fn capabilities_flags_must_fit_each_other() {
        let options = |effective: &[i32], bounding: &[i32]| Options {
            effective_capabilities: Some(wire(effective.iter().copied().collect())),
            bounding_capabilities: Some(wire(bounding.iter().copied().collect())),
            ..Options::default()
        };
        assert!(Capabilities::new(&options(&[CHOWN], &[CHOWN, KILL])).is_ok());
        assert!(Capabilities::new(&options(&[CHOWN], &[KILL])).is_err());
    }
}
