//! What is wrong with an attempt to send a notice, on purpose.

use serde::{Deserialize, Serialize};

/// What is wrong with an attempt on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Distortion {
    Genuine,
    Lost,
    Probe,
    BadSignature,
    UnknownSerial,
    Stale,
    Unopenable,
}

impl Distortion {
    /// The faults that bring a distortion, in the order they are tried.
    pub(crate) const FAULTS: [(&'static str, Self); 6] = [
        ("notice_lost", Self::Lost),
        ("notice_probe", Self::Probe),
        ("notice_bad_signature", Self::BadSignature),
        ("notice_unknown_serial", Self::UnknownSerial),
        ("notice_stale", Self::Stale),
        ("notice_unopenable", Self::Unopenable),
    ];

    /// Names the attempt for a person.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Genuine => "a genuine notice",
            Self::Lost => "a lost notice",
            Self::Probe => "a signature probe (WECHATPAY/SIGNTEST/)",
            Self::BadSignature => "a notice whose signature is over other bytes",
            Self::UnknownSerial => "a notice signed by a key nobody has",
            Self::Stale => "a notice dated ten minutes ago",
            Self::Unopenable => "a notice sealed with another APIv3 key",
        }
    }
}
