//! What is packed by xz, unpacked bit by bit: it is handed on as it comes, and how much memory that
//! takes is bounded whatever the archive says.

use std::io::{self, Read};

/// Largest dictionary, as of `xz -9`: so much memory is needed. Larger ones must be asked for by hand.
const MAX_DICTIONARY: u32 = 64 << 20;
/// What the decoder needs beside.
const MARGIN: u32 = 1 << 20;

/// Reads what was packed.
pub(super) struct Plain<R: Read>(lzma_rust2::XzReader<R>);

impl<R: Read> Plain<R> {
    pub(super) fn new(packed: R) -> Self {
        let most_kib = (MAX_DICTIONARY + MARGIN) / 1024;
        Self(lzma_rust2::XzReader::new_mem_limit(packed, true, most_kib))
    }
}

impl<R: Read> Read for Plain<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::OutOfMemory => {
                let told =
                    format!("it needs a dictionary of more than {} MiB", MAX_DICTIONARY >> 20);
                io::Error::new(io::ErrorKind::OutOfMemory, told)
            }
            _ => error,
        })
    }
}
