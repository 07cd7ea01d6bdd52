//! Compressed bodies, and decompression bombs.

use std::io::Write as _;

use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Compress, Compression, Crc, FlushCompress};

/// What a bomb inflates to, beside its start.
const BOMB_BYTES: usize = 64 * 1024 * 1024;

/// GZIP, as bills are downloaded.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

/// What HTTP calls deflate: a zlib stream.
pub(crate) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_else(|_| bytes.to_vec())
}

/// GZIP that starts like what was asked for and inflates to 64 mebibytes more: one piece over and
/// over, so that making it costs next to nothing.
pub(crate) fn bomb(start: &[u8]) -> Vec<u8> {
    const PIECE_BYTES: usize = 1024 * 1024;
    const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    /// The last block of a stream, with nothing in it.
    const END: [u8; 2] = [3, 0];
    let piece = vec![b'0'; PIECE_BYTES];
    let (mut of_piece, mut check) = (Crc::new(), Crc::new());
    of_piece.update(&piece);
    check.update(start);
    let compressed = block(&piece);
    let mut bomb = HEAD.to_vec();
    bomb.extend_from_slice(&block(start));
    for _ in 0..BOMB_BYTES / PIECE_BYTES {
        bomb.extend_from_slice(&compressed);
        check.combine(&of_piece);
    }
    bomb.extend_from_slice(&END);
    bomb.extend_from_slice(&check.sum().to_le_bytes());
    bomb.extend_from_slice(&check.amount().to_le_bytes());
    bomb
}

/// A part of a deflate stream that ends on a byte and remembers nothing, so that it may stand
/// anywhere and more than once.
fn block(bytes: &[u8]) -> Vec<u8> {
    // Room for bytes that do not get smaller, and for the flush.
    let mut compressed = Vec::with_capacity(bytes.len() + bytes.len() / 8 + 64);
    let mut stream = Compress::new(Compression::best(), false);
    match stream.compress_vec(bytes, &mut compressed, FlushCompress::Full) {
        Ok(_) => compressed,
        Err(_) => Vec::new(),
    }
}
