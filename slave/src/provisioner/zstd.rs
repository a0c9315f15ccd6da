//! What is packed by zstd, unpacked bit by bit. An archive may be of several frames, and of frames
//! that say something about it and are skipped: some programs pack layers so.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// How a frame begins.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// How one begins that is skipped, whatever the lower half of the first byte.
const SKIPPED_MAGIC: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
/// Largest window, which is held in memory: what the program `zstd` unpacks without being asked to.
const MAX_WINDOW: u64 = 128 << 20;

fn bad(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// True when an archive that starts so is packed by zstd.
pub(super) fn is_packed(start: &[u8]) -> bool {
    match start {
        [first, rest @ ..] if first & 0xf0 == SKIPPED_MAGIC[0] => {
            rest.starts_with(&SKIPPED_MAGIC[1..])
        }
        start => start.starts_with(&MAGIC),
    }
}

/// Reads what was packed.
pub(super) struct Plain<R> {
    packed: R,
    decoder: FrameDecoder,
}

impl<R: BufRead> Plain<R> {
    pub(super) fn new(packed: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Self { packed, decoder }
    }

    /// Goes on to the next frame; false when there is none.
    fn next_frame(&mut self) -> io::Result<bool> {
        if self.decoder.get_checksum_from_data().is_some_and(|told| {
            self.decoder.get_calculated_checksum().is_some_and(|found| found != told)
        }) {
            return Err(bad("its zstd data are spoilt"));
        }
        while !self.packed.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.packed) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    let rest = &mut (&mut self.packed).take(length);
                    if io::copy(rest, &mut io::sink())? < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(FrameDecoderError::WindowSizeTooBig { .. }) => {
                    let told = format!("it needs a window of more than {} MiB", MAX_WINDOW >> 20);
                    return Err(bad(told));
                }
                Err(error) => return Err(bad(error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Plain<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.decoder.can_collect() == 0 {
            if !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.packed, one).map_err(bad)?;
            } else if !self.next_frame()? {
                return Ok(0);
            }
        }
        self.decoder.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    fn plain(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Plain::new(packed).read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn frames_are_read_one_after_the_other_and_others_skipped() {
        let first = compress_to_vec(&b"first"[..], CompressionLevel::Fastest);
        let long = vec![7; 1 << 20];
        let second = compress_to_vec(long.as_slice(), CompressionLevel::Fastest);
        let skipped = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        assert!(is_packed(&first) && is_packed(&skipped) && !is_packed(b"P") && !is_packed(b""));
        let all = [&skipped[..], &first, &skipped, &second, &skipped].concat();
        assert_eq!(plain(&all).unwrap(), [&b"first"[..], &long].concat());
        assert_eq!(plain(&[]).unwrap(), b"");
        for cut in [1, 12, 14] {
            assert!(plain(&all[..all.len() - cut]).is_err(), "{cut}");
        }
        assert!(plain(&[&first[..], b"noise"].concat()).is_err());
    }

    #[test]
    fn data_that_are_not_what_their_sum_says_are_refused() {
        let packed = compress_to_vec(&b"data"[..], CompressionLevel::Uncompressed);
        let at = packed.windows(4).position(|bytes| bytes == b"data").unwrap();
        let mut spoilt = packed.clone();
        spoilt[at] = b'D';
        assert_eq!(plain(&packed).unwrap(), b"data");
        assert!(plain(&spoilt).unwrap_err().to_string().contains("spoilt"));
    }

    #[test]
    fn window_larger_than_memory_should_be_is_refused() {
        // No content size, no sum, and a window of two to the power of 10 + 20.
        let frame = [&MAGIC[..], &[0, 20 << 3], &[1, 0, 0]].concat();
        assert!(plain(&frame).unwrap_err().to_string().contains("more than 128 MiB"));
        let frame = [&MAGIC[..], &[0, 17 << 3], &[1, 0, 0]].concat();
        assert_eq!(plain(&frame).unwrap(), b"");
    }
}
