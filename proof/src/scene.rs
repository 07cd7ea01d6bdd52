//! How plans begin. A quarter of the seeds takes whatever comes; the others begin with a few prescribed
//! operations that lead where chance seldom does: a state that is rarely reached, a number that is used
//! twice, a fault at a place. What follows is drawn as for any other.

use fastrand::Rng;

use crate::fault::{Fault, Place, Switches};
use crate::op::{Act, BankEnd, Decision, Op, Person, Signs, TEA};

/// How a plan begins.
pub(crate) struct Beginning {
    pub(crate) signs: Signs,
    pub(crate) switches: Switches,
    pub(crate) ops: Vec<Op>,
}

/// How this seed's plan begins.
pub(crate) fn beginning(seed: u64, rng: &mut Rng) -> Beginning {
    let round = seed / 4;
    let signs = match rng.u32(..16) {
        0 => Signs::Certificate,
        1 => Signs::Both,
        _ => Signs::PublicKey,
    };
    match seed % 4 {
        0 => Beginning {
            signs,
            switches: Switches::draw(rng),
            ops: Vec::new(),
        },
        1 => {
            let (signs, switches, ops) = match picked(SCENES, round) {
                Scene::Of(ops) => (signs, Switches::calm(rng), ops(rng)),
                Scene::Rotation => {
                    let signs = Signs::ALL[rng.usize(..3)];
                    (signs, Switches::calm(rng), rotation(signs, rng))
                }
            };
            Beginning {
                signs,
                switches,
                ops,
            }
        }
        half => {
            let pairs = pairs();
            let aim = *picked(&pairs, 2 * round + half % 2);
            let signs = match aim.1 {
                Place::Certificates => Signs::Certificate,
                _ => signs,
            };
            Beginning {
                signs,
                switches: Switches::aimed(aim, rng),
                ops: leading_to(aim.1, rng),
            }
        }
    }
}

/// One after the other, so that any stretch of seeds has all of them.
fn picked<T>(from: &[T], place: u64) -> &T {
    let count = u64::try_from(from.len()).unwrap_or(1).max(1);
    &from[usize::try_from(place % count).unwrap_or(0)]
}

/// Every fault with every place that it is possible at.
fn pairs() -> Vec<(Fault, Place)> {
    let all = Fault::ALL.iter().flat_map(|fault| {
        let places = Place::ALL.iter();
        let places = places.filter(|place| fault.is_possible_at(**place));
        places.map(|place| (*fault, *place))
    });
    all.collect()
}

/// What makes something happen at this place, twice where chance may pass it by.
fn leading_to(place: Place, rng: &mut Rng) -> Vec<Op> {
    match place {
        Place::Secrets
        | Place::Read
        | Place::Write
        | Place::Prepay
        | Place::Login
        | Place::Request => vec![placed(1, rng), placed(2, rng), query(1)],
        Place::Index | Place::Scheduled | Place::Certificates => {
            vec![placed(1, rng), sweeps(2, 3_700), Op::Sweep]
        }
        Place::QueryOrder => vec![placed(1, rng), query(1), wait(5), query(1)],
        Place::Close => vec![placed(1, rng), placed(2, rng), close(1), close(2)],
        Place::Transaction | Place::Refund => vec![
            bought(1, 900),
            pays(1),
            refund(1, 1, 300),
            wait(70),
            refund(1, 2, 300),
        ],
        Place::QueryRefund => vec![
            bought(1, 900),
            pays(1),
            Op::BankTakes { seconds: 3_600 },
            refund(1, 1, 300),
            again(1, 1),
            wait(5),
            again(1, 1),
        ],
        Place::Bus | Place::Stream => vec![
            placed(1, rng),
            placed(2, rng),
            pays(1),
            pays(2),
            Op::Publish,
            refund(1, 1, 1),
            Op::Publish,
        ],
        Place::Bucket | Place::Bill | Place::Download => {
            vec![bought(1, 500), pays(1), refund(1, 1, 100), Op::Reconcile]
        }
        Place::Notice => vec![
            placed(1, rng),
            placed(2, rng),
            pays(1),
            wait(20),
            pays(2),
            wait(20),
        ],
    }
}

/// A beginning.
enum Scene {
    /// These operations.
    Of(fn(&mut Rng) -> Vec<Op>),
    /// Keys are replaced, of those that there are.
    Rotation,
}

