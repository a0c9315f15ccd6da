//! The local authoriser: access control lists in the order in which they were written, the first that
//! speaks of both the principal and the object decides.

use protos::mesos::AcLs;
use protos::mesos::acl::{Entity, entity::Type};

/// What somebody wants to do. Each is named after its list in the ACLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named after the messages of the ACLs")]
pub enum Action {
    RegisterFramework,
    RunTask,
    ReserveResources,
    UnreserveResources,
    CreateVolume,
    DestroyVolume,
    TeardownFramework,
    UpdateWeight,
    GetEndpoint,
    GetQuota,
    UpdateQuota,
    ViewFramework,
    ViewTask,
    ViewExecutor,
    AccessSandbox,
    AccessMesosLog,
    ViewRole,
    ViewFlags,
    LaunchNestedContainerAsUser,
    LaunchNestedContainerUnderParentWithUser,
    KillNestedContainer,
    WaitNestedContainer,
    LaunchNestedContainerSessionAsUser,
    LaunchNestedContainerSessionUnderParentWithUser,
    AttachContainerInput,
    AttachContainerOutput,
    ViewContainer,
    SetLogLevel,
    RemoveNestedContainer,
    RegisterAgent,
    UpdateMaintenanceSchedule,
    GetMaintenanceSchedule,
    StartMaintenance,
    StopMaintenance,
    GetMaintenanceStatus,
    MarkAgentGone,
    LaunchStandaloneContainer,
    KillStandaloneContainer,
    WaitStandaloneContainer,
    RemoveStandaloneContainer,
    ModifyResourceProviderConfig,
    ViewStandaloneContainer,
    PruneImages,
    ResizeVolume,
    CreateBlockDisk,
    DestroyBlockDisk,
    CreateMountDisk,
    DestroyMountDisk,
    ViewResourceProvider,
    MarkResourceProvidersGone,
    DestroyRawDisk,
    DrainAgent,
    DeactivateAgent,
    ReactivateAgent,
}

/// A rule: of which principals it speaks, and of which objects.
type Rule<'a> = (&'a Entity, &'a Entity);

/// May a principal do that with an object? Neither is named when there is none: then only rules for
/// anybody, or anything, speak of it.
pub fn allowed(
    acls: Option<&AcLs>,
    action: Action,
    principal: Option<&str>,
    object: Option<&str>,
) -> bool {
    let Some(acls) = acls else { return true };
    let rules = rules(acls, action);
    let decisive = rules
        .iter()
        .find(|(principals, objects)| speaks(principals, principal) && speaks(objects, object));
    match decisive {
        Some((principals, objects)) => allows(principals, principal) && allows(objects, object),
        None => acls.permissive.unwrap_or(true),
    }
}

/// Does a rule with this entity speak of the value?
fn speaks(entity: &Entity, value: Option<&str>) -> bool {
    match (entity.r#type(), value) {
        (Type::Any | Type::None, _) => true,
        (Type::Some, None) => false,
        (Type::Some, Some(value)) => lists(entity, value),
    }
}

fn allows(entity: &Entity, value: Option<&str>) -> bool {
    match (entity.r#type(), value) {
        (Type::Any, _) => true,
        (Type::None, _) | (Type::Some, None) => false,
        (Type::Some, Some(value)) => lists(entity, value),
    }
}

/// `a/%` stands for all roles below `a`.
fn lists(entity: &Entity, value: &str) -> bool {
    entity.values.iter().any(|listed| match listed.strip_suffix("/%") {
        Some(parent) => value.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/')),
        None => listed == value,
    })
}

macro_rules! rules {
    ($list:expr, $field:ident) => {
        $list.iter().map(|rule| (&rule.principals, &rule.$field)).collect()
    };
}

fn rules(acls: &AcLs, action: Action) -> Vec<Rule<'_>> {
    early_rules(acls, action).or_else(|| late_rules(acls, action)).unwrap_or_default()
}

