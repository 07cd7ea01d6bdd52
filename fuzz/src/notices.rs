//! What WeChat Pay says: the headers of its signatures, its notices from the envelope inwards, its refusals.

use serde_json::Value;
use shared::domain::report::{RefundStatus, TradeState};
use shared::wechatpay::{Notification, SignatureHeaders, read_notification, read_refusal, verify};

use super::keys::{
    APIV3_KEYS, UNUSED_PLATFORM, UNUSED_SEALING_KEY, envelope as sealed_in, genuine, now,
};

const NAMES: [&str; 5] = [
    "wechatpay-timestamp",
    "wechatpay-nonce",
    "wechatpay-serial",
    "wechatpay-signature",
    "wechatpay-signature-type",
];

/// Lines of headers, a blank line, and the body that they are to vouch for.
pub fn headers(bytes: &[u8]) {
    let (head, body) = match bytes.windows(2).position(|two| two == b"\n\n") {
        Some(place) => (&bytes[..place], &bytes[place + 2..]),
        None => (bytes, &b""[..]),
    };
    // Values may hold anything but what parts them here: a zero byte stands for a line feed.
    let head = String::from_utf8_lossy(head).into_owned();
    let pairs: Vec<(&str, String)> = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name, value.replace('\0', "\n")))
        .collect();
    let get = |name: &str| {
        let mut found = pairs.iter().filter(|(known, _)| *known == name);
        let first = found.next()?;
        found.next().is_none().then_some(first.1.as_str())
    };
    let Ok(parsed) = SignatureHeaders::parse(get) else {
        return;
    };
    for name in &NAMES[..4] {
        let value = get(name).unwrap();
        // What is signed is three lines: none of them may hold another, nor two values joined.
        let plain = value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',');
        assert!(plain && !value.is_empty(), "{name} is {value:?}");
    }
    assert_eq!(get(NAMES[0]).unwrap().len(), 10);
    let at = get(NAMES[0]).unwrap().parse().unwrap();
    for moment in [now(), shared::domain::Timestamp::from_unix_seconds(at)] {
        assert!(
            verify(&UNUSED_PLATFORM, &parsed, body, moment).is_err(),
            "a forged signature is believed"
        );
    }
}

/// An envelope whose signature holds, sealed by whoever made the bytes.
pub fn envelope(bytes: &[u8]) {
    match read_notification(&genuine(bytes), &UNUSED_SEALING_KEY) {
        Ok(read) => {
            assert!(!read.id.is_empty() && read.id.len() <= 64);
            assert!(
                read.id
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b'#')
            );
            assert!(
                matches!(read.notice, Notification::Unhandled { .. }),
                "a forged seal is believed"
            );
            assert!(bytes.starts_with(b"{"));
            let event_type = event_type_of(&read.notice);
            let known = [
                "TRANSACTION.SUCCESS",
                "REFUND.SUCCESS",
                "REFUND.CLOSED",
                "REFUND.ABNORMAL",
            ];
            assert!(!known.contains(&event_type));
        }
        Err(error) => assert!(error.to_string().len() < 200),
    }
}

fn event_type_of(notice: &Notification) -> &str {
    match notice {
        Notification::Unhandled { event_type } | Notification::UnknownState { event_type, .. } => {
            event_type
        }
        Notification::Payment(_) => "TRANSACTION.SUCCESS",
        Notification::Refund(_) => "REFUND",
    }
}

/// What a lax reader makes of it: the last of members that are there twice, and members that nobody asks
/// for, too. What it cannot read (half a surrogate in such a member) is not for it to judge.
fn lax(content: &[u8]) -> Option<Value> {
    serde_json::from_slice(content).ok()
}

/// A text that is there and not empty.
fn text<'a>(content: &'a Value, name: &str) -> Option<&'a str> {
    content[name].as_str().filter(|text| !text.is_empty())
}

