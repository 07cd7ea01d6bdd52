//! Bills: known answers, and that nothing malformed is ever taken for one.

use std::io::{BufReader, Write as _};

use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use sha1::{Digest as _, Sha1};

use super::vectors::{Case, every, text};
use crate::domain::bill::{
    BillRow, BilledRefund, Entry, FlowKind, FlowRow, FlowTotals, TradeTotals,
};
use crate::rfc3339;
use crate::wechatpay::{BillError, BillSource, FundFlowBill, TradeBill};

const HEADER: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注";
const SUMMARY: &str =
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额";
const FLOW_HEADER: &str = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号";
const FLOW_SUMMARY: &str = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额";

fn trade(bytes: &[u8]) -> Result<(Vec<BillRow>, TradeTotals), BillError> {
    let mut bill = TradeBill::open(BillSource::new(BufReader::new(bytes))?)?;
    let mut rows = Vec::new();
    while let Some(row) = bill.next_row()? {
        rows.push(row);
    }
    assert!(matches!(bill.next_row(), Ok(None)), "the end stays the end");
    Ok((rows, *bill.totals()))
}

fn flow(bytes: &[u8]) -> Result<(Vec<FlowRow>, FlowTotals), BillError> {
    let mut bill = FundFlowBill::open(BillSource::new(BufReader::new(bytes))?)?;
    let mut rows = Vec::new();
    while let Some(row) = bill.next_row()? {
        rows.push(row);
    }
    Ok((rows, *bill.totals()))
}

fn checked(bytes: &[u8], expected: &str) -> Result<(), BillError> {
    let mut bill = TradeBill::open(BillSource::new(BufReader::new(bytes))?)?;
    while bill.next_row()?.is_some() {}
    bill.into_input().check_hash(expected)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn sha1(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha1::digest(bytes))
}

fn at(text: &str) -> crate::domain::Timestamp {
    rfc3339::parse(text).unwrap()
}

fn known(case: &Case) -> (String, String) {
    (case.file("file"), case.at("hash_value").to_owned())
}

#[test]
fn known_trade_bills_are_read_and_their_hash_is_of_the_unpacked_bytes() {
    let cases = every(&["trade_bill"]);
    assert!(!cases.is_empty());
    for case in &cases {
        let (content, hash) = known(case);
        let (rows, totals) = trade(content.as_bytes()).unwrap();
        assert_eq!(u64::try_from(rows.len()).unwrap(), totals.rows);
        checked(content.as_bytes(), &hash).unwrap();
        checked(&gzip(content.as_bytes()), &hash.to_uppercase()).unwrap();
        let packed = sha1(&gzip(content.as_bytes()));
        let refused = checked(&gzip(content.as_bytes()), &packed);
        assert!(matches!(refused, Err(BillError::Hash)), "{refused:?}");
    }
}

#[test]
fn each_row_of_a_known_trade_bill_says_what_it_says() {
    let (rows, totals) = trade(text("bill/trade_ALL.csv").as_bytes()).unwrap();
    let payment = BillRow {
        at: at("2026-01-01T08:00:01+08:00"),
        appid: "wxd678efh567hg6787".to_owned(),
        mchid: "1900007291".to_owned(),
        order_no: "ORDER-20260101-0001".to_owned(),
        transaction_id: "4200000000202601010000000001".to_owned(),
        settled: 2_850,
        coupon: 0,
        fee: 0,
        entry: Entry::Payment { total: 2_850 },
    };
    let refund = BillRow {
        at: at("2026-01-01T09:10:11+08:00"),
        settled: 0,
        entry: Entry::Refund(BilledRefund {
            refund_no: "REFUND-20260101-0001".to_owned(),
            wechatpay_refund_id: "50300000002026010100000000001".to_owned(),
            amount: 850,
            paid_back: 850,
            coupon: 0,
        }),
        ..payment.clone()
    };
    assert_eq!(rows, [payment, refund]);
    let expected = TradeTotals {
        rows: 2,
        payments: 1,
        refunds: 1,
        settled: 2_850,
        paid_back: 850,
        total: 2_850,
        refunded: 850,
        ..TradeTotals::default()
    };
    assert_eq!(totals, expected);
}

