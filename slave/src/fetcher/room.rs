//! Where the cache lies: a directory of the slave's, and in it one for each user that fetches.
//!
//! Users pass through the slave's directory and cannot write to it. What lies in a user's is his own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::ours::{self, NotOursError};

/// The variable by which the helper is told to make room for a user, instead of fetching.
pub(super) const VARIABLE: &str = "MESOS_FETCHER_CACHE";
/// Of the slave's directory: users must get through to their own.
const SLAVES_MODE: u32 = 0o711;
const USERS_MODE: u32 = 0o700;

/// The directory of one user.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Room {
    /// The slave's directory.
    pub(super) root: PathBuf,
    /// Numeric user and group; the slave's own when absent.
    pub(super) user: Option<(u32, u32)>,
}

impl Room {
    /// Where the files are.
    pub(super) fn directory(&self) -> PathBuf {
        let name = self.user.map_or_else(|| "slave".to_owned(), |(uid, _)| uid.to_string());
        self.root.join(name)
    }

    pub(super) fn to_json(&self) -> Value {
        let user = self.user.map(|(uid, gid)| [uid, gid]);
        json!({"root": self.root, "user": user})
    }

    fn from_json(value: &Value) -> Option<Self> {
        let root = PathBuf::from(value.get("root")?.as_str()?);
        let number = |value: &Value| value.as_u64().and_then(|it| u32::try_from(it).ok());
        let user = match value.get("user")?.as_array().map(Vec::as_slice) {
            None => None,
            Some([uid, gid]) => Some((number(uid)?, number(gid)?)),
            Some(_) => return None,
        };
        Some(Self { root, user })
    }

    fn make(&self) -> Result<(), NotOursError> {
        ours::make(&self.root, SLAVES_MODE)?;
        ours::make_last(&self.directory(), USERS_MODE, self.user)
    }
}

/// What the helper does when it is told to make room, with the slave's own rights.
pub(super) fn carry_out(order: &str) -> Result<(), String> {
    let room = serde_json::from_str(order).ok().and_then(|value| Room::from_json(&value));
    let room = room.ok_or_else(|| format!("{VARIABLE} cannot be understood"))?;
    room.make().map_err(|error| error.to_string())
}

/// Makes the slave's directory, and empties it: nobody knows whether what an earlier slave left there
/// is whole.
///
/// # Errors
/// When others could lead it astray.
pub fn prepare(root: &Path) -> Result<(), NotOursError> {
    let real = ours::make(root, SLAVES_MODE)?;
    empty(&real).map_err(|error| NotOursError {
        directory: root.to_owned(),
        reason: format!("it cannot be emptied: {error}"),
    })
}

fn empty(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn room_is_read_as_it_was_written() {
        for user in [None, Some((1, 2))] {
            let room = Room { root: "/c".into(), user };
            assert_eq!(Room::from_json(&room.to_json()), Some(room));
        }
        assert!(carry_out("{}").is_err() && carry_out("").is_err());
    }

    #[test]
    fn room_of_a_user_is_his_within_the_slaves() {
        let all = tempfile::tempdir().unwrap();
        let room = Room { root: all.path().join("a/b"), user: Some((65534, 65534)) };
        carry_out(&room.to_json().to_string()).unwrap();
        let info = |path: &Path| path.symlink_metadata().map(|it| (it.uid(), it.mode() & 0o7777));
        assert_eq!(info(&room.directory()).unwrap(), (65534, 0o700));
        assert_eq!(info(&room.root).unwrap().1, 0o711);
        // The next slave starts with an empty one.
        fs::write(room.directory().join("file"), "x").unwrap();
        symlink("/etc", room.root.join("link")).unwrap();
        prepare(&room.root).unwrap();
        assert_eq!(fs::read_dir(&room.root).unwrap().count(), 0);
        assert!(Path::new("/etc/passwd").exists());
    }
}