/// Where few seeds would come by chance.
const SCENES: &[Scene] = &[
    Scene::Of(rejected),
    Scene::Of(approved_late),
    Scene::Of(taken_unheard),
    Scene::Of(withdrawn),
    Scene::Of(withdrawn_unproved),
    Scene::Of(withdrawing_and_taken),
    Scene::Of(withdrawn_and_taken),
    Scene::Of(overdrawn),
    Scene::Of(one_number_of_two_orders),
    Scene::Of(two_payers_one_number),
    Scene::Of(forged_notice),
    Scene::Of(wrong_word),
    Scene::Of(doubted),
    Scene::Of(answered_late),
    Scene::Of(sent_in_vain),
    Scene::Of(forged_record),
    Scene::Of(abnormal),
    Scene::Of(never_arrived),
    Scene::Of(paid_after_its_close),
    Scene::Of(paid_while_asked),
    Scene::Rotation,
];

/// What makes an answer of WeChat Pay's one that proves nothing.
const UNPROVED: [&str; 5] = [
    "response_unsigned",
    "response_bad_signature",
    "response_stale",
    "response_unknown_serial",
    "response_altered",
];

/// Business goes on while a key or two are replaced.
fn rotation(signs: Signs, rng: &mut Rng) -> Vec<Op> {
    let rotated = signs.rotated();
    let mut ops = vec![placed(1, rng), placed(2, rng), pays(1)];
    for order in [1, 2] {
        let key = rotated[rng.usize(..rotated.len())];
        ops.extend([Op::Rotate { key }, refund(order, order, 1)]);
    }
    ops.insert(5, pays(2));
    ops
}

/// A payer asks for a refund and the merchant says no, and says it again.
fn rejected(rng: &mut Rng) -> Vec<Op> {
    let mut ops = vec![
        ordered(1),
        pays(1),
        asked(1, 1, 100),
        decide(1, 1, Decision::Reject),
    ];
    if rng.bool() {
        ops.push(decide(1, 1, Decision::Approve));
    }
    ops
}

/// A payer asks for a refund, and the merchant takes days or weeks.
fn approved_late(rng: &mut Rng) -> Vec<Op> {
    let days = [1, 5, 31, 40][rng.usize(..4)];
    vec![
        ordered(1),
        pays(1),
        asked(1, 1, 1 + rng.i64(0..TEA)),
        wait(days * 86_400),
        decide(1, 1, Decision::Approve),
    ]
}

/// WeChat Pay takes a refund, nobody hears it, and the bank ends it so or so.
fn taken_unheard(rng: &mut Rng) -> Vec<Op> {
    let mut ops = vec![bought(1, 500), pays(1)];
    ops.extend(bank_ends(rng));
    ops.extend([unheard(), refund(1, 1, 500), wait(20)]);
    ops
}

/// A refund does not arrive and is withdrawn; somebody asks for it in between.
fn withdrawn(rng: &mut Rng) -> Vec<Op> {
    let mut ops = vec![
        bought(1, 500),
        pays(1),
        trouble("request_lost", "refund", 9),
        refund(1, 1, 200),
        decide(1, 1, Decision::Withdraw),
        sweeps(1, 70),
    ];
    match rng.u32(..3) {
        0 => ops.extend([wait(5), again(1, 1)]),
        1 => ops.push(sweeps(3, 61)),
        _ => ops.push(sweeps(1, 310)),
    }
    ops
}

/// A refund does not arrive and is withdrawn; that WeChat Pay does not know it is said by who knows whom.
fn withdrawn_unproved(rng: &mut Rng) -> Vec<Op> {
    let kind = UNPROVED[rng.usize(..UNPROVED.len())];
    vec![
        bought(1, 500),
        pays(1),
        trouble("request_lost", "refund", 9),
        refund(1, 1, 200),
        decide(1, 1, Decision::Withdraw),
        trouble(kind, "query_refund", 4),
        sweeps(2, 310),
    ]
}

/// WeChat Pay has taken a refund that is being withdrawn, and is asked.
fn withdrawing_and_taken(rng: &mut Rng) -> Vec<Op> {
    let mut ops = taken_and_withdrawing(200, rng);
    ops.push(sweeps(1, 70));
    ops
}

