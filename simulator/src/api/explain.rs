//! Why a signature was refused, for a person. The public key opens the client's signature, which
//! shows the digest that was signed (`opened.rs`); then the likely mistakes are tried until one
//! gives that digest (`guess.rs`, `json.rs`). WeChat Pay tells only the message it built itself.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::authorization::{self, Authorization, WINDOW_S};
use super::request::Request;
use crate::handle::SimulatorHandle;
use crate::merchants::MerchantWithKeys;

mod guess;
mod json;
mod opened;
mod sentence;

use opened::Opened;
use sentence::{BESIDES, named};

const DAY_S: i64 = 86_400;
const HOUR_S: i64 = 3_600;
const MINUTE_S: i64 = 60;
/// No place is further from UTC.
const ZONE_S_MAX: i64 = 14 * HOUR_S;

/// The part of a signed text that an explanation repeats.
const SHOWN_CHARACTERS: usize = 400;
/// The part of a signed text that is kept beside an explanation.
const KEPT_CHARACTERS: usize = 4_000;

/// What both sides signed, line feeds and all, where a signature did not fit.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SignedTexts {
    /// What the server built from the request.
    server: String,
    /// What the client seems to have signed, where that was found out.
    client: Option<String>,
}

impl SignedTexts {
    pub(crate) fn of(server: &[u8], client: Option<&[u8]>) -> Self {
        let kept = |text: &[u8]| {
            // A character has four bytes at most.
            let text = String::from_utf8_lossy(&text[..text.len().min(4 * KEPT_CHARACTERS)]);
            text.chars().take(KEPT_CHARACTERS).collect()
        };
        Self {
            server: kept(server),
            client: client.map(kept),
        }
    }
}

/// Explains a timestamp outside the window.
pub(crate) fn clock(timestamp: &str, wall_s: i64) -> String {
    let stated = authorization::seconds(timestamp);
    for (unit, digits, per_second) in [
        ("milliseconds", 13, 1_000),
        ("microseconds", 16, 1_000_000),
        ("nanoseconds", 19, 1_000_000_000),
    ] {
        if timestamp.len() >= digits && (stated / per_second - wall_s).abs() < DAY_S {
            return format!("timestamp is in {unit}: send seconds (divide by {per_second})");
        }
    }
    let off_s = stated - wall_s;
    let direction = if off_s < 0 { "behind" } else { "ahead of" };
    let (away_s, half_hour_s) = (off_s.abs(), HOUR_S / 2);
    // To the nearest half hour, as zones are apart.
    let zone_s = (away_s + half_hour_s / 2) / half_hour_s * half_hour_s;
    let zone = (HOUR_S..=ZONE_S_MAX).contains(&zone_s) && (away_s - zone_s).abs() <= WINDOW_S;
    let fix = if zone {
        let (hours, half) = (zone_s / HOUR_S, zone_s % HOUR_S > 0);
        let half = if half { " and a half" } else { "" };
        format!(
            "{hours} hours{half} look like a time zone: send the seconds since 1970 in UTC, not local \
             time"
        )
    } else {
        "set the machine's clock (NTP), and take the time right before signing".to_owned()
    };
    format!(
        "timestamp is {} minutes {direction} the server's clock, {away_s} seconds, and at most \
         {WINDOW_S} are allowed: {fix}",
        (away_s + MINUTE_S / 2) / MINUTE_S
    )
}

/// Explains an unknown serial.
pub(crate) fn serial(merchant: &MerchantWithKeys, claimed: &str) -> String {
    let held: Vec<&str> = merchant
        .certificates
        .iter()
        .map(|(facts, _)| facts.serial.as_str())
        .collect();
    let platform = merchant
        .platform_certificates
        .iter()
        .any(|(facts, _)| facts.serial.eq_ignore_ascii_case(claimed))
        || claimed.starts_with("PUB_KEY_ID_");
    let trimmed = claimed.trim_start_matches('0');
    let dropped_zeros = held
        .iter()
        .any(|serial| serial.trim_start_matches('0').eq_ignore_ascii_case(trimmed));
    if platform {
        format!(
            "serial_no names WeChat Pay's own key; name the merchant's certificate: {}",
            held.join(" or ")
        )
    } else if dropped_zeros {
        format!(
            "serial_no lost its leading zeros: it is {}",
            held.join(" or ")
        )
    } else {
        format!(
            "the merchant has no certificate with this serial; serial_no is that of \
             apiclient_cert.pem, in hex: {}",
            held.join(" or ")
        )
    }
}

