//! Tasks with roots of their own, made of images by the slave itself. Needs root and busybox-static.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cluster_tests::cluster::{Cluster, binary, free_port, text, wait_for};
use cluster_tests::images::{Registry, digest, image, save};
use serde_json::{Value, json};

const ISOLATION: &str = "--isolation=filesystem/linux,docker/runtime,namespaces/pid,cgroups/mem";

fn scalar(name: &str, value: f64) -> Value {
    json!({"name": name, "type": "SCALAR", "scalar": {"value": value}})
}

/// A command task whose root is made of an image.
fn task(id: &str, image: &str, command: &Value) -> Value {
    json!({
        "task_id": {"value": id}, "name": id,
        "resources": [scalar("cpus", 0.5), scalar("mem", 64.0)],
        "command": command,
        "container": {"type": "MESOS",
            "mesos": {"image": {"type": "DOCKER", "docker": {"name": image}}}},
    })
}

fn shell(line: &str) -> Value {
    json!({"shell": true, "value": line, "user": "nobody"})
}

struct Setting {
    cluster: Cluster,
    /// Sandboxes of the test's tasks lie below.
    work_dir: PathBuf,
}

impl Setting {
    fn start(store: &Path, more: &[String]) -> Self {
        let mut flags = vec![
            ISOLATION.to_owned(),
            "--launcher=linux".to_owned(),
            "--image_providers=docker".to_owned(),
            format!("--docker_store_dir={}", store.display()),
            format!("--cgroups_root=images-{}-{}", std::process::id(), free_port()),
        ];
        flags.extend_from_slice(more);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let cluster = Cluster::start(&[], 1, &flags);
        let work_dir = cluster.slave_dir(0);
        Self { cluster, work_dir }
    }

    /// Runs a task to its end: what it and `mesos-execute` said.
    fn run(&self, task: &Value) -> (String, String) {
        let output = self.cluster.execute(&[&format!("--task={task}")]);
        let (out, err) = text(&output);
        let sandbox = find(&self.work_dir.join("slaves"), task["name"].as_str().unwrap());
        let said = |name: &str| std::fs::read_to_string(sandbox.join(name)).unwrap_or_default();
        (said("stdout"), format!("{out}{err}{}", said("stderr")))
    }

    fn roots(&self) -> usize {
        let all = std::fs::read_dir(self.work_dir.join("provisioner/containers"));
        all.map_or(0, Iterator::count)
    }
}

/// The sandbox of the executor of that name.
fn find(directory: &Path, executor: &str) -> PathBuf {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.ends_with(Path::new("executors").join(executor)) {
            return path.join("runs/latest");
        }
        // Not through links, and not into sandboxes.
        if entry.file_type().unwrap().is_dir() && !path.ends_with("runs") {
            let found = find(&path, executor);
            if !found.as_os_str().is_empty() {
                return found;
            }
        }
    }
    PathBuf::new()
}

fn open(directory: &Path) {
    std::fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
}

/// True when a user of the host's gets there.
fn reached(path: &Path) -> bool {
    Command::new("ls").arg(path).uid(65534).gid(65534).output().unwrap().status.success()
}

const LOOK: &str = "cat /etc/added; test -e /etc/gone && echo gone is there; pwd; echo $WHO; \
    id -u; echo kept > $MESOS_SANDBOX/file; ls /proc | grep -c '^[0-9]'; ls / | head -2; \
    test -e /root && echo the host is there; touch /written 2>/dev/null && echo written; true";

#[test]
fn image_of_an_archive_is_the_root_of_a_task_by_each_backend() {
    for backend in ["copy", "overlay"] {
        let keep = tempfile::tempdir().unwrap();
        // As the host's directories are, in which stores lie.
        open(keep.path());
        save(&image(keep.path()), "test:latest", keep.path());
        let more = [
            format!("--image_provisioner_backend={backend}"),
            format!("--docker_registry={}", keep.path().display()),
        ];
        let setting = Setting::start(&keep.path().join("store"), &more);
        let (said, told) = setting.run(&task("look", "test", &shell(LOOK)));
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(
            lines[..4],
            ["from the second layer", "/etc", "itself", "65534"],
            "{said}{told}"
        );
        let processes: u32 = lines[4].parse().unwrap();
        assert!(processes < 10, "{said}");
        assert_eq!(lines[5..], ["bin", "dev"], "{said}");
        let sandbox = find(&setting.work_dir.join("slaves"), "look");
        assert_eq!(std::fs::read_to_string(sandbox.join("file")).unwrap(), "kept\n");
        // Root may write there, and nobody else sees it.
        let write = json!({"shell": true, "value": "echo mine > /mine; ls / | grep mine"});
        assert_eq!(setting.run(&task("write", "test", &write)).0, "mine\n");
        let look = json!({"shell": true, "value": "ls / | grep -c mine; true"});
        assert_eq!(setting.run(&task("again", "test", &look)).0, "0\n");
        // What the image says is run when the task says nothing.
        let nothing = json!({"shell": false});
        assert_eq!(setting.run(&task("own", "test", &nothing)).0, "from the image itself\n");
        // Programs of images that make root of whoever runs them are out of the host's users' reach.
        for private in [keep.path().join("store"), setting.work_dir.join("provisioner")] {
            assert_eq!(private.metadata().unwrap().mode() & 0o7777, 0o700, "{private:?}");
        }
        assert!(reached(keep.path()) && !reached(&keep.path().join("store/layers")));
        wait_for("roots to be removed", || (setting.roots() == 0).then_some(()));
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        assert!(!mounts.contains(&setting.work_dir.join("provisioner").display().to_string()));
    }
}

