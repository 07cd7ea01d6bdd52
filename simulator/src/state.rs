//! The state behind one lock: ledger, notices, timers, merchants, faults, and the memory of what
//! was asked. Every change of what must survive goes through a `put_*`, which appends it to the
//! journal and tells whoever listens.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::access_tokens::AccessTokens;
use crate::behaviours::Behaviours;
use crate::changes::{Change, Changes};
use crate::exchange::{Exchange, ExchangeKey, Exchanges};
use crate::faults::Faults;
use crate::journal::{Journal, Line, Record};
use crate::ledger::{
    BillToken, LoginCode, Notice, Order, OrderKey, OrderState, Refund, RefundKey, Timer,
};
use crate::merchants::{MerchantWithKeys, Registry};

/// How many requests and violations are remembered.
pub(crate) const MEMORY_MAX: usize = 1_000;

/// Calls counted within one second of real time.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) second: i64,
    pub(crate) calls: u32,
    pub(crate) failures: u32,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) changes: Changes,
    pub(crate) folder: PathBuf,
    pub(crate) journal: Journal,
    pub(crate) registry: Registry,
    pub(crate) merchants: HashMap<String, Arc<MerchantWithKeys>>,
    pub(crate) orders: HashMap<OrderKey, Order>,
    pub(crate) refunds: HashMap<RefundKey, Refund>,
    pub(crate) notices: BTreeMap<u64, Notice>,
    pub(crate) codes: HashMap<String, LoginCode>,
    /// The app that each openid seen at a login belongs to.
    pub(crate) openids: HashMap<String, String>,
    /// When each user logged in lately.
    pub(crate) logins: HashMap<String, VecDeque<i64>>,
    pub(crate) access_tokens: AccessTokens,
    pub(crate) behaviours: Behaviours,
    /// Payments by `transaction_id`.
    pub(crate) payments: HashMap<String, OrderKey>,
    /// Orders by `prepay_id`.
    pub(crate) prepays: HashMap<String, OrderKey>,
    pub(crate) refunds_by_id: HashMap<String, RefundKey>,
    pub(crate) refunds_by_order: HashMap<OrderKey, Vec<RefundKey>>,
    pub(crate) timers: BTreeSet<(i64, Timer)>,
    pub(crate) faults: Faults,
    pub(crate) tokens: HashMap<String, BillToken>,
    pub(crate) windows: HashMap<(String, &'static str), Window>,
    pub(crate) nonces: HashMap<(String, String), i64>,
    /// Requests whose last answer was a probe.
    pub(crate) probed: BTreeSet<String>,
    pub(crate) requests: VecDeque<Value>,
    pub(crate) violations: VecDeque<Value>,
    pub(crate) exchanges: Exchanges,
    entered: u64,
    asked: u64,
}

