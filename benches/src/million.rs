//! A day of a million payments: how much memory reconcile needs to compare it.
//!
//! The bills are written here, and a bank of our own offers them, signed with the simulator's key. The
//! table, also of our own, has none of it: that is the most there can be to tell. Secrets and the bucket
//! are the world's, as for every binary.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use axum::Router;
use axum::extract::{Path as InPath, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use data_encoding::{BASE64, HEXLOWER};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::Result;
use crate::authority::{Authority, Way};
use crate::child::{Job, Spawner};

/// How many payments the day has.
pub(crate) const ROWS: u64 = 1_000_000;

/// How many rows are written at a time.
const CHUNK: u64 = 1_000;

/// What reconciling the day came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Million {
    /// The most memory the process had (VmHWM), in KiB.
    pub(crate) peak_kib: u64,
    /// From exec to the answer.
    pub(crate) took: Duration,
    /// Of the processor.
    pub(crate) processor: Duration,
}

/// A bill in a file, compressed.
struct Bill {
    file: PathBuf,
    /// The hash of what is compressed.
    hash: String,
}

/// What offers the bills.
struct Bank {
    key: RsaKeyPair,
    key_id: String,
    /// Where its files are.
    base: String,
    trade: Bill,
    flow: Bill,
}

/// Who the day is of, and where its bank has its keys.
pub(crate) struct Shop<'a> {
    pub(crate) mchid: &'a str,
    pub(crate) appid: &'a str,
    /// The folder with the simulator's keys.
    pub(crate) keys: &'a Path,
    /// The id of its public key.
    pub(crate) key_id: &'a str,
}

/// Runs reconcile for the day that the event names.
pub(crate) async fn measure(
    shop: &Shop<'_>,
    authority: &Authority,
    spawner: &Spawner,
    program: &Path,
    mut environment: BTreeMap<String, String>,
    event: Value,
) -> Result<Million> {
    let folder = tempfile::tempdir()?;
    let date = event["date"].as_str().ok_or("the event names no day")?;
    let (trade, flow) = bills(folder.path(), date, shop).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let front = authority
        .front(listener.local_addr()?, Way::Straight)
        .await?;
    let key = PrivatePkcs8KeyDer::from_pem_file(shop.keys.join("platform_key.pem"))?;
    let bank = Bank {
        key: RsaKeyPair::from_pkcs8(key.secret_pkcs8_der())?,
        key_id: shop.key_id.to_owned(),
        base: front.url(),
        trade,
        flow,
    };
    let router = Router::new()
        .route("/v3/bill/{kind}", get(offer))
        .route("/file", get(file))
        .with_state(Arc::new(bank));
    let bank = tokio::spawn(async move { axum::serve(listener, router).await });
    let table = TcpListener::bind("127.0.0.1:0").await?;
    let aws = table.local_addr()?;
    let table = tokio::spawn(empty_table(table));
    for (name, value) in places(&front.url(), &front.authority, aws) {
        environment.insert(name.to_owned(), value);
    }
    let job = Job {
        program,
        environment: &environment,
        events: vec![event],
        callgrind: None,
        frozen_between: Duration::ZERO,
    };
    let run = job.run(spawner).await;
    bank.abort();
    table.abort();
    let run = run?;
    let wanted = json!({"date": run.answers[0]["date"], "status": "done", "differences": ROWS});
    if run.answers != [wanted] {
        return Err(format!("a day of {ROWS} rows is answered {:?}", run.answers).into());
    }
    Ok(Million {
        peak_kib: run.peak_kib,
        took: run.first_answer,
        processor: run.processor_answers.first().copied().unwrap_or_default(),
    })
}

