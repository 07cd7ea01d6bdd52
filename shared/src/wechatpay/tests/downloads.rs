//! Bills are asked for with a signature, and fetched from nowhere but where WeChat Pay is.

use super::server::{Reply, answer, signed};
use super::till::Till;
use crate::rfc3339;
use crate::wechatpay::{
    BillKind, BillOffer, CallError, DOWNLOAD_MAX, DownloadError, NoBill, Signed, UnknownCause,
};

const HASH: &str = "302981ee9c68c84614457b6500c923114d84c44d";

/// An answer of these bytes, without a signature, as WeChat Pay sends a file.
fn file(bytes: &[u8]) -> Reply {
    let head = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    );
    Reply::Bytes([head.as_bytes(), bytes].concat())
}

fn offer(address: &str, hash_type: &str, hash: &str) -> Reply {
    let body = serde_json::json!({
        "download_url": address, "hash_type": hash_type, "hash_value": hash,
    });
    signed(200, &body.to_string())
}

async fn applied(till: &Till, kind: BillKind) -> Result<Signed<BillOffer>, CallError> {
    let day = rfc3339::parse_day("2026-01-01").unwrap();
    till.client.bill(&till.call(), kind, day).await
}

/// Downloads what is offered at the till's own server, which answers so.
async fn downloaded(reply: Reply) -> (Till, Result<u64, DownloadError>, Vec<u8>) {
    let till = Till::before_naming(|authority| {
        let address = format!("http://{authority}/v3/billdownload/file?token=a%2Fb");
        vec![offer(&address, "SHA1", HASH), reply]
    })
    .await;
    let offer = applied(&till, BillKind::Trade).await.unwrap();
    let mut spool = Vec::new();
    let written = till.client.download(&till.call(), &offer, &mut spool).await;
    (till, written, spool)
}

#[tokio::test]
async fn both_bills_of_a_day_are_asked_for_packed() {
    for (kind, line) in [
        (
            BillKind::Trade,
            "GET /v3/bill/tradebill?bill_date=2026-01-01&bill_type=ALL&tar_type=GZIP HTTP/1.1",
        ),
        (
            BillKind::FundFlow,
            "GET /v3/bill/fundflowbill?bill_date=2026-01-01&account_type=BASIC&tar_type=GZIP HTTP/1.1",
        ),
    ] {
        let address = "https://api.mch.weixin.qq.com/v3/billdownload/file?token=1";
        let till = Till::before(vec![offer(address, "SHA1", HASH)]).await;
        let offer = applied(&till, kind).await.unwrap();
        assert_eq!(offer.get().hash(), HASH);
        let asked = till.asked();
        assert_eq!(asked[0].line, line);
        assert!(asked[0].header("authorization").is_some());
    }
}

#[tokio::test]
async fn an_offer_at_a_foreign_host_or_of_another_hash_is_none() {
    let own = "https://api.mch.weixin.qq.com/v3/billdownload/file?token=1";
    for (address, hash_type, hash) in [
        (
            "https://bills.example.com/v3/billdownload/file?token=1",
            "SHA1",
            HASH,
        ),
        (own, "SHA256", HASH),
        (own, "SHA1", "302981ee9c68c84614457b6500c923114d84c44"),
        (own, "SHA1", "302981ee9c68c84614457b6500c923114d84c44g"),
        ("", "SHA1", HASH),
    ] {
        let till = Till::before(vec![offer(address, hash_type, hash)]).await;
        let refused = applied(&till, BillKind::Trade).await;
        let strange = CallError::Unknown(UnknownCause::Unexpected { what: "" });
        let kind = |error: &CallError| std::mem::discriminant(error);
        assert_eq!(kind(&refused.unwrap_err()), kind(&strange), "{address}");
        assert_eq!(till.asked().len(), 1, "{address}");
    }
}

#[tokio::test]
async fn an_offer_that_nobody_signed_is_none() {
    let body = serde_json::json!({
        "download_url": "https://api.mch.weixin.qq.com/file", "hash_type": "SHA1", "hash_value": HASH,
    });
    let unsigned = || answer(200, &[], &body.to_string());
    let till = Till::before(vec![unsigned(), unsigned()]).await;
    let refused = applied(&till, BillKind::Trade).await.unwrap_err();
    assert!(refused.is_unverified(), "{refused:?}");
}

