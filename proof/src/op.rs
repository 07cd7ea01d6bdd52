//! What can happen in a world, as values: a plan is what a seed draws, and a list that a person can read,
//! shorten and keep.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Switches};
use crate::scene::{self, Beginning};

/// What one cup of tea costs a payer, in fen.
pub const TEA: i64 = 300;

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Person {
    /// Whoever has the merchant's API key.
    Merchant,
    /// A payer.
    Alice,
}

/// What a payer does on the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Pays.
    Pays,
    /// Tries, and the payment fails.
    Fails,
    /// Has confirmed it a moment before the order was closed: the payment stands.
    PaysAfterClose,
}

impl Act {
    /// Whether the money is with the merchant afterwards.
    pub const fn pays(self) -> bool {
        match self {
            Self::Pays | Self::PaysAfterClose => true,
            Self::Fails => false,
        }
    }
}

/// How the bank ends a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BankEnd {
    /// The money arrives.
    Completes,
    /// It is closed: nothing was given back.
    Closes,
    /// The account cannot receive it.
    Abnormal,
}

impl BankEnd {
    /// The simulator's name for it.
    pub const fn control(self) -> &'static str {
        match self {
            Self::Completes => "complete",
            Self::Closes => "close",
            Self::Abnormal => "abnormal",
        }
    }
}

/// What the merchant decides about a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Decision {
    /// Grants what a payer asked for.
    Approve,
    /// Rejects it.
    Reject,
    /// Takes a refund back that WeChat Pay has not taken.
    Withdraw,
    /// Has one sent again that was refused.
    Retry,
}

impl Decision {
    /// The route's last segment.
    pub const fn segment(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Withdraw => "withdraw",
            Self::Retry => "retry",
        }
    }
}

/// A key that is replaced while business goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rotated {
    /// What notifications are sealed with.
    Apiv3,
    /// What WeChat Pay signs with, replaced without notice.
    PublicKey,
    /// What payers' tokens are signed with.
    TokenKey,
    /// What the merchant signs with; the old certificate is revoked.
    MerchantKey,
    /// WeChat Pay's certificate: the next one is announced, and takes over bit by bit.
    Certificate,
    /// From WeChat Pay's certificate to its public key.
    ToPublicKey,
}

/// What WeChat Pay signs with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signs {
    /// Its public key's private half.
    #[default]
    PublicKey,
    /// A certificate, which is downloaded.
    Certificate,
    /// The one or the other, while a merchant changes over.
    Both,
}

impl Signs {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PublicKey, Self::Certificate, Self::Both];

    /// What can be replaced where it signs with this.
    pub const fn rotated(self) -> &'static [Rotated] {
        use Rotated::{Apiv3, Certificate, MerchantKey, PublicKey, ToPublicKey, TokenKey};
        match self {
            Self::PublicKey => &[Apiv3, PublicKey, TokenKey, MerchantKey],
            Self::Certificate => &[Apiv3, TokenKey, MerchantKey, Certificate],
            Self::Both => &[Certificate, MerchantKey, ToPublicKey],
        }
    }
}

