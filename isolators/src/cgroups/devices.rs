//! `cgroups/devices`: a container may use the devices that every program needs, and those that the
//! operator allows.

use std::fmt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::sys::stat::{major, minor};
use protos::ids::ContainerId;
use protos::mesos::{DeviceAccess, DeviceWhitelist};

use super::{CgroupError, Controller, Group, Version, bpf};
use crate::options::Options;
use crate::setup::ContainerSetup;

/// Kinds of device files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Block devices.
    Block,
    /// Character devices.
    Char,
}

/// Devices, and what may be done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Which kind.
    pub kind: Kind,
    /// Major number; all when None.
    pub major: Option<u32>,
    /// Minor number; all when None.
    pub minor: Option<u32>,
    /// Reading.
    pub read: bool,
    /// Writing.
    pub write: bool,
    /// Making the device file.
    pub mknod: bool,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.kind == Kind::Block { 'b' } else { 'c' };
        let number = |number: Option<u32>| number.map_or("*".to_owned(), |n| n.to_string());
        write!(f, "{kind} {}:{} ", number(self.major), number(self.minor))?;
        let access = [(self.read, "r"), (self.write, "w"), (self.mknod, "m")];
        access.iter().filter(|(is_given, _)| *is_given).try_for_each(|(_, c)| f.write_str(c))
    }
}

/// Numbers of the character devices that all containers may use: consoles and terminals, tun, null,
/// zero, full, tty, random and urandom.
const DEFAULTS: [(u32, Option<u32>); 12] = [
    (5, Some(1)),
    (4, Some(0)),
    (4, Some(1)),
    (136, None),
    (5, Some(2)),
    (10, Some(200)),
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (5, Some(0)),
    (1, Some(9)),
    (1, Some(8)),
];

/// What every container may do: make any device file, and use the default devices.
pub fn defaults() -> Vec<Rule> {
    let make =
        |kind| Rule { kind, major: None, minor: None, read: false, write: false, mknod: true };
    let mut rules = vec![make(Kind::Char), make(Kind::Block)];
    rules.extend(DEFAULTS.map(|(major, minor)| Rule {
        kind: Kind::Char,
        major: Some(major),
        minor,
        read: true,
        write: true,
        mknod: true,
    }));
    rules
}

/// The rule of one entry of the flag `allowed_devices`; its device file must be there.
///
/// # Errors
/// Why the entry makes no sense.
pub fn rule(entry: &DeviceAccess) -> Result<Rule, CgroupError> {
    let path = entry.device.path.as_deref();
    let path = path.ok_or_else(|| other("a device of --allowed_devices has no path".to_owned()))?;
    let found = std::fs::metadata(path)
        .map_err(|error| CgroupError::new("inspect", Path::new(path), error))?;
    let kind = if found.file_type().is_block_device() {
        Kind::Block
    } else if found.file_type().is_char_device() {
        Kind::Char
    } else {
        return Err(other(format!("{path} is no device")));
    };
    let access = &entry.access;
    if !(access.read() || access.write() || access.mknod()) {
        return Err(other(format!("device {path} is allowed without any access")));
    }
    let number = |number: u64| u32::try_from(number).ok();
    Ok(Rule {
        kind,
        major: number(major(found.rdev())),
        minor: number(minor(found.rdev())),
        read: access.read(),
        write: access.write(),
        mknod: access.mknod(),
    })
}

fn other(text: String) -> CgroupError {
    CgroupError::Other(text)
}

/// The controller.
#[derive(Debug, Clone)]
pub struct Devices {
    rules: Vec<Rule>,
}

impl Devices {
    /// The default devices and those of the flag `allowed_devices`.
    ///
    /// # Errors
    /// As [`rule`].
    pub fn new(options: &Options) -> Result<Self, CgroupError> {
        let none = DeviceWhitelist::default();
        let allowed = options.allowed_devices.as_ref().unwrap_or(&none);
        let mut rules = defaults();
        for entry in &allowed.allowed_devices {
            rules.push(rule(entry)?);
        }
        Ok(Self { rules })
    }
}

impl Controller for Devices {
    const NAME: &'static str = "cgroups/devices";

    fn controllers(_: Version) -> Option<&'static [&'static str]> {
        Some(&["devices"])
    }

    fn prepare(
        &mut self,
        _: &ContainerId,
        group: &Group,
        _: &ContainerSetup,
    ) -> Result<(), CgroupError> {
        match group.version() {
            Version::V1 => {
                group.write("devices", "devices.deny", "a")?;
                let mut rules = self.rules.iter();
                rules
                    .try_for_each(|rule| group.write("devices", "devices.allow", &rule.to_string()))
            }
            Version::V2 => {
                let directory = group.directory("devices")?;
                bpf::attach(&bpf::program(&self.rules), &directory).map_err(|error| {
                    CgroupError::new("attach a device filter to", &directory, error)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use protos::mesos::{Device, device_access::Access};

    use super::*;
    use crate::cgroups::fake::Fake;

    fn entry(path: &str, read: bool) -> DeviceAccess {
        DeviceAccess {
            device: Device { path: Some(path.to_owned()), number: None },
            access: Access { read: Some(read), ..Access::default() },
        }
    }

    #[test]
    fn devices_defaults_are_written_as_the_kernel_reads_them() {
        let texts: Vec<String> = defaults().iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 14);
        assert_eq!(texts[0], "c *:* m");
        assert_eq!(texts[1], "b *:* m");
        assert_eq!(texts[2], "c 5:1 rwm");
        assert_eq!(texts[5], "c 136:* rwm");
        assert_eq!(texts[13], "c 1:8 rwm");
    }

    #[test]
    fn devices_allowed_ones_are_looked_up() {
        assert_eq!(rule(&entry("/dev/null", true)).unwrap().to_string(), "c 1:3 r");
        assert!(rule(&entry("/dev/null", false)).is_err());
        assert!(rule(&entry("/proc/version", true)).is_err());
        assert!(rule(&entry("/dev/none-such", true)).is_err());
    }

    #[test]
    fn devices_all_are_denied_first() {
        let files = [("devices", "devices.deny", ""), ("devices", "devices.allow", "")];
        let fake = Fake::separate(&files);
        let mut devices = Devices::new(&Options::default()).unwrap();
        let id = ContainerId::new("c");
        devices.prepare(&id, &fake.group, &ContainerSetup::default()).unwrap();
        assert_eq!(fake.text("devices", "devices.deny"), "a");
        assert_eq!(fake.text("devices", "devices.allow"), "c 1:8 rwm");
    }
}