/// WeChat Pay has taken a refund and says twice that it does not know it.
fn withdrawn_and_taken(rng: &mut Rng) -> Vec<Op> {
    let mut ops = taken_and_withdrawing(300, rng);
    ops.extend([
        trouble("refund_not_found", "query_refund", 2),
        sweeps(2, 310),
    ]);
    ops
}

/// WeChat Pay has taken a refund of so much, nobody hears of it, and the merchant withdraws it.
fn taken_and_withdrawing(amount: i64, rng: &mut Rng) -> Vec<Op> {
    let mut ops = vec![
        bought(1, 500),
        pays(1),
        trouble("notice_lost_for_good", "", 9),
    ];
    ops.extend(bank_ends(rng));
    ops.extend([
        unheard(),
        refund(1, 1, amount),
        decide(1, 1, Decision::Withdraw),
    ]);
    ops
}

/// The same, and its amount is in another refund by then.
fn overdrawn(rng: &mut Rng) -> Vec<Op> {
    let mut ops = withdrawn_and_taken(rng);
    ops.push(refund(1, 2, [300, 500][rng.usize(..2)]));
    ops
}

/// Two orders' refunds have one number.
fn one_number_of_two_orders(_: &mut Rng) -> Vec<Op> {
    let (orders, refund, amount) = ([1, 2], 1, 100);
    vec![
        bought(1, 500),
        bought(2, 400),
        pays(1),
        pays(2),
        Op::RefundsOfTwo {
            orders,
            refund,
            amount,
        },
    ]
}

/// A payer asks for refunds of two orders by one number, and both are approved.
fn two_payers_one_number(_: &mut Rng) -> Vec<Op> {
    vec![
        ordered(1),
        ordered(2),
        pays(1),
        pays(2),
        asked(1, 1, 100),
        asked(2, 1, 200),
        decide(1, 1, Decision::Approve),
        decide(2, 1, Decision::Approve),
    ]
}

/// Somebody else's bytes arrive as a notification.
fn forged_notice(rng: &mut Rng) -> Vec<Op> {
    let kinds = [
        "notice_bad_signature",
        "notice_bad_signature",
        "notice_bad_signature",
        "notice_probe",
        "notice_unknown_serial",
        "notice_stale",
        "notice_unopenable",
    ];
    vec![
        placed(1, rng),
        trouble(kinds[rng.usize(..kinds.len())], "", 2),
        pays(1),
        wait(20),
    ]
}

/// The first that is heard of a payment is not true of it.
fn wrong_word(rng: &mut Rng) -> Vec<Op> {
    let kinds = [
        "response_wrong_amount",
        "response_wrong_amount",
        "response_wrong_amount",
        "response_wrong_amount",
        "response_wrong_amount",
        "response_mixed_up",
        "response_other_merchant",
        "response_altered",
        "response_bad_signature",
        "response_unsigned",
    ];
    vec![
        placed(1, rng),
        trouble("notice_lost", "", 2),
        pays(1),
        trouble(kinds[rng.usize(..kinds.len())], "query", 4),
        query(1),
    ]
}

/// WeChat Pay says of a refund that there is no such order.
fn doubted(_: &mut Rng) -> Vec<Op> {
    vec![
        bought(1, 500),
        pays(1),
        trouble("refund_not_found", "refund", 2),
        refund(1, 1, 200),
    ]
}

/// WeChat Pay takes six seconds for its answers; whoever asks has to be answered before.
fn answered_late(rng: &mut Rng) -> Vec<Op> {
    vec![
        placed(1, rng),
        trouble("slow", "query", 2),
        query(1),
        pays(1),
        trouble("slow", "refund", 1),
        refund(1, 1, 100),
        trouble("slow", "query_refund", 2),
        again(1, 1),
    ]
}

/// A refund is sent in vain for a while.
fn sent_in_vain(rng: &mut Rng) -> Vec<Op> {
    let kinds = ["server_error", "request_lost"];
    vec![
        bought(1, 500),
        pays(1),
        trouble(kinds[rng.usize(..kinds.len())], "refund", 90),
        refund(1, 1, 200),
        sweeps(12, 62),
    ]
}

/// Somebody writes a refund into the table past the code.
fn forged_record(rng: &mut Rng) -> Vec<Op> {
    vec![
        bought(1, 500),
        pays(1),
        refund(1, 1, 100),
        Op::Forge {
            order: 1,
            refund: 1,
        },
        sweeps(1 + rng.u32(..2), 61),
    ]
}

