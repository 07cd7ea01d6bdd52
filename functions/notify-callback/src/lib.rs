//! notify-callback.
