//! The ways a fault spoils an answer: which strike, and what they change before it is signed.

use serde_json::{Value, json};

use crate::api::answer::{Draft, Pace};
use crate::api::route::Operation;
use crate::{canonical, random};

const OVERSIZED_BYTES: usize = 10 * 1024 * 1024;

/// What is wrong with an answer on purpose.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one fault, drawn independently"
)]
pub(super) struct AnswerDistortions {
    pub(super) unsigned: bool,
    pub(super) probe: bool,
    pub(super) bad_signature: bool,
    pub(super) stale: bool,
    pub(super) unknown_serial: bool,
    pub(super) endless_headers: bool,
    pub(super) altered: bool,
    pub(super) compressed: bool,
    pub(super) bomb: bool,
    pub(super) mixed_up: bool,
    pub(super) other_merchant: bool,
    pub(super) wrong_amount: bool,
    pub(super) unknown_fields: bool,
    pub(super) unknown_state: bool,
    pub(super) oversized: bool,
    pub(super) pace: Pace,
}

impl Default for AnswerDistortions {
    fn default() -> Self {
        Self {
            unsigned: false,
            probe: false,
            bad_signature: false,
            stale: false,
            unknown_serial: false,
            endless_headers: false,
            altered: false,
            compressed: false,
            bomb: false,
            mixed_up: false,
            other_merchant: false,
            wrong_amount: false,
            unknown_fields: false,
            unknown_state: false,
            oversized: false,
            pace: Pace::AtOnce,
        }
    }
}

impl AnswerDistortions {
    /// Draws what is wrong with the signature; what another fault would hide is not asked for.
    pub(super) fn draw_signature(
        &mut self,
        spared: bool,
        strikes: &mut impl FnMut(&'static str) -> bool,
    ) {
        self.unsigned = strikes("response_unsigned");
        if self.unsigned {
            return;
        }
        self.probe = !spared && strikes("response_probe");
        self.bad_signature = !self.probe && strikes("response_bad_signature");
        self.stale = strikes("response_stale");
        self.unknown_serial = strikes("response_unknown_serial");
    }

    /// Draws what is wrong with the rest, where there is something to spoil.
    pub(super) fn draw_body(
        &mut self,
        answer: &Draft,
        success: Option<&Value>,
        operation: &Operation,
        strikes: &mut impl FnMut(&'static str) -> bool,
    ) {
        self.endless_headers = strikes("response_endless_headers");
        if answer.body.is_empty() {
            return;
        }
        if let Some(body) = success {
            self.mixed_up = body.get("out_trade_no").is_some() && strikes("response_mixed_up");
            self.other_merchant = MCHIDS.iter().any(|name| body.get(name).is_some())
                && strikes("response_other_merchant");
            self.wrong_amount = AMOUNTS.iter().any(|name| body["amount"][name].is_i64())
                && strikes("response_wrong_amount");
            self.unknown_fields = strikes("unknown_fields");
            self.unknown_state =
                matches!(operation.name, "query" | "query_refund") && strikes("unknown_state");
            self.oversized = strikes("response_oversized");
        }
        self.bomb = strikes("response_bomb");
        if !self.bomb {
            self.altered = strikes("response_altered");
            self.compressed = strikes("response_compressed");
        }
        if strikes("response_truncated") {
            self.pace = Pace::Truncated;
        } else if strikes("slow_body") {
            self.pace = Pace::Drip;
        }
    }

    /// Changes the members of a body before it is signed.
    pub(super) fn rewrite(&self, answer: &mut Draft, mut body: Value) {
        let changed = self.mixed_up
            || self.other_merchant
            || self.wrong_amount
            || self.unknown_fields
            || self.unknown_state
            || self.oversized;
        if !changed {
            return;
        }
        if self.mixed_up {
            body["out_trade_no"] = json!(random::alphanumeric(24));
        }
        if self.other_merchant {
            for name in MCHIDS {
                if body.get(name).is_some() {
                    body[name] = json!(format!("19{}", random::digits(8)));
                }
            }
        }
        if self.wrong_amount {
            for name in AMOUNTS {
                if let Some(fen) = body["amount"][name].as_i64() {
                    // There is nothing above the largest number there is.
                    body["amount"][name] = json!(fen.checked_add(1).unwrap_or(fen - 1));
                }
            }
        }
        if self.unknown_fields {
            body["new_member"] = json!({"since": "today", "list": [1, null, "x"]});
        }
        if self.unknown_state {
            for name in ["trade_state", "status"] {
                if body.get(name).is_some() {
                    body[name] = json!("REVIEWING");
                }
            }
        }
        if self.oversized {
            body["padding"] = json!("0".repeat(OVERSIZED_BYTES));
        }
        answer.body = canonical::sorted(&body).into_bytes();
    }
}

/// The members that name the merchant who signs.
const MCHIDS: [&str; 2] = ["mchid", "sp_mchid"];
/// The members of `amount` that a wrong amount is stated in.
const AMOUNTS: [&str; 2] = ["total", "refund"];
