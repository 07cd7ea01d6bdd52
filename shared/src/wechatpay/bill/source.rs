//! The bytes of a bill: unpacked where they are packed, counted, and hashed as they pass.

use std::io::{self, BufRead, BufReader, Read};

use data_encoding::HEXLOWER;
use flate2::bufread::GzDecoder;
use sha1::{Digest as _, Sha1};

use super::BillError;

/// How many bytes a bill may have, unpacked: over three million rows.
pub const FILE_MAX: u64 = 1 << 30;

/// How GZIP begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// How much is unpacked at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// A bill's bytes.
pub struct BillSource<R: BufRead>(BufReader<Hashed<Unpacked<R>>>);

enum Unpacked<R: BufRead> {
    Plain(R),
    // A decoder holds its window of 32 KiB and more.
    Gzip(Box<GzDecoder<R>>),
}

struct Hashed<R> {
    input: R,
    hash: Sha1,
    left: u64,
}

/// What [`Hashed`] fails with once more has come than may.
#[derive(Debug, thiserror::Error)]
#[error("the file is too large")]
struct TooLarge;

impl<R: BufRead> BillSource<R> {
    /// The bytes as they were downloaded, GZIP or not.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn new(mut input: R) -> Result<Self, BillError> {
        let begins = input.fill_buf().map_err(unpacked)?;
        let input = if begins.starts_with(&GZIP) {
            Unpacked::Gzip(Box::new(GzDecoder::new(input)))
        } else {
            Unpacked::Plain(input)
        };
        Ok(Self(BufReader::with_capacity(
            PIECE,
            Hashed {
                input,
                hash: Sha1::new(),
                left: FILE_MAX,
            },
        )))
    }

    /// Checks the SHA-1 of all that was read, once it was read to its end; `expected` is hexadecimal.
    ///
    /// # Errors
    /// It is that of other bytes.
    pub fn check_hash(&self, expected: &str) -> Result<(), BillError> {
        let hash = HEXLOWER.encode(&self.0.get_ref().hash.clone().finalize());
        if hash.eq_ignore_ascii_case(expected) {
            Ok(())
        } else {
            Err(BillError::Hash)
        }
    }
}

impl<R: BufRead> std::fmt::Debug for BillSource<R> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("BillSource").finish_non_exhaustive()
    }
}

impl<R: BufRead> Read for BillSource<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: BufRead> BufRead for BillSource<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.0.consume(amount);
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Gzip(input) => input.read(buffer),
        }
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        // As many bytes as an array has fit in 64 bits.
        let count = u64::try_from(read).unwrap_or(u64::MAX);
        self.left = self
            .left
            .checked_sub(count)
            .ok_or_else(|| io::Error::other(TooLarge))?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

/// What a failure to read amounts to.
pub(super) fn unpacked(error: io::Error) -> BillError {
    if error.get_ref().is_some_and(|inner| inner.is::<TooLarge>()) {
        BillError::TooLarge
    } else {
        BillError::Unpacked(error)
    }
}
