//! `wxpay events`: told again, or watched as they are told.

use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::rfc3339;

use crate::day::moment;
use crate::exit::Failure;
use crate::output::{self, BOLD, text};
use crate::target::{Target, Which};
use crate::wait::Waiting;

/// How often it is looked for new events.
const LOOK_EVERY: Duration = Duration::from_millis(300);

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
    /// Shows events as they are told, on this machine.
    #[command(
        after_help = "On AWS nothing keeps events for somebody to look at: make a rule on the bus (docs/events.md)."
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
    let mut told = 0;
    loop {
        let answer = target.aws.invoke(function, &event).await?;
        told += answer["events"].as_u64().unwrap_or_default();
        // A run that has no time left says where the next one goes on.
        if answer["next"].is_null() {
            break;
        }
        event["next"] = answer["next"].clone();
    }
    drop(waiting);
    which.output().answer(&json!({"events": told}), || {
        format!("{told} events were told again.")
    });
    Ok(())
}

async fn tail(which: &Which, target: &Target, asked: &Tail) -> Result<(), Failure> {
    let Some(folder) = target.folder() else {
        return Err(Failure::Refused(
            "on AWS nothing keeps events for somebody to look at: make a rule on the bus (docs/events.md)"
                .to_owned(),
        ));
    };
    let file = folder.join("events.jsonl");
    let mut place = 0;
    let events = read(&file, &mut place)?;
    let skipped = events.len().saturating_sub(asked.last);
    for event in events.iter().skip(skipped) {
        print(which, event);
    }
    if !asked.follow {
        return Ok(());
    }
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        for event in read(&file, &mut place)? {
            print(which, &event);
        }
    }
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

fn print(which: &Which, event: &Value) {
    if which.output().json {
        return output::line(&event.to_string());
    }
    let detail = &event["detail"];
    let at = output::moment(&detail["occurred_at"]);
    let kind = text(&event["detail-type"]);
    output::line(&format!(
        "{at}  {BOLD}{kind:<20}{BOLD:#} {}",
        text(&detail["id"])
    ));
}