/// What a payment's notice says, genuinely signed and sealed.
pub fn transaction(bytes: &[u8]) {
    let body = sealed_in("TRANSACTION.SUCCESS", "transaction", bytes);
    let Ok(read) = read_notification(&genuine(&body), &APIV3_KEYS) else {
        return;
    };
    let Some(content) = lax(bytes) else {
        return;
    };
    match read.notice {
        Notification::Payment(report) => {
            let report = report.get();
            assert_eq!(
                content["trade_state"], "SUCCESS",
                "only SUCCESS is a payment"
            );
            assert_eq!(content["out_trade_no"], report.order_id.as_str());
            let TradeState::Paid(paid) = &report.state else {
                panic!("a payment's report that is none: {report:?}");
            };
            assert_eq!(content["transaction_id"], paid.transaction_id.as_str());
            assert_eq!(
                content["amount"]["total"].as_i64(),
                report.total.map(|fen| fen.get())
            );
            let payer_total = content["amount"]["payer_total"].as_i64();
            assert_eq!(payer_total, paid.payer_total);
            let merchant = text(&content, "mchid").or(text(&content, "sp_mchid"));
            let told = report.mchid.as_ref().map_or("", |mchid| mchid.as_str());
            assert!(told.is_empty() || merchant == Some(told));
        }
        Notification::UnknownState { state, .. } => assert!(state.chars().count() <= 32),
        // A combined order, of which nothing is read.
        Notification::Unhandled { .. } => {}
        Notification::Refund(report) => panic!("a payment's event is read as {report:?}"),
    }
}

/// What a refund's notice says, genuinely signed and sealed; the first byte chooses its event.
pub fn refund(bytes: &[u8]) {
    let Some((first, content)) = bytes.split_first() else {
        return;
    };
    let status = ["SUCCESS", "CLOSED", "ABNORMAL"][usize::from(*first) % 3];
    let body = sealed_in(&format!("REFUND.{status}"), "refund", content);
    let Ok(read) = read_notification(&genuine(&body), &APIV3_KEYS) else {
        return;
    };
    let Some(content) = lax(content) else {
        return;
    };
    match read.notice {
        Notification::Refund(report) => {
            let report = report.get();
            let said = content["status"]
                .as_str()
                .or(content["refund_status"].as_str());
            assert_eq!(
                said,
                Some(status),
                "the event and its content say different things"
            );
            let ended = match &report.status {
                RefundStatus::Success { .. } => "SUCCESS",
                RefundStatus::Closed => "CLOSED",
                RefundStatus::Abnormal => "ABNORMAL",
                RefundStatus::Processing => "PROCESSING",
                RefundStatus::Unknown(_) => "",
            };
            assert_eq!(ended, status);
            assert_eq!(content["out_trade_no"], report.order_id.as_str());
            assert_eq!(content["out_refund_no"], report.refund_id.as_str());
            assert_eq!(content["transaction_id"], report.transaction_id.as_str());
            assert_eq!(content["amount"]["refund"], report.amount.get());
            assert_eq!(content["amount"]["total"], report.total.get());
        }
        Notification::UnknownState { state, .. } => assert!(state.chars().count() <= 32),
        Notification::Unhandled { .. } => {}
        Notification::Payment(report) => panic!("a refund's event is read as {report:?}"),
    }
}

/// A refusal's body; the first two bytes are its status.
pub fn refusal(bytes: &[u8]) {
    let Some((status, body)) = bytes.split_at_checked(2) else {
        return;
    };
    let status = 400 + u16::from_be_bytes([status[0], status[1]]) % 100;
    let read = read_refusal(status, body);
    assert_eq!(read.status, status);
    for text in [&read.code, &read.message] {
        assert!(text.chars().count() <= 64);
        assert!(
            !text.chars().any(char::is_control),
            "a line of a log could be made of {text:?}"
        );
    }
    // Nothing that is not signed says that there is no such order or refund.
    assert!(read.absence().is_none() && read.refund_absence().is_none());
    // A code is one that stands there, not one that was made of something else.
    if let Some(content) = lax(body) {
        assert!(read.code.is_empty() || content["code"].is_string());
    }
}
