//! What must be known of a container's networks after a restart of the slave, as a file.

use std::path::{Path, PathBuf};

use protos::mesos::NetworkInfo;
use serde_json::{Value, json};

use super::config::Network;
use super::plugin;

/// A container's place in one network.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Joined {
    pub(super) network: Network,
    pub(super) interface: String,
    /// What the framework asked for.
    pub(super) info: NetworkInfo,
    /// What the plugins answered; None before.
    pub(super) result: Option<Value>,
}

impl Joined {
    /// What is told to others of it.
    pub(super) fn status(&self) -> NetworkInfo {
        let addresses = self.result.as_ref().map(plugin::addresses).unwrap_or_default();
        NetworkInfo { ip_addresses: addresses, ..self.info.clone() }
    }

    fn to_value(&self) -> Value {
        json!({
            "config": { "name": self.network.name, "cniVersion": self.network.version,
                        "plugins": self.network.plugins },
            "interface": self.interface,
            "info": protos::json::to_json(&self.info),
            "result": self.result,
        })
    }

    fn from_value(value: &Value) -> Option<Self> {
        let network = Network::parse(&value.get("config")?.to_string()).ok()?;
        Some(Self {
            network,
            interface: value.get("interface")?.as_str()?.to_owned(),
            info: protos::json::from_json(value.get("info")?).ok()?,
            result: value.get("result").filter(|result| !result.is_null()).cloned(),
        })
    }
}

/// Where a container's state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place(pub(super) PathBuf);

impl Place {
    pub(super) fn of(root: &Path, id: &str) -> Self {
        Self(root.join(id))
    }

    pub(super) fn namespace(&self) -> PathBuf {
        self.0.join("ns")
    }

    /// A file that the container sees as one of `/etc`.
    pub(super) fn etc(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn state(&self) -> PathBuf {
        self.0.join("networks.json")
    }

    /// Writes what is known.
    pub(super) fn write(&self, joined: &[Joined]) -> std::io::Result<()> {
        let text = Value::from_iter(joined.iter().map(Joined::to_value)).to_string();
        let new = self.0.join("networks.json.new");
        std::fs::write(&new, text)?;
        std::fs::rename(new, self.state())
    }

    /// Reads what an earlier slave wrote. Nothing when there is none or it is torn.
    pub(super) fn read(&self) -> Vec<Joined> {
        let text = std::fs::read_to_string(self.state()).unwrap_or_default();
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        let entries = value.as_array().cloned().unwrap_or_default();
        entries.iter().filter_map(Joined::from_value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cni_state_survives_on_disk() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place(directory.path().to_owned());
        assert!(place.read().is_empty());
        let joined = Joined {
            network: Network::parse(r#"{"name":"a","plugins":[{"type":"bridge"}]}"#).unwrap(),
            interface: "eth0".to_owned(),
            info: NetworkInfo { name: Some("a".to_owned()), ..NetworkInfo::default() },
            result: Some(json!({"ip4": {"ip": "10.0.0.2/16"}})),
        };
        place.write(std::slice::from_ref(&joined)).unwrap();
        assert_eq!(place.read(), std::slice::from_ref(&joined));
        assert_eq!(joined.status().ip_addresses[0].ip_address(), "10.0.0.2");
        std::fs::write(place.state(), "[{").unwrap();
        assert!(place.read().is_empty());
    }
}