fn early_rules(acls: &AcLs, action: Action) -> Option<Vec<Rule<'_>>> {
    use Action::*;
    Some(match action {
        RegisterFramework => rules!(acls.register_frameworks, roles),
        RunTask => rules!(acls.run_tasks, users),
        ReserveResources => rules!(acls.reserve_resources, roles),
        UnreserveResources => rules!(acls.unreserve_resources, reserver_principals),
        CreateVolume => rules!(acls.create_volumes, roles),
        DestroyVolume => rules!(acls.destroy_volumes, creator_principals),
        TeardownFramework => rules!(acls.teardown_frameworks, framework_principals),
        UpdateWeight => rules!(acls.update_weights, roles),
        GetEndpoint => rules!(acls.get_endpoints, paths),
        GetQuota => rules!(acls.get_quotas, roles),
        UpdateQuota => rules!(acls.update_quotas, roles),
        ViewFramework => rules!(acls.view_frameworks, users),
        ViewTask => rules!(acls.view_tasks, users),
        ViewExecutor => rules!(acls.view_executors, users),
        AccessSandbox => rules!(acls.access_sandboxes, users),
        AccessMesosLog => rules!(acls.access_mesos_logs, logs),
        ViewRole => rules!(acls.view_roles, roles),
        ViewFlags => rules!(acls.view_flags, flags),
        LaunchNestedContainerAsUser => rules!(acls.launch_nested_containers_as_user, users),
        LaunchNestedContainerUnderParentWithUser => {
            rules!(acls.launch_nested_containers_under_parent_with_user, users)
        }
        KillNestedContainer => rules!(acls.kill_nested_containers, users),
        WaitNestedContainer => rules!(acls.wait_nested_containers, users),
        LaunchNestedContainerSessionAsUser => {
            rules!(acls.launch_nested_container_sessions_as_user, users)
        }
        LaunchNestedContainerSessionUnderParentWithUser => {
            rules!(acls.launch_nested_container_sessions_under_parent_with_user, users)
        }
        AttachContainerInput => rules!(acls.attach_containers_input, users),
        AttachContainerOutput => rules!(acls.attach_containers_output, users),
        ViewContainer => rules!(acls.view_containers, users),
        SetLogLevel => rules!(acls.set_log_level, level),
        _ => return None,
    })
}

