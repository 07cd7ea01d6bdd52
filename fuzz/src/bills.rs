//! Bills: a file is whole and agrees with itself, or it is none.

use shared::domain::bill::{Entry, FlowTotals, TradeTotals};
use shared::wechatpay::{BillSource, FundFlowBill, TradeBill};

/// Rows that one file of a fuzzer's can have; a row has 27 fields.
const ROWS_MAX: u64 = 1 << 20;

pub fn trade_bill(bytes: &[u8]) {
    let Ok(source) = BillSource::new(bytes) else {
        return;
    };
    let Ok(mut bill) = TradeBill::open(source) else {
        return;
    };
    let mut seen = TradeTotals::default();
    loop {
        match bill.next_row() {
            Err(_) => return,
            Ok(None) => break,
            Ok(Some(row)) => {
                seen.rows += 1;
                assert!(seen.rows < ROWS_MAX);
                seen.settled += row.settled;
                seen.fee += row.fee;
                match &row.entry {
                    Entry::Payment { total } => {
                        seen.payments += 1;
                        seen.total += total;
                        assert!(*total >= 0);
                    }
                    Entry::Refund(refund) => {
                        seen.refunds += 1;
                        seen.refunded += refund.amount;
                        assert!(refund.amount >= 0 && refund.paid_back >= 0);
                    }
                    Entry::Revoked => {}
                }
            }
        }
    }
    let told = bill.totals();
    assert_eq!((told.rows, told.settled), (seen.rows, seen.settled));
    assert_eq!((told.payments, told.refunds), (seen.payments, seen.refunds));
    assert!(told.total >= seen.total && told.refunded >= seen.refunded);
    assert!(
        matches!(bill.next_row(), Ok(None)),
        "asked again it says the same"
    );
}

pub fn fund_flow_bill(bytes: &[u8]) {
    let Ok(source) = BillSource::new(bytes) else {
        return;
    };
    let Ok(mut bill) = FundFlowBill::open(source) else {
        return;
    };
    let (mut seen, mut sum) = (FlowTotals::default(), 0_i64);
    loop {
        match bill.next_row() {
            Err(_) => return,
            Ok(None) => break,
            Ok(Some(row)) => {
                seen.rows += 1;
                assert!(seen.rows < ROWS_MAX);
                assert!(row.amount >= 0);
                sum += row.amount;
            }
        }
    }
    let told = bill.totals();
    assert_eq!(told.rows, seen.rows);
    assert_eq!(told.rows_in + told.rows_out, seen.rows);
    assert_eq!(told.sum_in + told.sum_out, sum);
    assert!(
        matches!(bill.next_row(), Ok(None)),
        "asked again it says the same"
    );
}
