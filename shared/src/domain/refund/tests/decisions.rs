//! What the merchant decides, what a repeat asks and what WeChat Pay's refusal means: every state and
//! every input.

use super::*;
use crate::domain::absence::Heard;
use crate::domain::refund::Application;
use crate::domain::schedule::backoff_seconds;
use crate::domain::terms::SubMerchant;

// Periods are written out as docs/wechatpay.md and docs/operations.md tell them: a test that computed with the
// code's own constants would agree with any of them.
const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
/// A refusal that may pass calls a person the third time.
const REFUSALS: u32 = 3;

const PARTIES: [Party; 2] = [Party::Payer, Party::Merchant];

/// What a decision comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    To(RefundState),
    ToARepeat,
    TooLate,
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
            events: before.events.clone(),
            ..after.clone()
        };
        assert_eq!((after.version, unchanged), (before.version + 1, before));
    }
}

#[test]
fn an_application_goes_out_for_an_abnormal_refund_alone() {
    use RefundState::{Abnormal, Processing};
    let statuses = [
        RefundStatus::Processing,
        RefundStatus::Success { at: None },
        RefundStatus::Closed,
        RefundStatus::Abnormal,
        RefundStatus::Unknown("TOMORROW".to_owned()),
    ];
    for state in STATES {
        for status in &statuses {
            let expected = match (state, status) {
                (Processing | Abnormal, RefundStatus::Abnormal) => Application::Send,
                (Abnormal, RefundStatus::Processing) => Application::Taken,
                _ => Application::NotAbnormal,
            };
            let decided = refund(state).application(status);
            assert_eq!(decided, expected, "{state:?} {status:?}");
            let taken = matches!(
                (state, status),
                (
                    Abnormal,
                    RefundStatus::Processing | RefundStatus::Success { .. }
                )
            );
            let told = refund(state).was_applied_for(status);
            assert_eq!(told, taken, "{state:?} {status:?}");
        }
        let asked = matches!(state, Processing | Abnormal);
        assert_eq!(refund(state).may_be_abnormal(), asked, "{state:?}");
    }
}

#[test]
fn each_decision_of_the_merchants_comes_in_each_state_to_what_the_table_says() {
    use Comes::{To, ToARepeat, TooLate};
    use RefundState::{Abnormal, Closed, Processing, Rejected, Requested, Reserved};
    let withdrawing = RefundState::Withdrawing {
        since: NOW,
        missing_since: None,
    };
    // Approve, reject, withdraw, retry.
    let table = [
        (Requested, [To(Reserved), To(Rejected), TooLate, TooLate]),
        (
            Reserved,
            [ToARepeat, TooLate, To(withdrawing), To(Reserved)],
        ),
        (Processing, [ToARepeat, TooLate, TooLate, ToARepeat]),
        (Abnormal, [ToARepeat, TooLate, TooLate, ToARepeat]),
        (Closed, [ToARepeat, TooLate, TooLate, TooLate]),
        (STATES[5], [ToARepeat, TooLate, TooLate, ToARepeat]),
        (Rejected, [TooLate, ToARepeat, TooLate, TooLate]),
        (STATES[7], [ToARepeat, TooLate, ToARepeat, TooLate]),
        (STATES[8], [ToARepeat, TooLate, ToARepeat, TooLate]),
        (STATES[9], [ToARepeat, TooLate, ToARepeat, TooLate]),
    ];
    assert_eq!(table.map(|(state, _)| state), STATES);
    for (state, row) in table {
        let before = refund(state);
        let decisions = [
            before.approve(NOW),
            before.reject(NOW),
            before.withdraw(NOW),
            before.retry(NOW),
        ];
        for (place, (decision, expected)) in decisions.into_iter().zip(row).enumerate() {
            let events = match &decision {
                Decision::Changed(after) => after.events.clone(),
                Decision::Repeat | Decision::TooLate => EventLog::new(),
            };
            let expected = match expected {
                ToARepeat => Decision::Repeat,
                TooLate => Decision::TooLate,
                To(state) => {
                    let reserves = state == Reserved;
                    let starts_anew = place > 1;
                    Decision::Changed(Box::new(Refund {
                        state,
                        version: before.version + 1,
                        reserved_at: if reserves {
                            Some(NOW)
                        } else {
                            before.reserved_at
                        },
                        refusals: if starts_anew { 0 } else { before.refusals },
                        refused_since: before.refused_since.filter(|_| !starts_anew),
                        needs_human: before.needs_human.clone().filter(|_| !starts_anew),
                        events,
                        ..before.clone()
                    }))
                }
            };
            assert_eq!(decision, expected, "{} {place}", state.as_str());
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
        for auto_approve_seconds in [0, 1, policy] {
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
                let within = auto_approve_seconds > 0 && age < auto_approve_seconds;
                let expected = !names_number && within;
                assert_eq!(itself(Party::Payer), expected, "{names_number} {age}");
            }
        }
    }
}