impl State {
    /// Builds the state from a registry and the lines of a journal; returns the clock's offset too.
    pub(crate) fn restore(
        folder: PathBuf,
        registry: Registry,
        merchants: HashMap<String, Arc<MerchantWithKeys>>,
        records: Vec<Record>,
        faults: Faults,
        changes: Changes,
    ) -> Result<(Self, i64), crate::journal::JournalError> {
        let mut offset_s = 0;
        let mut orders: HashMap<OrderKey, Order> = HashMap::new();
        let mut refunds: HashMap<RefundKey, Refund> = HashMap::new();
        let mut notices = BTreeMap::new();
        let mut codes = HashMap::new();
        let mut behaviours = Behaviours::default();
        for record in records {
            match record {
                Record::Clock(seconds) => offset_s = seconds,
                Record::Order(order) => {
                    orders.insert(order.key.clone(), *order);
                }
                Record::Refund(refund) => {
                    refunds.insert(refund.key.clone(), *refund);
                }
                Record::Notice(notice) => {
                    notices.insert(notice.seq, *notice);
                }
                Record::Code(code) => {
                    codes.insert(code.code.clone(), code);
                }
                Record::Knobs(stored) => behaviours = stored,
            }
        }
        let mut lines = vec![Line::Clock(offset_s), Line::Knobs(&behaviours)];
        lines.extend(orders.values().map(Line::Order));
        lines.extend(refunds.values().map(Line::Refund));
        lines.extend(notices.values().map(Line::Notice));
        lines.extend(codes.values().map(Line::Code));
        // A simulator without a folder keeps nothing.
        let journal = if folder.as_os_str().is_empty() {
            Journal::nowhere()
        } else {
            Journal::rewrite(&folder, &lines)?
        };
        let entered = orders
            .values()
            .map(|order| order.entered)
            .chain(refunds.values().map(|refund| refund.entered))
            .chain(notices.keys().copied())
            .max()
            .unwrap_or(0);
        let mut state = Self {
            changes,
            folder,
            journal,
            registry,
            merchants,
            orders: HashMap::new(),
            refunds: HashMap::new(),
            notices: BTreeMap::new(),
            openids: codes
                .values()
                .map(|code| (code.openid.clone(), code.appid.clone()))
                .collect(),
            codes,
            logins: HashMap::new(),
            access_tokens: AccessTokens::default(),
            behaviours,
            payments: HashMap::new(),
            prepays: HashMap::new(),
            refunds_by_id: HashMap::new(),
            refunds_by_order: HashMap::new(),
            timers: BTreeSet::new(),
            faults,
            tokens: HashMap::new(),
            windows: HashMap::new(),
            nonces: HashMap::new(),
            probed: BTreeSet::new(),
            requests: VecDeque::new(),
            violations: VecDeque::new(),
            exchanges: Exchanges::default(),
            entered,
            asked: 0,
        };
        orders
            .into_values()
            .for_each(|order| state.index_order(order));
        let mut sorted: Vec<Refund> = refunds.into_values().collect();
        sorted.sort_by_key(|refund| refund.entered);
        sorted
            .into_iter()
            .for_each(|refund| state.index_refund(refund));
        notices
            .into_values()
            .for_each(|notice| state.index_notice(notice));
        Ok((state, offset_s))
    }

    /// The next number of the ledger.
    pub(crate) fn enter(&mut self) -> u64 {
        self.entered += 1;
        self.entered
    }

    pub(crate) fn put_clock(&mut self, offset_s: i64) {
        self.journal.append(Line::Clock(offset_s));
        self.changes.publish(Change::Clock);
    }

    pub(crate) fn put_behaviours(&mut self, behaviours: Behaviours) {
        self.journal.append(Line::Knobs(&behaviours));
        self.behaviours = behaviours;
        self.changes.publish(Change::Knob);
    }

    pub(crate) fn put_code(&mut self, code: LoginCode) {
        self.journal.append(Line::Code(&code));
        self.openids.insert(code.openid.clone(), code.appid.clone());
        self.codes.insert(code.code.clone(), code);
    }

    pub(crate) fn put_order(&mut self, order: Order) {
        self.journal.append(Line::Order(&order));
        self.index_order(order);
        self.changes.publish(Change::Order);
    }

    pub(crate) fn put_refund(&mut self, refund: Refund) {
        self.journal.append(Line::Refund(&refund));
        self.index_refund(refund);
        self.changes.publish(Change::Refund);
    }

    pub(crate) fn put_notice(&mut self, notice: Notice) {
        self.journal.append(Line::Notice(&notice));
        self.index_notice(notice);
        self.changes.publish(Change::Notice);
    }

    /// Whether any refund of an order was accepted, which turns its state to `REFUND`.
    pub(crate) fn refunded(&self, key: &OrderKey) -> bool {
        self.refunds_by_order
            .get(key)
            .is_some_and(|refunds| !refunds.is_empty())
    }

    /// The refunds of an order, oldest first.
    pub(crate) fn refunds_of(&self, key: &OrderKey) -> impl Iterator<Item = &Refund> {
        let keys = self
            .refunds_by_order
            .get(key)
            .map_or(&[][..], Vec::as_slice);
        keys.iter().filter_map(|key| self.refunds.get(key))
    }

    /// Finds an order by its number alone, for control calls; the newest wins where two merchants
    /// use one number and none is named.
    pub(crate) fn find_order(&self, out_trade_no: &str, mchid: Option<&str>) -> Option<&Order> {
        self.owners(mchid)
            .filter_map(|mchid| {
                let out_trade_no = out_trade_no.to_owned();
                self.orders.get(&OrderKey {
                    mchid,
                    out_trade_no,
                })
            })
            .max_by_key(|order| order.entered)
    }