/// Explains a signature that does not fit; beside it, what the client seems to have signed.
pub(crate) fn signature(
    handle: &Arc<SimulatorHandle>,
    request: &Request,
    body: &[u8],
    authorization: &Authorization,
    merchant: &MerchantWithKeys,
) -> (String, Option<Vec<u8>>) {
    let (spelling, bytes) = match opened::bytes(&authorization.signature) {
        Ok(read) => read,
        Err(why) => return (why, None),
    };
    let Some((owner, opened)) = opener(handle, &bytes, authorization, merchant) else {
        let why = "no key known here made this signature: the private key does not belong to the \
                   certificate (use apiclient_key.pem of the same folder), or the padding is PSS and \
                   not PKCS#1 v1.5";
        return (named([spelling.unwrap_or_default(), why], BESIDES), None);
    };
    let (fault, client) = match opened {
        Opened::Wrong(why) => (why, None),
        Opened::Sha256(digest) => other_text(request, body, authorization, &digest),
    };
    let spelling = spelling.unwrap_or_default();
    let explanation = match owner {
        Owner::Claimed => named([spelling, &fault], BESIDES),
        Owner::Another(serial) => {
            let key = format!(
                "wrong key for the serial: the private key belongs to certificate {serial}, \
                 serial_no says {}",
                authorization.serial_no
            );
            named([&key, &named([spelling, &fault], BESIDES)], BESIDES)
        }
        Owner::Platform => "it was signed with platform_key.pem, WeChat Pay's own key: a merchant \
                            signs with apiclient_key.pem"
            .to_owned(),
        Owner::OtherMerchant(mchid) => {
            format!("it was signed with the key of merchant {mchid}")
        }
    };
    (explanation, client)
}

/// Explains what was signed in place of the right text, and gives it; nothing where it was right.
fn other_text(
    request: &Request,
    body: &[u8],
    authorization: &Authorization,
    digest: &[u8],
) -> (String, Option<Vec<u8>>) {
    let guess = guess::guess(request, body, authorization, digest);
    if let Some((fault, client)) = guess.found {
        if fault.is_empty() {
            return (fault, Some(client));
        }
        let server = authorization::message(request, authorization, body);
        let text = format!(
            "{fault}\nthe server built: {}\nyou signed:       {}",
            shown(&server),
            shown(&client)
        );
        return (text, Some(client));
    }
    if let Some(fault) = hashed_first(request, body, authorization, digest) {
        return (fault, None);
    }
    let length = server_message_length(request, body, authorization);
    let untried = if guess.cut_short {
        " (the text is long, so not every mistake was tried)"
    } else {
        ""
    };
    let text = format!(
        "the key is right but other text was signed{untried}: compare your five lines with \
         truncated_sign_message; yours must have {length} bytes. The usual suspects: members in \
         another order, another charset than UTF-8, blanks or line ends, a second reading of the \
         clock, a second nonce"
    );
    (text, None)
}

/// A signed text on one line, cut where it gets long.
fn shown(message: &[u8]) -> String {
    // A character has four bytes at most.
    let message = &message[..message.len().min(4 * SHOWN_CHARACTERS)];
    let text: String = String::from_utf8_lossy(message)
        .chars()
        .take(SHOWN_CHARACTERS)
        .collect();
    format!("{text:?}")
}

enum Owner {
    Claimed,
    Another(String),
    Platform,
    OtherMerchant(String),
}

fn opener(
    handle: &Arc<SimulatorHandle>,
    signature: &[u8],
    authorization: &Authorization,
    merchant: &MerchantWithKeys,
) -> Option<(Owner, Opened)> {
    for (facts, _) in &merchant.certificates {
        if let Some(opened) = facts
            .key
            .open(signature)
            .and_then(|inside| opened::read(&inside))
        {
            let claimed = facts.serial.eq_ignore_ascii_case(&authorization.serial_no);
            let owner = if claimed {
                Owner::Claimed
            } else {
                Owner::Another(facts.serial.clone())
            };
            return Some((owner, opened));
        }
    }
    let platform = merchant
        .public_keys
        .iter()
        .map(|(_, key)| key)
        .chain(merchant.platform_certificates.iter().map(|(_, key)| key));
    for key in platform {
        let opened = key
            .verifying()
            .open(signature)
            .and_then(|inside| opened::read(&inside));
        if let Some(opened) = opened {
            return Some((Owner::Platform, opened));
        }
    }
    let others: Vec<Arc<MerchantWithKeys>> = handle.lock().merchants.values().cloned().collect();
    for other in others {
        for (facts, _) in &other.certificates {
            let opened = facts
                .key
                .open(signature)
                .and_then(|inside| opened::read(&inside));
            if let Some(opened) = opened {
                return Some((Owner::OtherMerchant(other.record.mchid.clone()), opened));
            }
        }
    }
    None
}

fn server_message_length(request: &Request, body: &[u8], authorization: &Authorization) -> usize {
    request.method.len()
        + request.target.len()
        + authorization.timestamp.len()
        + authorization.nonce.len()
        + body.len()
        + 5
}

/// Clients that hash first and sign the digest as if it were the text.
fn hashed_first(
    request: &Request,
    body: &[u8],
    authorization: &Authorization,
    digest: &[u8],
) -> Option<String> {
    let message = authorization::message(request, authorization, body);
    let once = Sha256::digest(&message);
    let hex = HEXLOWER.encode(&once);
    let twice = Sha256::digest(once)[..] == *digest;
    let hexed = Sha256::digest(hex.as_bytes())[..] == *digest
        || Sha256::digest(hex.to_uppercase().as_bytes())[..] == *digest;
    (twice || hexed).then(|| {
        "the text was hashed before it was given to SHA256withRSA, which hashes itself: sign the \
         text"
            .to_owned()
    })
}
