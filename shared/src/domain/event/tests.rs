//! The names of the kinds, and which events are kept.

use super::*;

#[test]
fn each_kind_is_read_by_its_name_and_nothing_else_is() {
    for kind in EventKind::ALL {
        assert_eq!(EventKind::parse(kind.as_str()), Some(kind));
    }
    assert_eq!(EventKind::parse("order.payed"), None);
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
