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
    let warnings = loaded.flags.warnings(&loaded.effective);
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings.iter().all(|line| line.ends_with("has no effect in this version")));
    let plain = Loader::new("mesos-slave").load::<Flags>(["--work_dir=/tmp/x"]).unwrap();
    assert_eq!(plain.flags.warnings(&plain.effective), Vec::<String>::new());
}