#[test]
fn a_payment_counts_for_policy_no_later_than_its_order_could_be_paid() {
    let order = order();
    let last = order.terms.time_expire.plus_seconds(60);
    for (seconds, counts_after) in [(-900, -900), (-1, -1), (0, 0), (1, 0), (9 * 86_400, 0)] {
        let told = Payment {
            success_time: last.plus_seconds(seconds),
            ..order.payment_on_record().unwrap().clone()
        };
        let counted = order.counts_as_paid_at(&told);
        assert_eq!(counted, last.plus_seconds(counts_after), "{seconds}");
    }
}

#[test]
fn only_a_reserved_refund_that_wechat_pay_does_not_know_is_sent() {
    for state in STATES {
        let reserved = state == RefundState::Reserved;
        assert_eq!(state.must_send(Heard::Absence), reserved, "{state:?}");
        assert!(!state.must_send(Heard::Report), "{state:?}");
        let withdrawn = state.as_str().starts_with("WITHDR");
        assert_eq!(state.was_withdrawn(), withdrawn, "{state:?}");
    }
}

#[test]
fn a_refusals_status_and_code_say_whether_a_repeat_can_help() {
    let codes = [
        "NOT_ENOUGH",
        "PARAM_ERROR",
        "MCH_NOT_EXISTS",
        "NO_AUTH",
        "USER_ACCOUNT_ABNORMAL",
        "TRADE_OVERDUE",
        "REFUND_FEE_MISMATCH",
        "INVALID_REQUEST",
        "RULE_LIMIT",
        "ACCOUNT_ERROR",
        "NOT_YET_INVENTED",
        "",
    ];
    for status in [400, 401, 403, 404, 409] {
        for (at, code) in codes.into_iter().enumerate() {
            let told = code.to_owned();
            let expected = match (status, at) {
                (401, _) => None,
                (403, 0) => Some(RefusalKind::NotEnough),
                (_, 1..=6) => Some(RefusalKind::Definite { code: told }),
                (404, _) => Some(RefusalKind::Passing { code: told }),
                _ => Some(RefusalKind::Doubtful { code: told }),
            };
            assert_eq!(RefusalKind::of(status, code), expected, "{status} {code}");
        }
    }
}

#[test]
fn a_refusal_keeps_the_state_and_says_when_to_send_again_and_when_to_call_a_person() {
    let code = || "CODE".to_owned();
    let kinds = [
        RefusalKind::NotEnough,
        RefusalKind::Passing { code: code() },
        RefusalKind::Doubtful { code: code() },
        RefusalKind::Definite { code: code() },
    ];
    for state in STATES {
        for refusals in 0..=REFUSALS + 1 {
            for attempts in 0..7 {
                for interval in [1, 60, 90] {
                    for (kind, for_seconds) in kinds.iter().flat_map(|kind| {
                        let lasts = [None, Some(DAY - 1), Some(DAY)];
                        lasts.map(|seconds| (kind, seconds))
                    }) {
                        let since = for_seconds.map(|seconds| NOW.minus_seconds(seconds));
                        let before = Refund {
                            refusals,
                            refused_since: since,
                            needs_human: None,
                            mac: None,
                            ..refund(state)
                        };
                        let (after, due) = before.refused(kind, attempts, NOW, interval);
                        let over = for_seconds.is_some_and(|seconds| seconds >= DAY);
                        let soon = interval.max(backoff_seconds(attempts).min(60));
                        let (wait, needs_human) = match kind {
                            RefusalKind::NotEnough if over => {
                                (None, Some("the merchant's balance was short for a day"))
                            }
                            RefusalKind::NotEnough => {
                                (Some(HOUR), Some("the merchant's balance is short"))
                            }
                            RefusalKind::Passing { .. } | RefusalKind::Doubtful { .. }
                                if refusals + 1 < REFUSALS =>
                            {
                                (Some(soon), None)
                            }
                            RefusalKind::Passing { .. } if over => {
                                (None, Some("WeChat Pay refused it for a day: CODE"))
                            }
                            RefusalKind::Passing { .. } => {
                                (Some(HOUR), Some("WeChat Pay refuses it: CODE"))
                            }
                            RefusalKind::Doubtful { .. } | RefusalKind::Definite { .. } => {
                                (None, Some("WeChat Pay refuses it: CODE"))
                            }
                        };
                        let expected = Refund {
                            version: before.version + 1,
                            refusals: refusals + 1,
                            refused_since: Some(since.unwrap_or(NOW)),
                            needs_human: needs_human.map(str::to_owned),
                            events: after.events.clone(),
                            ..before
                        };
                        assert_eq!(after, expected, "{kind:?}");
                        let wait = wait.map(|seconds| Due::first(NOW.plus_seconds(seconds)));
                        assert_eq!(due, wait, "{kind:?}");
                    }
                }
            }
        }
    }
    // Why a person was called stays until WeChat Pay reports something.
    let later = RefusalKind::Passing { code: code() };
    let refused = Refund {
        refusals: 0,
        ..refund(RefundState::Reserved)
    };
    let (after, _) = refused.refused(&later, 0, NOW, 60);
    assert_eq!(after.needs_human, refused.needs_human);
}

