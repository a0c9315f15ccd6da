//! `filesystem/linux`, `filesystem/posix` and `disk/du` on real directories and mounts. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use common::{Host, Shell, eventually, until};
use isolators::filesystem::mounts;
use isolators::{ContainerSetup, Options};
use libprocess::real::run;
use protos::mesos::task_status::Reason;
use protos::resources::Resources;

fn volume(id: &str, path: &str, mode: &str) -> String {
    format!(
        r#"{{"name":"disk","type":"SCALAR","scalar":{{"value":1}},
            "reservations":[{{"type":"STATIC","role":"r"}}],
            "disk":{{"persistence":{{"id":"{id}"}},
                     "volume":{{"container_path":"{path}","mode":"{mode}"}}}}}}"#
    )
}

fn parse(entries: &[String]) -> Resources {
    let plain = r#"{"name":"disk","type":"SCALAR","scalar":{"value":1}}"#.to_owned();
    let all: Vec<String> = std::iter::once(plain).chain(entries.iter().cloned()).collect();
    Resources::parse(&format!("[{}]", all.join(",")), "*").unwrap()
}

fn setup(work_dir: &Path, resources: Resources) -> ContainerSetup {
    let directory = work_dir.join("sandbox");
    std::fs::create_dir_all(&directory).unwrap();
    ContainerSetup { directory, ..ContainerSetup::from(resources) }
}

/// Mounts of a test do not outlive it.
struct Mounted(tempfile::TempDir);

impl Drop for Mounted {
    fn drop(&mut self) {
        for point in mounts::below(&self.0.path().canonicalize().unwrap()).unwrap() {
            let _ = mounts::detach(&point);
        }
    }
}

#[test]
fn linux_volumes_come_and_go_in_the_sandbox_of_a_running_container() {
    run(async {
        let work_dir = Mounted(tempfile::tempdir().unwrap());
        let root = work_dir.0.path().canonicalize().unwrap();
        let options = Options {
            work_dir: root.clone(),
            runtime_dir: root.join("run"),
            linux_launcher: true,
            ..Options::new("filesystem/linux")
        };
        let host = Host::start(options).await;
        let setup = setup(&root, parse(&[volume("one", "data", "RW")]));
        let (id, info) = host.prepare(&setup).await;
        assert_eq!(info.working_directory(), setup.directory.to_str().unwrap());
        let store = root.join("volumes/roles/r");
        std::fs::write(store.join("one/file"), "kept").unwrap();
        assert_eq!(std::fs::read(setup.directory.join("data/file")).unwrap(), b"kept");
        // One that has mounts of its own, as the launcher gives it, sees later ones too.
        let sandbox = setup.directory.display();
        let task = Shell::unshared(
            &["--mount", "--propagation", "slave"],
            &format!("test -f {sandbox}/late/file && ! touch {sandbox}/late/other"),
        );
        host.isolate(&id, &task).await;
        std::fs::create_dir_all(store.join("two")).unwrap();
        std::fs::write(store.join("two/file"), "x").unwrap();
        let both = parse(&[volume("one", "data", "RW"), volume("two", "late", "RO")]);
        host.update(&id, both.into()).await;
        task.go();
        assert!(task.succeeds().await);
        host.update(&id, parse(&[volume("two", "late", "RO")]).into()).await;
        assert!(!setup.directory.join("data/file").exists());
        assert!(setup.directory.join("late/file").exists());
        host.clean(&id).await;
        assert!(!setup.directory.join("late/file").exists());
        assert!(store.join("one/file").exists() && store.join("two/file").exists());
    });
}

#[test]
fn linux_volume_does_not_follow_a_link_out_of_the_sandbox() {
    run(async {
        let work_dir = Mounted(tempfile::tempdir().unwrap());
        let root = work_dir.0.path().canonicalize().unwrap();
        let options = Options {
            work_dir: root.clone(),
            runtime_dir: root.join("run"),
            linux_launcher: true,
            ..Options::new("filesystem/linux")
        };
        let host = Host::start(options).await;
        let setup = setup(&root, parse(&[]));
        let outside = root.join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, setup.directory.join("trap")).unwrap();
        let setup = ContainerSetup {
            directory: setup.directory,
            ..ContainerSetup::from(parse(&[volume("one", "trap", "RW")]))
        };
        let reason = host.refuses(&setup).await;
        assert!(reason.contains("leads out of the sandbox"), "{reason}");
    });
}

/// Renames the directory in which a volume is, and has a link lead elsewhere in its place: to a
/// directory that has an entry of the volume's name.
fn lead_astray(sandbox: &Path, outside: &Path) {
    std::fs::rename(sandbox.join("a"), sandbox.join("b")).unwrap();
    std::os::unix::fs::symlink(outside, sandbox.join("a")).unwrap();
}

