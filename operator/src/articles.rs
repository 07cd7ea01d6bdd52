//! `wxpay articles`: the catalogue, which only the operator writes.

mod catalogue;
mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::money::{self, yuan};
use crate::output::{aside, table};
use crate::prompt;
use crate::target::{Target, Which};
use crate::wait::Waiting;

use catalogue::{Article, Catalogue};

/// The commands about articles.
#[derive(Args, Debug)]
pub struct Articles {
    #[command(flatten)]
    which: Which,
    /// Does it without asking: for an import that changes something.
    #[arg(long, global = true, help_heading = "How to answer")]
    yes: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Lists the articles with their prices, also those that are not on sale.
    List,
    /// Puts an article into the catalogue, or changes it.
    #[command(after_help = "Examples:
  wxpay articles put coffee --description 'Coffee 咖啡' --price 1
  wxpay articles put cake --price 25.50 --yuan
  wxpay articles put cake --off-sale

What is not given stays as it is. Callers see a new price within two minutes; an order keeps the price that it
was placed with.")]
    Put(Put),
    /// Removes an article; orders that have it keep its name and price.
    Remove {
        /// The article's number.
        #[arg(value_parser = sku)]
        sku: String,
    },
    /// Puts the articles of a CSV or JSON file into the catalogue, after it showed what would change.
    #[command(
        after_help = "The file has the columns (or members) sku,description,price_fen,on_sale. With --yuan the price's column is
price_yuan. Without on_sale an article is on sale. Everything is checked before anything is written; articles
that are not in the file stay.

Example:
  wxpay articles import catalogue.csv --dry-run"
    )]
    Import(Import),
}

/// An article, as far as it is given.
#[derive(Args, Debug)]
struct Put {
    /// The article's number: 1 to 64 of A-Z a-z 0-9 _ - .
    #[arg(value_parser = sku)]
    sku: String,
    /// What the payer sees.
    #[arg(long)]
    description: Option<String>,
    /// The price of one, in fen.
    #[arg(long)]
    price: Option<String>,
    /// The price is in yuan.
    #[arg(long, requires = "price")]
    yuan: bool,
    /// It can be ordered.
    #[arg(long, conflicts_with = "off_sale")]
    on_sale: bool,
    /// It cannot be ordered, and is not listed.
    #[arg(long)]
    off_sale: bool,
}

/// Which file.
#[derive(Args, Debug)]
struct Import {
    /// The file; .json is JSON, everything else CSV.
    file: PathBuf,
    /// Prices are in yuan, in a column price_yuan.
    #[arg(long)]
    yuan: bool,
    /// Shows what would change, and changes nothing.
    #[arg(long)]
    dry_run: bool,
}

fn sku(text: &str) -> Result<String, String> {
    file::sku(text).map(|()| text.to_owned())
}

/// Does what was asked.
///
/// # Errors
/// As each verb says.
pub async fn run(articles: Articles) -> Result<(), Failure> {
    let Articles { which, yes, verb } = articles;
    let target = which.find().await?;
    let catalogue = Catalogue::of(&target)?;
    match verb {
        Verb::List => list(&which, &catalogue).await,
        Verb::Put(asked) => put(&which, &target, &catalogue, asked).await,
        Verb::Remove { sku } => {
            catalogue.remove(&sku).await?;
            which
                .output()
                .answer(&json!({"removed": sku}), || format!("{sku} is removed."));
            Ok(())
        }
        Verb::Import(asked) => import(&which, &target, &catalogue, &asked, yes).await,
    }
}

async fn list(which: &Which, catalogue: &Catalogue) -> Result<(), Failure> {
    let articles = catalogue.listed().await?;
    let items: Vec<Value> = articles
        .iter()
        .map(|(sku, article)| article.json(sku))
        .collect();
    which.output().answer(&json!({"items": items}), || {
        if articles.is_empty() {
            return "The catalogue is empty.".to_owned();
        }
        let rows = articles.iter().map(|(sku, article)| {
            vec![
                sku.clone(),
                yuan(article.price_fen),
                if article.on_sale { "yes" } else { "no" }.to_owned(),
                article.description.clone(),
            ]
        });
        table(&["sku", ">yuan", "on sale", "what"], rows)
    });
    Ok(())
}

