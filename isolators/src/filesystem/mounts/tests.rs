use std::fs;
use std::os::unix::fs::symlink;

use nix::sys::statvfs::{FsFlags, statvfs};
use protos::ids::ContainerId;

use super::*;

/// A directory whose mounts do not outlive the test.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn real(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    fn directory(&self, path: &str) -> PathBuf {
        let directory = self.real().join(path);
        fs::create_dir_all(&directory).unwrap();
        directory
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for point in below(&self.real()).unwrap() {
            let _ = detach(&point);
        }
    }
}

fn count(point: &Path) -> usize {
    table::read().unwrap().iter().filter(|mount| mount.point == point).count()
}

#[test]
fn mounts_read_only_ones_are_so_in_their_depth_and_keep_their_other_flags() {
    let place = Place::new();
    let (source, target) = (place.directory("source"), place.directory("target"));
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    memory(&source, flags, "size=1m").unwrap();
    memory(&source.join("sub"), flags, "size=1m").unwrap();
    bind_read_only(&source, &target, &place.directory("stage")).unwrap();
    for path in [target.clone(), target.join("sub")] {
        let denied = fs::write(path.join("file"), "x").unwrap_err();
        assert_eq!(denied.kind(), io::ErrorKind::ReadOnlyFilesystem, "{}", path.display());
        let shown = statvfs(&path).unwrap().flags();
        assert!(shown.contains(FsFlags::ST_NOSUID | FsFlags::ST_NODEV), "{shown:?}");
    }
    // The source is not concerned.
    fs::write(source.join("sub/file"), "x").unwrap();
    assert!(below(&place.real().join("stage")).unwrap().is_empty());
}

#[test]
fn mounts_an_old_kernel_is_told_to_be_too_old() {
    let error = told(io::Error::from_raw_os_error(libc::ENOSYS));
    assert!(error.to_string().contains("5.12"), "{error}");
    assert_eq!(told(io::Error::from_raw_os_error(libc::EPERM)).raw_os_error(), Some(libc::EPERM));
}

#[test]
fn mounts_memory_is_there_once_whatever_link_leads_to_it() {
    let place = Place::new();
    let (run, link) = (place.directory("run"), place.real().join("link"));
    symlink(&run, &link).unwrap();
    let real = memory(&link.join("store"), MsFlags::empty(), "mode=0700").unwrap();
    assert_eq!(real, run.join("store"));
    fs::write(real.join("kept"), "x").unwrap();
    for path in [link.join("store"), real.clone()] {
        assert_eq!(memory(&path, MsFlags::empty(), "mode=0700").unwrap(), real);
        assert_eq!(count(&real), 1);
        assert!(path.join("kept").exists());
    }
}

#[test]
fn mounts_are_taken_away_where_they_were_moved_with_what_is_on_them() {
    let place = Place::new();
    let (root, victim) = (place.directory("sandbox"), place.directory("victim/proc"));
    memory(&victim, MsFlags::empty(), "size=1m").unwrap();
    let sandbox = Beneath::sandbox(&ContainerId::new("c"), &root).unwrap();
    let target = place.directory("sandbox/a/proc");
    bind(&place.directory("source"), &target).unwrap();
    // Twice, and with something below, so that the first one cannot be reached.
    bind(&place.directory("source"), &target).unwrap();
    memory(&target.join("sub"), MsFlags::empty(), "size=1m").unwrap();
    let present = within(&sandbox).unwrap();
    assert_eq!(present.len(), 3);
    let [first] = uppermost(&present)[..] else { panic!("{present:?}") };
    fs::rename(root.join("a"), root.join("b c")).unwrap();
    symlink(place.real().join("victim"), root.join("a")).unwrap();
    take_away(&sandbox, first.id).unwrap();
    assert_eq!(within(&sandbox).unwrap(), []);
    assert_eq!(count(&victim), 1);
    take_away(&sandbox, first.id).unwrap();
}

#[test]
fn mounts_that_a_link_leads_to_are_not_taken_away() {
    let place = Place::new();
    let (root, victim) = (place.directory("sandbox"), place.directory("victim/proc"));
    memory(&victim, MsFlags::empty(), "size=1m").unwrap();
    symlink(place.real().join("victim"), root.join("a")).unwrap();
    let sandbox = Beneath::sandbox(&ContainerId::new("c"), &root).unwrap();
    // As if it had been at `a/proc` when the table was read.
    let told = Mount { point: root.join("a/proc"), ..table::read().unwrap().remove(0) };
    assert!(unmount(&sandbox, &told).is_err());
    fs::remove_file(root.join("a")).unwrap();
    fs::create_dir_all(root.join("a/proc")).unwrap();
    assert!(unmount(&sandbox, &told).unwrap_err().to_string().contains("another mount"));
    assert_eq!(count(&victim), 1);
}
