//! Faults by name: what each does, how often hostility brings it, and which are switched on.
//! Where a fault strikes is decided by the code that asks for it; here is only whether.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::changes::{Change, Changes};
use crate::random::Dice;

/// A fault the simulator can play.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// How often it strikes by itself at hostility 1.
    cruel_rate: f64,
}

macro_rules! catalogue {
    ($($name:literal, $rate:literal, $what:literal;)*) => {
        /// Every fault, in the order `GET /_sim/faults` lists them.
        pub(crate) const CATALOGUE: &[Kind] = &[
            $(Kind { name: $name, what: $what, cruel_rate: $rate },)*
        ];
    };
}

catalogue! {
    "notice_lost", 0.10, "a notice is sent but never arrives; WeChat Pay retries on its schedule";
    "notice_lost_for_good", 0.0, "a notice never arrives, nor does any retry of it";
    "notice_duplicated", 0.20, "a second copy of a notice follows one second later, even after success";
    "notice_late", 0.15, "a notice starts 30 seconds late";
    "notice_reordered", 0.15, "a notice waits until a later one has been sent, at most 10 seconds";
    "notice_bad_signature", 0.05, "a notice carries a signature over other bytes; accepting it is a violation";
    "notice_probe", 0.05, "a notice carries a WECHATPAY/SIGNTEST/ signature; the retry is genuine; accepting it is a violation";
    "notice_unknown_serial", 0.03, "a notice names a key nobody has; accepting it is a violation";
    "notice_stale", 0.03, "a notice is signed with a time ten minutes ago; accepting it is a violation";
    "notice_unopenable", 0.02, "a correctly signed notice is sealed with another APIv3 key; accepting it is a violation, unless it is another product's event";
    "notice_unknown_fields", 0.20, "envelope and resource carry members that no document names";
    "notice_unknown_event", 0.05, "a signed event of another product arrives beside the real one";
    "notice_foreign_order", 0.05, "a signed notice about an order nobody placed arrives beside the real one";
    "response_probe", 0.03, "an answer carries a WECHATPAY/SIGNTEST/ signature, never on the retry of the same request";
    "response_unsigned", 0.03, "an answer comes without any Wechatpay header";
    "response_bad_signature", 0.02, "an answer, also an empty one, carries a signature over other bytes";
    "response_stale", 0.03, "an answer is signed with a time ten minutes ago";
    "response_unknown_serial", 0.02, "an answer names a key nobody has";
    "response_altered", 0.02, "the body is changed after it was signed";
    "response_mixed_up", 0.01, "a correctly signed answer speaks of another order";
    "response_other_merchant", 0.01, "a correctly signed answer speaks of another merchant";
    "response_wrong_amount", 0.01, "a correctly signed answer states one fen more than the truth";
    "response_compressed", 0.0, "the body is sent deflated, as WeChat Pay does to clients that accept it";
    "response_truncated", 0.02, "the connection drops in the middle of the body";
    "response_oversized", 0.01, "ten mebibytes of JSON come instead of an answer";
    "response_bomb", 0.0, "a GZIP body that inflates to 64 mebibytes comes instead of an answer";
    "response_endless_headers", 0.01, "a thousand headers, a mebibyte of them, come with an answer";
    "response_html", 0.02, "200 with the HTML page of a network that wants a login, nothing applied";
    "response_lost", 0.05, "the request is applied, then the connection drops without an answer";
    "request_lost", 0.05, "the connection drops before the request is applied";
    "request_late", 0.02, "the connection drops at once and the request is applied two seconds later";
    "server_error", 0.05, "500 SYSTEM_ERROR, nothing applied";
    "server_error_applied", 0.05, "500 SYSTEM_ERROR although the request was applied";
    "accepted", 0.02, "202 without a body although the request was applied: ask again";
    "html_error", 0.03, "502 with an HTML page that echoes the request, nothing applied";
    "unavailable", 0.02, "503 SERVICE_UNAVAILABLE with a Retry-After of one day, nothing applied";
    "redirected", 0.0, "302 to a link-local address";
    "rate_limited", 0.05, "429 FREQUENCY_LIMITED, nothing applied";
    "rate_limited_day", 0.02, "429 FREQUENCY_LIMITED with a Retry-After of one day, nothing applied";
    "rate_limited_applied", 0.03, "429 FREQUENCY_LIMITED although the request was applied";
    "slow", 0.05, "the answer starts after six seconds";
    "slow_body", 0.02, "the body drips byte after byte";
    "refund_not_found", 0.10, "404 RESOURCE_NOT_EXISTS although order or refund exists";
    "refund_not_enough", 0.05, "403 NOT_ENOUGH: the merchant's balance is short";
    "refund_abnormal", 0.05, "the bank ends a refund ABNORMAL";
    "refund_closed", 0.0, "the bank ends a refund CLOSED";
    "close_user_paying", 0.10, "202 USERPAYING on a close, nothing applied";
    "prepay_odd", 0.01, "a prepay_id with a line feed in it, which would inject a line into paySign";
    "prepay_long", 0.01, "a prepay_id of ten kibibytes";
    "prepay_empty", 0.01, "a prepay_id without a character";
    "unknown_fields", 0.20, "answers carry members that no document names";
    "unknown_state", 0.01, "a query answers a trade_state or status that no document names";
    "bill_late", 0.30, "400 STATEMENT_CREATING although it is past ten";
    "bill_missing", 0.02, "400 NO_STATEMENT_EXIST although there were payments";
    "bill_bad_hash", 0.10, "the hash of a bill is that of other bytes";
    "bill_foreign_url", 0.02, "download_url points to a host that is not WeChat Pay's";
    "bill_formula", 0.05, "a bill cell starts like a spreadsheet formula";
    "bill_bad_totals", 0.05, "the summary row of a bill does not add up";
    "bill_lacks_payment", 0.0, "the trade bill lacks the day's last payment, and its summary agrees";
    "bill_bomb", 0.01, "a GZIP bill that inflates to 64 mebibytes";
    "login_busy", 0.05, "jscode2session answers -1, system busy";
    "trade_management_busy", 0.05, "stable_token or a question of trade management answers -1, system busy";
    "tls_expired", 0.01, "a connection to the TLS port meets a certificate that expired yesterday";
    "tls_wrong_host", 0.01, "a connection to the TLS port meets the certificate of another host";
    "tls_untrusted", 0.01, "a connection to the TLS port meets a certificate of an authority nobody trusts";
}

