//! The files that take a container's output.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a file to append to; a new one belongs to the container's user. A symbolic link is refused:
/// whoever may write to the sandbox could point it at a file of the slave's.
pub(super) fn open(path: &Path, user: Option<(u32, u32)>) -> io::Result<File> {
    let mut options = File::options();
    // Opening never waits for a reader of a pipe; regular files know no such flag.
    options.append(true).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            if let Some((uid, gid)) = user {
                std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
            }
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}
