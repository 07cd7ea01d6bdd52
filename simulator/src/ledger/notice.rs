//! A notice to the merchant and its attempts: plain records. What a notice says, when it goes out
//! and what is made of the answer is in `notices/`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::distortion::Distortion;
use crate::beijing;

/// Whether an attempt belongs to the schedule, is a duplicate beside it, or was asked for by a
/// person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copy {
    Scheduled,
    Extra,
    Resent,
}

/// Where a notice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Progress {
    Pending,
    Delivered,
    GivenUp,
    /// The merchant gave no URL for it, or has no APIv3 key.
    NotSent,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) at_ms: i64,
    pub(crate) status: Option<u16>,
    pub(crate) took_ms: u64,
    pub(crate) verdict: String,
    /// Called `twist` in the state file and in `/_sim/notifications`.
    #[serde(rename = "twist")]
    pub(crate) distortion: Distortion,
    pub(crate) serial: String,
    /// Whether a person asked for it, beside the schedule.
    #[serde(default)]
    pub(crate) resent: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) seq: u64,
    pub(crate) id: String,
    pub(crate) mchid: String,
    pub(crate) event_type: String,
    pub(crate) summary: String,
    pub(crate) original_type: String,
    pub(crate) out_trade_no: String,
    pub(crate) out_refund_no: Option<String>,
    pub(crate) url: String,
    /// The resource before it is sealed.
    pub(crate) payload: String,
    pub(crate) created_ms: i64,
    pub(crate) next_due_ms: Option<i64>,
    pub(crate) progress: Progress,
    pub(crate) why: Option<String>,
    pub(crate) attempts: Vec<Attempt>,
    /// Attempts of the schedule so far.
    pub(crate) tries: usize,
    /// Waits for another notice to go first.
    pub(crate) held: bool,
    /// A fault's invention: sent once.
    pub(crate) invented: bool,
    pub(crate) extra_fields: bool,
    /// No attempt of it arrives.
    #[serde(default)]
    pub(crate) lost_for_good: bool,
    /// A copy follows the first attempt. Not kept: what a restart cuts off comes once.
    #[serde(skip)]
    pub(crate) copied: bool,
    /// An attempt of the schedule is on its way, so `next_due_ms` is that attempt's. Not kept: one
    /// that a restart cut off is due again.
    #[serde(skip)]
    pub(crate) on_its_way: bool,
    /// How the latest attempt went out, also when nothing is known of it yet.
    #[serde(skip)]
    pub(crate) latest: Option<Distortion>,
}

impl Notice {
    /// The words the dice know the attempts of a notice by.
    /// `place` is that of its merchant among all.
    pub(crate) fn subject(&self, place: usize, copy: Copy) -> String {
        let kind = match (self.invented, copy) {
            (_, Copy::Resent) => "resent ",
            (true, Copy::Scheduled | Copy::Extra) => "invented ",
            (false, Copy::Extra) => "copy of ",
            (false, Copy::Scheduled) => "",
        };
        let number = self.out_refund_no.as_deref();
        let number = number.unwrap_or(&self.out_trade_no);
        format!("{place} {kind}{} {number}", self.event_type)
    }

    /// Whether it is another product's event.
    pub(crate) fn is_another_products(&self) -> bool {
        !matches!(self.original_type.as_str(), "transaction" | "refund")
    }

    /// Whether it waits until a later one has been sent.
    pub(crate) fn waits(&self) -> bool {
        self.held && self.progress == Progress::Pending
    }

    /// The row of `/_sim/notifications`.
    pub(crate) fn row(&self) -> Value {
        let attempts: Vec<Value> = self
            .attempts
            .iter()
            .map(|attempt| {
                json!({
                    "at": beijing::rfc3339(attempt.at_ms),
                    "at_ms": attempt.at_ms,
                    "status": attempt.status,
                    "took_ms": attempt.took_ms,
                    "verdict": attempt.verdict,
                    "twist": attempt.distortion,
                    "serial": attempt.serial,
                    "resent": attempt.resent,
                })
            })
            .collect();
        json!({
            "entered": self.seq,
            "id": self.id,
            "mchid": self.mchid,
            "event_type": self.event_type,
            "out_trade_no": self.out_trade_no,
            "out_refund_no": self.out_refund_no,
            "url": self.url,
            "state": self.progress,
            "why": self.why,
            "created_at": beijing::rfc3339(self.created_ms),
            "next_attempt_at": self.next_due_ms.map(beijing::rfc3339),
            "invented": self.invented,
            "lost_for_good": self.lost_for_good,
            "attempts": attempts,
        })
    }
}
