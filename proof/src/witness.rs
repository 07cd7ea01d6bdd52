//! What was seen to pass between the functions and WeChat Pay, and the promises that follow from it.

use std::collections::{BTreeMap, BTreeSet};

/// How far apart two absences are that free a refund, in milliseconds: five minutes, less what two clocks
/// may be wrong by.
const ABSENCES_APART_MS: i64 = (300 - 45) * 1_000;

/// Sendings that are no further apart are one: the client tries again at once.
const ONE_SENDING_MS: i64 = 25_000;

/// In what time a refund that is sent in vain goes out at most [`SENDINGS_MAX`] times, in milliseconds.
const SENDINGS_WITHIN_MS: i64 = 10 * 60 * 1_000;

/// The most sendings of one refund in [`SENDINGS_WITHIN_MS`].
const SENDINGS_MAX: usize = 6;

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    /// The bytes that each number first went out with.
    bytes: BTreeMap<String, Vec<u8>>,
    /// What each order costs, in fen.
    totals: BTreeMap<String, i64>,
    /// When each refund's number went out, in milliseconds.
    sendings: BTreeMap<String, Vec<i64>>,
    /// When WeChat Pay said, signed, that it does not know a refund.
    absences: BTreeMap<String, Vec<i64>>,
    /// The orders of which a signed answer said truly that they are paid.
    paid: BTreeSet<String>,
    /// Whether any notification came in.
    noticed: bool,
}

impl Witness {
    /// A number goes out with these bytes.
    ///
    /// # Errors
    /// It went out with others before.
    pub(crate) fn bytes(&mut self, number: &str, body: &[u8]) -> Result<(), String> {
        let first = self.bytes.entry(number.to_owned());
        let first = first.or_insert_with(|| body.to_vec());
        if first.as_slice() == body {
            Ok(())
        } else {
            Err(format!("{number} went out with other bytes"))
        }
    }

    /// A refund is sent.
    ///
    /// # Errors
    /// It is sent too often, or was written past the code.
    pub(crate) fn refund_sent(&mut self, refund: &str, at_ms: i64) -> Result<(), String> {
        if refund.starts_with(FORGED) {
            return Err(format!("{refund} was forged and is sent"));
        }
        let sendings = self.sendings.entry(refund.to_owned()).or_default();
        match sendings.last() {
            Some(last) if at_ms - last < ONE_SENDING_MS => {
                sendings.pop();
            }
            _ => {}
        }
        sendings.push(at_ms);
        let recent = sendings.iter().rev();
        let recent = recent.take_while(|sent| at_ms - **sent < SENDINGS_WITHIN_MS);
        if recent.count() > SENDINGS_MAX {
            return Err(format!("{refund} is sent as often as ever: {sendings:?}"));
        }
        Ok(())
    }

    /// The merchant has a refund sent again: what was before does not count.
    pub(crate) fn refund_retried(&mut self, refund: &str) {
        self.sendings.remove(refund);
    }

    /// WeChat Pay said, signed, that it does not know this refund.
    pub(crate) fn refund_absent(&mut self, refund: &str, at_ms: i64) {
        let absences = self.absences.entry(refund.to_owned()).or_default();
        absences.push(at_ms);
    }

    /// An order costs so much.
    pub(crate) fn costs(&mut self, order: &str, total: i64) {
        self.totals.entry(order.to_owned()).or_insert(total);
    }

    /// A signed answer said that this order is paid, with this total: believed where it is true.
    pub(crate) fn order_paid(&mut self, order: &str, total: Option<i64>) {
        if total.is_some() && self.totals.get(order).copied() == total {
            self.paid.insert(order.to_owned());
        }
    }

    /// A notification came in.
    pub(crate) const fn notice(&mut self) {
        self.noticed = true;
    }

    /// A refund is free as withdrawn.
    ///
    /// # Errors
    /// WeChat Pay did not say twice, minutes apart and after the last sending, that it does not know it.
    pub(crate) fn refund_withdrawn(&self, refund: &str) -> Result<(), String> {
        let last_sent = self.sendings.get(refund).and_then(|sent| sent.last());
        let absences = self.absences.get(refund).into_iter().flatten();
        let mut after = absences.filter(|at| last_sent.is_none_or(|sent| sent < *at));
        let first = after.next();
        let last = after.next_back();
        match first.zip(last) {
            Some((first, last)) if last - first >= ABSENCES_APART_MS => Ok(()),
            _ => Err(format!(
                "{refund} is free, and was said to be unknown at {:?} after {last_sent:?}",
                self.absences.get(refund)
            )),
        }
    }

    /// An order is paid on record.
    ///
    /// # Errors
    /// Nobody said so truly.
    pub(crate) fn order_became_paid(&self, order: &str) -> Result<(), String> {
        if self.noticed || self.paid.contains(order) {
            Ok(())
        } else {
            Err(format!("{order} is paid by the word of nobody"))
        }
    }
}

/// What the numbers of refunds begin with that somebody writes past the code.
pub(crate) const FORGED: &str = "forged-";
