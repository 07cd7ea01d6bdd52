//! What others hear of a refund: where it came to, or else that a person has to look, once.

use super::*;
use crate::domain::{Event, EventKind, EventLog};

/// What a change is called: the state's event wins.
fn told(before: &Refund, after: &Refund) -> Option<EventKind> {
    let (from, to) = (before.state.as_str(), after.state.as_str());
    let reached = match to {
        "SUCCESS" => Some(EventKind::RefundSucceeded),
        "CLOSED" => Some(EventKind::RefundClosed),
        "ABNORMAL" => Some(EventKind::RefundAbnormal),
        "REJECTED" => Some(EventKind::RefundRejected),
        "WITHDRAWN" => Some(EventKind::RefundWithdrawn),
        _ => None,
    };
    if from != to && reached.is_some() {
        return reached;
    }
    match (&before.needs_human, &after.needs_human) {
        (_, None) => None,
        (Some(before), Some(after)) if before == after => None,
        (_, Some(_)) => Some(EventKind::RefundNeedsHuman),
    }
}

/// All that a refund can become.
fn changes(before: &Refund) -> Vec<Refund> {
    let reported = statuses().map(|status| before.observe(&report(status), NOW));
    let absent = [NOW, LATER, NOW.plus_seconds(86_400)].map(|now| before.observe_absence(now));
    let observed = reported
        .into_iter()
        .chain(absent)
        .filter_map(|change| match change {
            RefundChange::Changed { refund, .. } => Some(*refund),
            RefundChange::Unchanged | RefundChange::Contradiction(_) => None,
        });
    let decided = [
        before.approve(NOW),
        before.reject(NOW),
        before.withdraw(NOW),
        before.retry(NOW),
    ];
    let decided = decided.into_iter().filter_map(|decision| match decision {
        Decision::Changed(refund) => Some(*refund),
        Decision::Repeat | Decision::TooLate => None,
    });
    let code = || "CODE".to_owned();
    let refused = [
        RefusalKind::NotEnough,
        RefusalKind::Passing { code: code() },
        RefusalKind::Doubtful { code: code() },
        RefusalKind::Definite { code: code() },
    ];
    let refused = refused.map(|kind| before.refused(&kind, 0, NOW, 60).0);
    observed
        .chain(decided)
        .chain(refused)
        .chain(before.overdue(NOW.plus_seconds(40 * 86_400)))
        .chain([before.distrusted(NOW).0])
        .collect()
}

#[test]
fn each_change_of_a_refund_is_told_by_the_event_of_its_version_or_by_none() {
    let mut met = std::collections::BTreeSet::new();
    for state in STATES {
        for needs_human in [
            None,
            Some("WeChat Pay refuses it: CODE"),
            Some("WeChat Pay has taken it although it was withdrawn"),
        ] {
            let before = Refund {
                needs_human: needs_human.map(str::to_owned),
                ..refund(state)
            };
            for after in changes(&before) {
                assert_eq!(after.version, before.version + 1);
                let expected = told(&before, &after);
                met.insert(expected);
                let events: Vec<(u64, EventKind)> = after
                    .events
                    .iter()
                    .map(|event| (event.version, event.kind))
                    .collect();
                let expected: Vec<(u64, EventKind)> = expected
                    .into_iter()
                    .map(|kind| (before.version + 1, kind))
                    .collect();
                assert_eq!(events, expected, "{before:?} to {after:?}");
            }
        }
    }
    // Every kind but the one that a new refund has, and the silence.
    let kinds = EventKind::ALL
        .into_iter()
        .filter(|kind| kind.as_str().starts_with("refund.") && *kind != EventKind::RefundRequested);
    let expected: std::collections::BTreeSet<_> = kinds.map(Some).chain([None]).collect();
    assert_eq!(met, expected);
}

#[test]
fn a_new_refund_tells_that_a_payer_asked_and_nothing_where_the_merchant_refunds() {
    for (asked_by, expected) in [
        (Party::Merchant, None),
        (Party::Payer, Some(EventKind::RefundRequested)),
    ] {
        let terms = RefundTerms {
            refund_id: RefundId::parse("REFUND_9").unwrap(),
            amount: fen(5),
            reason: None,
            notify_url: "https://shop.example/v1/notify".to_owned(),
            asked_by,
        };
        let order = order();
        let payment = order.payment_on_record().unwrap();
        let (version, at) = (1, NOW);
        let expected: Vec<Event> = expected
            .map(|kind| Event { version, at, kind })
            .into_iter()
            .collect();
        for new in [
            Refund::requested(terms.clone(), &order, payment, NOW),
            Refund::reserved(terms.clone(), &order, payment, NOW),
        ] {
            let events: Vec<Event> = new.events.iter().copied().collect();
            assert_eq!(events, expected, "{asked_by:?}");
        }
    }
}

#[test]
fn a_withdrawn_refund_that_arrives_is_a_success_for_a_person_to_see() {
    let withdrawn = refund(STATES[9]);
    let (after, _) = changed(withdrawn.observe(&report(RefundStatus::Success { at: None }), NOW));
    let kinds: Vec<EventKind> = after.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::RefundSucceeded]);
    assert!(after.needs_human.is_some());
}

#[test]
fn a_log_drops_the_oldest_calls_for_a_person_and_nothing_else() {
    let mut log = EventLog::new().with(1, NOW, Some(EventKind::RefundRequested));
    for version in 2..40 {
        log = log.with(version, NOW, Some(EventKind::RefundNeedsHuman));
        log = log.with(version, NOW, None);
    }
    log = log.with(40, NOW, Some(EventKind::RefundSucceeded));
    let versions: Vec<u64> = log.iter().map(|event| event.version).collect();
    let kept = 12 - 2;
    let expected: Vec<u64> = [1].into_iter().chain(40 - kept..=40).collect();
    assert_eq!(versions, expected);
    assert_eq!(log.since(39).count(), 1);
    assert_eq!(log.since(40).count(), 0);
}
