//! How plugins are called, and what they answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libprocess::disk::Disk;
use libprocess::subprocess::{Command, Output, Subprocesses};
use protos::mesos::network_info::{IpAddress, Protocol};
use serde_json::Value;

use super::config::Network;

/// One attachment of a container to a network.
#[derive(Debug, Clone)]
pub(super) struct Attachment {
    /// The container's id.
    pub(super) container: String,
    /// The network, as configured when the container was started.
    pub(super) network: Network,
    /// The interface inside, such as `eth0`.
    pub(super) interface: String,
    /// What the framework said of the network.
    pub(super) info: Value,
    /// A file that stands for the network namespace.
    pub(super) namespace: PathBuf,
    /// Where inputs of plugins are written.
    pub(super) directory: PathBuf,
    /// Directories of plugins, separated by colons.
    pub(super) plugins: String,
}

/// What calls of plugins need of the world.
#[derive(Clone)]
pub(super) struct World {
    pub(super) subprocesses: Arc<dyn Subprocesses>,
    pub(super) disk: Arc<dyn Disk>,
}

/// The file of a plugin: the first that is found.
pub(super) fn find(directories: &str, kind: &str) -> Option<PathBuf> {
    let paths = directories.split(':').map(|directory| Path::new(directory).join(kind));
    paths.into_iter().find(|path| path.is_file())
}

fn command(at: &Attachment, verb: &str, plugin: &Path, input: &Path) -> Command {
    // The input is a file: it is kept, so that an operator can see it.
    let text = |path: &Path| path.display().to_string();
    let argv = ["sh", "-c", "exec \"$0\" < \"$1\"", &text(plugin), &text(input)];
    let env = [
        ("CNI_COMMAND", verb.to_owned()),
        ("CNI_CONTAINERID", at.container.clone()),
        ("CNI_NETNS", text(&at.namespace)),
        ("CNI_IFNAME", at.interface.clone()),
        ("CNI_PATH", at.plugins.clone()),
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
    ];
    Command {
        program: "/bin/sh".to_owned(),
        argv: argv.map(str::to_owned).into(),
        env: env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        stdout: Output::Collect,
        stderr: Output::Collect,
        ..Command::default()
    }
}

/// Calls one plugin.
async fn call(
    world: &World,
    at: &Attachment,
    verb: &str,
    plugin: &Value,
    previous: Option<&Value>,
) -> Result<Value, String> {
    let kind = plugin.get("type").and_then(Value::as_str).unwrap_or_default();
    let told = |reason: String| {
        format!("plugin '{kind}' cannot {verb} network '{}': {reason}", at.network.name)
    };
    let path = find(&at.plugins, kind).ok_or_else(|| told("there is no such plugin".into()))?;
    let input = at.directory.join(format!("{}-{kind}.json", at.interface));
    let text = at.network.input(plugin, previous, &at.info).to_string();
    let written = world.disk.write(&input, text.into()).await;
    written.map_err(|error| told(error.to_string()))?;
    let started = world.subprocesses.spawn(command(at, verb, &path, &input)).await;
    let ended = started.map_err(|error| told(error.to_string()))?.ended.await;
    let out = String::from_utf8_lossy(&ended.stdout);
    match ended.status {
        Some(status) if status.success() => {
            // Removals answer nothing.
            Ok(serde_json::from_str(&out).unwrap_or_default())
        }
        status => {
            let message = serde_json::from_str::<Value>(&out).ok();
            let message = message.as_ref().and_then(|it| it.get("msg")).and_then(Value::as_str);
            let err = String::from_utf8_lossy(&ended.stderr);
            let reason = message.unwrap_or(err.trim());
            Err(told(format!("{reason} (it ended with {status:?})")))
        }
    }
}

/// Attaches a container to a network. Answers what the last plugin answered.
///
/// # Errors
/// What the first plugin that failed said.
pub(super) async fn add(world: &World, at: &Attachment) -> Result<Value, String> {
    let mut previous = None;
    for plugin in &at.network.plugins {
        previous = Some(call(world, at, "ADD", plugin, previous.as_ref()).await?);
    }
    Ok(previous.unwrap_or_default())
}

/// Detaches a container from a network; plugins are called the other way round, all of them.
///
/// # Errors
/// What the first plugin that failed said.
pub(super) async fn del(
    world: &World,
    at: &Attachment,
    result: Option<&Value>,
) -> Result<(), String> {
    let mut failure = Ok(());
    for plugin in at.network.plugins.iter().rev() {
        if let Err(reason) = call(world, at, "DEL", plugin, result).await {
            failure = failure.and(Err(reason));
        }
    }
    failure
}

