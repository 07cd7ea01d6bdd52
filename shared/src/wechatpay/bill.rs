//! Bills as WeChat Pay publishes them (docs/wechatpay.md, "Bills"), read row by row in bounded memory.
//!
//! A row is worth something only once the file was read to its end: the summary must agree with the
//! rows, and the hash with the bytes. So a file is read twice: first to see that it is whole, then for
//! what it says. Nothing is passed over: what is not as published is an error that names its line.

mod amount;
mod fund_flow;
mod lines;
mod rows;
mod source;
mod trade;

pub use fund_flow::FundFlowBill;
pub use source::{BillSource, FILE_MAX};
pub use trade::TradeBill;

/// Why a file is no bill.
#[derive(Debug, thiserror::Error)]
pub enum BillError {
    /// The bytes cannot be read or unpacked.
    #[error("the file cannot be unpacked")]
    Unpacked(#[source] std::io::Error),
    /// It unpacks to more than a bill may have.
    #[error("the file unpacks to more than {FILE_MAX} bytes")]
    TooLarge,
    /// A line is longer than a row can be.
    #[error("line {line} is too long")]
    LineTooLong {
        /// The line, from 1.
        line: u64,
    },
    /// A line that is not as published.
    #[error("line {line}: {what}")]
    Malformed {
        /// The line, from 1.
        line: u64,
        /// What is wrong, without any of its content.
        what: &'static str,
    },
    /// The summary does not agree with the rows.
    #[error("the summary does not agree with the rows: {what}")]
    Totals {
        /// The summary's column.
        what: &'static str,
    },
    /// The file ends before its summary.
    #[error("the file ends before its summary")]
    CutOff,
    /// The hash is that of other bytes.
    #[error("the hash is that of other bytes")]
    Hash,
}
