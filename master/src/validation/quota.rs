//! Quotas of roles.

use std::collections::BTreeMap;

use protos::mesos;
use protos::mesos::quota::{QuotaConfig, QuotaRequest};

use super::framework::validate_role;

/// All quotas by role.
type Quotas = BTreeMap<String, QuotaConfig>;

/// The quota that a request asks for: its guarantee is its limit, too.
///
/// # Errors
/// The first rule broken.
pub(crate) fn from_request(request: &QuotaRequest) -> Result<QuotaConfig, String> {
    let role = request.role.clone().ok_or("QuotaRequest has no role")?;
    validate_role(&role)?;
    if role == "*" {
        return Err("quota for the default role '*' is not supported".to_owned());
    }
    if request.guarantee.is_empty() {
        return Err("QuotaRequest has no guarantee".to_owned());
    }
    let mut amounts = BTreeMap::new();
    for resource in &request.guarantee {
        let name = &resource.name;
        let scalar = amount(resource).map_err(|why| format!("guarantee of '{name}' {why}"))?;
        if amounts.insert(name.clone(), scalar).is_some() {
            return Err(format!("guarantee has '{name}' twice"));
        }
    }
    Ok(QuotaConfig { role, guarantees: amounts.clone(), limits: amounts })
}

fn amount(resource: &mesos::Resource) -> Result<mesos::value::Scalar, &'static str> {
    if resource.r#type() != mesos::value::Type::Scalar {
        return Err("is no scalar");
    }
    let reserved = resource.reservation.is_some()
        || !resource.reservations.is_empty()
        || resource.role.as_deref().is_some_and(|role| role != "*");
    if reserved || resource.disk.is_some() || resource.revocable.is_some() {
        return Err("says more than name and amount");
    }
    match resource.scalar {
        Some(scalar) if scalar.value.is_finite() && scalar.value >= 0.0 => Ok(scalar),
        _ => Err("has no amount from 0 on"),
    }
}

/// Checks a quota by itself: amounts from 0 on, no guarantee above its limit.
///
/// # Errors
/// The first rule broken.
pub(crate) fn validate(config: &QuotaConfig) -> Result<(), String> {
    let role = &config.role;
    validate_role(role)?;
    if role == "*" {
        return Err("quota for the default role '*' is not supported".to_owned());
    }
    for (name, scalar) in config.guarantees.iter().chain(&config.limits) {
        if !scalar.value.is_finite() || scalar.value < 0.0 {
            return Err(format!("quota of role '{role}': amount of '{name}' is not one from 0 on"));
        }
    }
    for (name, guarantee) in &config.guarantees {
        if config.limits.get(name).is_some_and(|limit| limit.value < guarantee.value) {
            return Err(format!(
                "quota of role '{role}': guarantee of '{name}' is above its limit"
            ));
        }
    }
    Ok(())
}

/// Checks quotas together: what is guaranteed below a role fits into what the role itself is.
///
/// # Errors
/// The first role whose children are promised too much.
pub(crate) fn validate_tree(quotas: &Quotas) -> Result<(), String> {
    for (role, config) in quotas {
        let prefix = format!("{role}/");
        let children = quotas.iter().filter(|(child, _)| {
            child.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('/'))
        });
        for (name, sum) in sum(children.map(|(_, child)| child)) {
            let own = config.guarantees.get(&name).map_or(0.0, |scalar| scalar.value);
            if sum > own {
                return Err(format!(
                    "children of role '{role}' are guaranteed {sum} of '{name}', the role {own}"
                ));
            }
        }
    }
    Ok(())
}

/// Checks that the cluster has what all roles at the top are guaranteed.
///
/// # Errors
/// The first resource of which there is too little.
pub(crate) fn validate_capacity(
    quotas: &Quotas,
    total: &protos::resources::Resources,
) -> Result<(), String> {
    let top = quotas.iter().filter(|(role, _)| !role.contains('/')).map(|(_, config)| config);
    for (name, sum) in sum(top) {
        let there = total.scalar(&name);
        if sum > there {
            return Err(format!("roles are guaranteed {sum} of '{name}', the cluster has {there}"));
        }
    }
    Ok(())
}

fn sum<'a>(configs: impl Iterator<Item = &'a QuotaConfig>) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for (name, scalar) in configs.flat_map(|config| &config.guarantees) {
        *sums.entry(name.clone()).or_insert(0.0) += scalar.value;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(role: &str, text: &str) -> QuotaRequest {
        let guarantee = text.parse::<protos::resources::Resources>().unwrap().to_wire();
        QuotaRequest { role: Some(role.into()), guarantee, force: None }
    }

    fn quotas(list: &[(&str, &str)]) -> Quotas {
        let quota = |(role, text): &(&str, &str)| {
            ((*role).to_owned(), from_request(&request(role, text)).unwrap())
        };
        list.iter().map(quota).collect()
    }

    #[test]
    fn quota_request_rules_are_told_apart() {
        assert!(from_request(&request("web", "cpus:1;mem:2")).is_ok());
        for bad in [
            request("*", "cpus:1"),
            request("a//b", "cpus:1"),
            request("web", ""),
            request("web", "ports:[1-2]"),
            request("web", "cpus(other):1"),
            QuotaRequest { role: None, ..request("web", "cpus:1") },
        ] {
            assert!(from_request(&bad).is_err(), "{bad:?}");
        }
        let mut twice = request("web", "cpus:1");
        twice.guarantee.push(twice.guarantee[0].clone());
        assert!(from_request(&twice).unwrap_err().contains("twice"));
    }

    #[test]
    fn quota_of_children_fits_into_the_parents() {
        assert!(
            validate_tree(&quotas(&[("a", "cpus:2"), ("a/b", "cpus:1"), ("a/c", "cpus:1")]))
                .is_ok()
        );
        let bad = quotas(&[("a", "cpus:2"), ("a/b", "cpus:1"), ("a/c", "cpus:2")]);
        assert!(validate_tree(&bad).unwrap_err().contains("role 'a'"));
    }

    #[test]
    fn quota_of_all_fits_into_the_cluster() {
        let total = "cpus:4".parse().unwrap();
        assert!(validate_capacity(&quotas(&[("a", "cpus:2"), ("b", "cpus:2")]), &total).is_ok());
        assert!(validate_capacity(&quotas(&[("a", "cpus:2"), ("b", "cpus:3")]), &total).is_err());
    }
}
