//! Profiles as Docker writes them. Whatever is not understood is refused: a rule that is read in part
//! allows what it should not.

use protos::mesos::capability_info::Capability;
use protos::mesos::seccomp::ContainerSeccompProfile;
use protos::mesos::seccomp::container_seccomp_profile::syscall::arg::Operator;
use protos::mesos::seccomp::container_seccomp_profile::syscall::{Action, Arg, Filter};
use protos::mesos::seccomp::container_seccomp_profile::{Architecture, Syscall};
use serde_json::Value;

use crate::linux::answer;

/// What a rule may depend on beside the container's capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Its architecture, as profiles call it.
    pub architecture: &'static str,
    /// The first two numbers of the kernel's version.
    pub kernel: (u32, u32),
}

impl Machine {
    /// The one that this runs on.
    ///
    /// # Errors
    /// When the kernel does not tell its version.
    pub fn this() -> Result<Self, String> {
        let path = "/proc/sys/kernel/osrelease";
        let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Ok(Self { architecture, kernel: version(&text)? })
    }
}

/// Architectures as rules name them.
const ARCHITECTURES: [&str; 20] = [
    "amd64",
    "arm",
    "arm64",
    "loong64",
    "mips",
    "mips64",
    "mips64n32",
    "mipsel",
    "mipsel64",
    "mipsel64n32",
    "parisc",
    "parisc64",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv64",
    "s390",
    "s390x",
    "x32",
    "x86",
];

/// Reads the text of a profile, for a machine: rules for others are left out.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str, machine: &Machine) -> Result<ContainerSeccompProfile, String> {
    let document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let keys = ["defaultAction", "defaultErrnoRet", "archMap", "architectures", "syscalls"];
    check(&document, "a profile", &keys)?;
    let default_action = action(document.get("defaultAction"))?;
    let mut architectures = Vec::new();
    for entry in list(&document, "archMap")? {
        check(entry, "an entry of archMap", &["architecture", "subArchitectures"])?;
        architectures.push(architecture(entry.get("architecture"))?);
        for sub in list(entry, "subArchitectures")? {
            architectures.push(architecture(Some(sub))?);
        }
    }
    for entry in list(&document, "architectures")? {
        architectures.push(architecture(Some(entry))?);
    }
    let mut syscalls = Vec::new();
    if let Some(number) = number(&document, "defaultErrnoRet", default_action)? {
        syscalls.push(answer::entry(default_action, number));
    }
    for value in list(&document, "syscalls")? {
        syscalls.extend(syscall(value, machine)?);
    }
    Ok(ContainerSeccompProfile { default_action, architectures, syscalls })
}

/// Refuses what is no object, or has other keys than these.
fn check(value: &Value, what: &str, keys: &[&str]) -> Result<(), String> {
    let object = value.as_object().ok_or_else(|| format!("{what} is no object"))?;
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(format!("{what} has the unknown key '{key}'")),
        None => Ok(()),
    }
}

/// What an object has under a key; None when that is absent or null.
fn get<'a>(object: &'a Value, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

/// A list of an object; an empty one when it is absent or null.
fn list<'a>(object: &'a Value, key: &str) -> Result<&'a [Value], String> {
    let Some(value) = get(object, key) else { return Ok(&[]) };
    value.as_array().map(Vec::as_slice).ok_or_else(|| format!("'{key}' is no list"))
}

fn texts<'a>(object: &'a Value, key: &str) -> Result<Vec<&'a str>, String> {
    let all = list(object, key)?.iter().map(Value::as_str);
    all.collect::<Option<_>>().ok_or_else(|| format!("'{key}' holds something that is no text"))
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

/// The number that an action answers with.
fn number(object: &Value, key: &str, action: i32) -> Result<Option<u32>, String> {
    let Some(value) = get(object, key) else { return Ok(None) };
    if action != Action::ActErrno as i32 && action != Action::ActTrace as i32 {
        return Err(format!("'{key}' is for SCMP_ACT_ERRNO and SCMP_ACT_TRACE only"));
    }
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    let number = number.filter(|number| *number <= answer::MAX);
    number.map(Some).ok_or_else(|| format!("'{key}' is no number up to {}", answer::MAX))
}

fn architecture(value: Option<&Value>) -> Result<i32, String> {
    let text = value.and_then(Value::as_str).ok_or("an architecture is missing")?;
    let name = text.strip_prefix("SCMP_ARCH_").unwrap_or(text);
    Architecture::from_str_name(&format!("ARCH_{name}"))
        .map(|known| known as i32)
        .ok_or_else(|| format!("unknown architecture '{text}'"))
}