#[test]
fn each_row_of_a_known_fund_flow_bill_says_what_it_says() {
    for case in every(&["fund_flow_bill"]) {
        let (content, _) = known(&case);
        flow(content.as_bytes()).unwrap();
    }
    let (rows, totals) = flow(text("bill/fundflow_BASIC.csv").as_bytes()).unwrap();
    let payment = FlowRow {
        at: at("2026-01-01T08:00:01+08:00"),
        business_no: "4200000000202601010000000001".to_owned(),
        voucher: "ORDER-20260101-0001".to_owned(),
        kind: FlowKind::Payment,
        amount: 2_850,
    };
    let refund = FlowRow {
        at: at("2026-01-01T09:10:11+08:00"),
        business_no: "50300000002026010100000000001".to_owned(),
        voucher: "REFUND-20260101-0001".to_owned(),
        kind: FlowKind::Refund,
        amount: 850,
    };
    assert_eq!(rows, [payment, refund]);
    let expected = FlowTotals {
        rows: 2,
        rows_in: 1,
        sum_in: 2_850,
        rows_out: 1,
        sum_out: 850,
    };
    assert_eq!(totals, expected);
}

/// A payment's row, with its amount and fee as written.
fn payment_line(number: u32, total: &str, fee: &str, goods: &str) -> String {
    format!(
        "`2026-01-01 08:00:01,`wx1,`1900007291,`0,`,`42{number:06},`ORDER|{number:06},`openid,`NATIVE,`SUCCESS,\
         `OTHERS,`CNY,`{total},`0.00,`0,`0,`0.00,`0.00,`,`,`{goods},`,`{fee},`1.00%,`{total},`0.00,`"
    )
}

fn refund_line(number: u32, amount: &str) -> String {
    format!(
        "`2026-01-01 09:00:01,`wx1,`1900007291,`0,`,`42{number:06},`ORDER|{number:06},`openid,`NATIVE,`REFUND,\
         `OTHERS,`CNY,`0.00,`0.00,`50{number:06},`R*{number:06},`{amount},`0.00,`ORIGINAL,`PROCESSING,`Tea,`,\
         `-0.00000,`1.00%,`0.00,`{amount},`"
    )
}

fn yuan(fen: u32) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}

fn file(lines: &[String]) -> Vec<u8> {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("\u{feff}{lines}").into_bytes()
}

/// The lines of a bill with these payments and refunds, in fen.
fn bill(payments: &[u32], refunds: &[u32]) -> Vec<String> {
    let numbered =
        |amounts: &[u32]| -> Vec<(u32, u32)> { (0_u32..).zip(amounts.iter().copied()).collect() };
    let mut lines = vec![HEADER.to_owned()];
    for (number, total) in numbered(payments) {
        lines.push(payment_line(
            number,
            &yuan(total),
            "0.00000",
            "手冲咖啡\\ 一杯",
        ));
    }
    for (number, amount) in numbered(refunds) {
        lines.push(refund_line(number, &yuan(amount)));
    }
    let (paid, back): (u32, u32) = (payments.iter().sum(), refunds.iter().sum());
    lines.push(SUMMARY.to_owned());
    lines.push(format!(
        "`{},`{},`{},`0.00,`0.00000,`{},`{}",
        payments.len() + refunds.len(),
        yuan(paid),
        yuan(back),
        yuan(paid),
        yuan(back)
    ));
    lines
}

/// Reads a bill of one payment of 28.50 in which `from` is `to`.
fn spoilt(from: &str, to: &str) -> Result<(), BillError> {
    let content = String::from_utf8(file(&bill(&[2_850], &[850]))).unwrap();
    assert!(content.contains(from), "{from}");
    trade(content.replacen(from, to, 1).as_bytes()).map(|_| ())
}

