//! `linux/seccomp`: which system calls a container may make, by a profile in Docker's form.

use std::path::{Path, PathBuf};

use protos::ids::ContainerId;
use protos::mesos::seccomp::ContainerSeccompProfile;

use crate::launch::LaunchInfo;
use crate::options::Options;
use crate::preparer::Preparer;
use crate::setup::{self, ContainerSetup};

pub mod profile;

/// The isolator.
#[derive(Debug)]
pub struct Seccomp {
    directory: PathBuf,
    default: Option<ContainerSeccompProfile>,
}

impl Seccomp {
    /// As the flags say; the default profile is read at once.
    ///
    /// # Errors
    /// When there is no directory of profiles, or the default one cannot be read.
    pub fn new(options: &Options) -> Result<Self, String> {
        let directory = options.seccomp_config_dir.clone();
        let directory = directory.ok_or("it needs --seccomp_config_dir")?;
        let name = options.seccomp_profile_name.as_deref();
        let default = name.map(|name| read(&directory, name)).transpose()?;
        Ok(Self { directory, default })
    }
}

/// Reads a profile of the directory.
fn read(directory: &Path, name: &str) -> Result<ContainerSeccompProfile, String> {
    if name.is_empty() || name.contains('/') || name == ".." {
        return Err(format!("'{name}' is no name of a seccomp profile"));
    }
    let path = directory.join(name);
    let told = |reason: String| format!("seccomp profile '{}': {reason}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|error| told(error.to_string()))?;
    let machine = profile::Machine::this().map_err(told)?;
    profile::parse(&text, &machine).map_err(told)
}

impl Preparer for Seccomp {
    const NAME: &'static str = "linux/seccomp";

    fn launch(&self, id: &ContainerId, setup: &ContainerSetup) -> Result<LaunchInfo, String> {
        let asked = setup.linux_info().and_then(|linux| linux.seccomp.as_ref());
        let profile = match asked {
            Some(asked) if asked.unconfined() && asked.profile_name.is_some() => {
                return Err("a container is unconfined or has a seccomp profile, not both".into());
            }
            Some(asked) if asked.unconfined() => None,
            Some(asked) if asked.profile_name.is_some() => {
                Some(read(&self.directory, asked.profile_name())?)
            }
            // Nested containers have their parent's filter anyway.
            _ if setup::parent(id).is_some() && setup.is_debug => None,
            _ => self.default.clone(),
        };
        Ok(LaunchInfo { seccomp_profile: profile, ..LaunchInfo::default() })
    }
}

#[cfg(test)]
mod tests {
    use protos::mesos::{ContainerInfo, LinuxInfo, SeccompInfo};

    use super::*;

    const PROFILE: &str = r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#;

    #[test]
    fn seccomp_profile_is_the_containers_or_the_default_or_none() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("default.json"), PROFILE).unwrap();
        let options = Options {
            seccomp_config_dir: Some(directory.path().to_owned()),
            seccomp_profile_name: Some("default.json".to_owned()),
            ..Options::default()
        };
        let isolator = Seccomp::new(&options).unwrap();
        let asks = |profile_name: Option<&str>, unconfined| {
            let profile_name = profile_name.map(str::to_owned);
            let seccomp = Some(SeccompInfo { profile_name, unconfined });
            let linux_info = Some(LinuxInfo { seccomp, ..LinuxInfo::default() });
            let info = ContainerInfo { linux_info, ..ContainerInfo::default() };
            let setup = ContainerSetup { container_info: Some(info), ..ContainerSetup::default() };
            isolator.launch(&ContainerId::new("c"), &setup)
        };
        assert!(asks(None, None).unwrap().seccomp_profile.is_some());
        assert!(asks(None, Some(true)).unwrap().seccomp_profile.is_none());
        assert!(asks(Some("../x"), None).is_err());
        assert!(asks(Some("missing.json"), None).is_err());
        assert!(asks(Some("default.json"), Some(true)).is_err());
    }
}