async fn put(
    which: &Which,
    target: &Target,
    catalogue: &Catalogue,
    asked: Put,
) -> Result<(), Failure> {
    let known = catalogue.read(&asked.sku).await?;
    let price = asked.price.as_deref();
    let price = price
        .map(|price| money::parse(price, asked.yuan))
        .transpose();
    let price = price.map_err(Failure::Refused)?.map(|price| price.get());
    let missing =
        |what: &str| Failure::Refused(format!("{} is new, so it needs {what}", asked.sku));
    let on_sale = match (asked.on_sale, asked.off_sale) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => known.as_ref().map(|known| known.on_sale),
    };
    let wanted = Article {
        description: asked
            .description
            .or_else(|| known.as_ref().map(|known| known.description.clone()))
            .ok_or_else(|| missing("--description"))?,
        price_fen: price
            .or_else(|| known.as_ref().map(|known| known.price_fen))
            .ok_or_else(|| missing("--price"))?,
        on_sale: on_sale.unwrap_or(true),
    };
    file::description(&wanted.description).map_err(Failure::Refused)?;
    let now = target.process.clock.wall().unix_seconds();
    catalogue
        .write(&asked.sku, known.as_ref(), &wanted, now)
        .await?;
    let change = difference(known.as_ref(), &wanted);
    which
        .output()
        .answer(&wanted.json(&asked.sku), || match change {
            Some(change) => format!("{}: {change}", asked.sku),
            None => format!("{} is as it was.", asked.sku),
        });
    Ok(())
}

/// How an article would change; `None` where it would not.
fn difference(known: Option<&Article>, wanted: &Article) -> Option<String> {
    let sale = |on_sale: bool| if on_sale { "on sale" } else { "not on sale" };
    let Some(known) = known else {
        let Article {
            description,
            price_fen,
            on_sale,
        } = wanted;
        return Some(format!(
            "new, {description}, {} yuan, {}",
            yuan(*price_fen),
            sale(*on_sale)
        ));
    };
    let mut changes = Vec::new();
    if known.description != wanted.description {
        changes.push(format!("{} → {}", known.description, wanted.description));
    }
    if known.price_fen != wanted.price_fen {
        changes.push(format!(
            "{} → {} yuan",
            yuan(known.price_fen),
            yuan(wanted.price_fen)
        ));
    }
    if known.on_sale != wanted.on_sale {
        changes.push(format!(
            "{} → {}",
            sale(known.on_sale),
            sale(wanted.on_sale)
        ));
    }
    (!changes.is_empty()).then(|| changes.join(", "))
}

async fn import(
    which: &Which,
    target: &Target,
    catalogue: &Catalogue,
    asked: &Import,
    yes: bool,
) -> Result<(), Failure> {
    let wanted = file::read(&asked.file, asked.yuan)?;
    let known: BTreeMap<String, Article> = {
        let _waiting = Waiting::for_("Reading the catalogue");
        let mut known = BTreeMap::new();
        for (sku, _) in &wanted {
            if let Some(article) = catalogue.read(sku).await? {
                known.insert(sku.clone(), article);
            }
        }
        known
    };
    let changes: Vec<(&String, &Article, String)> = wanted
        .iter()
        .filter_map(|(sku, article)| {
            let change = difference(known.get(sku), article)?;
            Some((sku, article, change))
        })
        .collect();
    for (sku, _, change) in &changes {
        aside(&format!("{sku}: {change}"));
    }
    let same = wanted.len() - changes.len();
    if !asked.dry_run && !changes.is_empty() {
        prompt::confirm(&format!("change {} articles", changes.len()), yes)?;
        let total = u64::try_from(changes.len()).unwrap_or(u64::MAX);
        let waiting = Waiting::counting("Writing", total);
        // A new article comes after those before it in the file.
        let now = target.process.clock.wall().unix_seconds();
        for (place, (sku, article, _)) in (now..).zip(&changes) {
            catalogue
                .write(sku, known.get(*sku), article, place)
                .await?;
            waiting.one_more();
        }
    }
    let told: Vec<Value> = changes
        .iter()
        .map(|(sku, _, change)| json!({"sku": sku, "change": change}))
        .collect();
    let written = !asked.dry_run;
    let answer = json!({"written": written, "changes": told, "unchanged": same});
    which.output().answer(&answer, || {
        let count = changes.len();
        if written {
            format!("{count} changed, {same} are as they were.")
        } else {
            format!("{count} would change, {same} would stay as they are. Nothing was written.")
        }
    });
    Ok(())
}
