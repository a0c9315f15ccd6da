use std::fs;

use super::*;

/// A directory whose mounts do not outlive the test.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn directory(&self, path: &str) -> PathBuf {
        let directory = self.0.path().canonicalize().unwrap().join(path);
        fs::create_dir_all(&directory).unwrap();
        directory
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        for point in mounts::below(&self.directory("")).unwrap() {
            let _ = mounts::detach(&point);
        }
    }
}

fn isolator() -> FilesystemLinux {
    FilesystemLinux {
        work_dir: "/work".into(),
        sandbox_directory: "/mnt/mesos/sandbox".into(),
        stage: "/stage".into(),
        containers: BTreeMap::new(),
    }
}

#[test]
fn filesystem_linux_without_image_keeps_mounts_to_itself() {
    let setup = ContainerSetup { directory: "/sandbox".into(), ..ContainerSetup::default() };
    let info = isolator().launch(&setup).unwrap();
    assert_eq!(info.clone_namespaces, [launch::CLONE_NEWNS]);
    assert_eq!(info.mounts.len(), 1);
    assert_eq!(info.mounts[0].flags(), launch::MS_SLAVE | launch::MS_REC);
    assert_eq!(info.working_directory(), "/sandbox");
    assert_eq!(info.rootfs, None);
}

#[test]
fn filesystem_linux_with_image_shows_the_sandbox_in_it() {
    let setup = ContainerSetup {
        directory: "/sandbox".into(),
        rootfs: Some("/image".into()),
        ..ContainerSetup::default()
    };
    let info = isolator().launch(&setup).unwrap();
    assert_eq!(info.rootfs(), "/image");
    assert_eq!(info.working_directory(), "/mnt/mesos/sandbox");
    let sandbox = info.mounts.iter().find(|mount| mount.source() == "/sandbox").unwrap();
    assert_eq!(sandbox.target, "/image/mnt/mesos/sandbox");
    assert!(info.mounts.iter().any(|mount| mount.target == "/image/proc"));
}

#[test]
fn filesystem_linux_orphans_are_mounts_of_no_known_sandbox() {
    let points = ["/w/slaves/s/a/data", "/w/slaves/s/b/data"].map(|point| Mount {
        id: 1,
        parent: 0,
        point: point.into(),
        kind: "ext4".to_owned(),
        is_shared: false,
    });
    let known = PathBuf::from("/w/slaves/s/a");
    let all = || points.iter().collect();
    assert_eq!(orphans(all(), std::slice::from_ref(&known)), [&points[1]]);
    assert!(orphans(all(), &[known, PathBuf::new()]).is_empty());
}

#[test]
fn filesystem_linux_mounts_nowhere_else_when_a_directory_is_replaced_meanwhile() {
    let place = Mounted(tempfile::tempdir().unwrap());
    let (root, outside) = (place.directory("sandbox"), place.directory("outside/proc"));
    let sandbox = Beneath::sandbox(&ContainerId::new("c"), &root).unwrap();
    let isolator = FilesystemLinux { stage: place.directory("stage"), ..isolator() };
    for (is_writable, moved) in [(true, "b"), (false, "c")] {
        let path = Path::new("a/proc");
        let target = sandbox.make(path).unwrap();
        fs::rename(root.join("a"), root.join(moved)).unwrap();
        std::os::unix::fs::symlink(place.directory("outside"), root.join("a")).unwrap();
        let source = place.directory("volume");
        let refused = isolator.mount(&sandbox, path, &target, &source, is_writable).unwrap_err();
        assert!(refused.contains("leads out of the sandbox"), "{refused}");
        // Of another mount the number would be taken for that of the volume.
        fs::remove_file(root.join("a")).unwrap();
        fs::create_dir_all(root.join("a/proc")).unwrap();
        let refused = isolator.mount(&sandbox, path, &target, &source, is_writable).unwrap_err();
        assert!(refused.contains("was moved"), "{refused}");
        assert!(mounts::below(&outside).unwrap().is_empty());
        clear(&sandbox).unwrap();
        assert!(mounts::below(&root).unwrap().is_empty());
    }
}

#[test]
fn filesystem_linux_container_is_known_until_it_is_unmounted() {
    let place = tempfile::tempdir().unwrap();
    let id = ContainerId::new("c");
    fs::create_dir(place.path().join("sandbox")).unwrap();
    let (root, mut blind) = (place.path().to_owned(), isolator());
    let known = |directory: PathBuf| {
        let setup = Arc::new(ContainerSetup { directory, ..ContainerSetup::default() });
        Container { setup, mounted: BTreeMap::new() }
    };
    blind.containers.insert(id.clone(), known("/sandbox".into()));
    // A thread that sees no table of mounts cannot unmount.
    let name = id.clone();
    let blinded = std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS).unwrap();
        nix::unistd::chroot(&root).unwrap();
        let failed = blind.unmount(&name).is_err();
        (blind, failed)
    });
    let (mut isolator, failed) = blinded.join().unwrap();
    assert!(failed && isolator.containers.contains_key(&id));
    isolator.containers.insert(id.clone(), known(place.path().join("sandbox")));
    isolator.unmount(&id).unwrap();
    assert!(isolator.containers.is_empty());
}