#[test]
fn linux_volume_whose_directory_became_a_link_is_unmounted_and_nothing_else() {
    run(async {
        let work_dir = Mounted(tempfile::tempdir().unwrap());
        let root = work_dir.0.path().canonicalize().unwrap();
        let options = Options {
            work_dir: root.clone(),
            runtime_dir: root.join("run"),
            linux_launcher: true,
            ..Options::new("filesystem/linux")
        };
        let host = Host::start(options).await;
        let setup = setup(&root, parse(&[volume("one", "a/proc", "RW")]));
        let (id, _) = host.prepare(&setup).await;
        std::fs::write(root.join("volumes/roles/r/one/file"), "x").unwrap();
        let victim = root.join("outside/proc");
        mounts::memory(&victim, nix::mount::MsFlags::empty(), "size=1m").unwrap();
        lead_astray(&setup.directory, &root.join("outside"));
        assert!(setup.directory.join("b/proc/file").exists());
        host.update(&id, parse(&[]).into()).await;
        assert_eq!(mounts::below(&victim).unwrap(), std::slice::from_ref(&victim));
        // The container does not keep what it is to have no longer.
        assert!(!setup.directory.join("b/proc/file").exists());
        for path in ["a/proc", "a/new/data"] {
            let refused = parse(&[volume("two", path, "RW")]);
            let reason = host.update_fails(&id, refused.into()).await;
            assert!(reason.contains("leads out of the sandbox"), "{reason}");
        }
        assert_eq!(mounts::below(&root.join("outside")).unwrap(), [victim]);
        assert!(!root.join("outside/new").exists());
        host.clean(&id).await;
    });
}

#[test]
fn linux_volume_is_known_again_by_a_later_slave_and_unmounted_where_it_is() {
    run(async {
        let work_dir = Mounted(tempfile::tempdir().unwrap());
        let root = work_dir.0.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        std::os::unix::fs::symlink("real", root.join("work")).unwrap();
        let options = Options {
            work_dir: root.join("work"),
            runtime_dir: root.join("run"),
            linux_launcher: true,
            ..Options::new("filesystem/linux")
        };
        let host = Host::start(options).await;
        let volumes = parse(&[volume("one", "a/my data", "RW"), volume("two", "two", "RO")]);
        let setup = setup(&root.join("work"), volumes);
        let (id, _) = host.prepare(&setup).await;
        let sandbox = root.join("real/sandbox");
        let points = || BTreeSet::from_iter(mounts::below(&sandbox).unwrap());
        let both = BTreeSet::from([sandbox.join("two"), sandbox.join("a/my data")]);
        assert_eq!(points(), both);
        let later = host.restarted().await;
        later.recover(&id, std::process::id(), &setup).await;
        later.update(&id, setup.allocation.clone()).await;
        assert_eq!(points(), both);
        std::fs::rename(sandbox.join("a"), sandbox.join("b")).unwrap();
        later.update(&id, parse(&[volume("two", "two", "RO")]).into()).await;
        assert_eq!(points(), BTreeSet::from([sandbox.join("two")]));
        later.clean(&id).await;
        assert_eq!(points(), BTreeSet::new());
    });
}

#[test]
fn posix_volume_whose_directory_became_a_link_is_neither_removed_nor_made_elsewhere() {
    run(async {
        let work_dir = tempfile::tempdir().unwrap();
        let options =
            Options { work_dir: work_dir.path().to_owned(), ..Options::new("filesystem/posix") };
        let host = Host::start(options).await;
        let setup = setup(work_dir.path(), parse(&[volume("one", "a/etc", "RW")]));
        let (id, _) = host.prepare(&setup).await;
        let outside = work_dir.path().join("outside");
        std::fs::create_dir_all(outside.join("etc")).unwrap();
        std::fs::write(outside.join("etc/passwd"), "x").unwrap();
        lead_astray(&setup.directory, &outside);
        host.update(&id, parse(&[]).into()).await;
        assert!(outside.join("etc/passwd").exists());
        for path in ["a/data", "a/new/data"] {
            let refused = parse(&[volume("two", path, "RW")]);
            let reason = host.update_fails(&id, refused.into()).await;
            assert!(reason.contains("leads out of the sandbox"), "{reason}");
        }
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
        host.clean(&id).await;
    });
}

