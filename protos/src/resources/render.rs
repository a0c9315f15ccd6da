//! Texts and JSON objects of resources.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::value::{Amount, from_fixed};
use super::{Entry, Resources, reservation_role};

fn text(amount: &Amount, separator: &str) -> String {
    match amount {
        Amount::Scalar(fixed) => from_fixed(*fixed).to_string(),
        Amount::Ranges(ranges) => {
            let items: Vec<_> = ranges.iter().map(|(from, to)| format!("{from}-{to}")).collect();
            format!("[{}]", items.join(separator))
        }
        Amount::Set(items) => {
            let items: Vec<_> = items.iter().map(String::as_str).collect();
            format!("{{{}}}", items.join(separator))
        }
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let known = ["cpus", "gpus", "mem", "disk", "ports"];
        let rank = |name: &str| known.iter().position(|k| *k == name).unwrap_or(known.len());
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(|entry| rank(&entry.template.name));
        for entry in entries {
            write!(f, "{separator}{}", entry.template.name)?;
            if let Some(role) = reservation_role(&entry.template) {
                write!(f, "({role})")?;
            }
            let amount = match &entry.amount {
                Amount::Scalar(_) => text(&Amount::Scalar(entry.fixed()), ","),
                other => text(other, ","),
            };
            write!(f, ":{amount}")?;
            separator = ";";
        }
        Ok(())
    }
}

impl Resources {
    /// The JSON object of `/state`: all roles summed; `cpus`, `gpus`, `mem` and `disk` are always
    /// there, ranges and sets are texts, revocable ones stand under `<name>_revocable`.
    pub fn to_object(&self) -> Map<String, Value> {
        let mut sums: BTreeMap<(&str, bool), Amount> = BTreeMap::new();
        for entry in &self.entries {
            let amount = match &entry.amount {
                // Of what is shared there is one, however many hold it.
                Amount::Scalar(_) => Amount::Scalar(entry.fixed()),
                other => other.clone(),
            };
            let key = (entry.template.name.as_str(), entry.template.revocable.is_some());
            match sums.get_mut(&key) {
                Some(sum) => sum.add(&amount),
                None => drop(sums.insert(key, amount)),
            }
        }
        let mut object = Map::new();
        for name in ["cpus", "gpus", "mem", "disk"] {
            object.insert(name.to_owned(), Value::from(0.0));
        }
        for ((name, is_revocable), amount) in sums {
            let name = if is_revocable { format!("{name}_revocable") } else { name.to_owned() };
            let value = match &amount {
                Amount::Scalar(fixed) => Value::from(from_fixed(*fixed)),
                other => Value::from(text(other, ", ")),
            };
            object.insert(name, value);
        }
        object
    }
}
