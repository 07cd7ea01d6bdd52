//! A schedule as EventBridge Scheduler reads it: `rate(…)` and `cron(…)`, with a time zone.
//!
//! AWS's six cron fields are croner's without the seconds. What AWS refuses is refused here too, so
//! that an expression which works on this machine works after the deployment. One-time schedules
//! (`at(…)`) are refused: the bundle has none.

use std::fmt;

use chrono::{DateTime, TimeZone};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// The fields of a cron expression in their order, and what each may hold besides digits.
const FIELDS: [(&str, &str); 6] = [
    ("minutes", ",-*/"),
    ("hours", ",-*/"),
    ("day of month", ",-*?/LW"),
    ("month", ",-*/ABCDEFGJLMNOPRSTUVY"),
    ("day of week", ",-*?#LADEFHIMNORSTUW"),
    ("year", ",-*/"),
];

const MINUTE_MS: i64 = 60_000;

/// When a function is to run.
#[derive(Clone)]
pub struct Schedule {
    expression: String,
    recurrence: Recurrence,
}

#[derive(Clone)]
enum Recurrence {
    /// At the start, and every so many milliseconds after it.
    Rate(i64),
    /// At the times that the expression names in this time zone.
    Cron(Box<Cron>, Tz),
}

impl Schedule {
    /// Reads an expression; without a time zone it is UTC's, as on AWS.
    ///
    /// # Errors
    /// Says in a fragment what cannot be used.
    pub fn parse(expression: &str, time_zone: Option<&str>) -> Result<Self, String> {
        let zone = time_zone.unwrap_or("UTC");
        let zone: Tz = zone
            .parse()
            .map_err(|_| format!("{zone:?} is not a time zone of the IANA database"))?;
        let inside = |kind: &str| expression.strip_prefix(kind)?.strip_suffix(')');
        let recurrence = if let Some(rate) = inside("rate(") {
            Recurrence::Rate(interval_ms(rate)?)
        } else if let Some(fields) = inside("cron(") {
            Recurrence::Cron(Box::new(cron(fields)?), zone)
        } else {
            return Err(format!(
                "{expression:?} is neither rate(value unit) nor cron(six fields)"
            ));
        };
        Ok(Self {
            expression: expression.to_owned(),
            recurrence,
        })
    }

    /// When it first runs if it is made at this time (Unix milliseconds): a rate at once, as on AWS.
    /// `None` means never.
    pub fn first(&self, made_ms: i64) -> Option<i64> {
        match &self.recurrence {
            Recurrence::Rate(_) => Some(made_ms),
            Recurrence::Cron(cron, zone) => next(cron, *zone, made_ms),
        }
    }

    /// When it runs next after a run that was due at `due_ms` and began at `began_ms`. Whatever came
    /// due in between is not made up for: a clock that was moved by a week gives one run, not seven.
    pub fn after(&self, due_ms: i64, began_ms: i64) -> Option<i64> {
        match &self.recurrence {
            Recurrence::Rate(every_ms) => {
                let passed = (began_ms - due_ms).max(0) / every_ms;
                Some(due_ms + (passed + 1) * every_ms)
            }
            Recurrence::Cron(cron, zone) => next(cron, *zone, began_ms.max(due_ms)),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.expression)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

fn interval_ms(rate: &str) -> Result<i64, String> {
    let (value, unit) = rate.split_once(' ').unwrap_or((rate, ""));
    let unit_ms = match unit {
        "minute" | "minutes" => MINUTE_MS,
        "hour" | "hours" => 60 * MINUTE_MS,
        "day" | "days" => 24 * 60 * MINUTE_MS,
        _ => {
            return Err(format!(
                "rate({rate}) has the unit {unit:?}, which is none of minutes, hours, days"
            ));
        }
    };
    // Longer than a century is a mistake, and far from what overflows.
    let value = value
        .parse()
        .ok()
        .filter(|value| (1..=100 * 365 * 24 * 60).contains(value));
    value
        .map(|value: i64| value * unit_ms)
        .ok_or_else(|| format!("rate({rate}) has a value that is not a number from 1 upwards"))
}

fn cron(fields: &str) -> Result<Cron, String> {
    let refused = |why: &dyn fmt::Display| format!("cron({fields}) cannot be used: {why}");
    let upper = fields.to_ascii_uppercase();
    let parts: Vec<&str> = upper.split_whitespace().collect();
    if parts.len() != FIELDS.len() {
        return Err(refused(
            &"it needs six fields: minutes, hours, day of month, month, day of week, year",
        ));
    }
    for (part, (name, allowed)) in parts.iter().zip(FIELDS) {
        let known = |letter: char| letter.is_ascii_digit() || allowed.contains(letter);
        if let Some(unknown) = part.chars().find(|letter| !known(*letter)) {
            return Err(refused(&format_args!("{unknown:?} in the {name}")));
        }
    }
    if (parts[2] == "?") == (parts[4] == "?") {
        return Err(refused(
            &"exactly one of day of month and day of week has to be ?",
        ));
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Required)
        // 1 is Sunday, and 0/15 is every 15 from 0, as AWS has them.
        .alternative_weekdays(true)
        .sloppy_ranges(true)
        .build();
    parser
        .parse(&format!("0 {}", parts.join(" ")))
        .map_err(|error| refused(&error))
}

fn next(cron: &Cron, zone: Tz, after_ms: i64) -> Option<i64> {
    let after = DateTime::from_timestamp_millis(after_ms)?;
    let after = zone.from_utc_datetime(&after.naive_utc());
    let found = cron.find_next_occurrence(&after, false).ok()?;
    Some(found.timestamp_millis())
}

#[cfg(test)]
mod tests;
