//! Notifications: the envelope, what is sealed in it, and what that says.
//!
//! Only [`Verified`] bytes get here. What is inside decides, not where it was sent: a refund's notice
//! at the payments' address is a refund's notice.

use serde::Deserialize;

use super::keys::Apiv3Keys;
use super::seal::{KeySlot, OpenError, SealedResource, open};
use super::verify::{Signed, Verified};
use super::wire::{self, RefundAnswer, TransactionAnswer, Unreadable};
use crate::domain::{OrderId, OrderReport, RefundId, RefundReport};

/// How long a notice's id may be, in characters; WeChat Pay's have at most 36.
const ID_MAX: usize = 64;

/// How long an event's type may be, in characters.
const EVENT_TYPE_MAX: usize = 64;

/// What every envelope has. What else stands in one is another product's business, unless its event is
/// one of those read here.
#[derive(Deserialize)]
struct Envelope {
    id: String,
    event_type: String,
}

/// What the envelope of an event that is read here has besides.
#[derive(Deserialize)]
struct Sealed {
    resource_type: String,
    resource: SealedResource,
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
        /// Whose money it is about, where that is told: the merchant, or the partner.
        mchid: Option<String>,
        /// The sub-merchant, in a notice to a partner.
        sub_mchid: Option<String>,
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
        #[source]
        cause: OpenError,
    },
    /// What was sealed cannot be read.
    #[error("the notice's content cannot be read: {cause}")]
    Content {
        /// The notice's id.
        id: String,
        /// Which part.
        #[source]
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

/// The events that are read here.
#[derive(Clone, Copy)]
enum Event {
    Payment,
    Refund(RefundEvent),
}

/// How a refund ended, as its event names it.
#[derive(Clone, Copy)]
enum RefundEvent {
    Success,
    Abnormal,
    Closed,
}

impl Event {
    fn parse(event_type: &str) -> Option<Self> {
        match event_type {
            "TRANSACTION.SUCCESS" => Some(Self::Payment),
            "REFUND.SUCCESS" => Some(Self::Refund(RefundEvent::Success)),
            "REFUND.ABNORMAL" => Some(Self::Refund(RefundEvent::Abnormal)),
            "REFUND.CLOSED" => Some(Self::Refund(RefundEvent::Closed)),
            _ => None,
        }
    }
}

impl RefundEvent {
    /// The `refund_status` that goes with the event.
    const fn status(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Abnormal => "ABNORMAL",
            Self::Closed => "CLOSED",
        }
    }
}

/// What is wrong with what was sealed; the notification's id is added where it is reported.
enum Fault {
    Content(Unreadable),
    Contradiction(&'static str),
}

impl Fault {
    fn of(self, id: String) -> NotificationError {
        match self {
            Self::Content(cause) => NotificationError::Content { id, cause },
            Self::Contradiction(what) => NotificationError::Contradiction { id, what },
        }
    }
}

impl From<Unreadable> for Fault {
    fn from(cause: Unreadable) -> Self {
        match cause {
            // A number that is no order's amount is not unreadable: it contradicts every order.
            Unreadable::Amount => Self::Contradiction("amount.total is no order's amount"),
            Unreadable::Parties => {
                Self::Contradiction("its merchant is named in two ways, or by half")
            }
            Unreadable::Field(_) => Self::Content(cause),
        }
    }
}

/// Reads a notification.
///
/// # Errors
/// Says what could not be read; the texts hold nothing of the content.
pub fn read<B: AsRef<[u8]>>(
    verified: &Verified<B>,
    keys: &Apiv3Keys,
) -> Result<ReadNotification, NotificationError> {
    let envelope = verified.read(envelope)?.into_inner();
    let id = envelope.id;
    let Some(event) = Event::parse(&envelope.event_type) else {
        return Ok(ReadNotification {
            id,
            notice: Notification::Unhandled {
                event_type: envelope.event_type,
            },
            key_slot: None,
        });
    };
    let resource = verified.read(resource)?.into_inner();
    let (content, slot) =
        open(keys, &resource).map_err(|cause| NotificationError::Undecryptable {
            id: id.clone(),
            cause,
        })?;
    let notice = match event {
        Event::Payment => read_payment(verified, &content, envelope.event_type),
        Event::Refund(ending) => read_refund(verified, &content, ending, envelope.event_type),
    };
    match notice {
        Ok(notice) => Ok(ReadNotification {
            id,
            notice,
            key_slot: Some(slot),
        }),
        Err(fault) => Err(fault.of(id)),
    }
}

fn envelope(body: &[u8]) -> Result<Envelope, NotificationError> {
    let envelope: Envelope = wire::read(body).map_err(|_| NotificationError::Envelope)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let named = (1..=ID_MAX).contains(&envelope.id.len()) && envelope.id.bytes().all(legal);
    if named && envelope.event_type.len() <= EVENT_TYPE_MAX {
        Ok(envelope)
    } else {
        Err(NotificationError::Envelope)
    }
}

fn resource(body: &[u8]) -> Result<SealedResource, NotificationError> {
    let sealed: Sealed = wire::read(body).map_err(|_| NotificationError::Envelope)?;
    if sealed.resource_type == "encrypt-resource" {
        Ok(sealed.resource)
    } else {
        Err(NotificationError::Envelope)
    }
}

/// What a payment's notification says; its content came sealed inside the verified body.
fn read_payment<B: AsRef<[u8]>>(
    verified: &Verified<B>,
    content: &[u8],
    event_type: String,
) -> Result<Notification, Fault> {
    if is_combined(content) {
        // An order of several merchants, which is never placed here.
        return Ok(Notification::Unhandled { event_type });
    }
    let answer: TransactionAnswer = wire::read(content)?;
    if answer.trade_state() != "SUCCESS" {
        let [mchid, sub_mchid] = answer.named().map(|id| id.map(str::to_owned));
        return Ok(Notification::UnknownState {
            event_type,
            mchid,
            sub_mchid,
            state: wire::cut(answer.trade_state()),
            order_id: OrderId::parse(answer.out_trade_no()).ok(),
            refund_id: None,
        });
    }
    Ok(Notification::Payment(verified.read(|_| answer.report())?))
}

/// What a refund's notification says; its content came sealed inside the verified body.
fn read_refund<B: AsRef<[u8]>>(
    verified: &Verified<B>,
    content: &[u8],
    ending: RefundEvent,
    event_type: String,
) -> Result<Notification, Fault> {
    let answer: RefundAnswer = wire::read(content)?;
    let [mchid, sub_mchid] = answer.named().map(|id| id.map(str::to_owned));
    if mchid.is_none() {
        return Err(Fault::Contradiction("it does not say whose refund it is"));
    }
    match answer.status() {
        status if status == ending.status() => {
            Ok(Notification::Refund(verified.read(|_| answer.report())?))
        }
        "SUCCESS" | "CLOSED" | "ABNORMAL" | "PROCESSING" => {
            Err(Fault::Contradiction("refund_status is not the event's"))
        }
        "" => Err(Fault::Content(Unreadable::Field("refund_status"))),
        state => Ok(Notification::UnknownState {
            event_type,
            mchid,
            sub_mchid,
            state: wire::cut(state),
            order_id: OrderId::parse(answer.out_trade_no()).ok(),
            refund_id: RefundId::parse(answer.out_refund_no()).ok(),
        }),
    }
}

fn is_combined(content: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Combined {
        combine_out_trade_no: String,
    }
    wire::read::<Combined>(content).is_ok_and(|combined| !combined.combine_out_trade_no.is_empty())
}