/// One thing that happens. Orders and refunds have numbers of the list's own, so that an operation still
/// means the same order where another one is taken out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Somebody places an order; a payer's total is a number of cups of tea.
    Place {
        /// Its number in the list.
        order: u32,
        /// Who orders.
        by: Person,
        /// A code on a screen, or else within the mini-program.
        native: bool,
        /// In fen.
        total: i64,
    },
    /// The same request again.
    PlaceAgain {
        /// Which order.
        order: u32,
    },
    /// The same request again, twice at once.
    PlaceTwice {
        /// Which order.
        order: u32,
    },
    /// Another request with the same number or key: it must be refused.
    PlaceOtherwise {
        /// Which order.
        order: u32,
    },
    /// What the payer does on the phone.
    Pay {
        /// Which order.
        order: u32,
        /// What.
        act: Act,
    },
    /// The owner queries the order.
    Query {
        /// Which order.
        order: u32,
    },
    /// The owner closes the order.
    Close {
        /// Which order.
        order: u32,
    },
    /// Somebody asks for a refund, of the whole, a part, or too much.
    Refund {
        /// Of which order.
        order: u32,
        /// Its number in the list.
        refund: u32,
        /// Who asks.
        by: Person,
        /// In fen.
        amount: i64,
    },
    /// The same request for a refund again.
    RefundAgain {
        /// Of which order.
        order: u32,
        /// Which refund.
        refund: u32,
    },
    /// Three refunds of more than half the total each, and the first again, at once.
    RefundsAtOnce {
        /// Of which order.
        order: u32,
        /// The first one's number; two follow.
        first: u32,
    },
    /// Refunds of two orders are asked for with one number at once: it is one order's.
    RefundsOfTwo {
        /// The orders.
        orders: [u32; 2],
        /// The refund's number in the list.
        refund: u32,
        /// In fen.
        amount: i64,
    },
    /// The merchant applies for an abnormal refund to go to its own bank card.
    Apply {
        /// Of which order.
        order: u32,
        /// Which refund.
        refund: u32,
    },
    /// Somebody writes a refund into the table past the code: a copy of this one under another number.
    Forge {
        /// Of which order.
        order: u32,
        /// Which refund.
        refund: u32,
    },
    /// From now on the bank takes so long for a refund.
    BankTakes {
        /// How long.
        seconds: u64,
    },
    /// The merchant decides about a refund.
    Decide {
        /// Of which order.
        order: u32,
        /// Which refund.
        refund: u32,
        /// What.
        decision: Decision,
    },
    /// The bank ends a refund.
    Bank {
        /// Of which order.
        order: u32,
        /// Which refund.
        refund: u32,
        /// How.
        end: BankEnd,
    },
    /// A close, a query, a payment and a sweep of one order at once.
    AllAtOnce {
        /// Which order.
        order: u32,
    },
    /// Somebody queries the order, and while the answer is on its way it is paid after its close.
    PaysWhileAsked {
        /// Which order.
        order: u32,
    },
    /// The sweep runs.
    Sweep,
    /// Two sweeps run at once.
    SweepTwice,
    /// The sweep runs so often, each time after such a while.
    Sweeps {
        /// How often.
        times: u32,
        /// The while before each.
        seconds: u64,
    },
    /// Time passes.
    Advance {
        /// How much.
        seconds: u64,
    },
    /// WeChat Pay makes this trouble by itself, so often at most.
    Trouble {
        /// The simulator's name for it.
        fault: String,
        /// How often.
        count: u32,
        /// Only in this operation, by the simulator's name for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        operation: Option<String>,
    },
    /// The stream is brought to the publisher.
    Publish,
    /// It becomes the next morning in Beijing, and yesterday is reconciled.
    Reconcile,
    /// A key is replaced.
    Rotate {
        /// Which.
        key: Rotated,
    },
}

/// An operation with a number of its own, from which everything random in it is drawn: it stays the same
/// where others are taken out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The number.
    pub id: u32,
    /// What happens.
    pub op: Op,
}

/// All that decides what happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// What WeChat Pay signs with.
    #[serde(default)]
    pub signs: Signs,
    /// Which faults there are.
    pub switches: Switches,
    /// What happens, one after the other.
    pub steps: Vec<Step>,
}

/// What a list says so far, as if everything succeeded.
#[derive(Default)]
struct Sketch {
    signs: Signs,
    orders: BTreeMap<u32, Sketched>,
    refunds: u32,
}

struct Sketched {
    by: Person,
    total: i64,
    paid: bool,
    refunds: Vec<(u32, Person)>,
}

/// Trouble that WeChat Pay makes by itself.
const TROUBLE: [&str; 28] = [
    "accepted",
    "close_user_paying",
    "notice_bad_signature",
    "notice_duplicated",
    "notice_foreign_order",
    "notice_late",
    "notice_lost",
    "notice_lost_for_good",
    "notice_reordered",
    "notice_unknown_event",
    "rate_limited",
    "rate_limited_applied",
    "refund_abnormal",
    "refund_closed",
    "refund_not_enough",
    "refund_not_found",
    "request_late",
    "request_lost",
    "response_bad_signature",
    "response_lost",
    "response_mixed_up",
    "response_stale",
    "response_truncated",
    "response_unsigned",
    "response_wrong_amount",
    "server_error_applied",
    "slow",
    "unknown_state",
];