#[test]
fn image_of_a_registry_is_pulled_with_a_token_and_checked() {
    let keep = tempfile::tempdir().unwrap();
    let made = image(keep.path());
    let registry = Registry::start(&made, None);
    let name = format!("{}/test/image:1", registry.address);
    let auths = json!({"auths": {registry.address.to_string(): {"auth": "bWU6c2VjcmV0"}}});
    let more = [format!("--docker_config={auths}")];
    let setting = Setting::start(&keep.path().join("store"), &more);
    let (said, told) = setting.run(&task("pulled", &name, &shell("cat /etc/added")));
    assert_eq!(said, "from the second layer\n", "{told}");
    let asked = registry.asked.lock().unwrap().len();
    // What is there is not pulled again.
    assert_eq!(setting.run(&task("cached", &name, &shell("echo ok"))).0, "ok\n");
    assert_eq!(registry.asked.lock().unwrap().len(), asked);
    // A layer that is not what its digest says is not taken.
    let spoilt = Registry::start(&made, Some(digest(&made.layers[1])));
    let name = format!("{}/test/image:1", spoilt.address);
    let auths = json!({"auths": {spoilt.address.to_string(): {"auth": "bWU6c2VjcmV0"}}});
    let other = Setting::start(&keep.path().join("other"), &[format!("--docker_config={auths}")]);
    let (said, told) = other.run(&task("spoilt", &name, &shell("echo ran")));
    assert!(said.is_empty() && told.contains("was asked for and sha256:"), "{said}{told}");
    // Nor does it work without a password.
    let stranger = Setting::start(&keep.path().join("third"), &[]);
    let (_, told) = stranger.run(&task("stranger", &name, &shell("echo ran")));
    assert!(told.contains("answered 401"), "{told}");
}

#[test]
fn image_pulled_with_a_tasks_own_credentials_is_for_that_task_alone() {
    let keep = tempfile::tempdir().unwrap();
    let registry = Registry::start(&image(keep.path()), None);
    let name = format!("{}/test/image:1", registry.address);
    let setting = Setting::start(&keep.path().join("store"), &[]);
    let auths = json!({"auths": {registry.address.to_string(): {"auth": "bWU6c2VjcmV0"}}});
    let file = keep.path().join("secret");
    std::fs::write(&file, auths.to_string()).unwrap();
    let secret = Command::new("base64").arg("-w0").arg(file).output().unwrap().stdout;
    let secret = String::from_utf8(secret).unwrap();
    let mut own = task("own", &name, &shell("cat /etc/added"));
    own["container"]["mesos"]["image"]["docker"]["config"] =
        json!({"type": "VALUE", "value": {"data": secret}});
    let (said, told) = setting.run(&own);
    assert_eq!(said, "from the second layer\n", "{told}");
    let (said, told) = setting.run(&task("stranger", &name, &shell("cat /etc/added")));
    assert!(said.is_empty() && told.contains("answered 401"), "{said}{told}");
}

#[test]
fn slave_whose_directories_others_could_swap_does_not_start() {
    let keep = tempfile::tempdir().unwrap();
    std::fs::set_permissions(keep.path(), Permissions::from_mode(0o1777)).unwrap();
    std::os::unix::fs::symlink("/etc", keep.path().join("link")).unwrap();
    for flag in ["docker_store_dir", "fetcher_cache_dir"] {
        let bad = format!("--{flag}={}", keep.path().join("link/below").display());
        let work_dir = format!("--work_dir={}", keep.path().join("work").display());
        // One that starts is ended.
        let output = Command::new("timeout")
            .arg("20")
            .arg(binary("mesos-slave"))
            .args(["--master=127.0.0.1:1", "--ip=127.0.0.1", "--image_providers=docker"])
            .args([&format!("--port={}", free_port()), &work_dir, &bad])
            .output()
            .unwrap();
        let (_, told) = text(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(&format!("flag '{flag}'")) && told.contains("is a link"), "{told}");
    }
    assert!(!Path::new("/etc/below").exists());
}

#[test]
fn image_is_a_volume_of_a_container_and_one_that_is_missing_is_told() {
    let keep = tempfile::tempdir().unwrap();
    save(&image(keep.path()), "data:1", keep.path());
    let registry = format!("--docker_registry={}", keep.path().display());
    let setting = Setting::start(&keep.path().join("store"), &[registry]);
    let mut wanted = task("volume", "data:1", &shell("cat data/etc/added; ls data/bin/busybox"));
    wanted["container"] = json!({"type": "MESOS", "volumes": [{
        "container_path": "data", "mode": "RO",
        "image": {"type": "DOCKER", "docker": {"name": "data:1"}}}]});
    let (said, told) = setting.run(&wanted);
    assert_eq!(said, "from the second layer\ndata/bin/busybox\n", "{told}");
    let (_, told) = setting.run(&task("missing", "none:1", &shell("echo ran")));
    assert!(told.contains("cannot pull image 'none:1': there is no none:1.tar"), "{told}");
    wait_for("roots to be removed", || (setting.roots() == 0).then_some(()));
}
