//! The laws of what is signed: a signature is over one reading of its message and no other.

use proptest::prelude::*;
use proptest::sample::Index;

use super::{PLATFORM_SERIAL, platform_keys, platform_signer};
use crate::domain::Timestamp;
use crate::wechatpay::{SignatureHeaders, verify};

/// The three lines as they would be signed.
fn message(timestamp: &str, nonce: &[u8], body: &[u8]) -> Vec<u8> {
    [timestamp.as_bytes(), nonce, body]
        .iter()
        .flat_map(|line| [*line, &b"\n"[..]].concat())
        .collect()
}

/// Whether a message signed once is believed to say this.
fn is_believed(signature: &str, timestamp: &str, nonce: &[u8], body: &[u8]) -> bool {
    let Ok(nonce) = std::str::from_utf8(nonce) else {
        return false;
    };
    let headers = SignatureHeaders::parse(|name| match name {
        "wechatpay-timestamp" => Some(timestamp),
        "wechatpay-nonce" => Some(nonce),
        "wechatpay-serial" => Some(PLATFORM_SERIAL),
        "wechatpay-signature" => Some(signature),
        _ => None,
    });
    let now = Timestamp::from_unix_seconds(1_767_225_600);
    headers.is_ok_and(|headers| verify(&platform_keys(), &headers, body, now).is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(256)
    })]

    /// Wherever the boundary between nonce and body is moved to, only the one that was signed is believed.
    #[test]
    fn what_is_signed_tells_nonce_and_body_apart(
        nonce in "[!-+.-~]{1,32}",
        lines in prop::collection::vec("[ -~]{0,20}", 1..5),
        moved: Index,
    ) {
        let timestamp = "1767225600";
        let body = lines.join("\n").into_bytes();
        let signed = message(timestamp, nonce.as_bytes(), &body);
        let signature = platform_signer().sign(&signed);
        prop_assert!(is_believed(&signature, timestamp, nonce.as_bytes(), &body));
        // The same bytes, cut elsewhere: at each line feed of the body, and at a place of any kind.
        let rest = &signed[timestamp.len() + 1..signed.len() - 1];
        let feeds = (0..rest.len()).filter(|place| rest[*place] == b'\n');
        for place in feeds.chain([moved.index(rest.len())]) {
            let (other_nonce, other_body) = (&rest[..place], &rest[place + 1..]);
            if rest[place] == b'\n' {
                prop_assert_eq!(&message(timestamp, other_nonce, other_body), &signed);
            }
            let same = other_nonce == nonce.as_bytes() && other_body == body;
            prop_assert_eq!(is_believed(&signature, timestamp, other_nonce, other_body), same && rest[place] == b'\n');
        }
    }

    /// Nothing but the triple that was signed is believed.
    #[test]
    fn a_signature_is_of_one_message(
        nonce in "[!-+.-~]{1,32}",
        body in prop::collection::vec(any::<u8>(), 0..80),
        other_nonce in "[!-+.-~]{1,32}",
        other_body in prop::collection::vec(any::<u8>(), 0..80),
        seconds in 1_767_225_400_i64..1_767_225_800,
    ) {
        let (signed_at, said) = ("1767225600", seconds.to_string());
        let signature = platform_signer().sign(&message(signed_at, nonce.as_bytes(), &body));
        for (timestamp, nonce_told, body_told) in [
            (signed_at, &nonce, &body),
            (said.as_str(), &nonce, &body),
            (signed_at, &other_nonce, &body),
            (signed_at, &nonce, &other_body),
        ] {
            let same = timestamp == signed_at && *nonce_told == nonce && *body_told == body;
            let believed = is_believed(&signature, timestamp, nonce_told.as_bytes(), body_told);
            prop_assert_eq!(believed, same);
        }
    }
}
