//! The fund-flow bill of a day, `account_type=BASIC`: what moved money in and out of the account.

use std::io::BufRead;

use super::BillError;
use super::amount::{count, fen};
use super::lines::{moment, number};
use super::rows::{Kind, Rows};
use crate::domain::bill::{FlowKind, FlowRow, FlowTotals};

/// The columns that are read.
const COLUMNS: [&str; 6] = [
    "记账时间",
    "微信支付业务单号",
    "业务类型",
    "收支类型",
    "收支金额(元)",
    "业务凭证号",
];

/// The columns of the summary.
const SUMMARY: [&str; 5] = [
    "资金流水总笔数",
    "收入笔数",
    "收入金额",
    "支出笔数",
    "支出金额",
];

/// Reads a fund-flow bill row by row.
#[derive(Debug)]
pub struct FundFlowBill<R>(Rows<R, FundFlow, { COLUMNS.len() }, { SUMMARY.len() }>);

impl<R: BufRead> FundFlowBill<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// It is not that of such a bill.
    pub fn open(input: R) -> Result<Self, BillError> {
        Rows::open(input).map(Self)
    }

    /// The next row; `None` once the summary was read, agreed with the rows and ended the file. Asked
    /// again, it says the same.
    ///
    /// # Errors
    /// The file is not as published, or its summary disagrees: no row of it may be believed.
    pub fn next_row(&mut self) -> Result<Option<FlowRow>, BillError> {
        self.0.next()
    }

    /// The sums of the rows read so far; at the end, those of the summary.
    pub const fn totals(&self) -> &FlowTotals {
        self.0.totals()
    }

    /// Gives the input back, to check its hash.
    pub fn into_input(self) -> R {
        self.0.into_input()
    }
}

/// What only this bill has.
#[derive(Debug)]
struct FundFlow;

impl Kind<{ COLUMNS.len() }, { SUMMARY.len() }> for FundFlow {
    type Row = FlowRow;
    type Totals = FlowTotals;

    const COLUMNS: [&'static str; COLUMNS.len()] = COLUMNS;
    const SUMMARY: [&'static str; SUMMARY.len()] = SUMMARY;
    const OTHER_HEADER: &'static str = "not the header of a fund-flow bill";

    fn row(
        fields: &[&str; COLUMNS.len()],
        before: &FlowTotals,
    ) -> Result<(FlowRow, Option<FlowTotals>), &'static str> {
        let (row, direction) = row(fields)?;
        let sums = added(before, row.amount, direction);
        Ok((row, sums))
    }

    fn stated(fields: &[&str; SUMMARY.len()]) -> Option<FlowTotals> {
        stated(fields)
    }

    fn agreed(seen: &FlowTotals, stated: &FlowTotals) -> Result<FlowTotals, BillError> {
        agree(seen, stated)?;
        Ok(*seen)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    In,
    Out,
}

fn row(fields: &[&str; COLUMNS.len()]) -> Result<(FlowRow, Direction), &'static str> {
    let [at, business_no, kind, direction, amount, voucher] = *fields;
    let direction = match direction {
        "收入" => Direction::In,
        "支出" => Direction::Out,
        _ => return Err("收支类型"),
    };
    let kind = match (kind, direction) {
        ("交易", Direction::In) => FlowKind::Payment,
        ("退款", Direction::Out) => FlowKind::Refund,
        // A refund that came back, a fee, a withdrawal, a deposit, and what will be thought of.
        (_, Direction::In | Direction::Out) => FlowKind::Other,
    };
    // What moves money for other reasons need not name anything of the merchant's.
    let named = |text| match kind {
        FlowKind::Payment | FlowKind::Refund => number(text),
        FlowKind::Other => Some(text.to_owned()),
    };
    let row = FlowRow {
        at: moment(at).ok_or("记账时间")?,
        business_no: named(business_no).ok_or("微信支付业务单号")?,
        voucher: named(voucher).ok_or("业务凭证号")?,
        kind,
        amount: fen(amount).ok_or("收支金额(元)")?,
    };
    Ok((row, direction))
}

fn added(seen: &FlowTotals, amount: i64, direction: Direction) -> Option<FlowTotals> {
    let mut sums = FlowTotals {
        rows: seen.rows + 1,
        ..*seen
    };
    let (rows, sum) = match direction {
        Direction::In => (&mut sums.rows_in, &mut sums.sum_in),
        Direction::Out => (&mut sums.rows_out, &mut sums.sum_out),
    };
    *rows += 1;
    *sum = sum.checked_add(amount)?;
    Some(sums)
}

/// The summary's numbers, in the order of [`SUMMARY`].
fn stated(fields: &[&str; SUMMARY.len()]) -> Option<FlowTotals> {
    let [rows, rows_in, sum_in, rows_out, sum_out] = *fields;
    Some(FlowTotals {
        rows: count(rows)?,
        rows_in: count(rows_in)?,
        sum_in: fen(sum_in)?,
        rows_out: count(rows_out)?,
        sum_out: fen(sum_out)?,
    })
}

fn agree(seen: &FlowTotals, stated: &FlowTotals) -> Result<(), BillError> {
    let agreeing = [
        seen.rows == stated.rows,
        seen.rows_in == stated.rows_in,
        seen.sum_in == stated.sum_in,
        seen.rows_out == stated.rows_out,
        seen.sum_out == stated.sum_out,
    ];
    match agreeing.iter().position(|agrees| !agrees) {
        Some(place) => Err(BillError::Totals {
            what: SUMMARY[place],
        }),
        None => Ok(()),
    }
}
