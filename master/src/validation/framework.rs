//! Frameworks' infos.

use std::collections::BTreeSet;

use protos::ids;
use protos::mesos;
use protos::mesos::framework_info::capability::Type as Capability;

use crate::Config;
use crate::state::has_capability;

/// Checks what a scheduler tells of its framework.
///
/// # Errors
/// The first rule broken, as text for the framework.
pub(crate) fn validate(info: &mesos::FrameworkInfo, config: &Config) -> Result<(), String> {
    if let Some(id) = info.id.as_ref().filter(|id| !id.value.is_empty()) {
        ids::validate(&id.value).map_err(|error| error.to_string())?;
    }
    if info.user == "root" && !config.root_submissions {
        return Err("User 'root' is not allowed to run frameworks".to_owned());
    }
    let timeout = info.failover_timeout();
    if timeout.is_nan() || timeout.abs() > i64::MAX as f64 / 1e9 {
        return Err(format!("failover_timeout {timeout} is out of range"));
    }
    let multi_role = has_capability(info, Capability::MultiRole);
    let roles: Vec<&str> = match (multi_role, info.roles.is_empty(), &info.role) {
        (true, _, Some(_)) => {
            return Err("role must not be set with the MULTI_ROLE capability".to_owned());
        }
        (false, false, _) => return Err("roles need the MULTI_ROLE capability".to_owned()),
        (true, _, None) => info.roles.iter().map(String::as_str).collect(),
        (false, true, _) => vec![info.role()],
    };
    let distinct: BTreeSet<&str> = roles.iter().copied().collect();
    if distinct.len() < roles.len() {
        return Err("roles contain a duplicate".to_owned());
    }
    for role in roles {
        validate_role(role)?;
        if config.roles.as_ref().is_some_and(|known| !known.contains(role)) {
            return Err(format!("role '{role}' is not present in the master's --roles"));
        }
    }
    Ok(())
}

/// The rules of role names: `*`, or components between slashes without blanks and leading dashes.
pub(crate) fn validate_role(role: &str) -> Result<(), String> {
    let bad = |why: &str| Err(format!("role '{role}' {why}"));
    if role == "*" {
        return Ok(());
    }
    for component in role.split('/') {
        match component {
            "" => return bad("is empty or has an empty component"),
            "." | ".." => return bad("has a component '.' or '..'"),
            "*" => return bad("has a component '*'"),
            _ if component.starts_with('-') => return bad("has a component that begins with '-'"),
            _ if component.chars().any(|c| c.is_whitespace() || c == '\\' || c.is_control()) => {
                return bad("has a blank or backslash");
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framework_info_rules_are_told_apart() {
        let config = Config { root_submissions: false, ..Config::default() };
        let info = |change: fn(&mut mesos::FrameworkInfo)| {
            let mut info = mesos::FrameworkInfo { user: "u".into(), ..Default::default() };
            change(&mut info);
            validate(&info, &config)
        };
        assert_eq!(info(|_| {}), Ok(()));
        assert_eq!(info(|i| i.role = Some("eng/web".into())), Ok(()));
        let bad: [fn(&mut mesos::FrameworkInfo); 8] = [
            |i| i.user = "root".into(),
            |i| i.id = Some(mesos::FrameworkId { value: "a/b".into() }),
            |i| i.failover_timeout = Some(f64::NAN),
            |i| i.failover_timeout = Some(1e30),
            |i| i.roles = vec!["a".into()],
            |i| i.role = Some("a//b".into()),
            |i| i.role = Some("-a".into()),
            |i| i.role = Some("a b".into()),
        ];
        for (number, change) in bad.into_iter().enumerate() {
            assert!(info(change).is_err(), "case {number}");
        }
    }
}
