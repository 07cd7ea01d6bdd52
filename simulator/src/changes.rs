//! What changed, published as it changes: for the page's event stream and for tests that listen. It
//! is published while the state's lock is held, so that a listener who hears of a change and then
//! takes the lock sees it.

use tokio::sync::broadcast;

/// Listeners that fall further behind than this are said to lag, and look at everything again.
const HELD: usize = 256;

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// An order was placed, paid or closed, or an attempt to pay failed.
    Order,
    /// A refund was accepted or ended.
    Refund,
    /// A notice is due, was sent, or was answered.
    Notice,
    /// A request was answered.
    Request,
    /// The merchant broke one of WeChat Pay's rules.
    Violation,
    /// A fault was switched or struck, or hostility was set.
    Fault,
    /// Business time moved.
    Clock,
    /// A merchant's keys or settings changed.
    Merchant,
    /// A knob was turned.
    Knob,
}

impl Change {
    /// Every kind there is.
    pub const ALL: [Self; 9] = [
        Self::Order,
        Self::Refund,
        Self::Notice,
        Self::Request,
        Self::Violation,
        Self::Fault,
        Self::Clock,
        Self::Merchant,
        Self::Knob,
    ];

    /// The name an event stream gives it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Refund => "refund",
            Self::Notice => "notice",
            Self::Request => "request",
            Self::Violation => "violation",
            Self::Fault => "fault",
            Self::Clock => "clock",
            Self::Merchant => "merchant",
            Self::Knob => "knob",
        }
    }
}

/// Where changes are published and heard; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Changes(broadcast::Sender<Change>);

impl Changes {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(HELD))
    }

    pub(crate) fn publish(&self, change: Change) {
        // Nobody listening is no failure.
        let _ = self.0.send(change);
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Change> {
        self.0.subscribe()
    }
}
