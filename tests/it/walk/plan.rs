//! Which walks there are: operations drawn one after the other, each from what makes sense after
//! those before it, as far as that can be known before anything is run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use local::aws::Fault;
use proptest::collection::vec;
use proptest::prelude::{BoxedStrategy, Just, Strategy, prop_oneof};
use proptest::sample::select;
use proptest_state_machine::Sequential;

use super::op::{Act, Attempt, BankEnd, Decision, Op, Person, Start, TEA};

/// Faults that cost seconds each time: once at a time.
const SLOW: [&str; 3] = ["slow", "slow_body", "request_late"];

/// Faults that are drawn half of the time: what they say is nearly right, or wrong about money.
const SHARP: [&str; 12] = [
    "accepted",
    "close_user_paying",
    "notice_lost",
    "rate_limited_applied",
    "refund_not_enough",
    "refund_not_found",
    "request_lost",
    "response_lost",
    "response_mixed_up",
    "response_wrong_amount",
    "server_error_applied",
    "unknown_state",
];

/// What can happen to a call to the table.
const FAULTS: [Fault; 4] = [
    Fault::Fail,
    Fault::LoseAnswer,
    Fault::Throttle,
    Fault::Conflict,
];

/// What the list of operations says so far, as if everything succeeded.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) start: Start,
    orders: BTreeMap<u32, PlannedOrder>,
}

#[derive(Clone, Debug)]
struct PlannedOrder {
    by: Person,
    total: i64,
    paid: bool,
    /// Refunds by number, with whether they wait for the merchant's decision.
    refunds: BTreeMap<u32, bool>,
}

/// A plan's start, its operations, and a counter for how many of them were begun.
pub(super) type Planned = (Plan, Vec<Op>, Option<Arc<AtomicUsize>>);

/// Walks of this many steps that begin so; `faults` are the names of what WeChat Pay can do wrong.
pub(super) fn walks(
    start: Start,
    steps: usize,
    faults: &'static [&'static str],
) -> impl Strategy<Value = Planned> {
    Sequential::new(
        steps.into(),
        move || beginnings(start),
        Plan::allows,
        move |plan: &Plan| plan.next(faults),
        Plan::after,
    )
}

/// The beginning; a hostile one shrinks to one that is not.
fn beginnings(start: Start) -> BoxedStrategy<Plan> {
    let certainly = if start.hostile { 1.0 } else { 0.0 };
    proptest::bool::weighted(certainly)
        .prop_map(move |hostile| Plan {
            start: Start { hostile, ..start },
            orders: BTreeMap::new(),
        })
        .boxed()
}

/// One of the numbers; which of them does not shrink, as another order is not a simpler one.
fn one_of(numbers: Vec<u32>) -> BoxedStrategy<u32> {
    select(numbers).no_shrink().boxed()
}

impl Plan {
    fn order_numbers(&self, wanted: impl Fn(&PlannedOrder) -> bool) -> Vec<u32> {
        let wanted = self.orders.iter().filter(|(_, order)| wanted(order));
        wanted.map(|(number, _)| *number).collect()
    }

    /// The refunds that wait for a decision, or all of them, with their orders.
    fn refunds(&self, waiting: bool) -> Vec<(u32, u32)> {
        let refunds = self.orders.iter().flat_map(|(number, order)| {
            let wanted = order
                .refunds
                .iter()
                .filter(|(_, waits)| !waiting || **waits);
            wanted.map(|(refund, _)| (*number, *refund))
        });
        refunds.collect()
    }

    fn unused_refund(&self) -> u32 {
        let used = self.orders.values().flat_map(|order| order.refunds.keys());
        used.max().map_or(1, |largest| largest + 1)
    }

