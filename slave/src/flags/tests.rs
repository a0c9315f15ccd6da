//! What command lines come to.

use super::*;
use libprocess::flags::Loader;

use crate::Config;

fn load(args: &[&str]) -> Result<Config, String> {
    let loaded = Loader::new("mesos-slave").load::<Flags>(args.iter().copied());
    let loaded = loaded.map_err(|error| error.to_string())?;
    loaded.flags.config("h".to_owned(), loaded.effective)
}

#[test]
fn flags_known_ones_are_read() {
    let config = load(&["--work_dir=/tmp/x", "--resources=cpus:3", "--no-switch_user"]).unwrap();
    assert_eq!(config.resources.cpus(), 3.0);
    assert!(!config.switch_user);
}

#[test]
fn flags_bad_values_are_refused_in_one_line() {
    for bad in [
        "--port=x",
        "--nonsense=1",
        "--resources=cpus",
        "--attributes=rack",
        "--launcher=nonsense",
        "--recover=nonsense",
        "--executor_reregistration_timeout=16secs",
        "--executor_environment_variables=nonsense",
    ] {
        let error = load(&["--work_dir=/tmp/x", bad]).unwrap_err();
        assert_eq!(error.lines().count(), 1, "{bad}: {error}");
    }
    assert!(load(&[]).is_err());
}

#[test]
fn flags_without_effect_are_accepted_and_said_so() {
    let given =
        ["--work_dir=/tmp/x", "--docker_mesos_image=i", "--no-docker_volume_chown", "--hooks=h"];
    let loaded = Loader::new("mesos-slave").load::<Flags>(given).unwrap();
    let warnings = loaded.flags.warnings(&loaded.given);
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings.iter().all(|line| line.ends_with("has no effect in this version")));
    let plain = Loader::new("mesos-slave").load::<Flags>(["--work_dir=/tmp/x"]).unwrap();
    assert_eq!(plain.flags.warnings(&plain.given), Vec::<String>::new());
}

#[test]
fn flags_that_nothing_depends_on_are_said_to_be_so_only_when_they_are_given() {
    let given = ["--docker=/usr/bin/docker", "--no-systemd_enable_support"];
    let loaded = Loader::new("mesos-slave").load::<Flags>(given).unwrap();
    let expected = [
        "flag 'docker' has no effect: the daemon is spoken to by its socket",
        "flag 'systemd_enable_support' has no effect: nothing here needs systemd",
    ];
    assert_eq!(loaded.flags.warnings(&loaded.given), expected);
}

#[test]
fn flags_of_lists_and_modules_that_come_to_nothing_are_told_by_name() {
    let acls = r#"--acls={"run_tasks": [{"principals": {"type": "ANY"}, "users": {"type": "ANY"}}],
        "view_flags": [{"principals": {"type": "ANY"}, "flags": {"type": "ANY"}}]}"#;
    let modules = r#"--modules={"libraries": [{"modules": [{"name": "org_example"}]}]}"#;
    let loaded = Loader::new("mesos-slave").load::<Flags>([acls, modules]).unwrap();
    let expected = [
        "flag 'modules': 'org_example' is unknown, and nothing is loaded",
        "flag 'acls': nothing in a slave asks these lists: run_tasks",
    ];
    assert_eq!(loaded.flags.warnings(&loaded.given), expected);
}

#[test]
fn flags_that_exclude_one_another_are_named_together() {
    let check = |given: &[&str]| {
        let loaded = Loader::new("mesos-slave").load::<Flags>(given.iter().copied());
        loaded.unwrap().flags.check()
    };
    let modules = r#"--modules={"libraries": []}"#;
    for [one, other] in [
        ["--ip=127.0.0.1", "--ip_discovery_command=true"],
        ["--ip6=::1", "--ip6_discovery_command=true"],
        ["--master=127.0.0.1:5050", "--master_detector=org_example"],
        [modules, "--modules_dir=/etc/modules"],
    ] {
        assert_eq!((check(&[one]), check(&[other])), (Ok(()), Ok(())));
        let name = |flag: &str| flag[2..].split('=').next().unwrap_or_default().to_owned();
        let expected =
            format!("only one of the flags '{}' and '{}' may be given", name(one), name(other));
        assert_eq!(check(&[one, other]), Err(expected));
    }
}

#[test]
fn flags_in_force_show_fixed_defaults_and_what_follows_from_the_host() {
    let shown = load(&["--work_dir=/tmp/x", "--runtime_dir=/tmp/r", "--hooks=h"]).unwrap().flags;
    let temporary = |name: &str| std::env::temp_dir().join(name).display().to_string();
    for (name, value) in [
        ("authorizer", "local".to_owned()),
        ("appc_store_dir", temporary("mesos/store/appc")),
        ("docker_store_dir", temporary("mesos/store/docker")),
        ("docker_volume_chown", "false".to_owned()),
        ("ephemeral_ports_per_container", "1024".to_owned()),
        ("hooks", "h".to_owned()),
        ("http_heartbeat_interval", "30secs".to_owned()),
        ("initialize_driver_logging", "true".to_owned()),
        ("logbufsecs", "0".to_owned()),
        ("runtime_dir", "/tmp/r".to_owned()),
        ("systemd_enable_support", "true".to_owned()),
    ] {
        assert_eq!(shown.get(name), Some(&value), "{name}");
    }
    assert!(["linux", "posix"].contains(&shown["launcher"].as_str()), "{}", shown["launcher"]);
    assert!(!shown.contains_key("ip") && !shown.contains_key("ip6"));
}
