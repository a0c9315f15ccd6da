//! Copies a file that grows.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// A file and how much of it was copied.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    copied: u64,
}

impl Tail {
    /// Starts at the beginning of a file that may not exist yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, copied: 0 }
    }

    /// Copies what is new. A missing file has nothing new.
    ///
    /// # Errors
    /// When the file cannot be read, or `to` not be written.
    pub fn copy_to(&mut self, to: &mut impl Write) -> std::io::Result<()> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(self.copied))?;
        let mut fresh = Vec::new();
        self.copied += file.read_to_end(&mut fresh)? as u64;
        to.write_all(&fresh)?;
        to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_copies_each_byte_once() {
        let name = format!("tail-{}", libprocess::Uuid::new_v4());
        let path = std::env::temp_dir().join(name);
        let mut tail = Tail::new(path.clone());
        let mut copied = Vec::new();
        tail.copy_to(&mut copied).unwrap();
        for part in ["one\n", "two\n", ""] {
            let mut file = File::options().create(true).append(true).open(&path).unwrap();
            file.write_all(part.as_bytes()).unwrap();
            tail.copy_to(&mut copied).unwrap();
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(copied, b"one\ntwo\n");
    }
}