#[tokio::test]
async fn why_there_is_no_bill_goes_by_the_code() {
    for (status, code, why) in [
        (400, "STATEMENT_CREATING", Some(NoBill::NotYet)),
        (404, "STATEMENT_CREATING", Some(NoBill::NotYet)),
        (400, "NO_STATEMENT_EXIST", Some(NoBill::Never)),
        (400, "INVALID_REQUEST", None),
        (403, "NO_AUTH", None),
    ] {
        let body = format!(r#"{{"code":"{code}","message":"?"}}"#);
        let till = Till::before(vec![answer(status, &[], &body)]).await;
        let refused = applied(&till, BillKind::Trade).await.unwrap_err();
        assert_eq!(refused.no_bill(), why, "{status} {code}");
    }
}

#[tokio::test]
async fn a_file_needs_no_signature_and_is_asked_for_with_one_of_ours() {
    let bytes: Vec<u8> = (0..200_000_u32).map(|byte| byte.to_le_bytes()[0]).collect();
    let (till, written, spool) = downloaded(file(&bytes)).await;
    assert_eq!(written.unwrap(), 200_000);
    assert!(spool == bytes, "the bytes are those that were sent");
    let asked = till.asked();
    let line = "GET /v3/billdownload/file?token=a%2Fb HTTP/1.1";
    assert_eq!(asked[1].line, line);
    let signed = asked[1].header("authorization").unwrap();
    assert!(signed.starts_with("WECHATPAY2-SHA256-RSA2048 "), "{signed}");
    // Nobody unpacks on the way: the hash is of the bytes within.
    assert_eq!(asked[1].header("accept-encoding"), None);
}

#[tokio::test]
async fn a_refused_download_writes_nothing_and_says_why() {
    let body = r#"{"code":"INVALID_REQUEST","message":"token"}"#;
    let (_, refused, spool) = downloaded(answer(400, &[], body)).await;
    let Err(DownloadError::Call(CallError::Refused(refusal))) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refusal.code, "INVALID_REQUEST");
    assert_eq!(spool, b"");
    let (_, failed, spool) = downloaded(answer(503, &[], "<html>")).await;
    let server = matches!(
        failed,
        Err(DownloadError::Call(CallError::Unknown(
            UnknownCause::ServerError { status: 503 }
        )))
    );
    assert!(server, "{failed:?}");
    assert_eq!(spool, b"");
    // Where it leads does not matter: nobody goes there.
    let elsewhere = [("Location", "http://127.0.0.1:1/".to_owned())];
    let (till, moved, spool) = downloaded(answer(302, &elsewhere, "")).await;
    assert!(moved.is_err());
    assert_eq!((till.asked().len(), spool.len()), (2, 0));
}

#[tokio::test]
async fn a_download_that_breaks_off_is_no_file() {
    let half = Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec());
    let (_, broken, _) = downloaded(half).await;
    let broke = matches!(
        broken,
        Err(DownloadError::Call(CallError::Unknown(
            UnknownCause::Broken
        )))
    );
    assert!(broke, "{broken:?}");
}

/// Counts what it is given, and keeps nothing.
struct Counter(u64);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += u64::try_from(bytes.len()).unwrap();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_download_that_does_not_end_is_broken_off() {
    let most = usize::try_from(DOWNLOAD_MAX).unwrap();
    let mut endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
    endless.resize(endless.len() + most + (1 << 20), b'0');
    let till = Till::before_naming(|authority| {
        let address = format!("http://{authority}/file");
        vec![offer(&address, "SHA1", HASH), Reply::Bytes(endless)]
    })
    .await;
    let offer = applied(&till, BillKind::Trade).await.unwrap();
    let mut spool = Counter(0);
    let refused = till.client.download(&till.call(), &offer, &mut spool).await;
    assert!(
        matches!(refused, Err(DownloadError::TooLarge)),
        "{refused:?}"
    );
    assert!(spool.0 <= DOWNLOAD_MAX);
}
