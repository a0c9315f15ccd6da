//! Parameters of built-in modules, in the form in which the protocol family loads modules.

use std::collections::BTreeMap;

use serde_json::Value;

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

    /// A parameter of a module.
    pub fn parameter(&self, module: &str, key: &str) -> Option<&str> {
        self.0.get(module)?.get(key).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::Modules;

    #[test]
    fn modules_tell_their_parameters() {
        let text = r#"{"libraries": [{"file": "x.so", "modules": [
            {"name": "a", "parameters": [{"key": "k", "value": "v"}]}, {"name": "b"}]}]}"#;
        let modules = Modules::parse(text).unwrap();
        assert_eq!(modules.parameter("a", "k"), Some("v"));
        assert_eq!(modules.parameter("b", "k"), None);
        assert!(Modules::parse("x").is_err());
        assert!(Modules::parse(r#"{"libraries": [{"modules": [{}]}]}"#).is_err());
    }
}