/// A rule; None when it is for other machines.
fn syscall(value: &Value, machine: &Machine) -> Result<Option<Syscall>, String> {
    let keys = ["name", "names", "action", "errnoRet", "args", "comment", "includes", "excludes"];
    check(value, "an entry of syscalls", &keys)?;
    let mut names: Vec<String> = texts(value, "names")?.into_iter().map(str::to_owned).collect();
    if let Some(name) = get(value, "name") {
        names.push(name.as_str().ok_or("'name' is no text")?.to_owned());
    }
    if names.is_empty() {
        return Err("an entry names no system call".to_owned());
    }
    let action = action(value.get("action"))?;
    let mut args = list(value, "args")?.iter().map(arg).collect::<Result<Vec<_>, _>>()?;
    args.extend(number(value, "errnoRet", action)?.map(answer::arg));
    let includes = Condition::read(get(value, "includes"), "includes", machine)?;
    let excludes = Condition::read(get(value, "excludes"), "excludes", machine)?;
    let is_for_this = ![includes.is_architecture, includes.is_kernel].contains(&Some(false))
        && ![excludes.is_architecture, excludes.is_kernel].contains(&Some(true));
    let (includes, excludes) = (includes.capabilities, excludes.capabilities);
    Ok(is_for_this.then_some(Syscall { names, action, args, includes, excludes }))
}

fn arg(value: &Value) -> Result<Arg, String> {
    check(value, "an argument", &["index", "value", "valueTwo", "op"])?;
    let number = |key: &str| value.get(key).and_then(Value::as_u64);
    let index = number("index").and_then(|index| u32::try_from(index).ok());
    let index = index.filter(|index| *index < 6).ok_or("an argument has no index below 6")?;
    let text = value.get("op").and_then(Value::as_str).unwrap_or_default();
    let op = text.strip_prefix("SCMP_").and_then(Operator::from_str_name);
    let op = op.filter(|op| *op != Operator::Unknown);
    let value_two = get(value, "valueTwo").map(|two| two.as_u64().ok_or("'valueTwo' is no number"));
    Ok(Arg {
        index,
        op: op.ok_or_else(|| format!("unknown comparison '{text}'"))? as i32,
        value: number("value").ok_or("an argument has no value")?,
        value_two: value_two.transpose()?.unwrap_or_default(),
    })
}

/// When a rule holds, or does not. What is not asked for is None.
#[derive(Default)]
struct Condition {
    /// Told by the wire: who starts the container knows which it has.
    capabilities: Option<Filter>,
    /// The machine is one of those named.
    is_architecture: Option<bool>,
    /// The kernel is not older than named.
    is_kernel: Option<bool>,
}

impl Condition {
    fn read(value: Option<&Value>, what: &str, machine: &Machine) -> Result<Self, String> {
        let Some(value) = value else { return Ok(Self::default()) };
        check(value, what, &["caps", "arches", "minKernel"])?;
        let capabilities =
            texts(value, "caps")?.into_iter().map(capability).collect::<Result<Vec<_>, _>>()?;
        let architectures = texts(value, "arches")?;
        if let Some(other) = architectures.iter().find(|name| !ARCHITECTURES.contains(name)) {
            return Err(format!("{what} has the unknown architecture '{other}'"));
        }
        let kernel = get(value, "minKernel").map(|text| {
            let text = text.as_str().ok_or("'minKernel' is no text")?;
            version(text)
        });
        Ok(Self {
            capabilities: (!capabilities.is_empty()).then_some(Filter { capabilities }),
            is_architecture: (!architectures.is_empty())
                .then(|| architectures.contains(&machine.architecture)),
            is_kernel: kernel.transpose()?.map(|kernel| machine.kernel >= kernel),
        })
    }
}

fn capability(text: &str) -> Result<i32, String> {
    let known = Capability::from_str_name(text.strip_prefix("CAP_").unwrap_or(text));
    known.map(|known| known as i32).ok_or_else(|| format!("unknown capability '{text}'"))
}

/// The first two numbers of a version such as `4.8` or `6.1.0-18-amd64`.
fn version(text: &str) -> Result<(u32, u32), String> {
    let mut numbers = text.split(|character: char| !character.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse().ok());
    next().zip(next()).ok_or_else(|| format!("'{}' is no version of a kernel", text.trim()))
}

#[cfg(test)]
mod tests;
