//! Configurations of networks: the files of `network_cni_config_dir`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

/// A network that containers may join.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The name that frameworks ask for.
    pub name: String,
    /// Version of the specification that its plugins are spoken to in.
    pub version: String,
    /// Configurations of its plugins, in the order in which they are called.
    pub plugins: Vec<Value>,
}

/// The version that is assumed when a configuration says none.
const CNI_VERSION: &str = "0.3.0";

impl Network {
    /// Reads a configuration: one plugin, or a list under `plugins`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let text_at = |key: &str| document.get(key).and_then(Value::as_str).map(str::to_owned);
        let name = text_at("name").filter(|name| !name.is_empty()).ok_or("it has no name")?;
        if name.contains('/') || name == "." || name == ".." {
            return Err(format!("'{name}' is no name of a network"));
        }
        let plugins = match document.get("plugins").and_then(Value::as_array) {
            Some(plugins) => plugins.clone(),
            None => vec![document.clone()],
        };
        if plugins.is_empty() {
            return Err("it has no plugins".to_owned());
        }
        for plugin in &plugins {
            let kind = plugin.get("type").and_then(Value::as_str).unwrap_or_default();
            if kind.is_empty() || kind.contains('/') {
                return Err("a plugin has no type".to_owned());
            }
        }
        let version = text_at("cniVersion").unwrap_or_else(|| CNI_VERSION.to_owned());
        Ok(Self { name, version, plugins })
    }

    /// What a plugin is told: its configuration, the network, what an earlier plugin answered, and
    /// what the framework said of the network.
    pub fn input(&self, plugin: &Value, previous: Option<&Value>, info: &Value) -> Value {
        let mut input = plugin.clone();
        if let Some(object) = input.as_object_mut() {
            object.insert("name".to_owned(), self.name.clone().into());
            object.insert("cniVersion".to_owned(), self.version.clone().into());
            if let Some(previous) = previous {
                object.insert("prevResult".to_owned(), previous.clone());
            }
            let args = object.entry("args").or_insert_with(|| json!({}));
            if let Some(args) = args.as_object_mut() {
                args.insert("org.apache.mesos".to_owned(), json!({ "network_info": info }));
            }
        }
        input
    }
}

/// Reads all configurations of a directory: files that end in `.conf`, `.conflist` or `.json`. Two
/// files for one name are an error, as is one that cannot be read.
///
/// # Errors
/// The first file that is wrong, and why.
pub fn read(directory: &Path) -> Result<BTreeMap<String, Network>, String> {
    let told = |error: std::io::Error| format!("cannot read '{}': {error}", directory.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(told)? {
        let path = entry.map_err(told)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_file() && matches!(extension, Some("conf" | "conflist" | "json")) {
            paths.push(path);
        }
    }
    paths.sort();
    let mut networks = BTreeMap::new();
    for path in paths {
        let told = |reason: String| format!("network configuration '{}': {reason}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|error| told(error.to_string()))?;
        let network = Network::parse(&text).map_err(told)?;
        let name = network.name.clone();
        if networks.insert(name.clone(), network).is_some() {
            return Err(told(format!("network '{name}' is configured already")));
        }
    }
    Ok(networks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cni_configurations_are_one_plugin_or_a_list() {
        let one = Network::parse(r#"{"name":"a","type":"bridge","cniVersion":"0.2.0"}"#).unwrap();
        assert_eq!((one.version.as_str(), one.plugins.len()), ("0.2.0", 1));
        let list = r#"{"name":"b","plugins":[{"type":"bridge"},{"type":"portmap"}]}"#;
        let list = Network::parse(list).unwrap();
        assert_eq!((list.version.as_str(), list.plugins.len()), (CNI_VERSION, 2));
        let previous = json!({"ips": []});
        let input = list.input(&list.plugins[1], Some(&previous), &json!({"name": "b"}));
        assert_eq!(input["name"], "b");
        assert_eq!(input["type"], "portmap");
        assert_eq!(input["prevResult"], previous);
        assert_eq!(input["args"]["org.apache.mesos"]["network_info"]["name"], "b");
    }

    #[test]
    fn cni_configurations_that_make_no_sense_are_refused() {
        for bad in [
            "{",
            "{}",
            r#"{"name":"a"}"#,
            r#"{"name":"../a","type":"b"}"#,
            r#"{"name":"a","type":"/b"}"#,
        ] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn cni_directory_is_read_and_names_are_unique() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        write("1.conf", r#"{"name":"a","type":"bridge"}"#);
        write("notes.txt", "nothing");
        assert_eq!(read(directory.path()).unwrap().len(), 1);
        write("2.conf", r#"{"name":"a","type":"bridge"}"#);
        assert!(read(directory.path()).unwrap_err().contains("already"));
        assert!(read(&directory.path().join("none")).is_err());
    }
}
