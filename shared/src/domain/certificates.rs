//! WeChat Pay's platform certificates: when to download them, what to believe, and when to call somebody.

use super::Timestamp;

/// How old a download may become before it is made anew, in seconds. WeChat Pay asks for less than
/// twelve hours; a new certificate is announced months before it signs anything.
pub const REFRESH_SECONDS: i64 = 60 * 60;

/// The least time between two tries while a held certificate is valid, in seconds.
pub const FLOOR_SECONDS: i64 = 5 * 60;

/// How old a download may become before a person is told, in seconds: WeChat Pay's twelve hours.
pub const OLD_SECONDS: i64 = 12 * 60 * 60;

/// How long before the last held certificate expires a person is told, in seconds. WeChat Pay has its
/// successor ten days before, at the latest.
pub const EXPIRES_SOON_SECONDS: i64 = 7 * 24 * 60 * 60;

/// What is known of the certificates that are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// When they were downloaded.
    pub downloaded_at: Timestamp,
    /// When the last of those expires that are valid now; `None` where none is valid, or opens.
    pub valid_until: Option<Timestamp>,
    /// Whether all of them open with the APIv3 key in force. What needs another is lost with it.
    pub current_key: bool,
}

/// Whose signature on a download of certificates is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The keys and certificates that are held, and nobody else's.
    HeldKeys,
    /// Also that of a certificate in the download itself: the APIv3 key, with which it opens, stands in
    /// for a key that is known.
    FirstUse,
}

/// What to believe: once a valid certificate is held, no new one is believed but by its word.
pub fn trust(held: Option<&Held>) -> Trust {
    if is_valid(held) {
        Trust::HeldKeys
    } else {
        Trust::FirstUse
    }
}

/// Whether the certificates are to be downloaded now; `tried_at` is the last try, `unknown_serial`
/// whether an answer since then was signed with a key that is not held.
pub fn download_due(
    held: Option<&Held>,
    tried_at: Option<Timestamp>,
    unknown_serial: bool,
    now: Timestamp,
) -> bool {
    let Some(held) = held.filter(|_| is_valid(held)) else {
        // Nothing that a certificate signs can be believed until then.
        return true;
    };
    // A moment in the future is a clock that went back: it counts as long ago.
    let within = |at: Timestamp, seconds: i64| (0..seconds).contains(&now.seconds_since(at));
    if within(held.downloaded_at, FLOOR_SECONDS)
        || tried_at.is_some_and(|at| within(at, FLOOR_SECONDS))
    {
        return false;
    }
    unknown_serial || !held.current_key || !within(held.downloaded_at, REFRESH_SECONDS)
}

/// Whether a person has to see to the certificates: none is valid, they were not downloaded for long, or
/// the last of them expires soon.
pub fn needs_attention(held: Option<&Held>, now: Timestamp) -> bool {
    let Some((held, until)) = held.and_then(|held| Some((held, held.valid_until?))) else {
        return true;
    };
    now.seconds_since(held.downloaded_at) >= OLD_SECONDS
        || until.seconds_since(now) < EXPIRES_SOON_SECONDS
}

fn is_valid(held: Option<&Held>) -> bool {
    held.is_some_and(|held| held.valid_until.is_some())
}

#[cfg(test)]
mod tests;
