//! How a signed report can fail to fit the record of an order or a refund.

use super::TransactionId;

/// How a signed report can fail to fit the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// A field says something else than the record.
    Differs {
        /// The field's name on the wire.
        field: &'static str,
    },
    /// A payment older than the order itself.
    PaidBeforePlaced,
    /// A second payment for a paid order.
    SecondTransaction {
        /// The one on record.
        recorded: TransactionId,
        /// The one reported.
        reported: TransactionId,
    },
    /// A state without an edge.
    UnknownState(String),
    /// A report that cannot follow what is on record.
    Impossible {
        /// The state on record.
        recorded: &'static str,
        /// The state reported.
        reported: &'static str,
    },
}

impl std::fmt::Display for Contradiction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Differs { field } => write!(formatter, "{field} differs from the record"),
            Self::PaidBeforePlaced => {
                formatter.write_str("it was paid before the order was placed")
            }
            Self::SecondTransaction { .. } => {
                formatter.write_str("a second payment of a paid order")
            }
            Self::UnknownState(_) => formatter.write_str("a state that has no meaning here"),
            Self::Impossible { recorded, reported } => {
                write!(formatter, "{reported} cannot follow {recorded}")
            }
        }
    }
}