#[test]
fn what_is_not_as_published_is_refused_and_named() {
    spoilt("SUCCESS", "SUCCESS").unwrap();
    let malformed = [
        ("手续费,费率", "手续费,手续费"),
        ("微信订单号", "微信单号"),
        ("`2026-01-01 08:00:01", "2026-01-01 08:00:01"),
        ("2026-01-01 08:00:01", "2026-01-01T08:00:01"),
        ("2026-01-01 08:00:01", "2026-02-30 08:00:01"),
        ("2026-01-01 08:00:01", "2026-1-01 08:00:01"),
        (",`CNY", ",CNY"),
        (",`CNY", ",`USD"),
        (",`CNY", ",`CNY,`"),
        (",`OTHERS,`CNY", ",`CNY"),
        ("`28.50", "`28.5"),
        ("`28.50", "`28.500"),
        ("`28.50", "`028.50"),
        ("`28.50", "`-28.50"),
        ("`28.50", "`+28.50"),
        ("`28.50", "` 28.50"),
        ("`28.50", "`28,50"),
        ("`28.50", "`2850"),
        ("`28.50", "`.50"),
        ("`28.50", "`２8.50"),
        ("`28.50", "`1e3.00"),
        ("`28.50", "`99999999999999.00"),
        ("`0.00000,`1.00%", "`0.0000,`1.00%"),
        ("`0.00000,`1.00%", "`--0.00000,`1.00%"),
        ("`SUCCESS", "`USERPAYING"),
        ("`ORDER|000000", "`"),
        ("`ORDER|000000", "`ORDER 000000"),
        ("`4200", "`42\u{e9}00"),
        ("\r\n`2026", "\r\n\r\n`2026"),
        ("手冲", "手\r冲"),
        ("总交易单数", "交易单数"),
        ("`2,`28.50,", "2,`28.50,"),
        ("`2,`28.50,", "`02,`28.50,"),
        ("`2,`28.50,", "`-2,`28.50,"),
        ("`REFUND,`OTHERS,`CNY,`0.00", "`REFUND,`OTHERS,`CNY,`0.01"),
        ("`0,`0,`0.00", "`1,`0,`0.00"),
    ];
    for (from, to) in malformed {
        let refused = spoilt(from, to);
        let named = matches!(refused, Err(BillError::Malformed { .. }));
        assert!(named, "{from} → {to}: {refused:?}");
    }
    let disagreeing = [
        ("总交易单数", "`2,`28.50,", "`3,`28.50,"),
        ("应结订单总金额", "`2,`28.50,", "`2,`28.51,"),
        (
            "退款总金额",
            ",`8.50,`0.00,`0.00000,",
            ",`8.49,`0.00,`0.00000,",
        ),
        (
            "充值券退款总金额",
            ",`8.50,`0.00,`0.00000,",
            ",`8.50,`0.01,`0.00000,",
        ),
        ("手续费总金额", ",`0.00,`0.00000,`28", ",`0.00,`0.00003,`28"),
        (
            "订单总金额",
            "`0.00000,`28.50,`8.50\r\n",
            "`0.00000,`28.49,`8.50\r\n",
        ),
        (
            "申请退款总金额",
            "`0.00000,`28.50,`8.50\r\n",
            "`0.00000,`28.50,`8.51\r\n",
        ),
    ];
    for (column, from, to) in disagreeing {
        match spoilt(from, to) {
            Err(BillError::Totals { what }) => assert_eq!(what, column),
            other => panic!("{column}: {other:?}"),
        }
    }
    // Each row's fee is rounded: by so much, a thousandth of a fen for each row, sums may differ.
    spoilt(",`0.00,`0.00000,`28", ",`0.00,`0.00002,`28").unwrap();
}

