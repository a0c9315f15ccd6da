//! Access control lists, as far as a slave has something to ask them: in the order in which rules were
//! written, the first that speaks of both the principal and the object decides.

use protos::json::to_json;
use protos::mesos::AcLs;
use protos::mesos::acl::Entity;
use protos::mesos::acl::entity::Type;

/// What somebody wants of a slave. Each has a list of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// A sandbox, of a user.
    AccessSandbox,
    /// The slave's own log.
    AccessLog,
    /// An endpoint that shows all or nothing, by its path.
    GetEndpoint,
    /// A container, by its user.
    ViewContainer,
    /// An executor, by its user.
    ViewExecutor,
    /// The flags.
    ViewFlags,
    /// A framework, by its user.
    ViewFramework,
    /// What is reserved to a role.
    ViewRole,
    /// A task, by its user.
    ViewTask,
}

/// The lists that are asked, as they are called in the flag.
const ASKED: [&str; 9] = [
    "access_mesos_logs",
    "access_sandboxes",
    "get_endpoints",
    "view_containers",
    "view_executors",
    "view_flags",
    "view_frameworks",
    "view_roles",
    "view_tasks",
];

/// Lists that hold rules and that nothing in a slave ever asks.
pub(crate) fn idle(acls: &AcLs) -> Vec<String> {
    let lists = to_json(acls);
    let lists = lists.as_object().into_iter().flatten();
    let filled = lists.filter(|(_, rules)| rules.as_array().is_some_and(|it| !it.is_empty()));
    let idle = filled.filter(|(name, _)| !ASKED.contains(&name.as_str()));
    idle.map(|(name, _)| name.clone()).collect()
}

/// May a principal do that with an object? Neither is named when there is none: then only rules for
/// anybody, or anything, speak of it. Without lists everybody may do everything.
pub(crate) fn allowed(
    acls: Option<&AcLs>,
    action: Action,
    principal: Option<&str>,
    object: Option<&str>,
) -> bool {
    let Some(acls) = acls else { return true };
    let rules = rules(acls, action);
    let mut rules = rules.iter();
    let decisive = rules.find(|(who, what)| speaks(who, principal) && speaks(what, object));
    match decisive {
        Some((who, what)) => permits(who, principal) && permits(what, object),
        None => acls.permissive(),
    }
}

/// Of which principals rules speak, and of which objects.
fn rules(acls: &AcLs, action: Action) -> Vec<(&Entity, &Entity)> {
    macro_rules! list {
        ($list:ident, $objects:ident) => {
            acls.$list.iter().map(|rule| (&rule.principals, &rule.$objects)).collect()
        };
    }
    match action {
        Action::AccessSandbox => list!(access_sandboxes, users),
        Action::AccessLog => list!(access_mesos_logs, logs),
        Action::GetEndpoint => list!(get_endpoints, paths),
        Action::ViewContainer => list!(view_containers, users),
        Action::ViewExecutor => list!(view_executors, users),
        Action::ViewFlags => list!(view_flags, flags),
        Action::ViewFramework => list!(view_frameworks, users),
        Action::ViewRole => list!(view_roles, roles),
        Action::ViewTask => list!(view_tasks, users),
    }
}

/// `a/%` stands for all roles below `a`.
fn lists(entity: &Entity, value: Option<&str>) -> bool {
    let Some(value) = value else { return false };
    entity.values.iter().any(|listed| match listed.strip_suffix("/%") {
        Some(parent) => value.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/')),
        None => listed == value,
    })
}

fn speaks(entity: &Entity, value: Option<&str>) -> bool {
    entity.r#type() != Type::Some || lists(entity, value)
}

fn permits(entity: &Entity, value: Option<&str>) -> bool {
    match entity.r#type() {
        Type::Any => true,
        Type::None => false,
        Type::Some => lists(entity, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn acls(value: serde_json::Value) -> AcLs {
        protos::json::from_json(&value).unwrap()
    }

    const ALL: [(Action, &str, &str); 9] = [
        (Action::AccessSandbox, "access_sandboxes", "users"),
        (Action::AccessLog, "access_mesos_logs", "logs"),
        (Action::GetEndpoint, "get_endpoints", "paths"),
        (Action::ViewContainer, "view_containers", "users"),
        (Action::ViewExecutor, "view_executors", "users"),
        (Action::ViewFlags, "view_flags", "flags"),
        (Action::ViewFramework, "view_frameworks", "users"),
        (Action::ViewRole, "view_roles", "roles"),
        (Action::ViewTask, "view_tasks", "users"),
    ];

    #[test]
    fn every_action_asks_its_own_list() {
        for (action, list, objects) in ALL {
            let rule = json!({"principals": {"values": ["p"]}, objects: {"type": "ANY"}});
            let acls = acls(json!({"permissive": false, list: [rule]}));
            for (other, _, _) in ALL {
                let found = allowed(Some(&acls), other, Some("p"), Some("x"));
                assert_eq!(found, other == action, "{list}, {other:?}");
            }
            assert!(!allowed(Some(&acls), action, Some("q"), Some("x")), "{list}");
            assert!(idle(&acls).is_empty(), "{list}");
        }
        assert_eq!(ALL.len(), ASKED.len());
    }

    #[test]
    fn first_rule_that_speaks_of_both_decides() {
        let acls = acls(json!({"permissive": false, "access_sandboxes": [
            {"principals": {"values": ["ops"]}, "users": {"type": "ANY"}},
            {"principals": {"type": "ANY"}, "users": {"values": ["root"], "type": "NONE"}},
            {"principals": {"values": ["web"]}, "users": {"values": ["www"]}}]}));
        let may = |who, user| allowed(Some(&acls), Action::AccessSandbox, who, Some(user));
        assert!(may(Some("ops"), "root"));
        assert!(!may(Some("web"), "www") && !may(None, "www"));
        assert!(allowed(None, Action::AccessSandbox, None, Some("root")));
    }

    #[test]
    fn roles_below_another_are_listed_by_a_percent_sign() {
        let rule = json!({"principals": {"type": "ANY"}, "roles": {"values": ["eng/%"]}});
        let acls = acls(json!({"permissive": false, "view_roles": [rule]}));
        let may = |role| allowed(Some(&acls), Action::ViewRole, None, Some(role));
        assert!(may("eng/a") && !may("eng") && !may("engine"));
    }

    #[test]
    fn lists_that_are_never_asked_are_told_by_name() {
        let rule =
            |objects: &str| json!([{"principals": {"type": "ANY"}, objects: {"type": "ANY"}}]);
        let acls = acls(json!({
            "permissive": false,
            "run_tasks": rule("users"),
            "view_tasks": rule("users"),
            "register_agents": rule("agents"),
            "view_flags": [],
        }));
        let mut found = idle(&acls);
        found.sort();
        assert_eq!(found, ["register_agents", "run_tasks"]);
    }
}
