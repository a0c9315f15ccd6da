//! Ways that others can change, and ways that they cannot. Needs root, to be others.

use super::*;
use std::os::unix::fs::symlink;

/// A user who is neither root nor us.
const STRANGER: u32 = 65534;

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A directory that everybody may write to, as for temporary files.
fn public() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    chmod(root.path(), 0o1777);
    root
}

#[test]
fn directory_missing_is_made_with_its_way_whatever_the_mask_says() {
    let root = public();
    let wanted = root.path().join("a/b/c");
    assert_eq!(make(&wanted, 0o700).unwrap(), wanted.canonicalize().unwrap());
    assert_eq!([mode(&wanted), mode(&root.path().join("a"))], [0o700, 0o711]);
    // One of ours that was too open is closed.
    chmod(&wanted, 0o755);
    make(&wanted, 0o700).unwrap();
    assert_eq!(mode(&wanted), 0o700);
}

#[test]
fn directory_of_a_stranger_is_refused_and_left_as_it_is() {
    let root = public();
    let own = root.path().join("own");
    fs::create_dir(&own).unwrap();
    lchown(&own, Some(STRANGER), Some(STRANGER)).unwrap();
    for wanted in [own.clone(), own.join("below")] {
        let error = make(&wanted, 0o700).unwrap_err().to_string();
        assert!(error.contains(&format!("own belongs to user {STRANGER}")), "{error}");
    }
    assert_eq!((fs::read_dir(&own).unwrap().count(), mode(&own)), (0, 0o755));
}

#[test]
fn directory_behind_a_link_that_others_could_make_is_refused() {
    let root = public();
    let target = root.path().join("target");
    fs::create_dir(&target).unwrap();
    let link = root.path().join("link");
    symlink(&target, &link).unwrap();
    for wanted in [link.clone(), link.join("below")] {
        let error = make(&wanted, 0o700).unwrap_err().to_string();
        assert!(error.contains("link is a link"), "{error}");
    }
    assert_eq!((fs::read_dir(&target).unwrap().count(), mode(&target)), (0, 0o755));
    // A link that only we can make is one of the host's ways.
    let private = root.path().join("private");
    fs::create_dir(&private).unwrap();
    symlink("../target/../target", private.join("link")).unwrap();
    let made = make(&private.join("link/below"), 0o700).unwrap();
    assert_eq!(made, target.join("below").canonicalize().unwrap());
}

#[test]
fn directory_that_others_could_swap_is_refused() {
    let root = public();
    chmod(root.path(), 0o777);
    let error = make(&root.path().join("a"), 0o700).unwrap_err().to_string();
    assert!(error.contains("others may write to"), "{error}");
    assert!(!root.path().join("a").exists());
}

#[test]
fn directory_for_an_owner_is_his_and_no_link_is_followed() {
    let root = tempfile::tempdir().unwrap();
    let (target, wanted) = (root.path().join("target"), root.path().join("1000"));
    fs::create_dir(&target).unwrap();
    symlink(&target, &wanted).unwrap();
    let owner = Some((STRANGER, STRANGER));
    let error = make_last(&wanted, 0o700, owner).unwrap_err().to_string();
    assert!(error.contains("is a link"), "{error}");
    assert_eq!(target.metadata().unwrap().uid(), geteuid().as_raw());
    fs::remove_file(&wanted).unwrap();
    for _ in 0..2 {
        make_last(&wanted, 0o700, owner).unwrap();
        let info = wanted.symlink_metadata().unwrap();
        assert_eq!((info.uid(), info.gid(), mode(&wanted)), (STRANGER, STRANGER, 0o700));
    }
    let error = make_last(&wanted, 0o700, None).unwrap_err().to_string();
    assert!(error.contains("belongs to user"), "{error}");
}