#[test]
fn both_ends_of_a_line_and_more_columns_will_do() {
    let content = String::from_utf8(file(&bill(&[2_850], &[]))).unwrap();
    for variant in [
        content.replace("\r\n", "\n"),
        content.replace('\u{feff}', ""),
        content.trim_end().to_owned(),
        content
            .replace("费率备注\r\n", "费率备注,新列\r\n")
            .replace("`0.00,`\r\n", "`0.00,`,`?\r\n"),
    ] {
        let (rows, _) = trade(variant.as_bytes()).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].order_no, "ORDER|000000");
    }
}

#[test]
fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
    let mut bytes = file(&bill(&[2_850], &[]));
    bytes.resize(bytes.len() + (64 << 20), b'0');
    let refused = trade(&gzip(&bytes));
    let named = matches!(refused, Err(BillError::LineTooLong { line: 5 }));
    assert!(named, "{refused:?}");
}

#[test]
fn a_file_that_is_cut_off_or_damaged_is_refused() {
    let whole = gzip(&file(&bill(&[2_850], &[850])));
    for length in 0..whole.len() - 8 {
        assert!(trade(&whole[..length]).is_err(), "{length} bytes");
    }
    let mut damaged = whole;
    let check = damaged.len() - 6;
    damaged[check] ^= 1;
    let refused = trade(&damaged);
    assert!(
        matches!(refused, Err(BillError::Unpacked(_))),
        "{refused:?}"
    );
    assert!(matches!(trade(b""), Err(BillError::CutOff)));
    assert!(trade(b"{\"code\":\"SYSTEM_ERROR\"}").is_err());
}

#[test]
fn a_bill_of_the_other_kind_is_none() {
    assert!(trade(text("bill/fundflow_BASIC.csv").as_bytes()).is_err());
    assert!(flow(text("bill/trade_ALL.csv").as_bytes()).is_err());
}

fn flow_bill(out: &[(bool, u32)]) -> Vec<u8> {
    let mut lines = vec![FLOW_HEADER.to_owned()];
    let (mut sums, mut counts) = ([0, 0], [0, 0]);
    for (place, (is_out, fen)) in out.iter().enumerate() {
        let direction = usize::from(*is_out);
        sums[direction] += fen;
        counts[direction] += 1;
        let (kind, word) = [("交易", "收入"), ("退款", "支出")][direction];
        lines.push(format!(
            "`2026-01-01 08:00:01,`42{place:06},`42{place:06},`{kind},`{kind},`{word},`{},`-1.00,`system,`备注,`V{place}",
            yuan(*fen)
        ));
    }
    lines.push(FLOW_SUMMARY.to_owned());
    lines.push(format!(
        "`{},`{},`{},`{},`{}",
        out.len(),
        counts[0],
        yuan(sums[0]),
        counts[1],
        yuan(sums[1])
    ));
    file(&lines)
}

/// What may happen to a file between two lines or within one; each makes it none.
#[derive(Clone, Debug)]
enum Damage {
    Cut(prop::sample::Index),
    Drop(prop::sample::Index),
    Double(prop::sample::Index),
    Digit(prop::sample::Index),
    Byte(prop::sample::Index),
    Append(String),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Damage::Cut),
        any::<prop::sample::Index>().prop_map(Damage::Drop),
        any::<prop::sample::Index>().prop_map(Damage::Double),
        any::<prop::sample::Index>().prop_map(Damage::Digit),
        any::<prop::sample::Index>().prop_map(Damage::Byte),
        "[`a-z0-9,.\r\n]{1,40}".prop_map(Damage::Append),
    ]
}

impl Damage {
    fn done_to(&self, whole: &[u8]) -> Vec<u8> {
        let content = String::from_utf8(whole.to_vec()).unwrap();
        let mut lines: Vec<String> = content.split_inclusive('\n').map(str::to_owned).collect();
        match self {
            // The end of the last line may be missing.
            Self::Cut(place) => return whole[..place.index(whole.len() - 2)].to_vec(),
            Self::Drop(place) => {
                lines.remove(place.index(lines.len()));
            }
            Self::Double(place) => {
                let place = place.index(lines.len());
                lines.insert(place, lines[place].clone());
            }
            Self::Digit(place) => return changed_digit(&content, *place),
            Self::Byte(place) => {
                let mut bytes = whole.to_vec();
                // No byte of UTF-8.
                bytes[place.index(whole.len())] = 0xff;
                return bytes;
            }
            Self::Append(text) => lines.push(text.clone()),
        }
        lines.concat().into_bytes()
    }
}

