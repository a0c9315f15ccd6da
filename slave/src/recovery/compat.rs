//! May a slave that was told other things go on under its old id?

use std::str::FromStr;

use protos::mesos;
use protos::resources::Resources;

/// What may differ from the slave's earlier run for it to keep its id (flag
/// `reconfiguration_policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReconfigurationPolicy {
    /// Nothing.
    #[default]
    Equal,
    /// Resources may grow and attributes may be added.
    Additive,
}

impl FromStr for ReconfigurationPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "equal" => Ok(Self::Equal),
            "additive" => Ok(Self::Additive),
            _ => Err("expected equal or additive".to_owned()),
        }
    }
}

/// Says what stands against it, if anything does.
///
/// # Errors
/// What differs and must not.
pub(crate) fn is_compatible(
    policy: ReconfigurationPolicy,
    then: &mesos::SlaveInfo,
    now: &mesos::SlaveInfo,
) -> Result<(), &'static str> {
    if now.hostname != then.hostname {
        return Err("hostname");
    }
    match policy {
        ReconfigurationPolicy::Equal => equal(then, now),
        ReconfigurationPolicy::Additive => additive(then, now),
    }
}

fn equal(then: &mesos::SlaveInfo, now: &mesos::SlaveInfo) -> Result<(), &'static str> {
    let resources = |info: &mesos::SlaveInfo| Resources::from_wire(&info.resources).ok();
    if resources(then).map(|r| r.to_wire()) != resources(now).map(|r| r.to_wire()) {
        return Err("resources");
    }
    if now.attributes != then.attributes {
        return Err("attributes");
    }
    if now.domain != then.domain { Err("domain") } else { Ok(()) }
}

fn additive(then: &mesos::SlaveInfo, now: &mesos::SlaveInfo) -> Result<(), &'static str> {
    let old = Resources::from_wire(&then.resources).map_err(|_| "resources")?;
    let new = Resources::from_wire(&now.resources).map_err(|_| "resources")?;
    if !new.contains(&old) {
        return Err("resources");
    }
    if !then.attributes.iter().all(|attribute| now.attributes.contains(attribute)) {
        return Err("attributes");
    }
    if then.domain.is_some() && now.domain != then.domain { Err("domain") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ReconfigurationPolicy::*;

    fn info(resources: &str, attributes: &str) -> mesos::SlaveInfo {
        mesos::SlaveInfo {
            hostname: "h".to_owned(),
            resources: resources.parse::<Resources>().unwrap().to_wire(),
            attributes: protos::attributes::parse(attributes).unwrap(),
            ..Default::default()
        }
    }

    #[test]
    fn slave_told_other_things_keeps_its_id_as_far_as_the_policy_allows() {
        let then = info("cpus:2;mem:64;ports:[1-9]", "rack:r1");
        let cases = [
            ("cpus:2;mem:64;ports:[1-9]", "rack:r1", Ok(()), Ok(())),
            ("cpus:3;mem:64;ports:[1-20]", "rack:r1", Err("resources"), Ok(())),
            ("cpus:2;mem:64;ports:[1-9];x:1", "rack:r1", Err("resources"), Ok(())),
            ("cpus:1;mem:64;ports:[1-9]", "rack:r1", Err("resources"), Err("resources")),
            ("cpus:2;mem:64;ports:[1-9]", "rack:r1;a:b", Err("attributes"), Ok(())),
            ("cpus:2;mem:64;ports:[1-9]", "rack:r2", Err("attributes"), Err("attributes")),
        ];
        for (resources, attributes, equal, additive) in cases {
            let now = info(resources, attributes);
            assert_eq!(is_compatible(Equal, &then, &now), equal, "{resources} {attributes}");
            assert_eq!(is_compatible(Additive, &then, &now), additive, "{resources} {attributes}");
        }
        let other = mesos::SlaveInfo { hostname: "i".to_owned(), ..then.clone() };
        assert_eq!(is_compatible(Additive, &then, &other), Err("hostname"));
    }
}
