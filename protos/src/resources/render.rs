//! Texts and JSON objects of resources.

use std::fmt;

use serde_json::{Map, Value};

use super::value::{Amount, from_fixed};
use super::{Entry, Resources, reservation_role};

impl Entry {
    fn text(&self, separator: &str) -> String {
        match &self.amount {
            Amount::Scalar(_) => from_fixed(self.fixed()).to_string(),
            Amount::Ranges(ranges) => {
                let items: Vec<_> =
                    ranges.iter().map(|(from, to)| format!("{from}-{to}")).collect();
                format!("[{}]", items.join(separator))
            }
            Amount::Set(items) => {
                let items: Vec<_> = items.iter().map(String::as_str).collect();
                format!("{{{}}}", items.join(separator))
            }
        }
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let known = ["cpus", "gpus", "mem", "disk", "ports"];
        let rank = |name: &str| known.iter().position(|k| *k == name).unwrap_or(known.len());
        let mut entries: Vec<&Entry> = self.entries.values().collect();
        entries.sort_by_key(|entry| rank(&entry.template.name));
        for entry in entries {
            write!(f, "{separator}{}", entry.template.name)?;
            if let Some(role) = reservation_role(&entry.template) {
                write!(f, "({role})")?;
            }
            write!(f, ":{}", entry.text(","))?;
            separator = ";";
        }
        Ok(())
    }
}

impl Resources {
    /// The JSON object of `/state`: all roles summed; `cpus`, `gpus`, `mem` and `disk` are always
    /// there, ranges and sets are texts, revocable ones stand under `<name>_revocable`.
    pub fn to_object(&self) -> Map<String, Value> {
        let mut object = Map::new();
        for name in ["cpus", "gpus", "mem", "disk"] {
            object.insert(name.to_owned(), Value::from(self.non_revocable().scalar(name)));
        }
        let summed = self.once_each().to_unreserved().map(|resource| {
            (resource.disk, resource.provider_id, resource.shared) = (None, None, None);
        });
        for entry in summed.entries.values() {
            let suffix = if entry.template.revocable.is_some() { "_revocable" } else { "" };
            let name = format!("{}{suffix}", entry.template.name);
            let value = match &entry.amount {
                Amount::Scalar(_) => Value::from(from_fixed(entry.fixed())),
                _ => Value::from(entry.text(", ")),
            };
            object.insert(name, value);
        }
        object
    }
}