fn late_rules(acls: &AcLs, action: Action) -> Option<Vec<Rule<'_>>> {
    use Action::*;
    Some(match action {
        RemoveNestedContainer => rules!(acls.remove_nested_containers, users),
        RegisterAgent => rules!(acls.register_agents, agents),
        UpdateMaintenanceSchedule => rules!(acls.update_maintenance_schedules, machines),
        GetMaintenanceSchedule => rules!(acls.get_maintenance_schedules, machines),
        StartMaintenance => rules!(acls.start_maintenances, machines),
        StopMaintenance => rules!(acls.stop_maintenances, machines),
        GetMaintenanceStatus => rules!(acls.get_maintenance_statuses, machines),
        MarkAgentGone => rules!(acls.mark_agents_gone, agents),
        LaunchStandaloneContainer => rules!(acls.launch_standalone_containers, users),
        KillStandaloneContainer => rules!(acls.kill_standalone_containers, users),
        WaitStandaloneContainer => rules!(acls.wait_standalone_containers, users),
        RemoveStandaloneContainer => rules!(acls.remove_standalone_containers, users),
        ModifyResourceProviderConfig => {
            rules!(acls.modify_resource_provider_configs, resource_providers)
        }
        ViewStandaloneContainer => rules!(acls.view_standalone_containers, users),
        PruneImages => rules!(acls.prune_images, images),
        ResizeVolume => rules!(acls.resize_volumes, roles),
        CreateBlockDisk => rules!(acls.create_block_disks, roles),
        DestroyBlockDisk => rules!(acls.destroy_block_disks, roles),
        CreateMountDisk => rules!(acls.create_mount_disks, roles),
        DestroyMountDisk => rules!(acls.destroy_mount_disks, roles),
        ViewResourceProvider => rules!(acls.view_resource_providers, resource_providers),
        MarkResourceProvidersGone => rules!(acls.mark_resource_providers_gone, resource_providers),
        DestroyRawDisk => rules!(acls.destroy_raw_disks, roles),
        DrainAgent => rules!(acls.drain_agents, agents),
        DeactivateAgent => rules!(acls.deactivate_agents, agents),
        ReactivateAgent => rules!(acls.reactivate_agents, agents),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn acls(value: serde_json::Value) -> AcLs {
        protos::json::from_json(&value).unwrap()
    }

    #[test]
    fn first_rule_that_speaks_of_both_decides() {
        let acls = acls(json!({
            "permissive": false,
            "reserve_resources": [
                {"principals": {"values": ["ops"]}, "roles": {"type": "ANY"}},
                {"principals": {"values": ["web"]}, "roles": {"values": ["web", "eng/%"]}},
                {"principals": {"type": "ANY"}, "roles": {"values": ["open"]}},
                {"principals": {"type": "NONE"}, "roles": {"values": ["closed"]}},
            ],
        }));
        let cases = [
            (Some("ops"), Some("any"), true),
            (Some("web"), Some("web"), true),
            (Some("web"), Some("eng/a"), true),
            (Some("web"), Some("eng"), false),
            (Some("web"), Some("engine"), false),
            (Some("web"), Some("closed"), false),
            (None, Some("open"), true),
            (None, Some("web"), false),
            (Some("ops"), Some("closed"), true),
            (Some("ops"), None, true),
            (Some("web"), None, false),
        ];
        for (principal, role, expected) in cases {
            let found = allowed(Some(&acls), Action::ReserveResources, principal, role);
            assert_eq!(found, expected, "{principal:?} {role:?}");
        }
    }

    #[test]
    fn without_rules_the_default_holds() {
        let open = acls(json!({}));
        let closed = acls(json!({"permissive": false}));
        assert!(allowed(None, Action::RunTask, None, Some("root")));
        assert!(allowed(Some(&open), Action::RunTask, None, Some("root")));
        assert!(!allowed(Some(&closed), Action::RunTask, Some("p"), Some("root")));
    }

    /// Every action with its list and the field of its objects.
    const ALL: [(Action, &str, &str); 54] = [
        (Action::RegisterFramework, "register_frameworks", "roles"),
        (Action::RunTask, "run_tasks", "users"),
        (Action::ReserveResources, "reserve_resources", "roles"),
        (Action::UnreserveResources, "unreserve_resources", "reserver_principals"),
        (Action::CreateVolume, "create_volumes", "roles"),
        (Action::DestroyVolume, "destroy_volumes", "creator_principals"),
        (Action::TeardownFramework, "teardown_frameworks", "framework_principals"),
        (Action::UpdateWeight, "update_weights", "roles"),
        (Action::GetEndpoint, "get_endpoints", "paths"),
        (Action::GetQuota, "get_quotas", "roles"),
        (Action::UpdateQuota, "update_quotas", "roles"),
        (Action::ViewFramework, "view_frameworks", "users"),
        (Action::ViewTask, "view_tasks", "users"),
        (Action::ViewExecutor, "view_executors", "users"),
        (Action::AccessSandbox, "access_sandboxes", "users"),
        (Action::AccessMesosLog, "access_mesos_logs", "logs"),
        (Action::ViewRole, "view_roles", "roles"),
        (Action::ViewFlags, "view_flags", "flags"),
        (Action::LaunchNestedContainerAsUser, "launch_nested_containers_as_user", "users"),
        (
            Action::LaunchNestedContainerUnderParentWithUser,
            "launch_nested_containers_under_parent_with_user",
            "users",
        ),
        (Action::KillNestedContainer, "kill_nested_containers", "users"),
        (Action::WaitNestedContainer, "wait_nested_containers", "users"),
        (
            Action::LaunchNestedContainerSessionAsUser,
            "launch_nested_container_sessions_as_user",
            "users",
        ),
        (
            Action::LaunchNestedContainerSessionUnderParentWithUser,
            "launch_nested_container_sessions_under_parent_with_user",
            "users",
        ),
        (Action::AttachContainerInput, "attach_containers_input", "users"),
        (Action::AttachContainerOutput, "attach_containers_output", "users"),
        (Action::ViewContainer, "view_containers", "users"),
        (Action::SetLogLevel, "set_log_level", "level"),
        (Action::RemoveNestedContainer, "remove_nested_containers", "users"),
        (Action::RegisterAgent, "register_agents", "agents"),
        (Action::UpdateMaintenanceSchedule, "update_maintenance_schedules", "machines"),
        (Action::GetMaintenanceSchedule, "get_maintenance_schedules", "machines"),
        (Action::StartMaintenance, "start_maintenances", "machines"),
        (Action::StopMaintenance, "stop_maintenances", "machines"),
        (Action::GetMaintenanceStatus, "get_maintenance_statuses", "machines"),
        (Action::MarkAgentGone, "mark_agents_gone", "agents"),
        (Action::LaunchStandaloneContainer, "launch_standalone_containers", "users"),
        (Action::KillStandaloneContainer, "kill_standalone_containers", "users"),
        (Action::WaitStandaloneContainer, "wait_standalone_containers", "users"),
        (Action::RemoveStandaloneContainer, "remove_standalone_containers", "users"),
        (
            Action::ModifyResourceProviderConfig,
            "modify_resource_provider_configs",
            "resource_providers",
        ),
        (Action::ViewStandaloneContainer, "view_standalone_containers", "users"),
        (Action::PruneImages, "prune_images", "images"),
        (Action::ResizeVolume, "resize_volumes", "roles"),
        (Action::CreateBlockDisk, "create_block_disks", "roles"),
        (Action::DestroyBlockDisk, "destroy_block_disks", "roles"),
        (Action::CreateMountDisk, "create_mount_disks", "roles"),
        (Action::DestroyMountDisk, "destroy_mount_disks", "roles"),
        (Action::ViewResourceProvider, "view_resource_providers", "resource_providers"),
        (Action::MarkResourceProvidersGone, "mark_resource_providers_gone", "resource_providers"),
        (Action::DestroyRawDisk, "destroy_raw_disks", "roles"),
        (Action::DrainAgent, "drain_agents", "agents"),
        (Action::DeactivateAgent, "deactivate_agents", "agents"),
        (Action::ReactivateAgent, "reactivate_agents", "agents"),
    ];

    /// Each action looks at its own list: a rule there alone lets `p` in.
    #[test]
    fn every_action_has_its_own_list() {
        for (action, list, objects) in ALL {
            let rule = json!({"principals": {"values": ["p"]}, objects: {"type": "ANY"}});
            let acls = acls(json!({"permissive": false, list: [rule]}));
            for (other, _, _) in ALL {
                let found = allowed(Some(&acls), other, Some("p"), Some("x"));
                assert_eq!(found, other == action, "{list}, {other:?}");
            }
            assert!(!allowed(Some(&acls), action, Some("q"), Some("x")), "{list}");
            assert!(!allowed(Some(&acls), action, None, Some("x")), "{list}");
        }
    }
}
