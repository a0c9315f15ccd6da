//! Parameters of a container: options of docker's command line that frameworks know, by their long
//! names.

use std::collections::BTreeMap;

use protos::size::ByteSize;

use super::plan::Plan;

/// What parameters ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extra {
    /// `user`
    pub user: Option<String>,
    /// `workdir`
    pub workdir: Option<String>,
    /// `dns`
    pub dns: Vec<String>,
    /// `dns-search`
    pub dns_search: Vec<String>,
    /// `add-host`
    pub hosts: Vec<String>,
    /// `cap-add`
    pub cap_add: Vec<String>,
    /// `cap-drop`
    pub cap_drop: Vec<String>,
    /// `device`: path on the host, in the container, what is allowed.
    pub devices: Vec<(String, String, String)>,
    /// `group-add`
    pub groups: Vec<String>,
    /// `security-opt`
    pub security: Vec<String>,
    /// `sysctl`
    pub sysctls: BTreeMap<String, String>,
    /// `tmpfs`: path and options.
    pub tmpfs: BTreeMap<String, String>,
    /// `ulimit`: name, soft, hard.
    pub ulimits: Vec<(String, i64, i64)>,
    /// `log-driver`
    pub log_driver: Option<String>,
    /// `log-opt`
    pub log_options: BTreeMap<String, String>,
    /// `pid`
    pub pid: Option<String>,
    /// `ipc`
    pub ipc: Option<String>,
    /// `cpuset-cpus`
    pub cpuset: Option<String>,
    /// `shm-size`, in bytes
    pub shm_size: Option<i64>,
    /// `memory-swap`, in bytes
    pub memory_swap: Option<i64>,
    /// `pids-limit`
    pub pids_limit: Option<i64>,
    /// `read-only`
    pub read_only: bool,
    /// `init`
    pub init: bool,
}

fn pair(key: &str, value: &str) -> Result<(String, String), String> {
    let pair = value.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.ok_or_else(|| format!("docker parameter '{key}': '{value}' is no name=value"))
}

fn truth(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "" | "true" => Ok(true),
        "false" => Ok(false),
        other => Err(format!("docker parameter '{key}': '{other}' is neither true nor false")),
    }
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("docker parameter '{key}': '{value}' is no number"))
}

/// Docker writes sizes like `64m`; we do like `64MB`.
fn size(key: &str, value: &str) -> Result<i64, String> {
    let upper = value.to_ascii_uppercase();
    let text = match upper.strip_suffix(['K', 'M', 'G']) {
        Some(_) => format!("{upper}B"),
        None if upper.bytes().all(|byte| byte.is_ascii_digit()) => format!("{upper}B"),
        None => upper,
    };
    let size = text.parse::<ByteSize>().ok().and_then(|size| i64::try_from(size.0).ok());
    size.ok_or_else(|| format!("docker parameter '{key}': '{value}' is no size"))
}

fn ulimit(key: &str, value: &str) -> Result<(String, i64, i64), String> {
    let (name, limits) = pair(key, value)?;
    let (soft, hard) = limits.split_once(':').unwrap_or((&limits, &limits));
    Ok((name, number(key, soft)?, number(key, hard)?))
}

fn device(value: &str) -> (String, String, String) {
    let mut parts = value.splitn(3, ':').map(str::to_owned);
    let host = parts.next().unwrap_or_default();
    let inside = parts.next().unwrap_or_else(|| host.clone());
    (host, inside, parts.next().unwrap_or_else(|| "rwm".to_owned()))
}

/// Adds a parameter to a plan.
///
/// # Errors
/// Text naming a parameter that is unknown or cannot be understood: none is left out silently.
pub(super) fn apply(plan: &mut Plan, key: &str, value: &str) -> Result<(), String> {
    let extra = &mut plan.extra;
    let text = || value.to_owned();
    match key {
        "user" => extra.user = Some(text()),
        "workdir" => extra.workdir = Some(text()),
        "dns" => extra.dns.push(text()),
        "dns-search" => extra.dns_search.push(text()),
        "add-host" => extra.hosts.push(text()),
        "cap-add" => extra.cap_add.push(text()),
        "cap-drop" => extra.cap_drop.push(text()),
        "device" => extra.devices.push(device(value)),
        "group-add" => extra.groups.push(text()),
        "security-opt" => extra.security.push(text()),
        "sysctl" => extra.sysctls.extend([pair(key, value)?]),
        "tmpfs" => {
            let (path, options) = value.split_once(':').unwrap_or((value, ""));
            extra.tmpfs.insert(path.to_owned(), options.to_owned());
        }
        "ulimit" => extra.ulimits.push(ulimit(key, value)?),
        "log-driver" => extra.log_driver = Some(text()),
        "log-opt" => extra.log_options.extend([pair(key, value)?]),
        "pid" => extra.pid = Some(text()),
        "ipc" => extra.ipc = Some(text()),
        "cpuset-cpus" => extra.cpuset = Some(text()),
        "shm-size" => extra.shm_size = Some(size(key, value)?),
        "memory-swap" => extra.memory_swap = Some(size(key, value)?),
        "pids-limit" => extra.pids_limit = Some(number(key, value)?),
        "read-only" => extra.read_only = truth(key, value)?,
        "init" => extra.init = truth(key, value)?,
        "privileged" => plan.privileged = truth(key, value)?,
        "hostname" => plan.hostname = Some(text()),
        "label" => plan.labels.extend([pair(key, value)?]),
        "env" => plan.env.push(pair(key, value).map(|(name, value)| format!("{name}={value}"))?),
        "volume" | "v" => plan.binds.push(text()),
        "net" | "network" => plan.network = text(),
        "entrypoint" => {
            let given = plan.entrypoint.replace(vec![text()]);
            // What would have been the shell's line is the new entry point's.
            if given.is_some() && plan.cmd.first().is_some_and(|first| first == "-c") {
                plan.cmd.remove(0);
            }
        }
        other => {
            return Err(format!("docker parameter '{other}' is not available in this version"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_understood_or_refused() {
        let mut plan = Plan::default();
        let good = [
            ("shm-size", "64m"),
            ("memory-swap", "1048576"),
            ("ulimit", "nofile=10:20"),
            ("device", "/dev/fuse"),
            ("read-only", "true"),
            ("volume", "/a:/b:ro"),
            ("tmpfs", "/run:size=1m"),
        ];
        for (key, value) in good {
            apply(&mut plan, key, value).unwrap();
        }
        let extra = &plan.extra;
        assert_eq!((extra.shm_size, extra.memory_swap), (Some(64 << 20), Some(1 << 20)));
        assert_eq!(extra.ulimits, [("nofile".to_owned(), 10, 20)]);
        assert_eq!(extra.devices, [("/dev/fuse".into(), "/dev/fuse".into(), "rwm".into())]);
        assert_eq!((plan.binds.as_slice(), extra.read_only), (&["/a:/b:ro".to_owned()][..], true));
        for (key, value) in [("shm-size", "much"), ("ulimit", "x"), ("init", "maybe"), ("x", "")] {
            let error = apply(&mut plan, key, value).unwrap_err();
            assert!(error.contains(&format!("'{key}'")), "{error}");
        }
    }
}