/// How many operations a plan has.
const STEPS: std::ops::RangeInclusive<usize> = 4..=9;

impl Plan {
    /// What this seed draws: a beginning that leads somewhere, and then whatever comes.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x5eed_0f00_d000_0001);
        let Beginning {
            signs,
            switches,
            ops: first,
        } = scene::beginning(seed, &mut rng);
        let mut sketch = Sketch {
            signs,
            ..Sketch::default()
        };
        let count = rng.usize(STEPS).max(first.len() + 1);
        let mut steps: Vec<Step> = Vec::new();
        let mut first = first.into_iter();
        for id in (1_u32..).take(count) {
            let op = match first.next() {
                Some(op) => {
                    sketch.note(&op);
                    op
                }
                None if id == 1 => sketch.place(&mut rng),
                None => sketch.next(&mut rng),
            };
            steps.push(Step { id, op });
        }
        Self {
            seed,
            signs,
            switches,
            steps,
        }
    }

    /// Whether a fault is on.
    pub fn has(&self, fault: Fault) -> bool {
        self.switches.has(fault)
    }
}

impl Sketch {
    /// Takes over what a beginning prescribes.
    fn note(&mut self, op: &Op) {
        match *op {
            Op::Place {
                order, by, total, ..
            } => {
                let placed = Sketched {
                    by,
                    total,
                    paid: false,
                    refunds: Vec::new(),
                };
                self.orders.insert(order, placed);
            }
            Op::Pay { order, act } => {
                if let Some(sketched) = self.orders.get_mut(&order) {
                    sketched.paid |= act.pays();
                }
            }
            Op::PaysWhileAsked { order } => {
                if let Some(sketched) = self.orders.get_mut(&order) {
                    sketched.paid = true;
                }
            }
            Op::Refund {
                order, refund, by, ..
            } => self.note_refund(order, refund, by),
            Op::RefundsOfTwo { orders, refund, .. } => {
                for order in orders {
                    self.note_refund(order, refund, Person::Merchant);
                }
            }
            _ => {}
        }
    }

    fn note_refund(&mut self, order: u32, refund: u32, by: Person) {
        self.refunds = self.refunds.max(refund);
        if let Some(sketched) = self.orders.get_mut(&order) {
            sketched.refunds.push((refund, by));
        }
    }

    fn next(&mut self, rng: &mut Rng) -> Op {
        loop {
            let op = match rng.u32(..100) {
                0..10 => Some(self.place(rng)),
                10..36 => self.about_order(rng),
                36..56 => self.pay(rng),
                56..76 => self.about_refund(rng),
                76..80 => Some(Op::Sweep),
                80..82 => Some(Op::SweepTwice),
                82..87 => Some(Op::Advance {
                    seconds: *pick(rng, &[5, 61, 130, 600, 1_900, 90_000]),
                }),
                87..93 => Some(Op::Trouble {
                    fault: (*pick(rng, &TROUBLE)).to_owned(),
                    count: rng.u32(1..=3),
                    operation: None,
                }),
                93..97 => Some(Op::Publish),
                97..99 => Some(Op::Reconcile),
                _ => Some(Op::Rotate {
                    key: *pick(rng, self.signs.rotated()),
                }),
            };
            if let Some(op) = op {
                return op;
            }
        }
    }

    fn place(&mut self, rng: &mut Rng) -> Op {
        let order = u32::try_from(self.orders.len()).unwrap_or(0) + 1;
        let by = *pick(rng, &[Person::Merchant, Person::Alice]);
        let total = match by {
            Person::Merchant => rng.i64(1..=1_000),
            Person::Alice => TEA * rng.i64(1..=4),
        };
        let sketched = Sketched {
            by,
            total,
            paid: false,
            refunds: Vec::new(),
        };
        self.orders.insert(order, sketched);
        let native = rng.bool();
        Op::Place {
            order,
            by,
            native,
            total,
        }
    }

