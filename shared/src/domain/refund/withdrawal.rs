//! A refund that the merchant takes back before WeChat Pay has taken it.
//!
//! From the withdrawal on nothing is sent. What was sent a moment before may still be on its way, and
//! "no such refund" is answered falsely now and then, so the amount is free only after two signed ones
//! that are far enough apart and from the last sending.

use super::{Decision, Refund, RefundChange, RefundState};
use crate::domain::absence::{ABSENCE_CONFIRM_SECONDS, ABSENCE_INTERVAL_SECONDS};
use crate::domain::{RefundReport, Timestamp};

/// How long a request may be on its way after somebody got the right to send it, in seconds: longer
/// than any function runs that sends one.
pub const SENDING_SECONDS_MAX: i64 = 60;

/// Why a person has to look at a refund that WeChat Pay took although it was withdrawn.
pub(super) const TAKEN_AFTER_ALL: &str = "WeChat Pay has taken it although it was withdrawn";

/// Why, once it takes too long as well; as true when it has ended.
pub(super) const TAKEN_AND_LATE: &str =
    "WeChat Pay has taken it although it was withdrawn, and has needed more than three days";

impl Refund {
    /// Decides what the merchant's withdrawal means: what WeChat Pay has not taken is not sent any
    /// more.
    pub fn withdraw(&self, now: Timestamp) -> Decision {
        match self.state {
            RefundState::Reserved => self.decided(
                Self {
                    refusals: 0,
                    refused_since: None,
                    needs_human: None,
                    state: RefundState::Withdrawing {
                        since: now,
                        missing_since: None,
                    },
                    ..self.clone()
                },
                now,
            ),
            RefundState::Withdrawing { .. } | RefundState::Withdrawn { .. } => Decision::Repeat,
            RefundState::Requested
            | RefundState::Processing
            | RefundState::Abnormal
            | RefundState::Closed
            | RefundState::Success { .. }
            | RefundState::Rejected => Decision::TooLate,
        }
    }

    /// Decides what a signed "no such refund" means. It counts for a refund that is being withdrawn,
    /// once nothing can be on its way any more; two that are [`ABSENCE_INTERVAL_SECONDS`] apart release
    /// the amount.
    pub fn observe_absence(&self, now: Timestamp) -> RefundChange {
        match self.state {
            RefundState::Withdrawing {
                since,
                missing_since,
            } => {
                let counts = self.absence_counts_from(since);
                // One heard before the last sending was over says nothing about it.
                let first = missing_since.filter(|first| *first >= counts);
                match first {
                    Some(first) if now.seconds_since(first) >= ABSENCE_INTERVAL_SECONDS => {
                        let withdrawn = Self {
                            state: RefundState::Withdrawn {
                                at: now,
                                confirmations: 0,
                            },
                            // Whoever was called because it took long is needed no more.
                            needs_human: None,
                            ..self.clone()
                        };
                        self.becomes(withdrawn, now)
                    }
                    None if now >= counts => self.becomes_state(
                        RefundState::Withdrawing {
                            since,
                            missing_since: Some(now),
                        },
                        now,
                    ),
                    Some(_) | None => RefundChange::Unchanged,
                }
            }
            RefundState::Withdrawn { at, confirmations } => {
                // Only a look at its planned time counts, as for an order that was closed by absence.
                match planned_look(at, confirmations) {
                    Some(planned) if now >= planned => self.becomes_state(
                        RefundState::Withdrawn {
                            at,
                            confirmations: confirmations + 1,
                        },
                        now,
                    ),
                    Some(_) | None => RefundChange::Unchanged,
                }
            }
            RefundState::Requested
            | RefundState::Reserved
            | RefundState::Processing
            | RefundState::Abnormal
            | RefundState::Closed
            | RefundState::Success { .. }
            | RefundState::Rejected => RefundChange::Unchanged,
        }
    }

    /// From when "no such refund" counts: nothing that was sent before can still be on its way.
    pub(super) fn absence_counts_from(&self, since: Timestamp) -> Timestamp {
        let last = self.sent_at.map_or(since, |sent_at| sent_at.max(since));
        last.plus_seconds(SENDING_SECONDS_MAX)
    }

    /// What WeChat Pay reports of a refund that was withdrawn: believed, and for a person to see.
    pub(super) fn taken_after_all(
        &self,
        report: &RefundReport,
        state: RefundState,
        now: Timestamp,
    ) -> RefundChange {
        let after = Self {
            state,
            wechatpay_refund_id: Some(report.wechatpay_refund_id.clone()),
            needs_human: Some(TAKEN_AFTER_ALL.to_owned()),
            ..self.clone()
        };
        self.becomes(after, now)
    }

    /// Why a person still has to look once WeChat Pay reports `state`: one that was taken although it was
    /// withdrawn may have been paid by hand, too, which its end does not mend. Nothing else is left, and
    /// nothing where no money went back.
    pub(super) fn still_needs_human(&self, state: RefundState) -> Option<String> {
        let gives_back = state.holds_money();
        let why = self.needs_human.clone();
        why.filter(|why| gives_back && (why == TAKEN_AFTER_ALL || why == TAKEN_AND_LATE))
    }

    fn becomes_state(&self, state: RefundState, now: Timestamp) -> RefundChange {
        let after = Self {
            state,
            ..self.clone()
        };
        self.becomes(after, now)
    }
}

/// When a refund that was withdrawn is looked at again; `None` after the last look.
pub(super) fn planned_look(at: Timestamp, confirmations: u32) -> Option<Timestamp> {
    let looks = usize::try_from(confirmations).unwrap_or(usize::MAX);
    let seconds = ABSENCE_CONFIRM_SECONDS.get(looks)?;
    Some(at.plus_seconds(*seconds))
}
