//! `wxpay logs`: what the functions say, and one order's story across all of them.

use clap::{Args, ValueEnum};
use serde_json::Value;
use shared::domain::{OrderId, Timestamp};

use crate::aws::logs::{Coming, LOOK_EVERY, Line, Wanted};
use crate::day::span;
use crate::exit::Failure;
use crate::orders::order_id;
use crate::output::{self, BAD, BOLD, DIM, moment_of, text};
use crate::target::{Target, Which};
use crate::wait::Waiting;

/// What every line has, and what is said first of it.
const HEAD: [&str; 7] = [
    "timestamp",
    "level",
    "function",
    "message",
    "duration_ms",
    "_aws",
    "order.out_trade_no",
];

/// Which lines.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  wxpay logs --since 1h --level error
  wxpay logs --order counter-7-0001 --since 7d
  wxpay logs --follow --stack wxpay")]
pub struct Logs {
    #[command(flatten)]
    which: Which,
    /// Only lines about this order, of whatever function.
    #[arg(long, value_name = "ORDER", value_parser = order_id)]
    order: Option<OrderId>,
    /// Only lines of this function, such as notify-callback.
    #[arg(long)]
    function: Option<String>,
    /// Only lines of this level and above.
    #[arg(long, value_enum)]
    level: Option<Level>,
    /// How far back: 90s, 15m, 3h or 7d.
    #[arg(long, default_value = "1d", value_parser = span)]
    since: i64,
    /// Goes on with new lines as they come, until it is stopped.
    #[arg(long, short)]
    follow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Level {
    /// As it should be.
    Info,
    /// Unusual, and dealt with.
    Warn,
    /// Somebody should look.
    Error,
}

/// Prints the lines; with --json each as it was written.
///
/// # Errors
/// The logs may not be read, or there is no usable answer.
pub async fn run(logs: Logs) -> Result<(), Failure> {
    let target = logs.which.find().await?;
    let now_ms = target.process.clock.wall_millis();
    let from_ms = now_ms.saturating_sub(logs.since.saturating_mul(1_000));
    let mut coming = Coming::from(from_ms);
    let lines = {
        let _waiting = Waiting::for_("Reading the logs");
        logs.read(&target, from_ms).await?
    };
    let found_none = lines.is_empty();
    let mut is_read = logs.print(&coming.new_of(lines));
    if found_none && !logs.follow {
        output::aside("No line fits.");
    }
    while logs.follow && is_read {
        tokio::time::sleep(LOOK_EVERY).await;
        match logs.read(&target, coming.from_ms()).await {
            Ok(lines) => is_read = logs.print(&coming.new_of(lines)),
            // What is missed now is read the next time.
            Err(Failure::NoAnswer(_)) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

impl Logs {
    async fn read(&self, target: &Target, from_ms: i64) -> Result<Vec<Line>, Failure> {
        let wanted = Wanted {
            group: target.described.output("FunctionLogGroup")?,
            from_ms,
            until_ms: None,
            term: self.order.as_ref().map(OrderId::as_str),
        };
        let mut lines = target.aws.lines(&wanted).await?;
        lines.retain(|line| self.fits(&line.fields()));
        Ok(lines)
    }

    /// Whether a line is one that was asked for; a number that is a part of another is not meant.
    fn fits(&self, fields: &Value) -> bool {
        let order = self.order.as_ref();
        let of_order = order.is_none_or(|order| fields["order.out_trade_no"] == order.as_str());
        let function = self.function.as_ref();
        // Lambda's own line of a failure names no function.
        let of_function = function.is_none_or(|function| {
            fields["function"] == function.as_str() || is_lambdas_failure(fields)
        });
        of_order && of_function && self.level.is_none_or(|level| level_of(fields) >= level)
    }

    /// Prints lines, and says whether somebody still reads.
    fn print(&self, lines: &[Line]) -> bool {
        let json = self.which.output().json;
        lines
            .iter()
            .all(|line| output::line(&if json { line.text.clone() } else { told(line) }))
    }
}

/// Whether Lambda itself says that an invocation or a start failed: a time-out, or a process that died.
fn is_lambdas_failure(fields: &Value) -> bool {
    let is_lambdas = fields["type"]
        .as_str()
        .is_some_and(|of| of.starts_with("platform."));
    let status = fields["record"]["status"].as_str();
    is_lambdas && status.is_some_and(|status| status != "success")
}

fn level_of(fields: &Value) -> Level {
    match fields["level"].as_str() {
        _ if is_lambdas_failure(fields) => Level::Error,
        Some("ERROR") => Level::Error,
        Some("WARN") => Level::Warn,
        _ => Level::Info,
    }
}

/// A line for people: when, who, what, and the rest of its fields.
fn told(line: &Line) -> String {
    let fields = line.fields();
    let at = moment_of(Timestamp::from_unix_seconds(line.at_ms.div_euclid(1_000)));
    let Some(members) = fields.as_object() else {
        return format!("{DIM}{at}{DIM:#}  {}", line.text);
    };
    let style = match level_of(&fields) {
        Level::Info => BOLD,
        Level::Warn | Level::Error => BAD,
    };
    let mut told = format!(
        "{DIM}{at}{DIM:#}  {:<15} {style}{}{style:#}",
        text(&fields["function"]),
        text(&fields["message"])
    );
    for (name, value) in members {
        if !HEAD.contains(&name.as_str()) {
            told.push_str(&format!("  {DIM}{name}={DIM:#}{}", text(value)));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Level, level_of};

    #[test]
    fn a_time_out_that_lambda_tells_of_is_an_error() {
        let done =
            |status: &str| json!({"type": "platform.runtimeDone", "record": {"status": status}});
        for status in ["timeout", "failure", "error"] {
            assert_eq!(level_of(&done(status)), Level::Error, "{status}");
        }
        assert_eq!(level_of(&done("success")), Level::Info);
        assert_eq!(
            level_of(&json!({"level": "WARN", "record": {"status": "timeout"}})),
            Level::Warn
        );
    }
}
