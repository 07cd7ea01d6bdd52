//! What was seen to pass between the functions and WeChat Pay, and the promises that follow from it. What
//! WeChat Pay said counts where it reached somebody and its signature holds.

use std::collections::{BTreeMap, BTreeSet};

/// How far apart two absences are that free a refund, in milliseconds: five minutes, less what two clocks
/// may be wrong by.
const ABSENCES_APART_MS: i64 = (300 - 45) * 1_000;

/// Within how many milliseconds two sendings of a refund are of one burst: where there is no connection, the
/// client goes to the backup host at once. It never sends again what may have arrived.
const BURST_MS: i64 = 1_000;

/// How many hosts of WeChat Pay's there are.
const HOSTS: u32 = 2;

/// In what time a refund that is sent in vain goes out in at most [`BURSTS_MAX`] bursts, in milliseconds.
const BURSTS_WITHIN_MS: i64 = 10 * 60 * 1_000;

/// The most bursts of one refund in [`BURSTS_WITHIN_MS`].
const BURSTS_MAX: usize = 6;

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    /// The bytes that each number first went out with.
    bytes: BTreeMap<String, Vec<u8>>,
    /// What each order costs, in fen.
    totals: BTreeMap<String, i64>,
    /// When each refund's number went out since it was last tried again.
    bursts: BTreeMap<String, Vec<Burst>>,
    /// When each refund's number last went out, in milliseconds.
    last_sent: BTreeMap<String, i64>,
    /// The refunds that WeChat Pay refused since they were last tried again.
    refused: BTreeSet<String>,
    /// When WeChat Pay said, signed, that it does not know a refund.
    absences: BTreeMap<String, Vec<i64>>,
    /// The orders of which a signed answer or a genuine notification said truly that they are paid.
    paid: BTreeSet<String>,
}

/// A refund's number going out: once, or to the other host where the first could not be reached.
#[derive(Debug)]
struct Burst {
    began_ms: i64,
    sendings: u32,
    /// Whether the last of them may have arrived.
    may_have_arrived: bool,
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
        self.last_sent.insert(refund.to_owned(), at_ms);
        let bursts = self.bursts.entry(refund.to_owned()).or_default();
        // Counted from its first sending, so that a burst that goes on is more than one.
        match bursts.last_mut() {
            Some(burst) if at_ms - burst.began_ms < BURST_MS => {
                if burst.may_have_arrived || burst.sendings == HOSTS {
                    return Err(format!("{refund} is sent again at once: {burst:?}"));
                }
                burst.sendings += 1;
                burst.may_have_arrived = true;
            }
            _ => bursts.push(Burst {
                began_ms: at_ms,
                sendings: 1,
                may_have_arrived: true,
            }),
        }
        let recent = bursts.iter().rev();
        let recent = recent.take_while(|burst| at_ms - burst.began_ms < BURSTS_WITHIN_MS);
        if recent.count() > BURSTS_MAX {
            return Err(format!("{refund} is sent as often as ever: {bursts:?}"));
        }
        Ok(())
    }

    /// There was no connection for what was just sent.
    pub(crate) fn refund_not_sent(&mut self, refund: &str) {
        let bursts = self.bursts.get_mut(refund);
        if let Some(burst) = bursts.and_then(|bursts| bursts.last_mut()) {
            burst.may_have_arrived = false;
        }
    }

    /// WeChat Pay refused a refund.
    pub(crate) fn refund_refused(&mut self, refund: &str) {
        self.refused.insert(refund.to_owned());
    }

    /// The merchant has a refund sent again: what was before does not count.
    pub(crate) fn refund_retried(&mut self, refund: &str) {
        self.bursts.remove(refund);
        self.refused.remove(refund);
    }

    /// Whether WeChat Pay refused a refund since it was last tried again.
    pub(crate) fn was_refused(&self, refund: &str) -> bool {
        self.refused.contains(refund)
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

    /// A genuine notification of this order's payment came in.
    pub(crate) fn payment_told(&mut self, order: &str) {
        self.paid.insert(order.to_owned());
    }

    /// A refund is free as withdrawn.
    ///
    /// # Errors
    /// WeChat Pay did not say twice, minutes apart and after the last sending, that it does not know it.
    pub(crate) fn refund_withdrawn(&self, refund: &str) -> Result<(), String> {
        let last_sent = self.last_sent.get(refund);
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
        if self.paid.contains(order) {
            Ok(())
        } else {
            Err(format!("{order} is paid by the word of nobody"))
        }
    }
}

/// What the numbers of refunds begin with that somebody writes past the code.
pub(crate) const FORGED: &str = "forged-";
