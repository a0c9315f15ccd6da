//! Parameters of built-in modules, in the form in which the protocol family loads modules.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::logger;
use crate::oversubscription::{FixedEstimator, LoadQosController, SlackEstimator};

/// A module that is built in.
struct BuiltIn {
    name: &'static str,
    /// Parameters that it reads.
    read: &'static [&'static str],
    /// Parameters of the original that nothing here depends on.
    needless: &'static [&'static str],
}

const BUILT_IN: [BuiltIn; 4] = [
    BuiltIn {
        name: logger::NAME,
        read: &[
            "environment_variable_prefix",
            "logrotate_stderr_options",
            "logrotate_stdout_options",
            "max_stderr_size",
            "max_stdout_size",
        ],
        needless: &["launcher_dir", "libprocess_num_worker_threads", "logrotate_path"],
    },
    BuiltIn { name: FixedEstimator::NAME, read: &["resources"], needless: &[] },
    BuiltIn {
        name: SlackEstimator::NAME,
        read: &["half_life", "margin", "warm_up"],
        needless: &[],
    },
    BuiltIn {
        name: LoadQosController::NAME,
        read: &["load_threshold_5min", "load_threshold_15min"],
        needless: &[],
    },
];

/// Parameters by module; libraries that are named are not loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Modules(BTreeMap<String, BTreeMap<String, String>>);

impl Modules {
    /// Reads the flag `modules`:
    /// `{"libraries": [{"modules": [{"name": …, "parameters": [{"key": …, "value": …}]}]}]}`.
    ///
    /// # Errors
    /// What is no JSON, or lacks a name or key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let list = |value: &Value, key: &str| {
            value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let text = |value: &Value, key: &str| {
            let text = value.get(key).and_then(Value::as_str).map(str::to_owned);
            text.ok_or_else(|| format!("'{key}' is missing in {value}"))
        };
        let mut all = BTreeMap::new();
        for module in list(&value, "libraries").iter().flat_map(|it| list(it, "modules")) {
            let mut parameters = BTreeMap::new();
            for parameter in list(&module, "parameters") {
                parameters.insert(text(&parameter, "key")?, text(&parameter, "value")?);
            }
            all.insert(text(&module, "name")?, parameters);
        }
        Ok(Self(all))
    }

    /// One line for each module that is not built in, and for each parameter that comes to nothing.
    pub fn warnings(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, parameters) in &self.0 {
            let Some(known) = BUILT_IN.iter().find(|known| known.name == name) else {
                lines.push(format!("flag 'modules': '{name}' is unknown, and nothing is loaded"));
                continue;
            };
            for key in parameters.keys().map(String::as_str) {
                if known.needless.contains(&key) {
                    lines.push(format!("flag 'modules': {name}: '{key}' has no effect"));
                } else if !known.read.contains(&key) {
                    lines.push(format!("flag 'modules': {name}: '{key}' is unknown"));
                }
            }
        }
        lines
    }

    /// A parameter of a module.
    pub fn parameter(&self, module: &str, key: &str) -> Option<&str> {
        self.0.get(module)?.get(key).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_tell_their_parameters() {
        let text = r#"{"libraries": [{"file": "x.so", "modules": [
            {"name": "a", "parameters": [{"key": "k", "value": "v"}]}, {"name": "b"}]}]}"#;
        let modules = Modules::parse(text).unwrap();
        assert_eq!(modules.parameter("a", "k"), Some("v"));
        assert_eq!(modules.parameter("b", "k"), None);
        let lines = modules.warnings();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("'a' is unknown"), "{lines:?}");
        assert!(Modules::parse("x").is_err());
        assert!(Modules::parse(r#"{"libraries": [{"modules": [{}]}]}"#).is_err());
    }

    #[test]
    fn parameters_of_a_module_are_told_when_they_come_to_nothing() {
        let parameters = ["max_stdout_size", "max_stdout_bytes", "logrotate_path"];
        let parameters = parameters.map(|key| serde_json::json!({"key": key, "value": "1MB"}));
        let module = serde_json::json!({"name": logger::NAME, "parameters": parameters});
        let text = serde_json::json!({"libraries": [{"modules": [module]}]}).to_string();
        let lines = Modules::parse(&text).unwrap().warnings();
        let told = |text: &str| lines.iter().filter(|line| line.ends_with(text)).count();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(told("'max_stdout_bytes' is unknown"), 1, "{lines:?}");
        assert_eq!(told("'logrotate_path' has no effect"), 1, "{lines:?}");
    }
}