#[test]
fn a_person_is_called_once_for_a_refund_that_takes_an_hour_to_be_taken_or_three_days_to_end() {
    for state in STATES {
        for age in [HOUR, HOUR + 1, 3 * DAY, 3 * DAY + 1] {
            let refund = Refund {
                // A request may wait long for the merchant: that is not WeChat Pay's time.
                created_at: NOW.minus_seconds(40 * 86_400),
                reserved_at: Some(NOW.minus_seconds(age)),
                needs_human: None,
                ..refund(state)
            };
            let late = match state {
                RefundState::Reserved => age > HOUR,
                RefundState::Processing => age > 3 * DAY,
                RefundState::Requested
                | RefundState::Abnormal
                | RefundState::Closed
                | RefundState::Success { .. }
                | RefundState::Rejected
                | RefundState::Withdrawn { .. } => false,
                // Counted from the withdrawal.
                RefundState::Withdrawing { since, .. } => NOW.seconds_since(since) > 3_600,
            };
            let Some(flagged) = refund.overdue(NOW) else {
                assert!(!late, "{refund:?}");
                continue;
            };
            assert!(late, "{refund:?}");
            assert!(flagged.needs_human.is_some());
            let expected = Refund {
                version: refund.version + 1,
                needs_human: flagged.needs_human.clone(),
                events: flagged.events.clone(),
                ..refund
            };
            assert_eq!(flagged, expected);
            assert_eq!(flagged.overdue(NOW), None, "once");
            let old = Refund {
                created_at: NOW.minus_seconds(age),
                reserved_at: None,
                needs_human: None,
                ..flagged
            };
            assert!(old.overdue(NOW).is_some(), "written before this was kept");
        }
    }
}

#[test]
fn a_refund_is_late_by_when_it_was_last_sent_or_tried_again() {
    let asked_at = NOW;
    let day = |days: i64| Some(asked_at.plus_seconds(days * DAY));
    let last = |seconds: i64| Some(asked_at.plus_seconds(30 * DAY + seconds));
    for (reserved_at, sent_at, sent_last, is_late) in [
        (None, None, day(0), false),
        (day(0), day(0), day(0), false),
        (last(0), last(0), last(0), false),
        (last(1), None, last(1), true),
        // The sweep sends it once more; the merchant has it tried again and it is not sent yet.
        (day(1), last(1), last(1), true),
        (last(1), day(1), last(1), true),
    ] {
        let refund = Refund {
            created_at: asked_at,
            reserved_at,
            sent_at,
            ..refund(RefundState::Reserved)
        };
        assert_eq!(Some(refund.last_sent_at()), sent_last);
        assert_eq!(refund.is_late(), is_late, "{reserved_at:?} {sent_at:?}");
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
    let mut order = order();
    let sub_mchid = Mchid::parse("1900000110").unwrap();
    order.terms.sub_merchant = Some(SubMerchant {
        mchid: sub_mchid.clone(),
        appid: None,
    });
    let payment = order.payment_on_record().unwrap();
    let requested = Refund::requested(terms.clone(), &order, payment, NOW);
    let expected = Refund {
        refund_id: terms.refund_id.clone(),
        order_id: order.terms.order_id.clone(),
        transaction_id: payment.transaction_id.clone(),
        sub_mchid: Some(sub_mchid),
        amount: terms.amount,
        total: order.terms.total,
        reason: terms.reason.clone(),
        notify_url: terms.notify_url.clone(),
        asked_by: Party::Payer,
        created_at: NOW,
        reserved_at: None,
        sent_at: None,
        state: RefundState::Requested,
        version: 1,
        wechatpay_refund_id: None,
        refusals: 0,
        refused_since: None,
        needs_human: None,
        mac: None,
        events: requested.events.clone(),
    };
    assert_eq!(requested, expected);
    let reserved = Refund::reserved(terms, &order, payment, NOW);
    assert_eq!(
        reserved,
        Refund {
            state: RefundState::Reserved,
            reserved_at: Some(NOW),
            ..expected
        }
    );
}