#[test]
fn posix_volumes_are_links_that_follow_the_allocation() {
    run(async {
        let work_dir = tempfile::tempdir().unwrap();
        let options =
            Options { work_dir: work_dir.path().to_owned(), ..Options::new("filesystem/posix") };
        let host = Host::start(options).await;
        let setup = setup(work_dir.path(), parse(&[volume("one", "a/data", "RW")]));
        let (id, _) = host.prepare(&setup).await;
        let link = setup.directory.join("a/data");
        assert_eq!(link.read_link().unwrap(), work_dir.path().join("volumes/roles/r/one"));
        host.update(&id, parse(&[]).into()).await;
        assert!(link.symlink_metadata().is_err());
        host.clean(&id).await;
        assert!(work_dir.path().join("volumes/roles/r/one").is_dir());
    });
}

#[test]
fn du_container_beyond_its_disk_is_limited_within_the_interval() {
    run(async {
        let work_dir = tempfile::tempdir().unwrap();
        let options = Options {
            work_dir: work_dir.path().to_owned(),
            enforce_container_disk_quota: true,
            container_disk_watch_interval: Duration::from_millis(100),
            ..Options::new("disk/du")
        };
        let host = Host::start(options).await;
        let setup = setup(work_dir.path(), parse(&[]));
        let (id, _) = host.prepare(&setup).await;
        let limited = host.watch(&id);
        assert_eq!(host.used(&id).await.disk_limit_bytes(), 1 << 20);
        std::fs::write(setup.directory.join("file"), vec![1; 2 << 20]).unwrap();
        let limitation = until("the limit is hit", limited).await.expect("a limitation");
        assert_eq!(limitation.reason(), Reason::ContainerLimitationDisk);
        assert!(limitation.message().contains("exceeds quota (1MB)"), "{}", limitation.message());
        assert!(host.used(&id).await.disk_used_bytes() >= 2 << 20);
        host.clean(&id).await;
    });
}

#[test]
fn du_volume_with_the_name_of_a_pattern_hides_nothing_of_the_sandbox() {
    run(async {
        let work_dir = tempfile::tempdir().unwrap();
        let options = Options {
            work_dir: work_dir.path().to_owned(),
            enforce_container_disk_quota: true,
            container_disk_watch_interval: Duration::from_millis(100),
            ..Options::new("filesystem/posix,disk/du")
        };
        let host = Host::start(options).await;
        let setup = setup(work_dir.path(), parse(&[volume("one", "*", "RW")]));
        std::fs::write(setup.directory.join("file"), vec![1; 2 << 20]).unwrap();
        let (id, _) = host.prepare(&setup).await;
        let limitation = until("the limit is hit", host.watch(&id)).await.expect("a limitation");
        assert!(limitation.message().contains("exceeds quota (1MB)"), "{}", limitation.message());
        host.clean(&id).await;
    });
}

#[test]
fn du_mounted_volume_does_not_count_in_the_sandbox() {
    run(async {
        let work_dir = Mounted(tempfile::tempdir().unwrap());
        let root = work_dir.0.path().canonicalize().unwrap();
        let options = Options {
            work_dir: root.clone(),
            runtime_dir: root.join("run"),
            linux_launcher: true,
            container_disk_watch_interval: Duration::from_millis(100),
            ..Options::new("filesystem/linux,disk/du")
        };
        let host = Host::start(options).await;
        let store = root.join("volumes/roles/r/one");
        std::fs::create_dir_all(&store).unwrap();
        std::fs::write(store.join("file"), vec![1; 2 << 20]).unwrap();
        let setup = setup(&root, parse(&[volume("one", "da[t]a", "RW")]));
        let (id, _) = host.prepare(&setup).await;
        eventually("it is measured", async || host.used(&id).await.disk_used_bytes.is_some()).await;
        let used = host.used(&id).await;
        assert!(used.disk_used_bytes() < 1 << 20, "{}", used.disk_used_bytes());
        let volume = used.disk_statistics.iter().find(|it| it.persistence.is_some()).unwrap();
        assert!(volume.used_bytes() >= 2 << 20);
        host.clean(&id).await;
    });
}

#[test]
fn ports_container_that_listens_elsewhere_is_limited() {
    run(async {
        let options = Options {
            linux_launcher: true,
            enforce_container_ports: true,
            container_ports_watch_interval: Duration::from_millis(100),
            ..Options::new("network/ports")
        };
        let host = Host::start(options).await;
        let resources: Resources = "ports:[1-1]".parse().unwrap();
        let (id, _) = host.prepare(&ContainerSetup::from(resources)).await;
        let limited = host.watch(&id);
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        host.isolate_pid(&id, std::process::id()).await;
        let limitation = until("the port is found", limited).await.expect("a limitation");
        assert_eq!(limitation.reason(), Reason::ContainerLimitation);
        assert!(limitation.message().contains(&port.to_string()), "{}", limitation.message());
        host.clean(&id).await;
    });
}