    fn any(&self, rng: &mut Rng, wanted: impl Fn(&Sketched) -> bool) -> Option<u32> {
        let fitting = self.orders.iter().filter(|(_, order)| wanted(order));
        let fitting: Vec<u32> = fitting.map(|(order, _)| *order).collect();
        (!fitting.is_empty()).then(|| *pick(rng, &fitting))
    }

    fn about_order(&mut self, rng: &mut Rng) -> Option<Op> {
        let order = self.any(rng, |_| true)?;
        Some(match rng.u32(..26) {
            0..4 => Op::PlaceAgain { order },
            4..7 => Op::PlaceTwice { order },
            7..9 => Op::PlaceOtherwise { order },
            9..15 => Op::Query { order },
            15..21 => Op::Close { order },
            _ => {
                let order = self.any(rng, |order| !order.paid)?;
                self.orders.get_mut(&order)?.paid = true;
                Op::AllAtOnce { order }
            }
        })
    }

    fn pay(&mut self, rng: &mut Rng) -> Option<Op> {
        let order = self.any(rng, |order| !order.paid)?;
        let act = match rng.u32(..16) {
            0..2 => Act::Fails,
            2 => Act::PaysAfterClose,
            _ => Act::Pays,
        };
        self.orders.get_mut(&order)?.paid |= act.pays();
        Some(Op::Pay { order, act })
    }

    fn about_refund(&mut self, rng: &mut Rng) -> Option<Op> {
        let with_refunds = self.any(rng, |order| !order.refunds.is_empty());
        if let Some(order) = with_refunds
            && rng.u32(..20) < 11
        {
            let (refund, by) = *pick(rng, &self.orders.get(&order)?.refunds);
            return Some(match rng.u32(..11) {
                0..2 => Op::RefundAgain { order, refund },
                2..5 => Op::Bank {
                    order,
                    refund,
                    end: *pick(
                        rng,
                        &[BankEnd::Completes, BankEnd::Closes, BankEnd::Abnormal],
                    ),
                },
                5 => Op::Apply { order, refund },
                6 if rng.u32(..3) == 0 => Op::Forge { order, refund },
                _ => Op::Decide {
                    order,
                    refund,
                    decision: match by {
                        Person::Alice if rng.u32(..4) > 0 => {
                            *pick(rng, &[Decision::Approve, Decision::Reject])
                        }
                        Person::Alice | Person::Merchant => *pick(
                            rng,
                            &[Decision::Withdraw, Decision::Withdraw, Decision::Retry],
                        ),
                    },
                },
            });
        }
        let paid = self.any(rng, |order| order.paid);
        let order = match rng.u32(..8) {
            0 => self.any(rng, |_| true)?,
            _ => paid?,
        };
        let first = self.refunds + 1;
        let sketched = self.orders.get_mut(&order)?;
        if rng.u32(..9) < 2 && sketched.paid && sketched.total > 1 {
            self.refunds += 3;
            let all = (first..first + 3).map(|refund| (refund, Person::Merchant));
            sketched.refunds.extend(all);
            return Some(Op::RefundsAtOnce { order, first });
        }
        // Now and then a number that another refund has, perhaps of another order.
        let first = if self.refunds > 0 && rng.u32(..10) == 0 {
            rng.u32(1..=self.refunds)
        } else {
            self.refunds += 1;
            first
        };
        let by = if rng.bool() {
            Person::Merchant
        } else {
            sketched.by
        };
        let total = sketched.total;
        let amount = match rng.u32(..4) {
            0 => total,
            1 => total + 1,
            _ => rng.i64(1..=total),
        };
        sketched.refunds.push((first, by));
        Some(Op::Refund {
            order,
            refund: first,
            by,
            amount,
        })
    }
}

fn pick<'a, T>(rng: &mut Rng, of: &'a [T]) -> &'a T {
    // None of the lists is empty.
    &of[rng.usize(..of.len())]
}
