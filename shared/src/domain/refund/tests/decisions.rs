//! What the merchant decides, what a repeat asks and what WeChat Pay's refusal means: every state and
//! every input.

use super::*;
use crate::domain::schedule::backoff_seconds;

const PARTIES: [Party; 2] = [Party::Payer, Party::Merchant];

fn decided(decision: Decision) -> Option<Refund> {
    match decision {
        Decision::Changed(refund) => Some(*refund),
        Decision::Repeat | Decision::TooLate => None,
    }
}

#[test]
fn a_refund_that_is_not_authentic_stands_as_it_is_until_a_person_looks() {
    for state in STATES {
        let before = refund(state);
        let (after, due) = before.distrusted(NOW);
        assert_eq!(due, Due::first(NOW.plus_seconds(24 * 60 * 60)));
        assert_eq!(
            after.needs_human.as_deref(),
            Some("its record is not authentic")
        );
        let unchanged = Refund {
            version: before.version,
            needs_human: before.needs_human.clone(),
            ..after.clone()
        };
        assert_eq!((after.version, unchanged), (before.version + 1, before));
    }
}

#[test]
fn only_a_request_is_decided_and_a_decision_is_made_once() {
    // Approve and reject: the state each leads to, or whether it is a repeat (true) or too late (false).
    let repeat = Err(true);
    let too_late = Err(false);
    for state in STATES {
        let (approved, rejected) = match state {
            RefundState::Requested => (Ok(RefundState::Reserved), Ok(RefundState::Rejected)),
            RefundState::Rejected => (too_late, repeat),
            RefundState::Reserved
            | RefundState::Processing
            | RefundState::Abnormal
            | RefundState::Closed
            | RefundState::Success { .. } => (repeat, too_late),
        };
        let before = refund(state);
        for (decision, expected) in [(before.approve(), approved), (before.reject(), rejected)] {
            let expected = match expected {
                Ok(state) => Decision::Changed(Box::new(Refund {
                    state,
                    version: before.version + 1,
                    ..before.clone()
                })),
                Err(true) => Decision::Repeat,
                Err(false) => Decision::TooLate,
            };
            assert_eq!(decision, expected, "{}", state.as_str());
        }
        // Deciding again what was decided is a repeat, and the opposite is too late.
        if let Some(approved) = decided(before.approve()) {
            assert_eq!(approved.approve(), Decision::Repeat);
            assert_eq!(approved.reject(), Decision::TooLate);
        }
        if let Some(rejected) = decided(before.reject()) {
            assert_eq!(rejected.reject(), Decision::Repeat);
            assert_eq!(rejected.approve(), Decision::TooLate);
        }
    }
}

#[test]
fn a_repeat_is_answered_with_the_refund_it_asked_for_and_no_other() {
    let reasons = [None, Some("wrong size"), Some("another")];
    for state in STATES {
        for party in PARTIES {
            for asked_by in PARTIES {
                for (amount, reason) in [300, 299]
                    .into_iter()
                    .flat_map(|amount| reasons.map(|reason| (amount, reason)))
                {
                    let record = Refund {
                        asked_by: party,
                        reason: Some("wrong size".to_owned()),
                        ..refund(state)
                    };
                    let meets_a_payers = asked_by == Party::Merchant && party == Party::Payer;
                    let expected = if meets_a_payers && state == RefundState::Requested {
                        Err(OtherTerms::PayersRequestWaits)
                    } else if meets_a_payers && state == RefundState::Rejected {
                        Err(OtherTerms::PayersRequestRejected)
                    } else if amount != 300 {
                        Err(OtherTerms::Field("amount.refund"))
                    } else if reason != Some("wrong size") {
                        Err(OtherTerms::Field("reason"))
                    } else {
                        Ok(())
                    };
                    assert_eq!(
                        record.repeated(asked_by, fen(amount), reason),
                        expected,
                        "{} of {party:?}, {asked_by:?} asks {amount} {reason:?}",
                        state.as_str()
                    );
                }
            }
        }
    }
}

#[test]
fn a_payers_request_approves_itself_within_the_hours_of_policy_and_under_no_number_of_its_own() {
    let policy = 3_600;
    for names_number in [false, true] {
        for auto_approve_seconds in [0, policy] {
            // A payment may be dated a moment ahead.
            for age in [-5, 0, policy - 1, policy, policy + 1] {
                let itself = |asked_by| {
                    let success_time = NOW.minus_seconds(age);
                    approves_itself(
                        asked_by,
                        names_number,
                        success_time,
                        auto_approve_seconds,
                        NOW,
                    )
                };
                assert!(itself(Party::Merchant));
                let expected = !names_number && auto_approve_seconds > 0 && age < policy;
                assert_eq!(itself(Party::Payer), expected, "{names_number} {age}");
            }
        }
    }
}

