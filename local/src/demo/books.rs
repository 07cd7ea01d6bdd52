//! The books: what the API and WeChat Pay have on record, side by side.

use comfy_table::Table;
use reqwest::Method;
use serde_json::Value;

use super::shop::Shop;

impl Shop {
    /// Compares what we and WeChat Pay have on record.
    pub(super) async fn books(
        &mut self,
        numbers: &[String],
        refund_numbers: &[String],
    ) -> Result<(), String> {
        let ledger = self
            .get(&format!("{}/_sim/ledger", self.control_url))
            .await?;
        let theirs: Vec<&Value> = ledger["items"].as_array().into_iter().flatten().collect();
        let mut table = Table::new();
        table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
        table.set_header(["", "number", "here", "fen", "at WeChat Pay", "fen"]);
        let mut balanced = true;
        let mut known = 0;
        let (mut taken, mut given) = ((0, 0), (0, 0));
        let merchant = self.merchant_api_key.clone();
        for number in numbers {
            let ours = self
                .api(
                    Method::GET,
                    &format!("/orders/{number}"),
                    Some(&merchant),
                    &[],
                    None,
                )
                .await?;
            let ours = ours.expect(200)?;
            let there = theirs.iter().find(|row| {
                row["out_trade_no"] == number.as_str() && row["out_refund_no"].is_null()
            });
            let state = there.map_or(Value::Null, |row| row["trade_state"].clone());
            let (mine, other) = (
                fen(&ours["amount"]["total"]),
                there.map_or(0, |row| fen_of(row, "total")),
            );
            let paid = state == "SUCCESS" || state == "REFUND";
            balanced &= paid && ours["trade_state"] == "SUCCESS" && mine == other;
            taken = (taken.0 + mine, taken.1 + other);
            table.add_row(row(
                "order",
                number,
                &ours["trade_state"],
                mine,
                &state,
                other,
            ));
            let refunds = ours["refunds"].as_array().cloned().unwrap_or_default();
            let theirs: Vec<&&Value> = theirs
                .iter()
                .filter(|row| row["out_trade_no"] == number.as_str())
                .filter(|row| row["out_refund_no"].is_string())
                .collect();
            // As many on both sides: a refund that one side lacks is no row of the other.
            balanced &= refunds.len() == theirs.len();
            for refund in &refunds {
                let name = refund["out_refund_no"].as_str().unwrap_or_default();
                let there = theirs.iter().find(|row| row["out_refund_no"] == name);
                let status = there.map_or(Value::Null, |row| row["status"].clone());
                let (mine, other) = (
                    fen(&refund["amount"]["refund"]),
                    there.map_or(0, |row| fen_of(row, "refund")),
                );
                balanced &= refund["status"] == status && mine == other;
                known += usize::from(refund_numbers.iter().any(|number| number == name));
                given = (given.0 + mine, given.1 + other);
                table.add_row(row("refund", name, &refund["status"], mine, &status, other));
            }
        }
        balanced &= known == refund_numbers.len();
        let sums = (taken.0 - given.0, taken.1 - given.1);
        table.add_row(row("kept", "", &Value::Null, sums.0, &Value::Null, sums.1));
        println!("\n{table}");
        if balanced && sums.0 == sums.1 {
            println!("The books balance.");
            Ok(())
        } else {
            Err("the books do not balance".to_owned())
        }
    }
}

fn fen(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// A ledger row's amount: a number, or an object with this member.
fn fen_of(row: &Value, member: &str) -> i64 {
    row["amount"]
        .as_i64()
        .unwrap_or_else(|| fen(&row["amount"][member]))
}

fn row(kind: &str, name: &str, here: &Value, mine: i64, there: &Value, other: i64) -> Vec<String> {
    let state = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    vec![
        kind.to_owned(),
        name.to_owned(),
        state(here),
        mine.to_string(),
        state(there),
        other.to_string(),
    ]
}