/// A fault that a control call switched on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Active {
    pub(crate) name: String,
    /// A probability; absent means always.
    #[serde(default)]
    pub(crate) rate: Option<f64>,
    /// How often at most; absent means without end.
    #[serde(default)]
    pub(crate) count: Option<u64>,
    /// Only requests and notices of this order.
    #[serde(default)]
    pub(crate) out_trade_no: Option<String>,
    /// Only this operation, by the names that `/_sim/requests` uses.
    #[serde(default)]
    pub(crate) operation: Option<String>,
}

/// Whom a fault would strike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) operation: &'a str,
    pub(crate) out_trade_no: Option<&'a str>,
    /// What makes this request or attempt itself: the dice are thrown per subject.
    pub(crate) subject: &'a str,
}

/// Which faults are on and what the dice say.
#[derive(Debug)]
pub(crate) struct Faults {
    hostility: f64,
    active: Vec<Active>,
    dice: Dice,
    hits: Vec<(&'static str, u64)>,
    changes: Changes,
}

impl Faults {
    pub(crate) fn new(seed: u64, hostility: f64, changes: Changes) -> Self {
        Self {
            hostility: hostility.clamp(0.0, 1.0),
            active: Vec::new(),
            dice: Dice::new(seed),
            hits: Vec::new(),
            changes,
        }
    }

    /// Whether a fault strikes now; a counted one is used up by it.
    pub(crate) fn strikes(&mut self, name: &'static str, target: Target<'_>) -> bool {
        let Some(kind) = CATALOGUE.iter().find(|kind| kind.name == name) else {
            return false;
        };
        let own_rate = self.hostility * kind.cruel_rate;
        let fits = |active: &Active| {
            active.name == name
                && active
                    .operation
                    .as_deref()
                    .is_none_or(|wanted| wanted == target.operation)
                && active
                    .out_trade_no
                    .as_deref()
                    .is_none_or(|wanted| target.out_trade_no == Some(wanted))
        };
        if own_rate <= 0.0 && !self.active.iter().any(fits) {
            return false;
        }
        let throw = self.dice.throw(name, target.subject);
        // Of several that were switched on, the oldest that strikes is the one that counts.
        let chosen = self
            .active
            .iter()
            .position(|active| fits(active) && throw < active.rate.unwrap_or(1.0));
        if let Some(index) = chosen
            && let Some(count) = &mut self.active[index].count
        {
            *count -= 1;
            if *count == 0 {
                self.active.remove(index);
            }
        }
        let strikes = chosen.is_some() || throw < own_rate;
        if strikes {
            match self.hits.iter_mut().find(|(hit, _)| *hit == name) {
                Some((_, count)) => *count += 1,
                None => self.hits.push((name, 1)),
            }
            self.changes.publish(Change::Fault);
        }
        strikes
    }

    /// A throw for a question that is no fault, such as which key signs.
    pub(crate) fn throw(&mut self, question: &str, subject: &str) -> f64 {
        self.dice.throw(question, subject)
    }

    /// Switches a fault on, beside those of its name that are on already.
    ///
    /// # Errors
    ///
    /// A sentence when the name is unknown, the rate is no probability or the count is none.
    pub(crate) fn switch_on(&mut self, active: Active) -> Result<(), String> {
        if !CATALOGUE.iter().any(|kind| kind.name == active.name) {
            return Err(format!(
                "there is no fault named {:?}; GET /_sim/faults lists them",
                active.name
            ));
        }
        if active.rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
            return Err("rate is a probability between 0 and 1".to_owned());
        }
        if active.count == Some(0) {
            return Err("count is how often at most, 1 or more".to_owned());
        }
        self.active.push(active);
        self.changes.publish(Change::Fault);
        Ok(())
    }

    /// Switches off one fault, or all; hostility goes to zero with all.
    pub(crate) fn switch_off(&mut self, name: Option<&str>) {
        match name {
            Some(name) => self.active.retain(|active| active.name != name),
            None => {
                self.active.clear();
                self.hostility = 0.0;
            }
        }
        self.changes.publish(Change::Fault);
    }

    pub(crate) fn set_hostility(&mut self, hostility: f64) {
        self.hostility = hostility.clamp(0.0, 1.0);
        self.changes.publish(Change::Fault);
    }

    /// The answer of `GET /_sim/faults`.
    pub(crate) fn list(&self) -> Value {
        let items: Vec<Value> = CATALOGUE
            .iter()
            .map(|kind| {
                let active: Vec<&Active> = self
                    .active
                    .iter()
                    .filter(|active| active.name == kind.name)
                    .collect();
                let hits = self.hits.iter().find(|(name, _)| *name == kind.name);
                json!({
                    "name": kind.name,
                    "what": kind.what,
                    "rate_by_hostility": self.hostility * kind.cruel_rate,
                    "active": active,
                    "struck": hits.map_or(0, |(_, count)| *count),
                })
            })
            .collect();
        json!({"hostility": self.hostility, "items": items})
    }
}