/// The addresses that a plugin gave, in the form of version 0.2.0 (`ip4`, `ip6`) or later (`ips`).
pub fn addresses(result: &Value) -> Vec<IpAddress> {
    let at = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut texts: Vec<String> = Vec::new();
    for key in ["ip4", "ip6"] {
        texts.extend(result.get(key).and_then(|ip| at(ip, "ip")));
    }
    let ips = result.get("ips").and_then(Value::as_array);
    texts.extend(ips.into_iter().flatten().filter_map(|ip| at(ip, "address")));
    let plain = texts.iter().map(|text| text.split('/').next().unwrap_or(text));
    plain
        .filter_map(|text| {
            let address: std::net::IpAddr = text.parse().ok()?;
            let protocol = if address.is_ipv4() { Protocol::IPv4 } else { Protocol::IPv6 };
            Some(IpAddress {
                protocol: Some(protocol as i32),
                ip_address: Some(address.to_string()),
            })
        })
        .collect()
}

/// The text of `/etc/resolv.conf` that a network wants, if it has name servers.
pub fn resolv_conf(result: &Value) -> Option<String> {
    let dns = result.get("dns")?;
    let list = |key: &str| -> Vec<&str> {
        let entries = dns.get(key).and_then(Value::as_array);
        entries.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let servers = list("nameservers");
    if servers.is_empty() {
        return None;
    }
    let mut text = String::new();
    if let Some(domain) = dns.get("domain").and_then(Value::as_str).filter(|it| !it.is_empty()) {
        text += &format!("domain {domain}\n");
    }
    for (key, name) in [("search", "search"), ("options", "options")] {
        let entries = list(key);
        if !entries.is_empty() {
            text += &format!("{name} {}\n", entries.join(" "));
        }
    }
    for server in servers {
        text += &format!("nameserver {server}\n");
    }
    Some(text)
}

/// The text of `/etc/hosts` of a container with these addresses.
pub fn hosts(hostname: &str, addresses: &[IpAddress]) -> String {
    let mut text = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n".to_owned();
    for address in addresses {
        text += &format!("{} {hostname}\n", address.ip_address());
    }
    if addresses.is_empty() {
        text += &format!("127.0.0.1 {hostname}\n");
    }
    text
}

/// Interfaces by the names of their networks: `eth0` and so on, in the order asked for.
///
/// # Errors
/// When a network is asked for twice.
pub fn interfaces<'a>(
    names: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, String>, String> {
    let mut interfaces = BTreeMap::new();
    for (index, name) in names.enumerate() {
        if interfaces.insert(name.to_owned(), format!("eth{index}")).is_some() {
            return Err(format!("network '{name}' is asked for twice"));
        }
    }
    Ok(interfaces)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cni_addresses_are_read_in_both_forms() {
        let texts = |result: Value| -> Vec<String> {
            addresses(&result).into_iter().filter_map(|it| it.ip_address).collect()
        };
        let old = json!({"ip4": {"ip": "10.0.0.2/16"}, "ip6": {"ip": "fd00::2/64"}});
        assert_eq!(texts(old), ["10.0.0.2", "fd00::2"]);
        let new = json!({"ips": [{"version": "4", "address": "10.0.0.3/24"}, {"address": "x"}]});
        assert_eq!(texts(new), ["10.0.0.3"]);
        assert_eq!(texts(Value::Null), Vec::<String>::new());
    }

    #[test]
    fn cni_name_servers_become_a_file() {
        let dns =
            json!({"dns": {"nameservers": ["10.0.0.1"], "search": ["a", "b"], "domain": "c"}});
        assert_eq!(resolv_conf(&dns).unwrap(), "domain c\nsearch a b\nnameserver 10.0.0.1\n");
        assert_eq!(resolv_conf(&json!({"dns": {}})), None);
    }

    #[test]
    fn cni_hosts_name_the_container() {
        let address = addresses(&json!({"ip4": {"ip": "10.0.0.2/16"}}));
        assert!(hosts("me", &address).contains("10.0.0.2 me\n"));
        assert!(hosts("me", &[]).ends_with("127.0.0.1 me\n"));
    }

    #[test]
    fn cni_interfaces_are_numbered_and_networks_are_joined_once() {
        let given = interfaces(["b", "a"].into_iter()).unwrap();
        assert_eq!((given["b"].as_str(), given["a"].as_str()), ("eth0", "eth1"));
        assert!(interfaces(["a", "a"].into_iter()).is_err());
    }
}
