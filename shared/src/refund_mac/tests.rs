//! Which refunds a MAC vouches for.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::domain::terms::Party;
use crate::domain::{
    EventLog, Fen, Mchid, OrderId, RefundId, RefundState, Timestamp, TransactionId,
};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER: &str = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

const NONE: &[&str] = &[];

fn keys(current: &str, also_accepted: &[&str]) -> RefundMacKeys {
    RefundMacKeys::parse(Some(current), also_accepted).unwrap()
}

fn fen(fen: i64) -> Fen {
    Fen::new(fen).unwrap()
}

fn refund() -> Refund {
    Refund {
        refund_id: RefundId::parse("R1").unwrap(),
        order_id: OrderId::parse("order_1").unwrap(),
        transaction_id: TransactionId::parse("4200000925202101284997714292").unwrap(),
        sub_mchid: None,
        amount: fen(100),
        total: fen(600),
        reason: Some("late".to_owned()),
        notify_url: "https://pay.example/wechatpay/notify".to_owned(),
        asked_by: Party::Payer,
        created_at: Timestamp::from_unix_seconds(1_528_424_396),
        state: RefundState::Requested,
        version: 1,
        wechatpay_refund_id: None,
        refusals: 0,
        refused_since: None,
        reserved_at: None,
        sent_at: None,
        needs_human: None,
        mac: None,
        events: EventLog::new(),
    }
}

type Alter = fn(&mut Refund);

/// Every term of a refund, changed in every way that could matter.
fn altered() -> Vec<(&'static str, Alter)> {
    vec![
        ("out_refund_no", |refund| {
            refund.refund_id = RefundId::parse("R2").unwrap();
        }),
        ("out_trade_no", |refund| {
            refund.order_id = OrderId::parse("order_2").unwrap();
        }),
        ("sub_mchid", |refund| {
            refund.sub_mchid = Some(Mchid::parse("1900000110").unwrap());
        }),
        ("transaction_id", |refund| {
            refund.transaction_id = TransactionId::parse("4200000925202101284997714293").unwrap();
        }),
        ("refund", |refund| refund.amount = fen(600)),
        ("total", |refund| refund.total = fen(100)),
        ("both amounts", |refund| {
            (refund.amount, refund.total) = (refund.total, refund.amount);
        }),
        ("reason", |refund| refund.reason = Some("later".to_owned())),
        ("no reason", |refund| refund.reason = None),
        ("an empty reason", |refund| {
            refund.reason = Some(String::new());
        }),
        ("notify_url", |refund| {
            refund.notify_url = "https://evil.example".to_owned();
        }),
        ("asked_by", |refund| refund.asked_by = Party::Merchant),
        // Letters that move from one part to the next.
        ("a shifted part", |refund| {
            refund.reason = Some("latehttps://".to_owned());
            refund.notify_url = "pay.example/wechatpay/notify".to_owned();
        }),
    ]
}

#[test]
fn a_mac_vouches_for_these_terms_at_this_stage_and_no_others() {
    let keys = keys(KEY, NONE);
    assert!(!keys.vouches(&refund(), Stage::Approved), "without a MAC");
    for (stage, other) in [
        (Stage::Requested, Stage::Approved),
        (Stage::Approved, Stage::Requested),
    ] {
        let vouched = keys.vouch(refund(), stage);
        assert!(keys.vouches(&vouched, stage));
        assert!(!keys.vouches(&vouched, other));
        let mut names = Vec::new();
        for (name, alter) in altered() {
            let mut altered = vouched.clone();
            alter(&mut altered);
            assert!(!keys.vouches(&altered, stage), "{name}");
            // Nor do two of them share one.
            let mac = keys.vouch(altered, stage).mac;
            assert!(!names.contains(&mac), "{name}");
            names.push(mac);
        }
    }
    let none = Refund {
        reason: None,
        ..refund()
    };
    let empty = Refund {
        reason: Some(String::new()),
        ..refund()
    };
    assert_ne!(
        keys.vouch(none, Stage::Approved).mac,
        keys.vouch(empty, Stage::Approved).mac
    );
}

#[test]
fn how_far_a_refund_came_is_no_part_of_its_terms() {
    let keys = keys(KEY, NONE);
    let vouched = keys.vouch(refund(), Stage::Approved);
    let moved = Refund {
        state: RefundState::Processing,
        version: 7,
        refusals: 3,
        needs_human: Some("the merchant's balance is short".to_owned()),
        created_at: Timestamp::from_unix_seconds(0),
        ..vouched
    };
    assert!(keys.vouches(&moved, Stage::Approved));
}

// A promise: what was written before an update is sent after it. The value is Python's.
#[test]
fn a_mac_never_changes() {
    let vouched = keys(KEY, NONE).vouch(refund(), Stage::Approved);
    let mac = STANDARD.encode(vouched.mac.unwrap().as_bytes());
    assert_eq!(mac, "KOYxx229B+ISDjK/Na3xYauYbx+6jYULr23W6Govp8M=");
}

#[test]
fn an_earlier_key_is_accepted_while_it_is_listed() {
    let old = keys(KEY, NONE).vouch(refund(), Stage::Approved);
    assert!(keys(OTHER, &[KEY]).vouches(&old, Stage::Approved));
    assert!(!keys(OTHER, NONE).vouches(&old, Stage::Approved));
    let new = keys(OTHER, &[KEY]).vouch(refund(), Stage::Approved);
    assert_ne!(new.mac, old.mac);
    assert!(keys(OTHER, NONE).vouches(&new, Stage::Approved));
}

#[test]
fn a_key_that_cannot_serve_is_refused_without_showing_it() {
    let refused = |current, also: &[&str]| RefundMacKeys::parse(current, also).unwrap_err();
    assert_eq!(refused(None, NONE), [RecordKeyError::Missing]);
    let name = "record_key";
    let zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (text, why) in [
        ("", NoKey::Length(0)),
        ("CANARY", NoKey::NotBase64),
        ("AAECAwQFBgcICQoLDA0ODw==", NoKey::Length(16)),
        (&KEY[..43], NoKey::NotBase64),
        (zeros, NoKey::OneByte),
    ] {
        let told = refused(Some(text), NONE);
        assert_eq!(told, [RecordKeyError::Malformed { name, why }]);
    }
    assert_eq!(refused(Some(KEY), &[KEY]), [RecordKeyError::Twice]);
    assert_eq!(refused(Some(KEY), &[OTHER, OTHER]), [RecordKeyError::Twice]);
    let both = [
        RecordKeyError::Missing,
        RecordKeyError::Malformed {
            name: "also_accepted_record_keys",
            why: NoKey::NotBase64,
        },
    ];
    assert_eq!(refused(None, &["CANARY"]), both);
    let shown = format!("{:?} {both:?}", keys(KEY, &[OTHER]));
    assert!(
        !shown.contains("CANARY") && !shown.contains("AAEC"),
        "{shown}"
    );
}
