//! A file that is put aside when it has grown.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Rotation;

/// A file `name`, and those put aside: `name.1` is the newest.
pub struct RotatingFile {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    size: u64,
}

/// Opens a file to append to. A symbolic link is refused: whoever may write to the directory could
/// point it elsewhere.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut options = File::options();
    options.append(true).create(true).custom_flags(nix::libc::O_NOFOLLOW);
    let file = options.open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

impl RotatingFile {
    /// Goes on with a file, or begins one.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: PathBuf, rotation: Rotation) -> io::Result<Self> {
        let (file, size) = open(&path)?;
        Ok(Self { path, rotation, file, size })
    }

    fn aside(&self, number: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    /// Puts the file aside and begins another; the oldest goes.
    fn rotate(&mut self) -> io::Result<()> {
        let keep = self.rotation.keep;
        if keep == 0 {
            fs::remove_file(&self.path)?;
        }
        for number in (1..=keep).rev() {
            let from = if number == 1 { self.path.clone() } else { self.aside(number - 1) };
            match fs::rename(from, self.aside(number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        (self.file, self.size) = open(&self.path)?;
        Ok(())
    }
}

impl Write for RotatingFile {
    /// Writes up to the bound; the rest comes into the next file.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.size >= self.rotation.max_bytes {
            self.rotate()?;
        }
        let room = self.rotation.max_bytes.saturating_sub(self.size).max(1);
        let length = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
        let written = self.file.write(&bytes[..length])?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_put_aside_when_it_has_grown_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stdout");
        let rotation = Rotation { max_bytes: 4, keep: 2 };
        let mut file = RotatingFile::open(path.clone(), rotation).unwrap();
        file.write_all(b"aaaabbbbccccdd").unwrap();
        drop(file);
        let mut file = RotatingFile::open(path.clone(), rotation).unwrap();
        file.write_all(b"DDe").unwrap();
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(
            (read("stdout"), read("stdout.1"), read("stdout.2")),
            ("e".to_owned(), "ddDD".to_owned(), "cccc".to_owned())
        );
        assert!(!directory.path().join("stdout.3").exists());
    }

    #[test]
    fn file_without_anything_kept_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stdout");
        let rotation = Rotation { max_bytes: 4, keep: 0 };
        RotatingFile::open(path.clone(), rotation).unwrap().write_all(b"aaaabb").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "bb");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