    /// What can come next, each as often as its weight says.
    fn next(&self, faults: &'static [&'static str]) -> BoxedStrategy<Op> {
        let mut choices = vec![
            (13, self.place()),
            (4, Just(Op::Sweep).boxed()),
            (3, advance()),
            (14, trouble(faults)),
            (2, table_trouble()),
            (1, Just(Op::Calm).boxed()),
            (1, Just(Op::Restart).boxed()),
        ];
        choices.extend(self.about_orders());
        choices.extend(self.about_refunds());
        // Which of them it is does not shrink: an operation of another kind is not a simpler one.
        let total: u32 = choices.iter().map(|(weight, _)| weight).sum();
        (0..total)
            .no_shrink()
            .prop_flat_map(move |mut drawn| {
                let mut choices = choices.iter();
                loop {
                    let (weight, choice) = choices.next().unwrap();
                    if drawn < *weight {
                        return choice.clone();
                    }
                    drawn -= weight;
                }
            })
            .boxed()
    }

    fn place(&self) -> BoxedStrategy<Op> {
        let order = self.orders.keys().max().map_or(1, |largest| largest + 1);
        let people = select(&[Person::Merchant, Person::Alice, Person::Bob][..]).no_shrink();
        let terms = people.prop_flat_map(|by| {
            let total = match by {
                Person::Merchant => (1..=1000_i64).boxed(),
                Person::Alice | Person::Bob => (1..=4_i64).prop_map(|cups| cups * TEA).boxed(),
            };
            (Just(by), total)
        });
        (terms, select(&["native", "jsapi"][..]))
            .prop_map(move |((by, total), trade_type)| Op::Place {
                order,
                by,
                trade_type,
                total,
            })
            .boxed()
    }

    fn about_orders(&self) -> Vec<(u32, BoxedStrategy<Op>)> {
        let all = self.order_numbers(|_| true);
        if all.is_empty() {
            return Vec::new();
        }
        let any = one_of(all);
        let mut choices = vec![
            (
                4,
                any.clone()
                    .prop_map(|order| Op::PlaceAgain { order })
                    .boxed(),
            ),
            (
                2,
                any.clone()
                    .prop_map(|order| Op::PlaceOtherwise { order })
                    .boxed(),
            ),
            (8, self.query()),
            (5, any.clone().prop_map(|order| Op::Close { order }).boxed()),
            (1, any.clone().prop_map(|order| Op::Forge { order }).boxed()),
        ];
        let unpaid = self.order_numbers(|order| !order.paid);
        // A payment may have failed, and then the order can still be paid.
        let payable = if unpaid.is_empty() {
            any
        } else {
            prop_oneof![4 => one_of(unpaid), 1 => any]
                .no_shrink()
                .boxed()
        };
        let acts = select(
            &[
                Act::Pays,
                Act::Pays,
                Act::Pays,
                Act::Pays,
                Act::Cancels,
                Act::Fails,
            ][..],
        );
        let pay = (payable.clone(), acts.no_shrink());
        choices.push((
            14,
            pay.prop_map(|(order, act)| Op::Pay { order, act }).boxed(),
        ));
        choices.push((3, payable.prop_map(|order| Op::AllAtOnce { order }).boxed()));
        let payers = self.order_numbers(|order| order.by != Person::Merchant);
        if !payers.is_empty() {
            let attempts = select(&[Attempt::Querying, Attempt::Closing, Attempt::Refunding][..]);
            let pry = (one_of(payers), attempts.no_shrink());
            choices.push((
                2,
                pry.prop_map(|(order, attempt)| Op::Pry { order, attempt })
                    .boxed(),
            ));
        }
        choices
    }

    fn query(&self) -> BoxedStrategy<Op> {
        let owners = self
            .orders
            .iter()
            .map(|(number, order)| (*number, order.by));
        select(owners.collect::<Vec<_>>())
            .no_shrink()
            .prop_flat_map(|(order, owner)| {
                select(vec![Person::Merchant, owner]).prop_map(move |by| Op::Query { order, by })
            })
            .boxed()
    }

    fn about_refunds(&self) -> Vec<(u32, BoxedStrategy<Op>)> {
        let mut choices = Vec::new();
        let first = self.unused_refund();
        let paid = self.order_numbers(|order| order.paid);
        let all = self.order_numbers(|_| true);
        if !all.is_empty() {
            let order = match paid.is_empty() {
                true => one_of(all),
                false => prop_oneof![5 => one_of(paid), 1 => one_of(all)]
                    .no_shrink()
                    .boxed(),
            };
            choices.push((13, self.refund(order, first)));
        }
        let paid = self.order_numbers(|order| order.paid && order.total > 1);
        if !paid.is_empty() {
            let refunds = one_of(paid).prop_map(move |order| Op::RefundsAtOnce { order, first });
            choices.push((3, refunds.boxed()));
        }
        let all = self.refunds(false);
        if !all.is_empty() {
            let any = select(all).no_shrink();
            let again = any
                .clone()
                .prop_map(|(order, refund)| Op::RefundAgain { order, refund });
            let ends = select(&[BankEnd::Completes, BankEnd::Closes, BankEnd::Abnormal][..]);
            let bank = (any, ends.no_shrink()).prop_map(|((order, refund), end)| Op::Bank {
                order,
                refund,
                end,
            });
            choices.extend([(3, again.boxed()), (2, bank.boxed())]);
        }
        let requested = self.refunds(true);
        if !requested.is_empty() {
            let decisions = select(&[Decision::Approve, Decision::Approve, Decision::Reject][..]);
            let decide = (select(requested), decisions).no_shrink().prop_map(
                |((order, refund), decision)| Op::Decide {
                    order,
                    refund,
                    decision,
                },
            );
            choices.push((6, decide.boxed()));
        }
        choices
    }

    fn refund(&self, order: BoxedStrategy<u32>, refund: u32) -> BoxedStrategy<Op> {
        let orders = self.orders.clone();
        order
            .prop_flat_map(move |order| {
                let PlannedOrder { by, total, .. } = orders[&order];
                let by = prop_oneof![Just(Person::Merchant), Just(by)].no_shrink();
                let amount = prop_oneof![
                    1 => Just(total),
                    1 => Just(total + 1),
                    2 => 1..=total,
                ];
                (by, amount).prop_map(move |(by, amount)| Op::Refund {
                    order,
                    refund,
                    by,
                    amount,
                })
            })
            .boxed()
    }

    /// Whether the operation still makes sense where others were taken out before it.
    fn allows(&self, op: &Op) -> bool {
        let known = |order: &u32, refund: &u32| {
            let order = self.orders.get(order);
            order.is_some_and(|order| order.refunds.contains_key(refund))
        };
        match op {
            Op::Place { .. }
            | Op::Sweep
            | Op::Advance { .. }
            | Op::Trouble { .. }
            | Op::TableTrouble { .. }
            | Op::Calm
            | Op::Restart => true,
            Op::PlaceAgain { order }
            | Op::PlaceOtherwise { order }
            | Op::Pay { order, .. }
            | Op::Query { order, .. }
            | Op::Pry { order, .. }
            | Op::Close { order }
            | Op::Refund { order, .. }
            | Op::AllAtOnce { order }
            | Op::RefundsAtOnce { order, .. }
            | Op::Forge { order } => self.orders.contains_key(order),
            Op::RefundAgain { order, refund }
            | Op::Decide { order, refund, .. }
            | Op::Bank { order, refund, .. } => known(order, refund),
        }
    }

    /// What the list says with one operation more.
    fn after(mut self, op: &Op) -> Self {
        match *op {
            Op::Place {
                order, by, total, ..
            } => {
                let planned = PlannedOrder {
                    by,
                    total,
                    paid: false,
                    refunds: BTreeMap::new(),
                };
                self.orders.insert(order, planned);
            }
            Op::Pay {
                order,
                act: Act::Pays,
            }
            | Op::AllAtOnce { order } => self.order(order).paid = true,
            Op::Refund {
                order,
                refund,
                by,
                amount,
            } => {
                let order = self.order(order);
                let waits = by != Person::Merchant && order.paid && amount <= order.total;
                order.refunds.insert(refund, waits);
            }
            Op::Decide { order, refund, .. } => {
                self.order(order).refunds.insert(refund, false);
            }
            Op::RefundsAtOnce { order, first } => {
                let refunds = (first..first + 3).map(|refund| (refund, false));
                self.order(order).refunds.extend(refunds);
            }
            _ => {}
        }
        self
    }

    fn order(&mut self, order: u32) -> &mut PlannedOrder {
        self.orders.get_mut(&order).unwrap()
    }
}

fn advance() -> BoxedStrategy<Op> {
    select(&[5, 61, 130, 600, 1900][..])
        .prop_map(|seconds| Op::Advance { seconds })
        .boxed()
}

fn trouble(faults: &'static [&'static str]) -> BoxedStrategy<Op> {
    prop_oneof![select(&SHARP[..]), select(faults)]
        .no_shrink()
        .prop_flat_map(|fault| {
            let count = if SLOW.contains(&fault) {
                1..=1
            } else {
                1..=6_u32
            };
            let rate = select(&[1.0, 1.0, 0.7, 0.4][..]);
            (count, rate).prop_map(move |(count, rate)| Op::Trouble { fault, count, rate })
        })
        .boxed()
}

/// About every fourth of the next calls.
fn table_trouble() -> BoxedStrategy<Op> {
    vec((0..40_u32, select(&FAULTS[..])), 1..=20)
        .prop_map(|calls| Op::TableTrouble { calls })
        .boxed()
}
