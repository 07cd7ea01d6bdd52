//! One JSON line per request or scheduled item, fields named the same everywhere, metrics in the
//! same line (CloudWatch's embedded metric format).
//!
//! Fields are written one by one from an allow-list in the code; nothing is logged wholesale. Never:
//! keys, tokens, raw bodies, signatures, ciphertext, openid.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::clock::Clock;
use crate::domain::Timestamp;

/// CloudWatch's namespace of the metrics, by function. The alarms do not name it: `template.yaml` counts
/// the same fields of the log line per stack.
const NAMESPACE: &str = "WxPay";

/// How long a text in a log line may be, in characters; longer ones are cut.
const TEXT_MAX: usize = 300;

/// Where lines go.
#[derive(Clone)]
pub struct Log {
    sink: Arc<dyn Fn(&str) + Send + Sync>,
}

impl fmt::Debug for Log {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log {
    /// Lines go to standard output, where Lambda collects them.
    pub fn stdout() -> Self {
        Self::to(Arc::new(|line| {
            use std::io::Write;
            // A log that cannot be written must not stop a payment.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }))
    }

    /// Lines go to `sink`, one call per line, without the line's end.
    pub fn to(sink: Arc<dyn Fn(&str) + Send + Sync>) -> Self {
        Self { sink }
    }
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Info,
    /// Unusual, and dealt with.
    Warn,
    /// Somebody should look.
    Error,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// Declares [`Metric`]: its variants, each with its unit and its name in CloudWatch.
macro_rules! metrics {
    ($($(#[$doc:meta])+ $metric:ident = $unit:literal, $name:literal;)+) => {
        /// What alarms watch; each is counted in the line that reports it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric {
            $($(#[$doc])+ $metric,)+
        }

        impl Metric {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$metric),+];

            /// The metric's name in CloudWatch.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$metric => $name,)+ }
            }

            const fn unit(self) -> &'static str {
                match self { $(Self::$metric => $unit,)+ }
            }
        }
    };
}

metrics! {
    /// A person has to look: a record was flagged, a signed notification names no order of ours,
    /// cannot be read or reports an unknown state, money went back elsewhere, or an order cannot be
    /// ended.
    NeedsHuman = "Count", "needs_human";
    /// A signed report contradicts the record.
    MoneyMismatch = "Count", "money_mismatch";
    /// A signed notification could not be opened with any APIv3 key.
    Apiv3KeyMismatch = "Count", "apiv3_key_mismatch";
    /// A notification was refused before it was trusted.
    NotifyUnauthorized = "Count", "notify_unauthorized";
    /// An answer of WeChat Pay's was not signed as it must be.
    WechatpayUnverified = "Count", "wechatpay_unverified";
    /// A call to WeChat Pay had no usable outcome.
    WechatpayErrors = "Count", "wechatpay_errors";
    /// A refund is reserved or processing for too long.
    RefundStuck = "Count", "refund_stuck";
    /// The age of the oldest thing overdue.
    DueBacklogSeconds = "Seconds", "due_backlog_seconds";
    /// For how many whole hours the oldest refund request waits for the merchant.
    RefundRequestHours = "None", "refund_request_hours";
    /// Secrets or variables are missing or broken, or a secret could not be read again for long.
    NotConfigured = "Count", "not_configured";
    /// A payment became known.
    OrderPaid = "Count", "order_paid";
    /// WeChat Pay closed a refund: the payer got nothing of it.
    RefundClosed = "Count", "refund_closed";
    /// An order that was reported closed was paid all the same.
    PaidAfterClose = "Count", "paid_after_close";
    /// What can still be refunded of an order and what its refunds hold do not make its total.
    BooksUnbalanced = "Count", "books_unbalanced";
    /// No platform certificate is valid, the last one expires soon, or none was downloaded for long.
    CertificatesStale = "Count", "certificates_stale";
    /// WeChat Pay reports a refund of an order that has none here.
    RefundedElsewhere = "Count", "refunded_elsewhere";
    /// How much the bills of a day and the record differ.
    ReconcileDifferences = "Count", "reconcile_differences";
    /// Yesterday is not reconciled, and it is past two in the afternoon in Beijing.
    ReconcileOverdue = "Count", "reconcile_overdue";
}

/// One line being gathered; [`LogLine::write`] writes it.
#[derive(Debug)]
pub struct LogLine {
    function: &'static str,
    level: Level,
    fields: Map<String, Value>,
    metrics: Vec<(Metric, i64)>,
    started_ms: i64,
}

impl LogLine {
    /// Starts a line of this function.
    pub fn start(function: &'static str, clock: &Clock) -> Self {
        Self {
            function,
            level: Level::Info,
            fields: Map::new(),
            metrics: Vec::new(),
            started_ms: clock.wall_millis(),
        }
    }

    /// Adds a field; names are dotted and the same everywhere (`order.out_trade_no`).
    pub fn field(&mut self, name: &'static str, value: impl Into<Value>) -> &mut Self {
        let mut value = value.into();
        if let Value::String(text) = &mut value
            && let Some((end, _)) = text.char_indices().nth(TEXT_MAX)
        {
            text.truncate(end);
        }
        self.fields.insert(name.to_owned(), value);
        self
    }

    /// Adds a value to a field that is a list, which keeps its first `max` values.
    pub fn list(&mut self, name: &'static str, value: Value, max: usize) -> &mut Self {
        let held = self
            .fields
            .entry(name)
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(values) = held
            && values.len() < max
        {
            values.push(value);
        }
        self
    }

    /// Counts a metric.
    pub fn count(&mut self, metric: Metric) -> &mut Self {
        self.measure(metric, 1)
    }

    /// Gives a metric a value: counts add up, of ages the largest stands.
    pub fn measure(&mut self, metric: Metric, value: i64) -> &mut Self {
        match self.metrics.iter_mut().find(|(known, _)| *known == metric) {
            Some((_, sum)) if metric != Metric::DueBacklogSeconds => {
                *sum = sum.saturating_add(value);
            }
            Some((_, largest)) => *largest = value.max(*largest),
            None => self.metrics.push((metric, value)),
        }
        self
    }

    /// Raises the line's level; it never sinks.
    pub fn raise(&mut self, level: Level) -> &mut Self {
        self.level = self.level.max(level);
        self
    }

    /// Writes the line with what it took.
    pub fn write(self, log: &Log, clock: &Clock, message: &str) {
        let now_ms = clock.wall_millis();
        let mut line = Map::new();
        line.insert(
            "timestamp".to_owned(),
            Value::String(rfc3339_millis(now_ms)),
        );
        line.insert("level".to_owned(), Value::from(self.level.as_str()));
        line.insert("function".to_owned(), Value::from(self.function));
        line.insert("message".to_owned(), Value::from(message));
        line.insert(
            "duration_ms".to_owned(),
            Value::from(now_ms.saturating_sub(self.started_ms)),
        );
        line.extend(self.fields);
        if !self.metrics.is_empty() {
            let declared: Vec<Value> = self
                .metrics
                .iter()
                .map(|(metric, _)| json!({"Name": metric.as_str(), "Unit": metric.unit()}))
                .collect();
            line.insert(
                "_aws".to_owned(),
                json!({"Timestamp": now_ms, "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE, "Dimensions": [["function"]], "Metrics": declared,
                }]}),
            );
            for (metric, value) in self.metrics {
                line.insert(metric.as_str().to_owned(), Value::from(value));
            }
        }
        (log.sink)(&Value::Object(line).to_string());
    }
}

/// A moment as RFC 3339 in UTC with milliseconds.
fn rfc3339_millis(millis: i64) -> String {
    let moment = Timestamp::from_unix_seconds(millis.div_euclid(1000));
    let text = crate::rfc3339::format_utc(moment);
    let milliseconds = millis.rem_euclid(1000);
    format!("{}.{milliseconds:03}Z", text.trim_end_matches('Z'))
}