/// The bank cannot pay a refund out, and the merchant applies for it or the bank gives up.
fn abnormal(rng: &mut Rng) -> Vec<Op> {
    let (order, refund_no) = (1, 1);
    let apply = Op::Apply {
        order,
        refund: refund_no,
    };
    let mut ops = vec![
        bought(order, 500),
        pays(order),
        trouble("refund_abnormal", "", 1),
        refund(order, refund_no, 200),
        wait(20),
    ];
    match rng.u32(..3) {
        0 => ops.extend([apply.clone(), apply]),
        1 => ops.extend([apply, sweeps(1, 90_000)]),
        _ => ops.push(Op::Bank {
            order,
            refund: refund_no,
            end: BankEnd::Closes,
        }),
    }
    ops
}

/// An order never arrives at WeChat Pay: two absences end it.
fn never_arrived(_: &mut Rng) -> Vec<Op> {
    vec![trouble("request_lost", "order", 30), bought(1, 500)]
}

/// A payer has confirmed a moment before the order was closed: the payment stands.
fn paid_after_its_close(rng: &mut Rng) -> Vec<Op> {
    let act = Act::PaysAfterClose;
    let mut ops = vec![placed(1, rng), close(1)];
    if rng.bool() {
        ops.push(wait(60));
    }
    ops.extend([Op::Pay { order: 1, act }, query(1)]);
    ops
}

/// The same while somebody reads an answer of before.
fn paid_while_asked(rng: &mut Rng) -> Vec<Op> {
    vec![
        placed(1, rng),
        trouble("response_lost", "close", 3),
        close(1),
        wait(5),
        Op::PaysWhileAsked { order: 1 },
    ]
}

/// How the bank ends the next refund: well, or not, or not soon.
fn bank_ends(rng: &mut Rng) -> Option<Op> {
    match rng.u32(..4) {
        0 => None,
        1 => Some(trouble("refund_abnormal", "", 1)),
        2 => Some(trouble("refund_closed", "", 1)),
        _ => Some(Op::BankTakes { seconds: 20_000 }),
    }
}

/// The next refund is taken, and its answer is lost.
fn unheard() -> Op {
    trouble("response_lost", "refund", 2)
}

/// An order of either person's.
fn placed(order: u32, rng: &mut Rng) -> Op {
    if rng.bool() {
        ordered(order)
    } else {
        bought(order, 100 + rng.i64(0..900))
    }
}

/// The merchant's order.
const fn bought(order: u32, total: i64) -> Op {
    Op::Place {
        order,
        by: Person::Merchant,
        native: true,
        total,
    }
}

/// The payer's order.
const fn ordered(order: u32) -> Op {
    Op::Place {
        order,
        by: Person::Alice,
        native: false,
        total: 2 * TEA,
    }
}

const fn pays(order: u32) -> Op {
    let act = Act::Pays;
    Op::Pay { order, act }
}

const fn query(order: u32) -> Op {
    Op::Query { order }
}

const fn close(order: u32) -> Op {
    Op::Close { order }
}

const fn wait(seconds: u64) -> Op {
    Op::Advance { seconds }
}

const fn sweeps(times: u32, seconds: u64) -> Op {
    Op::Sweeps { times, seconds }
}

/// The merchant's refund.
const fn refund(order: u32, refund: u32, amount: i64) -> Op {
    Op::Refund {
        order,
        refund,
        by: Person::Merchant,
        amount,
    }
}

/// The payer's request for one.
const fn asked(order: u32, refund: u32, amount: i64) -> Op {
    Op::Refund {
        order,
        refund,
        by: Person::Alice,
        amount,
    }
}

const fn again(order: u32, refund: u32) -> Op {
    Op::RefundAgain { order, refund }
}

const fn decide(order: u32, refund: u32, decision: Decision) -> Op {
    Op::Decide {
        order,
        refund,
        decision,
    }
}

/// Trouble of WeChat Pay's, in this operation or, where it has no name, in any.
fn trouble(fault: &str, operation: &str, count: u32) -> Op {
    Op::Trouble {
        fault: fault.to_owned(),
        count,
        operation: (!operation.is_empty()).then(|| operation.to_owned()),
    }
}
