//! `wxpay events`: told again, or watched as they are told.

use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::rfc3339;

use crate::aws::logs::{Coming, LOOK_EVERY, Line, Wanted};
use crate::day::{moment, span};
use crate::exit::Failure;
use crate::output::{self, BOLD, text};
use crate::target::{Target, Which};
use crate::wait::Waiting;

/// How often it is looked for new events in the file.
const READ_EVERY: Duration = Duration::from_millis(300);

/// A word that stands in each log line that names events, and in no other.
const NAMES: &str = "occurred_at";

/// The commands about events.
#[derive(Args, Debug)]
pub struct Events {
    #[command(flatten)]
    which: Which,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Tells the events of a span again, from the records, with the same ids.
    #[command(
        after_help = "Whoever listens hears them once more, and knows them by their ids (docs/events.md).

Example:
  wxpay events replay --from 2026-11-28 --to 2026-11-29 --stack wxpay"
    )]
    Replay(Replay),
    /// Shows events as they are told.
    #[command(
        after_help = "On this machine they are whole. On AWS nothing keeps them whole: what is shown there is what the
functions wrote into their log once the bus had taken them: which event it is, of what, and when it
happened. What the order looks like says `wxpay orders show`; whoever needs whole events makes a rule
on the bus, or EventsQueue (docs/events.md).

Examples:
  wxpay events tail --follow
  wxpay events tail --since 7d --last 100 --stack wxpay"
    )]
    Tail(Tail),
}

/// Which span.
#[derive(Args, Debug)]
struct Replay {
    /// From when on: 2026-11-28, or 2026-11-28T08:00:00+08:00.
    #[arg(long, value_parser = moment)]
    from: Timestamp,
    /// Until before when.
    #[arg(long, value_parser = moment)]
    to: Timestamp,
    /// Looks only at orders that were placed from then on, which is quicker; without it a year back and more.
    #[arg(long, value_parser = moment)]
    placed_from: Option<Timestamp>,
}

/// Which events.
#[derive(Args, Debug)]
struct Tail {
    /// So many of the latest first.
    #[arg(long, default_value_t = 10)]
    last: usize,
    /// How far back the log is read, on AWS: 90s, 15m, 3h or 7d.
    #[arg(long, default_value = "1d", value_parser = span)]
    since: i64,
    /// Goes on as they come, until it is stopped.
    #[arg(long, short)]
    follow: bool,
}

/// Does what was asked.
///
/// # Errors
/// As each verb says.
pub async fn run(events: Events) -> Result<(), Failure> {
    let target = events.which.find().await?;
    match events.verb {
        Verb::Replay(asked) => replay(&events.which, &target, &asked).await,
        Verb::Tail(asked) => tail(&events.which, &target, &asked).await,
    }
}

async fn replay(which: &Which, target: &Target, asked: &Replay) -> Result<(), Failure> {
    if asked.to <= asked.from {
        return Err(Failure::Refused("--to must come after --from".to_owned()));
    }
    let function = target.described.output("PublishEventsFunctionArn")?;
    let mut event = json!({
        "from": rfc3339::format(asked.from),
        "to": rfc3339::format(asked.to),
    });
    if let Some(placed_from) = asked.placed_from {
        event["placed_from"] = json!(rfc3339::format(placed_from));
    }
    let waiting = Waiting::for_("Telling events again");
    let (mut told, mut unreadable) = (0, 0);
    loop {
        let answer = target.aws.invoke(function, &event).await?;
        told += answer["events"].as_u64().unwrap_or_default();
        unreadable += answer["unreadable"].as_u64().unwrap_or_default();
        // A run that has no time left says where the next one goes on.
        if answer["next"].is_null() {
            break;
        }
        event["next"] = answer["next"].clone();
    }
    drop(waiting);
    let mut answer = json!({"events": told});
    if unreadable > 0 {
        answer["unreadable"] = json!(unreadable);
    }
    which
        .output()
        .answer(&answer, || format!("{told} events were told again."));
    if unreadable > 0 {
        return Err(Failure::Found(format!(
            "of {unreadable} orders nothing was told, as they cannot be read: wxpay logs --function publish-events says which"
        )));
    }
    Ok(())
}

