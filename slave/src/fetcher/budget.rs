//! How much may be written: half of what is free, for all that one fetch or one pull brings together.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::path::Path;
use std::rc::Rc;

/// Most bytes that are taken, however much room there is.
const MAX_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// What may still be written. Clones are the same budget.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Rc<Left>);

#[derive(Debug)]
struct Left {
    bytes: Cell<u64>,
    /// Each file takes an inode, however small it is.
    files: Cell<u64>,
}

/// More was to be written than there is room for.
pub(crate) fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "it is too large")
}

impl Budget {
    pub(crate) fn new(bytes: u64, files: u64) -> Self {
        Self(Rc::new(Left { bytes: Cell::new(bytes), files: Cell::new(files) }))
    }

    /// Half of what is free where the files go: an endless source must not fill the disk.
    pub(crate) fn of(directory: &Path) -> Self {
        let Ok(stat) = nix::sys::statvfs::statvfs(directory) else {
            return Self::new(MAX_BYTES, u64::MAX);
        };
        let free = stat.blocks_available() * stat.fragment_size();
        // Some file systems have inodes without number, and say that there are none.
        let files = if stat.files() == 0 { u64::MAX } else { stat.files_available() / 2 };
        Self::new(MAX_BYTES.min(free / 2), files)
    }

    /// Bytes that may still be written.
    pub(crate) fn left(&self) -> u64 {
        self.0.bytes.get()
    }

    /// So many bytes are going to be written.
    pub(crate) fn take(&self, bytes: u64) -> io::Result<()> {
        let left = self.left().checked_sub(bytes);
        // Who wanted too much once gets nothing more.
        self.0.bytes.set(left.unwrap_or(0));
        left.map(drop).ok_or_else(too_large)
    }

    /// A file of so many bytes is going to be written.
    pub(crate) fn take_file(&self, bytes: u64) -> io::Result<()> {
        let files = self.0.files.get().checked_sub(1).ok_or_else(too_large)?;
        self.0.files.set(files);
        self.take(bytes)
    }

    /// What was written before is gone again.
    pub(crate) fn give_back(&self, bytes: u64) {
        self.0.bytes.set(self.left().saturating_add(bytes));
    }

    /// Copies all that there is, within the budget; how many bytes it were.
    pub(crate) fn copy(&self, from: impl Read, to: &mut impl Write) -> io::Result<u64> {
        // One more, to tell what is too large from what fits exactly: it is never kept.
        let copied = io::copy(&mut from.take(self.left().saturating_add(1)), to)?;
        self.take(copied).map(|()| copied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_shrinks_with_all_that_is_written_by_any_of_its_clones() {
        let budget = Budget::new(10, 2);
        let mut out = Vec::new();
        assert_eq!(budget.copy(&b"1234"[..], &mut out).unwrap(), 4);
        budget.clone().take_file(3).unwrap();
        assert_eq!(budget.left(), 3);
        let error = budget.copy(io::repeat(0), &mut out).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!((budget.left(), out.len()), (0, 8));
        budget.give_back(5);
        budget.take_file(0).unwrap();
        assert!(budget.take_file(0).is_err(), "there are no more files");
        budget.take(5).unwrap();
    }
}