    /// Finds a refund by its number alone, for control calls.
    pub(crate) fn find_refund(&self, out_refund_no: &str, mchid: Option<&str>) -> Option<&Refund> {
        self.owners(mchid)
            .filter_map(|mchid| {
                let out_refund_no = out_refund_no.to_owned();
                self.refunds.get(&RefundKey {
                    mchid,
                    out_refund_no,
                })
            })
            .max_by_key(|refund| refund.entered)
    }

    /// The place of a merchant among all: the same in every run, also where mchids are made up.
    pub(crate) fn place_of(&self, mchid: &str) -> usize {
        let merchants = &self.registry.merchants;
        let found = merchants.iter().position(|held| held.mchid == mchid);
        found.unwrap_or(merchants.len())
    }

    fn owners(&self, mchid: Option<&str>) -> impl Iterator<Item = String> {
        self.merchants
            .keys()
            .filter(move |held| mchid.is_none_or(|mchid| *held == mchid))
            .cloned()
    }

    /// Remembers a violation of WeChat Pay's rules by the merchant.
    pub(crate) fn violation(&mut self, violation: Value) {
        remember(&mut self.violations, violation);
        self.changes.publish(Change::Violation);
    }

    /// Remembers a request and numbers it, so that a page can tell two alike apart.
    pub(crate) fn request(&mut self, mut request: Value, exchange: Exchange) {
        self.asked += 1;
        request["entered"] = json!(self.asked);
        self.exchanges
            .keep(ExchangeKey::Request(self.asked), exchange);
        remember(&mut self.requests, request);
        self.changes.publish(Change::Request);
    }

    /// Counts a call of a merchant within a second of real time.
    pub(crate) fn window(&mut self, mchid: &str, group: &'static str, second: i64) -> &mut Window {
        let window = self.windows.entry((mchid.to_owned(), group)).or_default();
        if window.second != second {
            *window = Window {
                second,
                calls: 0,
                failures: 0,
            };
        }
        window
    }

    fn index_order(&mut self, order: Order) {
        let key = order.key.clone();
        let timer = (order.closes_ms(), Timer::OrderCloses(key.clone()));
        match &order.state {
            OrderState::NotPaid => {
                self.timers.insert(timer);
            }
            OrderState::Paid(payment) => {
                self.timers.remove(&timer);
                self.payments
                    .insert(payment.transaction_id.clone(), key.clone());
            }
            OrderState::Closed { .. } => {
                self.timers.remove(&timer);
            }
        }
        for ticket in &order.tickets {
            self.prepays.insert(ticket.prepay_id.clone(), key.clone());
        }
        self.orders.insert(key, order);
    }

    fn index_refund(&mut self, refund: Refund) {
        let key = refund.key.clone();
        if let Some(old) = self.refunds.get(&key)
            && let Some(due_ms) = old.due_ms
        {
            self.timers
                .remove(&(due_ms, Timer::RefundEnds(key.clone())));
        }
        if let Some(due_ms) = refund.due_ms {
            self.timers.insert((due_ms, Timer::RefundEnds(key.clone())));
        }
        self.refunds_by_id
            .insert(refund.refund_id.clone(), key.clone());
        let siblings = self
            .refunds_by_order
            .entry(refund.order.clone())
            .or_default();
        if !siblings.contains(&key) {
            siblings.push(key.clone());
        }
        self.refunds.insert(key, refund);
    }

    fn index_notice(&mut self, notice: Notice) {
        let seq = notice.seq;
        if let Some(old) = self.notices.get(&seq)
            && let Some(due_ms) = old.next_due_ms
        {
            self.timers.remove(&(due_ms, Timer::NoticeDue(seq)));
        }
        if let Some(due_ms) = notice.next_due_ms
            && !notice.on_its_way
        {
            self.timers.insert((due_ms, Timer::NoticeDue(seq)));
        }
        self.notices.insert(seq, notice);
    }
}

fn remember(memory: &mut VecDeque<Value>, item: Value) {
    if memory.len() == MEMORY_MAX {
        memory.pop_front();
    }
    memory.push_back(item);
}
