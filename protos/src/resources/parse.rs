//! Reads resources from flag texts.

use std::str::FromStr;

use super::value::parse_amount;
use super::{ResourceError, Resources};
use crate::mesos;

impl Resources {
    /// Reads `cpus:4;mem(role):512` or a JSON list of `Resource` messages. Items without a role get
    /// `default_role`.
    ///
    /// # Errors
    /// [`ResourceError`] naming the first item that cannot be read.
    pub fn parse(text: &str, default_role: &str) -> Result<Self, ResourceError> {
        if text.trim_start().starts_with('[') {
            return parse_json(text, default_role);
        }
        let items = text.split([';', '\n']).map(str::trim).filter(|item| !item.is_empty());
        let wire: Result<Vec<_>, _> = items.map(|item| parse_item(item, default_role)).collect();
        Self::from_wire(&wire?)
    }
}

fn parse_item(item: &str, default_role: &str) -> Result<mesos::Resource, ResourceError> {
    let syntax = || ResourceError::Syntax(item.to_owned());
    let (head, amount) = item.split_once(':').ok_or_else(syntax)?;
    let head = head.trim();
    let (name, role) = match head.split_once('(') {
        None => (head, default_role),
        Some((name, role)) => {
            let role = role.strip_suffix(')').ok_or_else(syntax)?;
            (name.trim(), role.trim())
        }
    };
    if name.is_empty() || role.is_empty() || name.contains([')', '{', '[']) {
        return Err(syntax());
    }
    let (kind, scalar, ranges, set) = parse_amount(amount)
        .map_err(|source| ResourceError::Amount { name: name.to_owned(), source })?;
    Ok(mesos::Resource {
        name: name.to_owned(),
        r#type: kind.into(),
        role: Some(role.to_owned()),
        scalar,
        ranges,
        set,
        ..Default::default()
    })
}

fn parse_json(text: &str, default_role: &str) -> Result<Resources, ResourceError> {
    let json = |error: String| ResourceError::Json(error);
    let list: Vec<serde_json::Value> =
        serde_json::from_str(text).map_err(|error| json(error.to_string()))?;
    let mut wire = Vec::new();
    for item in &list {
        let mut resource: mesos::Resource =
            crate::json::from_json(item).map_err(|error| json(error.to_string()))?;
        if resource.role.is_none() && resource.reservations.is_empty() {
            resource.role = Some(default_role.to_owned());
        }
        wire.push(resource);
    }
    Resources::from_wire(&wire)
}

impl FromStr for Resources {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, ResourceError> {
        Self::parse(text, "*")
    }
}
