//! What a change of an order or a refund is called where others hear of it, and the log of it that the
//! record itself carries.
//!
//! A change raises the record's version by one and is at most one event, so number and version name the
//! event for ever. The state's event wins: a refund that arrives although it was withdrawn is
//! `refund.succeeded`, and that a person has to look stands in the refund. The log is written with the
//! change, in the same conditional write: no change without its event, no event without its change.
//!
//! Two builds run side by side at each deployment, and the older one again after a roll-back. So an event
//! that another build names is no reason not to read a record: it is kept and told by its name.

use std::fmt;

use super::Timestamp;

/// How many events a record keeps. An order has three at most, a refund a handful; only where a person is
/// called again and again are the oldest of these calls dropped. Whoever listens has heard them.
pub(super) const EVENTS_MAX: usize = 12;

/// How long the name of an event is at most, in bytes.
const NAME_MAX: usize = 48;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// The order is paid.
    OrderPaid,
    /// The order is closed and not paid; a payment that was under way may still come.
    OrderClosed,
    /// WeChat Pay reports that something of the payment was refunded, and nothing was here: it is told in
    /// place of the payment where both are learnt at once, so that nobody delivers for it unasked.
    OrderRefundedElsewhere,
    /// A payer asked for money back.
    RefundRequested,
    /// The payer has the money.
    RefundSucceeded,
    /// WeChat Pay closed the refund: nothing was refunded.
    RefundClosed,
    /// The payer's account cannot receive the money.
    RefundAbnormal,
    /// The merchant rejected the payer's request.
    RefundRejected,
    /// WeChat Pay never took the refund that the merchant withdrew: its amount is free again.
    RefundWithdrawn,
    /// A person has to look at the refund, for a reason that is new.
    RefundNeedsHuman,
    /// What another build knows; no change here is called so.
    Other(OtherKind),
}

/// The name of an event that only another build knows: of what and what, each of small letters and `_`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OtherKind {
    /// The name, and zeros behind it.
    name: [u8; NAME_MAX],
    length: usize,
}

impl EventKind {
    /// All that this build knows.
    pub const ALL: [Self; 10] = [
        Self::OrderPaid,
        Self::OrderClosed,
        Self::OrderRefundedElsewhere,
        Self::RefundRequested,
        Self::RefundSucceeded,
        Self::RefundClosed,
        Self::RefundAbnormal,
        Self::RefundRejected,
        Self::RefundWithdrawn,
        Self::RefundNeedsHuman,
    ];

    /// The event's name, as it goes out: of what, and what.
    pub fn as_str(&self) -> &str {
        match self {
            Self::OrderPaid => "order.paid",
            Self::OrderClosed => "order.closed",
            Self::OrderRefundedElsewhere => "order.refunded_elsewhere",
            Self::RefundRequested => "refund.requested",
            Self::RefundSucceeded => "refund.succeeded",
            Self::RefundClosed => "refund.closed",
            Self::RefundAbnormal => "refund.abnormal",
            Self::RefundRejected => "refund.rejected",
            Self::RefundWithdrawn => "refund.withdrawn",
            Self::RefundNeedsHuman => "refund.needs_human",
            Self::Other(kind) => kind.as_str(),
        }
    }

    /// Reads a name; what can be none of an event gives `None`.
    pub fn parse(name: &str) -> Option<Self> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        known.or_else(|| OtherKind::parse(name).map(Self::Other))
    }
}

impl OtherKind {
    fn parse(text: &str) -> Option<Self> {
        let is_word = |word: &str| {
            let mut bytes = word.bytes();
            !word.is_empty() && bytes.all(|byte| byte == b'_' || byte.is_ascii_lowercase())
        };
        let (of, what) = text.split_once('.')?;
        if !is_word(of) || !is_word(what) {
            return None;
        }
        let mut name = [0; NAME_MAX];
        let length = text.len();
        name.get_mut(..length)?.copy_from_slice(text.as_bytes());
        Some(Self { name, length })
    }

    fn as_str(&self) -> &str {
        let name = self.name.get(..self.length).unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }
}

impl fmt::Debug for OtherKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

/// An event of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The version that the change gave the record; with the record's number it names the event.
    pub version: u64,
    /// When the change was decided, by the business clock.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
}

/// The events of one record, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventLog(Vec<Event>);

impl EventLog {
    /// A record of which nothing is told so far.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The events that are kept, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Event> {
        self.0.iter()
    }

    /// The events since this version of the record, oldest first.
    pub fn since(&self, version: u64) -> impl Iterator<Item = &Event> {
        self.0.iter().filter(move |event| event.version > version)
    }

    /// The log after a change that gave the record this version, and what it is called, if others hear of it.
    #[must_use]
    pub fn with(&self, version: u64, at: Timestamp, kind: Option<EventKind>) -> Self {
        let mut log = self.clone();
        if let Some(kind) = kind {
            log.record(Event { version, at, kind });
        }
        log
    }

    /// Adds an event; beyond [`EVENTS_MAX`] the oldest call for a person goes.
    fn record(&mut self, event: Event) {
        self.0.push(event);
        while self.0.len() > EVENTS_MAX {
            let call = |event: &Event| event.kind == EventKind::RefundNeedsHuman;
            let oldest = self.0.iter().position(call).unwrap_or(0);
            self.0.remove(oldest);
        }
    }
}

impl FromIterator<Event> for EventLog {
    fn from_iter<T: IntoIterator<Item = Event>>(events: T) -> Self {
        let mut log = Self::new();
        for event in events {
            log.record(event);
        }
        log
    }
}

#[cfg(test)]
mod tests;