#[test]
fn a_refusal_keeps_the_state_and_says_when_to_send_again_and_when_to_call_a_person() {
    let code = || "CODE".to_owned();
    let kinds = [
        RefusalKind::NotEnough,
        RefusalKind::Later { code: code() },
        RefusalKind::Definite { code: code() },
    ];
    for state in STATES {
        for refusals in 0..=REFUSALS_MAX + 1 {
            for attempts in 0..7 {
                for interval in [1, 60, 90] {
                    for kind in &kinds {
                        let before = Refund {
                            refusals,
                            needs_human: None,
                            mac: None,
                            ..refund(state)
                        };
                        let (after, due) = before.refused(kind, attempts, NOW, interval);
                        let soon = interval.max(backoff_seconds(attempts).min(60));
                        let (wait, needs_human) = match kind {
                            RefusalKind::NotEnough => {
                                (REFUSED_SECONDS, Some("the merchant's balance is short"))
                            }
                            RefusalKind::Later { .. } if refusals + 1 < REFUSALS_MAX => {
                                (soon, None)
                            }
                            RefusalKind::Later { .. } | RefusalKind::Definite { .. } => {
                                (REFUSED_SECONDS, Some("WeChat Pay refuses it: CODE"))
                            }
                        };
                        let expected = Refund {
                            version: before.version + 1,
                            refusals: refusals + 1,
                            needs_human: needs_human.map(str::to_owned),
                            ..before
                        };
                        assert_eq!(after, expected, "{kind:?}");
                        assert_eq!(due, Due::first(NOW.plus_seconds(wait)), "{kind:?}");
                    }
                }
            }
        }
    }
    // Why a person was called stays until WeChat Pay reports something.
    let later = RefusalKind::Later { code: code() };
    let refused = Refund {
        refusals: 0,
        ..refund(RefundState::Reserved)
    };
    let (after, _) = refused.refused(&later, 0, NOW, 60);
    assert_eq!(after.needs_human, refused.needs_human);
}

#[test]
fn a_refund_is_stuck_after_an_hour_reserved_three_days_processing_or_at_once_abnormal() {
    for state in STATES {
        for age in [
            RESERVED_SECONDS_MAX,
            RESERVED_SECONDS_MAX + 1,
            PROCESSING_SECONDS_MAX,
            PROCESSING_SECONDS_MAX + 1,
        ] {
            for attempts in 0..4 {
                for refusals in 0..2 {
                    let refund = Refund {
                        created_at: NOW.minus_seconds(age),
                        refusals,
                        ..refund(state)
                    };
                    let expected = match state {
                        RefundState::Reserved => {
                            age > RESERVED_SECONDS_MAX && (attempts > 1 || refusals > 0)
                        }
                        RefundState::Processing => age > PROCESSING_SECONDS_MAX,
                        RefundState::Abnormal => true,
                        RefundState::Requested
                        | RefundState::Closed
                        | RefundState::Success { .. }
                        | RefundState::Rejected => false,
                    };
                    let stuck = refund.is_stuck(attempts, NOW);
                    assert_eq!(stuck, expected, "{refund:?} {attempts}");
                }
            }
        }
    }
}

#[test]
fn a_refund_whose_slot_was_taken_waits_for_it_and_not_for_its_own_time() {
    for state in STATES {
        for attempts in 0..7 {
            for seconds in [-1, 0, 30, 10_000, 100_000] {
                let refund = refund(state);
                let next_refund_at = NOW.plus_seconds(seconds);
                let due = refund.due_after_taken_slot(NOW, attempts, next_refund_at);
                let own = refund.due_after(NOW, attempts);
                let expected = own.map(|own| Due {
                    at: own.at.min(next_refund_at.max(NOW)),
                    attempts: attempts.saturating_sub(1),
                });
                assert_eq!(due, expected, "{} {attempts} {seconds}", state.as_str());
            }
        }
    }
    assert_eq!(next_refund_at(NOW, 60), NOW.plus_seconds(61));
}

#[test]
fn a_new_refund_has_its_orders_words_and_holds_money_only_where_it_is_reserved() {
    let terms = RefundTerms {
        refund_id: RefundId::parse("REFUND_9").unwrap(),
        amount: fen(5),
        reason: Some("late".to_owned()),
        notify_url: "https://shop.example/v1/notify".to_owned(),
        asked_by: Party::Payer,
    };
    let order = order();
    let payment = order.payment_on_record().unwrap();
    let requested = Refund::requested(terms.clone(), &order, payment, NOW);
    let expected = Refund {
        refund_id: terms.refund_id.clone(),
        order_id: order.terms.order_id.clone(),
        transaction_id: payment.transaction_id.clone(),
        amount: terms.amount,
        total: order.terms.total,
        reason: terms.reason.clone(),
        notify_url: terms.notify_url.clone(),
        asked_by: Party::Payer,
        created_at: NOW,
        state: RefundState::Requested,
        version: 1,
        wechatpay_refund_id: None,
        refusals: 0,
        needs_human: None,
        mac: None,
    };
    assert_eq!(requested, expected);
    let reserved = Refund::reserved(terms, &order, payment, NOW);
    assert_eq!(
        reserved,
        Refund {
            state: RefundState::Reserved,
            ..expected
        }
    );
}
