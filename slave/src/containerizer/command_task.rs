//! A command task with a root of its own: its executor stays outside, and is told how to have the
//! task started inside.

use isolators::LaunchInfo;
use protos::mesos;

use super::ContainerConfig;
use crate::executor::TASK_LAUNCH_INFO;

/// Takes from what isolators want what concerns the task alone, and tells the executor. What is left
/// concerns the container: namespaces, and mounts, which are prepared below the root.
pub(super) fn split(
    info: LaunchInfo,
    config: &mut ContainerConfig,
    launcher_dir: &str,
) -> LaunchInfo {
    let rootfs = info.rootfs.clone();
    let inside = LaunchInfo {
        rootfs: rootfs.clone(),
        command: info.command,
        environment: info.task_environment,
        working_directory: info.working_directory,
        masked_paths: info.masked_paths,
        rlimits: info.rlimits,
        effective_capabilities: info.effective_capabilities,
        bounding_capabilities: info.bounding_capabilities,
        no_new_privileges: info.no_new_privileges,
        seccomp_profile: info.seccomp_profile,
        user: info.user.or_else(|| config.user.take()),
        supplementary_groups: info.task_supplementary_groups,
        ..LaunchInfo::default()
    };
    // Only root may enter a root of its own, so that the executor keeps the slave's user.
    config.user = None;
    let outside = LaunchInfo {
        rootfs,
        mounts: info.mounts,
        file_operations: info.file_operations,
        clone_namespaces: info.clone_namespaces,
        enter_namespaces: info.enter_namespaces,
        environment: info.environment,
        pre_exec_commands: info.pre_exec_commands,
        tty_slave_path: info.tty_slave_path,
        ..LaunchInfo::default()
    };
    add(&mut config.command, format!("--launcher_dir={launcher_dir}"));
    tell(&inside, config);
    outside
}

/// Tells the executor how its task is to be started. By its environment: anybody on the host can read
/// arguments, and there may be secrets in it.
pub(super) fn tell(inside: &LaunchInfo, config: &mut ContainerConfig) {
    let told = protos::json::to_json(inside).to_string();
    config.environment.insert(TASK_LAUNCH_INFO.to_owned(), told);
}

fn add(command: &mut mesos::CommandInfo, argument: String) {
    if command.arguments.is_empty() {
        command.arguments.extend(command.value.clone());
    }
    command.arguments.push(argument);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn command_task_gets_its_root_and_the_executor_stays_outside() {
        let mut config = ContainerConfig {
            executor_info: mesos::ExecutorInfo::default(),
            command: mesos::CommandInfo {
                value: Some("/e".to_owned()),
                shell: Some(false),
                ..Default::default()
            },
            task_info: None,
            allocation: Default::default(),
            directory: "/sandbox".into(),
            user: Some("nobody".to_owned()),
            environment: BTreeMap::new(),
            pid_checkpoint: None,
        };
        let info = LaunchInfo {
            rootfs: Some("/image".to_owned()),
            working_directory: Some("/w".to_owned()),
            no_new_privileges: Some(true),
            clone_namespaces: vec![isolators::launch::CLONE_NEWNS],
            mounts: vec![isolators::launch::bind("/a", "/image/a", true)],
            ..LaunchInfo::default()
        };
        let outside = split(info, &mut config, "/l");
        assert_eq!((outside.mounts.len(), outside.clone_namespaces.len()), (1, 1));
        assert_eq!((outside.working_directory, outside.no_new_privileges), (None, None));
        assert_eq!(config.user, None);
        assert_eq!(config.command.arguments, ["/e", "--launcher_dir=/l"]);
        let inside = &config.environment[TASK_LAUNCH_INFO];
        let inside: LaunchInfo =
            protos::json::from_json(&serde_json::from_str(inside).unwrap()).unwrap();
        assert_eq!(
            (inside.rootfs(), inside.user(), inside.working_directory()),
            ("/image", "nobody", "/w")
        );
        assert!(inside.mounts.is_empty());
    }
}