async fn tail(which: &Which, target: &Target, asked: &Tail) -> Result<(), Failure> {
    match target.folder() {
        Some(folder) => tail_file(which, &folder.join("events.jsonl"), asked).await,
        None => tail_log(which, target, asked).await,
    }
}

async fn tail_file(which: &Which, file: &Path, asked: &Tail) -> Result<(), Failure> {
    let mut place = 0;
    let events = read(file, &mut place)?;
    let mut is_read = print(which, latest(&events, asked));
    while asked.follow && is_read {
        tokio::time::sleep(READ_EVERY).await;
        is_read = print(which, &read(file, &mut place)?);
    }
    Ok(())
}

async fn tail_log(which: &Which, target: &Target, asked: &Tail) -> Result<(), Failure> {
    let group = target.described.output("FunctionLogGroup")?;
    let now_ms = target.process.clock.wall_millis();
    let from_ms = now_ms.saturating_sub(asked.since.saturating_mul(1_000));
    let mut coming = Coming::from(from_ms);
    let look = async |from_ms: i64| {
        let wanted = Wanted {
            group,
            from_ms,
            until_ms: None,
            term: Some(NAMES),
        };
        target.aws.lines(&wanted).await
    };
    let lines = {
        let _waiting = Waiting::for_("Reading the logs");
        look(from_ms).await?
    };
    let events = named(&coming.new_of(lines));
    let mut is_read = print(which, latest(&events, asked));
    while asked.follow && is_read {
        tokio::time::sleep(LOOK_EVERY).await;
        match look(coming.from_ms()).await {
            Ok(lines) => is_read = print(which, &named(&coming.new_of(lines))),
            // What is missed now is read the next time.
            Err(Failure::NoAnswer(_)) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// So many of the latest as were asked for.
fn latest<'a>(events: &'a [Value], asked: &Tail) -> &'a [Value] {
    &events[events.len().saturating_sub(asked.last)..]
}

/// The events that log lines name, in the members of an event's envelope as far as they are known.
fn named(lines: &[Line]) -> Vec<Value> {
    let fields: Vec<Value> = lines.iter().map(Line::fields).collect();
    let told = fields.iter().filter_map(|fields| fields["told"].as_array());
    let events = told.flatten().map(|named| {
        json!({
            "detail-type": named["detail_type"],
            "source": "wxpay",
            "detail": {"id": named["id"], "occurred_at": named["occurred_at"]},
        })
    });
    events.collect()
}

/// The events that stand in the file from `place` on, which is moved behind the last whole line.
fn read(file: &Path, place: &mut u64) -> Result<Vec<Value>, Failure> {
    let broken = |error: std::io::Error| {
        Failure::Failed(format!("{} cannot be read: {error}", file.display()))
    };
    let mut opened = std::fs::File::open(file).map_err(broken)?;
    opened.seek(SeekFrom::Start(*place)).map_err(broken)?;
    let mut reader = BufReader::new(opened);
    let mut events = Vec::new();
    loop {
        let mut line = String::new();
        let length = reader.read_line(&mut line).map_err(broken)?;
        // A line that is being written has no end yet.
        if !line.ends_with('\n') {
            return Ok(events);
        }
        *place += u64::try_from(length).unwrap_or_default();
        events.extend(serde_json::from_str::<Value>(&line).ok());
    }
}

/// Prints events, and says whether somebody still reads.
fn print(which: &Which, events: &[Value]) -> bool {
    let json = which.output().json;
    events.iter().all(|event| {
        let shown = if json { event.to_string() } else { told(event) };
        output::line(&shown)
    })
}

/// An event for people: when, what, and its id.
fn told(event: &Value) -> String {
    let detail = &event["detail"];
    let at = output::moment(&detail["occurred_at"]);
    let kind = text(&event["detail-type"]);
    format!("{at}  {BOLD}{kind:<20}{BOLD:#} {}", text(&detail["id"]))
}
