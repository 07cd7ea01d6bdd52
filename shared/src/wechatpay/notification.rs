//! Notices: the envelope, what is sealed in it, and what that says.
//!
//! Only [`Verified`] bytes get here. What is inside decides, not where it was sent: a refund's notice
//! at the payments' address is a refund's notice.

use serde::Deserialize;

use super::Signed;
use super::keys::Apiv3Keys;
use super::seal::{KeySlot, OpenError, SealedResource, open};
use super::verify::Verified;
use super::wire::{self, NO_AMOUNT, RefundAnswer, TransactionAnswer, Unreadable};
use crate::domain::{OrderId, OrderReport, RefundId, RefundReport};

/// How long a notice's id may be, in characters; WeChat Pay's have at most 36.
const ID_MAX: usize = 64;

/// How long an event's type may be, in characters.
const EVENT_TYPE_MAX: usize = 64;

#[derive(Deserialize)]
struct Envelope {
    id: String,
    event_type: String,
    // Only the events read here have to carry a resource; of others too little is known.
    resource_type: Option<String>,
    resource: Option<SealedResource>,
}

/// What a notice says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// `TRANSACTION.SUCCESS`.
    Payment(Signed<OrderReport>),
    /// `REFUND.SUCCESS`, `REFUND.ABNORMAL` or `REFUND.CLOSED`.
    Refund(Signed<RefundReport>),
    /// One of the events above with a state that does not go with it, or that is not known here. It
    /// changes nothing and is kept, and since it tells of our own money a person has to look.
    UnknownState {
        /// The event's type as sent.
        event_type: String,
        /// Whose money it is about, where that is told.
        mchid: Option<String>,
        /// The state as sent, cut to 32 characters.
        state: String,
        /// The order's number, where it is one.
        order_id: Option<OrderId>,
        /// The refund's, likewise.
        refund_id: Option<RefundId>,
    },
    /// Another product's event, or one of tomorrow: kept, and answered as received.
    Unhandled {
        /// The event's type as sent.
        event_type: String,
    },
}

/// A notice that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadNotification {
    /// The notice's id; it names evidence and is never what decides whether something is new.
    pub id: String,
    /// What it says.
    pub notice: Notification,
    /// Which APIv3 key opened it; `None` where it was not opened.
    pub key_slot: Option<KeySlot>,
}

/// A signed notice that could not be read or does not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    /// The body is no envelope of the known shape.
    #[error("the envelope cannot be read")]
    Envelope,
    /// It is sealed with another algorithm, a malformed nonce or a key that is not held.
    #[error("the notice cannot be opened: {cause}")]
    Undecryptable {
        /// The notice's id.
        id: String,
        /// Why.
        cause: OpenError,
    },
    /// What was sealed cannot be read.
    #[error("the notice's content cannot be read: {cause}")]
    Content {
        /// The notice's id.
        id: String,
        /// Which part.
        cause: Unreadable,
    },
    /// Its parts contradict each other, or it is about another mode's merchant.
    #[error("the notice contradicts itself: {what}")]
    Contradiction {
        /// The notice's id.
        id: String,
        /// What does not fit.
        what: &'static str,
    },
}

impl NotificationError {
    /// The notice's id, where the envelope could be read.
    pub fn notification_id(&self) -> Option<&str> {
        match self {
            Self::Envelope => None,
            Self::Undecryptable { id, .. }
            | Self::Content { id, .. }
            | Self::Contradiction { id, .. } => Some(id),
        }
    }
}

/// Reads a notice.
///
/// # Errors
/// Says what could not be read; the texts hold nothing of the content.
pub fn read(
    verified: Verified<'_>,
    keys: &Apiv3Keys,
) -> Result<ReadNotification, NotificationError> {
    let envelope: Envelope =
        wire::read(verified.body()).map_err(|_| NotificationError::Envelope)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if envelope.id.is_empty() || envelope.id.len() > ID_MAX || !envelope.id.bytes().all(legal) {
        return Err(NotificationError::Envelope);
    }
    if envelope.event_type.len() > EVENT_TYPE_MAX {
        return Err(NotificationError::Envelope);
    }
    let id = envelope.id;
    let event_type = envelope.event_type.as_str();
    let (kind, status) = match event_type {
        "TRANSACTION.SUCCESS" => ("transaction", "SUCCESS"),
        "REFUND.SUCCESS" => ("refund", "SUCCESS"),
        "REFUND.ABNORMAL" => ("refund", "ABNORMAL"),
        "REFUND.CLOSED" => ("refund", "CLOSED"),
        _ => {
            let notice = Notification::Unhandled {
                event_type: envelope.event_type,
            };
            return Ok(ReadNotification {
                id,
                notice,
                key_slot: None,
            });
        }
    };
    let Some(resource) = envelope
        .resource
        .filter(|_| envelope.resource_type.as_deref() == Some("encrypt-resource"))
    else {
        return Err(NotificationError::Envelope);
    };
    let (text, slot) = open(keys, &resource).map_err(|cause| NotificationError::Undecryptable {
        id: id.clone(),
        cause,
    })?;
    let content = |cause| NotificationError::Content {
        id: id.clone(),
        cause,
    };
    let contradiction = |what| NotificationError::Contradiction {
        id: id.clone(),
        what,
    };
    let notice = if kind == "transaction" && is_combined(&text) {
        // An order of several merchants, which is never placed here.
        Notification::Unhandled {
            event_type: envelope.event_type,
        }
    } else if kind == "transaction" {
        let answer: TransactionAnswer = wire::read(&text).map_err(content)?;
        if answer.is_partners() {
            return Err(contradiction("it is about a partner's order"));
        }
        if answer.trade_state() == status {
            match answer.report() {
                Ok(report) => Notification::Payment(Signed(report)),
                Err(NO_AMOUNT) => return Err(contradiction("amount.total is no order's amount")),
                Err(cause) => return Err(content(cause)),
            }
        } else {
            Notification::UnknownState {
                event_type: envelope.event_type,
                mchid: answer.mchid().map(str::to_owned),
                state: wire::cut(answer.trade_state()),
                order_id: OrderId::parse(answer.out_trade_no()).ok(),
                refund_id: None,
            }
        }
    } else {
        let answer: RefundAnswer = wire::read(&text).map_err(content)?;
        if answer.is_partners() || answer.mchid().is_none() {
            return Err(contradiction("it is not about a direct merchant's refund"));
        }
        match answer.status() {
            told if told == status => {
                Notification::Refund(Signed(answer.report().map_err(content)?))
            }
            "SUCCESS" | "CLOSED" | "ABNORMAL" | "PROCESSING" => {
                return Err(contradiction("refund_status is not the event's"));
            }
            "" => return Err(content(Unreadable("refund_status"))),
            state => Notification::UnknownState {
                event_type: envelope.event_type,
                mchid: answer.mchid().map(str::to_owned),
                state: wire::cut(state),
                order_id: OrderId::parse(answer.out_trade_no()).ok(),
                refund_id: RefundId::parse(answer.out_refund_no()).ok(),
            },
        }
    };
    Ok(ReadNotification {
        id,
        notice,
        key_slot: Some(slot),
    })
}

fn is_combined(text: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Combined {
        combine_out_trade_no: String,
    }
    wire::read::<Combined>(text).is_ok_and(|combined| !combined.combine_out_trade_no.is_empty())
}