/// The place of 代金券金额, the one amount that no summary adds up.
const COUPON: usize = 13;

/// Raises one digit of one amount that the summary adds up, or of the summary itself.
fn changed_digit(content: &str, place: prop::sample::Index) -> Vec<u8> {
    let bytes = content.as_bytes();
    let is_amount = |at: usize| {
        let start = content[..at].rfind('`').unwrap_or_default();
        let line = content[..start].rsplit('\n').next().unwrap();
        let column = line.matches(",").count();
        let field = content[start + 1..].split([',', '\r']).next().unwrap();
        let digits = field.replacen('.', "", 1);
        column != COUPON
            && field.contains('.')
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && field
                .split('.')
                .next_back()
                .is_some_and(|decimals| decimals.len() == 2)
    };
    let digits: Vec<usize> = (0..bytes.len())
        .filter(|at| bytes[*at].is_ascii_digit() && content.is_char_boundary(*at) && is_amount(*at))
        .collect();
    let at = digits[place.index(digits.len())];
    let mut changed = bytes.to_vec();
    changed[at] = b'0' + (changed[at] - b'0' + 1) % 10;
    changed
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read(
        payments in prop::collection::vec(1_u32..10_000_000, 0..20),
        refunds in prop::collection::vec(1_u32..10_000_000, 0..20),
        packed: bool,
    ) {
        let whole = file(&bill(&payments, &refunds));
        let bytes = if packed { gzip(&whole) } else { whole.clone() };
        let (rows, totals) = trade(&bytes).unwrap();
        let read: Vec<i64> = rows.iter().map(|row| match &row.entry {
            Entry::Payment { total } => *total,
            Entry::Refund(refund) => -refund.amount,
            Entry::Revoked => 0,
        }).collect();
        let written: Vec<i64> = payments.iter().map(|fen| i64::from(*fen))
            .chain(refunds.iter().map(|fen| -i64::from(*fen)))
            .collect();
        prop_assert_eq!(&read, &written);
        prop_assert_eq!(totals.total - totals.refunded, written.iter().sum::<i64>());
        checked(&bytes, &sha1(&whole)).unwrap();
    }

    #[test]
    fn no_damaged_trade_bill_is_ever_read(
        payments in prop::collection::vec(1_u32..10_000_000, 1..8),
        refunds in prop::collection::vec(1_u32..10_000_000, 0..8),
        damage in damage(),
    ) {
        let whole = file(&bill(&payments, &refunds));
        trade(&whole).unwrap();
        let damaged = damage.done_to(&whole);
        prop_assert!(trade(&damaged).is_err(), "{}", String::from_utf8_lossy(&damaged));
    }

    #[test]
    fn no_damaged_fund_flow_bill_is_ever_read(
        rows in prop::collection::vec((any::<bool>(), 1_u32..10_000_000), 1..8),
        place: prop::sample::Index,
        doubled: bool,
    ) {
        let whole = flow_bill(&rows);
        flow(&whole).unwrap();
        let damage = if doubled { Damage::Double(place) } else { Damage::Drop(place) };
        prop_assert!(flow(&damage.done_to(&whole)).is_err());
        prop_assert!(flow(&Damage::Cut(place).done_to(&whole)).is_err());
    }

    #[test]
    fn no_other_bytes_are_a_bill(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(trade(&bytes).is_err());
        prop_assert!(flow(&bytes).is_err());
        let mut begun = format!("\u{feff}{HEADER}\r\n").into_bytes();
        begun.extend_from_slice(&bytes);
        prop_assert!(trade(&begun).is_err());
    }
}
