//! A file of articles: read whole and checked before anything of it is used.

use std::path::Path;

use serde_json::Value;

use super::catalogue::Article;
use crate::exit::Failure;
use crate::money;

/// How long an article's number may be.
const SKU_MAX: usize = 64;

/// How long a description may be, in bytes: so much WeChat Pay takes.
const DESCRIPTION_MAX: usize = 127;

/// How many problems are told at once.
const PROBLEMS_MAX: usize = 20;

/// What a file says of an article, as it stands there.
#[derive(Debug, Default)]
struct Row {
    sku: String,
    description: String,
    price: String,
    on_sale: Option<String>,
}

/// Reads a file; `.json` is a list of objects, everything else is CSV with a heading.
///
/// # Errors
/// It cannot be read, or names every line that is wrong.
pub(super) fn read(file: &Path, yuan: bool) -> Result<Vec<(String, Article)>, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Failed(format!("{} cannot be read: {error}", file.display())))?;
    let is_json = file
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let parsed = if is_json {
        of_json(&text, yuan)
    } else {
        of_csv(&text, yuan)
    };
    parsed
        .and_then(|rows| articles(&rows, yuan))
        .map_err(|why| Failure::Refused(format!("{}: {why}", file.display())))
}

/// The column that holds the price, and the one that would mean the other unit.
const fn price_columns(yuan: bool) -> (&'static str, &'static str) {
    if yuan {
        ("price_yuan", "price_fen")
    } else {
        ("price_fen", "price_yuan")
    }
}

fn other_unit(yuan: bool) -> String {
    let (wanted, found) = price_columns(yuan);
    let hint = if yuan {
        "leave --yuan out"
    } else {
        "say --yuan"
    };
    format!("the price is in {found}, and {wanted} is wanted: {hint}")
}

fn of_csv(text: &str, yuan: bool) -> Result<Vec<(usize, Row)>, String> {
    // Spreadsheets put a byte order mark before the first heading.
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let heading = reader.headers().map_err(|error| error.to_string())?.clone();
    let (price, other) = price_columns(yuan);
    let known = ["sku", "description", price, "on_sale"];
    let place = |name: &str| heading.iter().position(|column| column == name);
    if place(other).is_some() {
        return Err(other_unit(yuan));
    }
    if let Some(unknown) = heading.iter().find(|column| !known.contains(column)) {
        return Err(format!(
            "the column {unknown:?} is none of {}",
            known.join(", ")
        ));
    }
    for name in ["sku", "description", price] {
        if place(name).is_none() {
            return Err(format!(
                "the column {name} is missing; the first line names them"
            ));
        }
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, |position| position.line());
        let cell = |name| {
            place(name)
                .and_then(|place| record.get(place))
                .map(str::to_owned)
        };
        rows.push((
            usize::try_from(line).unwrap_or_default(),
            Row {
                sku: cell("sku").unwrap_or_default(),
                description: cell("description").unwrap_or_default(),
                price: cell(price).unwrap_or_default(),
                on_sale: cell("on_sale").filter(|cell| !cell.is_empty()),
            },
        ));
    }
    Ok(rows)
}

fn of_json(text: &str, yuan: bool) -> Result<Vec<(usize, Row)>, String> {
    let list: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let list = list.as_array().ok_or("it is no list of articles")?;
    let (price, other) = price_columns(yuan);
    let known = ["sku", "description", price, "on_sale"];
    let mut rows = Vec::new();
    for (place, article) in (1..).zip(list) {
        let members = article.as_object();
        let members = members.ok_or_else(|| format!("article {place} is no object"))?;
        if members.contains_key(other) {
            return Err(other_unit(yuan));
        }
        if let Some(unknown) = members.keys().find(|name| !known.contains(&name.as_str())) {
            let known = known.join(", ");
            return Err(format!(
                "article {place}: the member {unknown:?} is none of {known}"
            ));
        }
        // Numbers as they are written, so that 25.50 is not rounded on its way.
        let text = |name: &str| match members.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(Value::Bool(yes)) => Some(yes.to_string()),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => None,
        };
        rows.push((
            place,
            Row {
                sku: text("sku").unwrap_or_default(),
                description: text("description").unwrap_or_default(),
                price: text(price).unwrap_or_default(),
                on_sale: text("on_sale"),
            },
        ));
    }
    Ok(rows)
}

fn articles(rows: &[(usize, Row)], yuan: bool) -> Result<Vec<(String, Article)>, String> {
    let mut articles: Vec<(String, Article)> = Vec::new();
    let mut problems = Vec::new();
    for (line, row) in rows {
        match article(row, yuan) {
            Ok(_) if articles.iter().any(|(known, _)| *known == row.sku) => {
                problems.push(format!("line {line}: {} is there twice", row.sku));
            }
            Ok(article) => articles.push((row.sku.clone(), article)),
            Err(why) => problems.push(format!("line {line}: {why}")),
        }
    }
    if problems.is_empty() {
        return Ok(articles);
    }
    let more = problems.len().saturating_sub(PROBLEMS_MAX);
    problems.truncate(PROBLEMS_MAX);
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    Err(format!("nothing was written\n  {}", problems.join("\n  ")))
}

fn article(row: &Row, yuan: bool) -> Result<Article, String> {
    sku(&row.sku)?;
    description(&row.description)?;
    let on_sale = match row
        .on_sale
        .as_deref()
        .map(str::to_ascii_lowercase)
        .as_deref()
    {
        None | Some("true" | "yes" | "1") => true,
        Some("false" | "no" | "0") => false,
        Some(other) => return Err(format!("on_sale is {other:?}, and not true or false")),
    };
    Ok(Article {
        description: row.description.clone(),
        price_fen: money::parse(&row.price, yuan)?.get(),
        on_sale,
    })
}

/// Whether this can be an article's number.
pub(super) fn sku(text: &str) -> Result<(), String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if (1..=SKU_MAX).contains(&text.len()) && text.bytes().all(legal) {
        Ok(())
    } else {
        Err(format!(
            "a sku is 1 to {SKU_MAX} characters of A-Z, a-z, 0-9, _, - and ., not {text:?}"
        ))
    }
}

/// Whether this can be an article's description.
pub(super) fn description(text: &str) -> Result<(), String> {
    let fits = (1..=DESCRIPTION_MAX).contains(&text.len());
    if fits && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(format!(
            "a description is 1 to {DESCRIPTION_MAX} bytes of plain text"
        ))
    }
}

#[cfg(test)]
mod tests;
