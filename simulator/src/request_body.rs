//! Reading a request's body before it is answered, whatever the answer will be: a client that is still
//! sending does not listen to an answer, and a connection on which a body is left unread cannot be used
//! again.

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes};

/// Bodies beyond this are refused with 413, as the gateway in front of WeChat Pay does; its limit
/// is not known, and the largest real body is an image of 2 MiB.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What is still read of a body that is refused.
const READ_BYTES_MAX: usize = 16 * KEPT_BYTES_MAX;

/// A body that arrived.
#[derive(Debug)]
pub(crate) enum Read {
    /// All of it.
    Whole(Bytes),
    /// It is too large, and was read to its end nevertheless.
    TooLarge,
    /// It is too large to be read to its end: its connection is of no more use.
    Unread,
}

/// Reads a body. What does not fit is read on and forgotten.
///
/// # Errors
/// The connection broke.
pub(crate) async fn read<B>(mut body: B) -> Result<Read, B::Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut kept: Vec<u8> = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame?;
        let piece = frame.data_ref().map_or(&[][..], |piece| &piece[..]);
        length += piece.len();
        if length > READ_BYTES_MAX {
            return Ok(Read::Unread);
        }
        if length > KEPT_BYTES_MAX {
            kept = Vec::new();
        } else {
            kept.extend_from_slice(piece);
        }
    }
    Ok(if length > KEPT_BYTES_MAX {
        Read::TooLarge
    } else {
        Read::Whole(Bytes::from(kept))
    })
}