/// Where reconcile finds the bank, the table and the bus.
fn places(bank: &str, authority: &str, aws: SocketAddr) -> [(&'static str, String); 5] {
    let aws = format!("http://{aws}");
    [
        ("WECHATPAY_BASE_URL", bank.to_owned()),
        ("WECHATPAY_BACKUP_URL", bank.to_owned()),
        ("WECHATPAY_TRUSTED_HOSTS", authority.to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", aws.clone()),
        ("AWS_ENDPOINT_URL_EVENTBRIDGE", aws),
    ]
}

/// Both bills of the day, written side by side.
async fn bills(folder: &Path, date: &str, shop: &Shop<'_>) -> Result<(Bill, Bill)> {
    let (appid, mchid) = (shop.appid.to_owned(), shop.mchid.to_owned());
    let (trade_file, flow_file) = (folder.join("trade.gz"), folder.join("flow.gz"));
    let (day, flow_day) = (date.to_owned(), date.to_owned());
    let trade = tokio::task::spawn_blocking(move || {
        let header = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,\
            交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,\
            退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注";
        let summary = format!(
            "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n\
             `{ROWS},`{ROWS}.00,`0.00,`0.00,`0.00000,`{ROWS}.00,`0.00\r\n"
        );
        written(trade_file, header, &summary, |rows, number| {
            rows.push('`');
            rows.push_str(&day);
            rows.push_str(" 12:00:00,`");
            rows.push_str(&appid);
            rows.push_str(",`");
            rows.push_str(&mchid);
            rows.push_str(",`0,`,`4200001234202609");
            rows.push_str(number);
            rows.push_str(",`TQ7YB4GTZ3LSKN5D2XWP");
            rows.push_str(number);
            rows.push_str(
                ",`oUpF8uMuAJO_M2pxb1Q9zNjWeS6o,`JSAPI,`SUCCESS,`OTHERS,`CNY,`1.00,`0.00,`0,`0,\
                 `0.00,`0.00,`,`,`A cup of coffee,`table 12,`0.00000,`0.60%,`1.00,`0.00,`\r\n",
            );
        })
    });
    let flow = tokio::task::spawn_blocking(move || {
        let header = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),\
                      账户结余(元),资金变更提交申请人,备注,业务凭证号";
        let summary = format!(
            "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\r\n`{ROWS},`{ROWS},`{ROWS}.00,`0,`0.00\r\n"
        );
        written(flow_file, header, &summary, |rows, number| {
            rows.push('`');
            rows.push_str(&flow_day);
            rows.push_str(" 12:00:00,`4200001234202609");
            rows.push_str(number);
            rows.push_str(",`4200001234202609");
            rows.push_str(number);
            rows.push_str(
                ",`交易,`交易,`收入,`1.00,`1.00,`system,`结算总金额1.00元;含手续费0.00元,`TQ7YB4GTZ3LSKN5D2XWP",
            );
            rows.push_str(number);
            rows.push_str("\r\n");
        })
    });
    Ok((trade.await??, flow.await??))
}

/// Writes a bill through `gzip`: what this debug build compressed itself would take half a minute.
fn written(
    file: PathBuf,
    header: &str,
    summary: &str,
    row: impl Fn(&mut String, &str),
) -> Result<Bill> {
    let mut gzip = Command::new("gzip")
        .arg("-1")
        .stdin(Stdio::piped())
        .stdout(std::fs::File::create(&file)?)
        .spawn()
        .map_err(|error| format!("gzip cannot be started: {error}"))?;
    let mut input = gzip.stdin.take().ok_or("gzip takes nothing")?;
    let mut hash = Sha1::new();
    let mut write = |text: &str| -> Result<()> {
        hash.update(text.as_bytes());
        Ok(input.write_all(text.as_bytes())?)
    };
    write(&format!("\u{feff}{header}\r\n"))?;
    let mut rows = String::new();
    for chunk in 0..ROWS / CHUNK {
        rows.clear();
        for number in 0..CHUNK {
            row(&mut rows, &format!("{:012}", chunk * CHUNK + number));
        }
        write(&rows)?;
    }
    write(summary)?;
    drop(input);
    if !gzip.wait()?.success() {
        return Err("gzip failed".into());
    }
    Ok(Bill {
        file,
        hash: HEXLOWER.encode(&hash.finalize()),
    })
}

/// Where a bill is, signed.
async fn offer(State(bank): State<Arc<Bank>>, InPath(kind): InPath<String>) -> Response {
    let bill = bank.bill(&kind);
    let body = json!({
        "download_url": format!("{}/file?token={kind}", bank.base),
        "hash_type": "SHA1",
        "hash_value": bill.hash,
    });
    bank.signed(&body.to_string()).unwrap_or_else(|error| {
        (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
    })
}

/// A bill.
async fn file(
    State(bank): State<Arc<Bank>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let kind = query.get("token").map_or("", String::as_str);
    match std::fs::read(&bank.bill(kind).file) {
        Ok(bytes) => bytes.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

impl Bank {
    fn bill(&self, kind: &str) -> &Bill {
        if kind == "tradebill" {
            &self.trade
        } else {
            &self.flow
        }
    }

    /// An answer as WeChat Pay signs one.
    fn signed(&self, body: &str) -> Result<Response> {
        let at = shared::clock::Clock::system().wall().unix_seconds();
        let nonce = "0123456789abcdef0123456789abcdef";
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            format!("{at}\n{nonce}\n{body}\n").as_bytes(),
            &mut signature,
        )?;
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("wechatpay-timestamp", at.to_string()),
            ("wechatpay-nonce", nonce.to_owned()),
            ("wechatpay-serial", self.key_id.clone()),
            ("wechatpay-signature", BASE64.encode(&signature)),
            (
                "wechatpay-signature-type",
                "WECHATPAY2-SHA256-RSA2048".to_owned(),
            ),
        ];
        Ok((headers, body.to_owned()).into_response())
    }
}

/// A table that has nothing, and a bus that takes everything; by hand, since they are asked ten thousand times.
async fn empty_table(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        // A connection ends with the process that is measured.
        tokio::spawn(async move { drop(answered(stream).await) });
    }
}

async fn answered(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(64 << 10);
    loop {
        let head_end = loop {
            if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&received[..head_end]).to_ascii_lowercase();
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.map_or("", str::trim).to_owned()
        };
        let length: usize = header("content-length:").parse()?;
        while received.len() < head_end + length {
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        }
        received.drain(..head_end + length);
        let body = match header("x-amz-target:").rsplit('.').next() {
            Some("batchgetitem") => r#"{"Responses":{},"UnprocessedKeys":{}}"#,
            Some("query") => r#"{"Items":[],"Count":0,"ScannedCount":0}"#,
            Some("putevents") => r#"{"FailedEntryCount":0,"Entries":[]}"#,
            other => return Err(format!("{other:?} is not here").into()),
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
    }
}
