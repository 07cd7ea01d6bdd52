//! The names of the kinds, and which events are kept.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use super::*;

#[test]
fn each_kind_is_read_by_its_name() {
    for kind in EventKind::ALL {
        assert_eq!(EventKind::parse(kind.as_str()), Some(kind));
        assert!(kind.as_str().len() <= NAME_MAX);
    }
}

#[test]
fn a_kind_of_another_build_keeps_its_name_and_what_can_be_no_name_is_none() {
    assert_eq!(NAME_MAX, 48, "docs/data-model.md says so");
    let longest = format!("order.{}", "x".repeat(42));
    for name in ["order.payed", "refund.some_future_kind", "a.b", &longest] {
        let kind = EventKind::parse(name).unwrap();
        assert!(matches!(kind, EventKind::Other(_)), "{kind:?}");
        assert_eq!(kind.as_str(), name);
    }
    let other = EventKind::parse("order.payed").unwrap();
    assert_eq!(format!("{other:?}"), "Other(\"order.payed\")");
    let too_long = format!("order.{}", "x".repeat(43));
    for name in [
        "",
        "order",
        "order.",
        ".paid",
        "order.Paid",
        "order.paid.twice",
        "order.paid twice",
        "order.paid-twice",
        "order.paid2",
        "order.\u{e9}t\u{e9}",
        &too_long,
    ] {
        assert_eq!(EventKind::parse(name), None, "{name}");
    }
}

#[test]
fn of_more_events_than_are_kept_the_oldest_call_for_a_person_goes_and_without_one_the_oldest() {
    let versions = |call_at: Option<u64>| -> Vec<u64> {
        let event = |version| Event {
            version,
            at: Timestamp::from_unix_seconds(1_800_000_000),
            kind: if Some(version) == call_at {
                EventKind::RefundNeedsHuman
            } else {
                EventKind::RefundAbnormal
            },
        };
        let log: EventLog = (1..=13).map(event).collect();
        log.iter().map(|event| event.version).collect()
    };
    assert_eq!(versions(None), (2..=13).collect::<Vec<_>>());
    let without = |gone: u64| {
        (1..=13)
            .filter(|version| *version != gone)
            .collect::<Vec<_>>()
    };
    assert_eq!(versions(Some(5)), without(5));
}
