//! `linux/seccomp`: which system calls a container may make, by a profile in Docker's form.

use std::path::{Path, PathBuf};

use protos::ids::ContainerId;
use protos::mesos::capability_info::Capability;
use protos::mesos::seccomp::ContainerSeccompProfile;
use protos::mesos::seccomp::container_seccomp_profile::syscall::arg::Operator;
use protos::mesos::seccomp::container_seccomp_profile::syscall::{Action, Arg, Filter};
use protos::mesos::seccomp::container_seccomp_profile::{Architecture, Syscall};
use serde_json::Value;

use crate::launch::LaunchInfo;
use crate::options::Options;
use crate::preparer::Preparer;
use crate::setup::{self, ContainerSetup};

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
    parse(&text).map_err(told)
}

/// Reads the text of a profile.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<ContainerSeccompProfile, String> {
    let document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let default_action = action(document.get("defaultAction"))?;
    let mut architectures = Vec::new();
    for entry in list(&document, "archMap") {
        architectures.push(architecture(entry.get("architecture"))?);
        for sub in list(entry, "subArchitectures") {
            architectures.push(architecture(Some(sub))?);
        }
    }
    for entry in list(&document, "architectures") {
        architectures.push(architecture(Some(entry))?);
    }
    let syscalls = list(&document, "syscalls").iter().map(syscall).collect::<Result<_, _>>()?;
    Ok(ContainerSeccompProfile { default_action, architectures, syscalls })
}

/// A list of an object; an empty one when it is absent or null.
fn list<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn action(value: Option<&Value>) -> Result<i32, String> {
    let text = value.and_then(Value::as_str).ok_or("an action is missing")?;
    let action = match text {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::ActKill,
        "SCMP_ACT_TRAP" => Action::ActTrap,
        "SCMP_ACT_ERRNO" => Action::ActErrno,
        "SCMP_ACT_TRACE" => Action::ActTrace,
        "SCMP_ACT_ALLOW" => Action::ActAllow,
        other => return Err(format!("unknown action '{other}'")),
    };
    Ok(action as i32)
}

fn architecture(value: Option<&Value>) -> Result<i32, String> {
    let text = value.and_then(Value::as_str).ok_or("an architecture is missing")?;
    let name = text.strip_prefix("SCMP_ARCH_").unwrap_or(text);
    Architecture::from_str_name(&format!("ARCH_{name}"))
        .map(|known| known as i32)
        .ok_or_else(|| format!("unknown architecture '{text}'"))
}

fn syscall(value: &Value) -> Result<Syscall, String> {
    let mut names: Vec<String> =
        list(value, "names").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    names.extend(value.get("name").and_then(Value::as_str).map(str::to_owned));
    if names.is_empty() {
        return Err("an entry names no system call".to_owned());
    }
    Ok(Syscall {
        names,
        action: action(value.get("action"))?,
        args: list(value, "args").iter().map(arg).collect::<Result<_, _>>()?,
        includes: filter(value.get("includes"))?,
        excludes: filter(value.get("excludes"))?,
    })
}

fn arg(value: &Value) -> Result<Arg, String> {
    let number = |key: &str| value.get(key).and_then(Value::as_u64);
    let index = number("index").and_then(|index| u32::try_from(index).ok());
    let index = index.filter(|index| *index < 6).ok_or("an argument has no index below 6")?;
    let text = value.get("op").and_then(Value::as_str).unwrap_or_default();
    let op = text.strip_prefix("SCMP_").and_then(Operator::from_str_name);
    let op = op.filter(|op| *op != Operator::Unknown);
    Ok(Arg {
        index,
        op: op.ok_or_else(|| format!("unknown comparison '{text}'"))? as i32,
        value: number("value").ok_or("an argument has no value")?,
        value_two: number("valueTwo").unwrap_or_default(),
    })
}

fn filter(value: Option<&Value>) -> Result<Option<Filter>, String> {
    let Some(value) = value else { return Ok(None) };
    let names = list(value, "caps").iter().filter_map(Value::as_str);
    let capabilities = names
        .map(|text| {
            let name = text.strip_prefix("CAP_").unwrap_or(text);
            let known = Capability::from_str_name(name);
            known.map(|known| known as i32).ok_or_else(|| format!("unknown capability '{text}'"))
        })
        .collect::<Result<Vec<i32>, String>>()?;
    Ok((!capabilities.is_empty()).then_some(Filter { capabilities }))
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

    const PROFILE: &str = r#"{
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": [],
             "includes": {}, "excludes": {}},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
             "excludes": {"caps": ["CAP_SYS_ADMIN"]}}
        ]}"#;

    #[test]
    fn seccomp_profile_is_read() {
        let profile = parse(PROFILE).unwrap();
        assert_eq!(profile.default_action(), Action::ActErrno);
        let architectures = [Architecture::ArchX8664 as i32, Architecture::ArchX86 as i32];
        assert_eq!(profile.architectures, architectures);
        assert_eq!(profile.syscalls[0].names, ["read", "write"]);
        assert_eq!(profile.syscalls[0].includes, None);
        let clone = &profile.syscalls[1];
        assert_eq!(clone.args[0].op(), Operator::CmpMaskedEq);
        assert_eq!(clone.excludes.as_ref().unwrap().capabilities, [Capability::SysAdmin as i32]);
    }

    #[test]
    fn seccomp_profiles_that_make_no_sense_are_refused() {
        for (good, bad) in [
            ("SCMP_ACT_ERRNO", "SCMP_ACT_DANCE"),
            ("SCMP_ARCH_X86_64", "SCMP_ARCH_PDP11"),
            ("SCMP_CMP_MASKED_EQ", "SCMP_CMP_NEAR"),
            ("CAP_SYS_ADMIN", "CAP_FLY"),
            (r#""index": 0"#, r#""index": 6"#),
            ("{", "["),
        ] {
            assert!(parse(&PROFILE.replace(good, bad)).is_err(), "{bad}");
        }
    }

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
