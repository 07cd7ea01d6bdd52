//! A refused request says, for a person, what to fix.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use encoding_rs::GBK;
use rsa::Pkcs1v15Sign;
use rsa::pkcs8::DecodePrivateKey as _;
use serde_json::json;

use crate::support::{Bench, Draft, sign};

/// Sends what must be refused for its signature and gives the explanation.
async fn explanation(bench: &Bench, draft: Draft) -> String {
    let answer = bench.client.send(draft).await;
    assert_eq!(answer.status, 401, "{}", answer.text());
    let explanation = bench.last_request().await["explanation"].clone();
    explanation.as_str().unwrap_or_default().to_owned()
}

async fn explained(bench: &Bench, draft: Draft, expect: &str) {
    let text = explanation(bench, draft).await;
    assert!(text.contains(expect), "expected {expect:?} in {text:?}");
}

/// The text that a draft should have signed.
fn message(draft: &Draft) -> Vec<u8> {
    let mut message = format!(
        "{}\n{}\n{}\n{}\n",
        draft.method, draft.target, draft.timestamp, draft.nonce
    )
    .into_bytes();
    message.extend_from_slice(&draft.body);
    message.push(b'\n');
    message
}

/// A draft whose header carries this signature.
fn carrying(mut draft: Draft, signature: &str) -> Draft {
    draft.authorization = Some(Some(format!(
        "WECHATPAY2-SHA256-RSA2048 mchid=\"{}\",nonce_str=\"{}\",signature=\"{signature}\",\
         timestamp=\"{}\",serial_no=\"{}\"",
        draft.mchid, draft.nonce, draft.timestamp, draft.serial_no
    )));
    draft
}

#[tokio::test]
async fn misuse_is_explained_in_words_that_name_the_fix() {
    let bench = Bench::new().await;
    let mchid = bench.client.file.mchid.clone();
    let path = "/v3/pay/transactions/out-trade-no/ORDER-e";
    let query = format!("{path}?mchid={mchid}");
    let get = || bench.client.draft("GET", &query, b"");
    let body = bench.jsapi("ORDER-explained", 1);
    let compact = body.to_string();
    let post = || {
        bench
            .client
            .draft("POST", "/v3/pay/transactions/jsapi", compact.as_bytes())
    };

    let mut draft = get();
    draft.signed_target = path.to_owned();
    explained(&bench, draft, "signed without its query: sign /v3/pay").await;
    let mut draft = get();
    draft.signed_target = format!("{}{query}", bench.client.base);
    explained(&bench, draft, "scheme and host").await;
    let mut draft = get();
    draft.signed_target = format!("https://api.mch.weixin.qq.com{query}");
    explained(&bench, draft, "only the path and the query").await;
    let mut draft = get();
    draft.signed_method = "get".to_owned();
    explained(&bench, draft, "use upper case").await;
    let mut draft = get();
    draft.signed_body = b"{}".to_vec();
    explained(&bench, draft, "without one: sign an empty line").await;
    let mut draft = get();
    draft.last_line_end = "";
    explained(&bench, draft, "lacks its line feed").await;
    let mut draft = post();
    draft.line_end = "\r\n";
    draft.last_line_end = "\r\n";
    explained(&bench, draft, "use a lone LF").await;

    let mut draft = post();
    draft.signed_body = serde_json::to_vec_pretty(&body).unwrap();
    explained(&bench, draft, "serialised again after signing").await;
    let mut draft = post();
    draft.signed_body = compact
        .replace(",\"", ", \"")
        .replace("\":", "\": ")
        .into_bytes();
    explained(&bench, draft, "serialised again after signing").await;
    let escaped: String = compact
        .chars()
        .map(|c| {
            if c.is_ascii() {
                c.to_string()
            } else {
                format!("\\u{:04x}", c as u32)
            }
        })
        .collect();
    let mut draft = post();
    draft.signed_body = escaped.into_bytes();
    explained(&bench, draft, "serialised again after signing").await;
    // As Python signs by hand and its HTTP library sends: in the order of the merchant's own members.
    let unsorted = r#"{"mchid":"1900000109","appid":"wx","description":"咖啡☕😀 1/2"}"#;
    let sent = r#"{"mchid": "1900000109", "appid": "wx", "description": "\u5496\u5561\u2615\ud83d\ude00 1/2"}"#;
    let php = r#"{"mchid":"1900000109","appid":"wx","description":"\u5496\u5561\u2615\ud83d\ude00 1\/2"}"#;
    for (signed, sent) in [(unsorted, sent), (unsorted, php), (php, unsorted)] {
        let mut draft = bench
            .client
            .draft("POST", "/v3/pay/transactions/jsapi", sent.as_bytes());
        draft.signed_body = signed.as_bytes().to_vec();
        explained(&bench, draft, "sign the very bytes that are sent").await;
    }
    let mut draft = post();
    draft.signed_body = Vec::new();
    explained(&bench, draft, "body was left out").await;

    let mut draft = get();
    draft.timestamp = (draft.timestamp.parse::<i64>().unwrap() - 360).to_string();
    draft.signed_timestamp = draft.timestamp.clone();
    explained(&bench, draft, "6 minutes behind the server's clock").await;
    let mut draft = get();
    draft.timestamp = format!("{}000", draft.timestamp);
    explained(&bench, draft, "milliseconds: send seconds").await;
    let mut draft = get();
    draft.signed_timestamp = format!("{}000", draft.timestamp);
    explained(&bench, draft, "milliseconds were signed").await;
    let mut draft = get();
    draft.serial_no = bench.client.file.public_key_id.clone();
    explained(&bench, draft, "name the merchant's certificate").await;
    let mut draft = get();
    draft.signed_target = "/something/else".to_owned();
    explained(&bench, draft, "the key is right but other text was signed").await;
    // Two mistakes at once are both named.
    let mut draft = get();
    draft.signed_target = path.to_owned();
    draft.last_line_end = "";
    explained(&bench, draft.clone(), "without its query").await;
    explained(&bench, draft, "lacks its line feed").await;
}

#[tokio::test]
async fn a_wrong_key_is_told_whose_it_is() {
    let bench = Bench::new().await;
    let mchid = bench.client.file.mchid.clone();
    let query = format!("/v3/pay/transactions/out-trade-no/ORDER-k?mchid={mchid}");
    let second = bench
        .control(&format!("/_sim/merchants/{mchid}/certificates"), json!({}))
        .await;
    let draft = bench.client.draft("GET", &query, b"");
    let mut other = bench.client.clone();
    let key = crate::support::private_key(second["apiclient_key"].as_str().unwrap());
    other.key = std::sync::Arc::new(key);
    let answer = other.send(draft.clone()).await;
    assert_eq!(answer.status, 401);
    let explanation = bench.last_request().await["explanation"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        explanation.contains("wrong key for the serial"),
        "{explanation}"
    );
    assert!(explanation.contains(second["serial_no"].as_str().unwrap()));
    let pem = std::fs::read_to_string(bench.client.folder.join("platform_key.pem")).unwrap();
    other.key = std::sync::Arc::new(crate::support::private_key(&pem));
    other.send(draft.clone()).await;
    let explanation = bench.last_request().await["explanation"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(explanation.contains("apiclient_key.pem"), "{explanation}");
    let stranger = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    other.key = std::sync::Arc::new(stranger);
    other.send(draft).await;
    let explanation = bench.last_request().await["explanation"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(explanation.contains("no key known here"), "{explanation}");
}

/// How a signature is written, and what is said of it.
type Writing<'a> = (&'a dyn Fn(&str) -> String, &'a str);

#[tokio::test]
async fn a_signature_written_otherwise_is_told_how_to_write_it() {
    let bench = Bench::new().await;
    let mchid = &bench.client.file.mchid;
    let target = format!("/v3/pay/transactions/out-trade-no/ORDER-w?mchid={mchid}");
    // Some writings differ from the right one only where the signature has certain letters.
    let draft = || loop {
        let draft = bench.client.draft("GET", &target, b"");
        let right = sign(&bench.client.key, &message(&draft));
        if right.contains('+') && right.contains('/') {
            break (draft, right);
        }
    };
    let bytes = |right: &str| STANDARD.decode(right).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let ways: [Writing<'_>; 11] = [
        (
            &|right| hex(&bytes(right)),
            "the signature is hex: encode its bytes as base64",
        ),
        (
            &|right| hex(&bytes(right)).to_uppercase(),
            "the signature is hex: encode",
        ),
        (
            &|right| STANDARD.encode(hex(&bytes(right))),
            "hex inside base64",
        ),
        (
            &|right| STANDARD.encode(right),
            "base64 twice over: encode it once",
        ),
        (
            &|right| URL_SAFE.encode(bytes(right)),
            "URL-safe base64: use the standard alphabet",
        ),
        (
            &|right| URL_SAFE_NO_PAD.encode(bytes(right)),
            "URL-safe base64: use the standard alphabet",
        ),
        (
            &|right| STANDARD_NO_PAD.encode(bytes(right)),
            "lost the = at its end",
        ),
        (&|right| right.replace('+', " "), "became a blank"),
        (
            &|right| {
                right
                    .replace('+', "%2B")
                    .replace('/', "%2F")
                    .replace('=', "%3D")
            },
            "the signature is URL-encoded",
        ),
        (
            &|right| format!("{} {}", &right[..76], &right[76..]),
            "wrapped into lines",
        ),
        (
            &|right| right[..343].replace('A', "!"),
            "is not valid base64: 256 bytes are 344",
        ),
    ];
    for (write, expect) in ways {
        let (draft, right) = draft();
        let text = explanation(&bench, carrying(draft, &write(&right))).await;
        assert!(text.contains(expect), "expected {expect:?} in {text:?}");
        assert!(!text.contains("besides"), "the text was right: {text:?}");
    }
    // Beside the writing, what was signed may be wrong too.
    let (draft, _) = draft();
    let mut short = message(&draft);
    short.pop();
    let signature = hex(&bytes(&sign(&bench.client.key, &short)));
    let text = explanation(&bench, carrying(draft, &signature)).await;
    assert!(text.contains("is hex"), "{text}");
    assert!(text.contains("; besides, the last line lacks"), "{text}");
}

/// What goes before a digest, how the digest is made, and what is said of it.
type Padding<'a> = (Box<[u8]>, &'a dyn Fn(&[u8]) -> Vec<u8>, &'a str);

#[tokio::test]
async fn another_digest_is_named_and_the_key_is_not_blamed() {
    let bench = Bench::new().await;
    let mchid = &bench.client.file.mchid;
    let target = format!("/v3/pay/transactions/out-trade-no/ORDER-d?mchid={mchid}");
    let pem = std::fs::read_to_string(bench.client.folder.join("apiclient_key.pem")).unwrap();
    let key = rsa::PrivateKey::from_pkcs8_pem(&pem).unwrap();
    let info = |algorithm: &[u8], length: u8| -> Box<[u8]> {
        let parts = [
            &[
                0x30,
                algorithm.len() as u8 + 8 + length,
                0x30,
                algorithm.len() as u8 + 4,
                0x06,
            ][..],
            &[algorithm.len() as u8],
            algorithm,
            &[0x05, 0x00, 0x04, length],
        ];
        parts.concat().into()
    };
    let nist = |last: u8| [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last];
    let bare = |_: u8| -> Box<[u8]> { Box::new([]) };
    let sha = |text: &[u8], kind| digest::digest(kind, text).as_ref().to_vec();
    let hex = |text: &[u8]| -> Vec<u8> {
        let digits: Vec<String> = text.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.concat().into_bytes()
    };
    let ways: [Padding<'_>; 7] = [
        (
            info(&nist(3), 64),
            &|text| sha(text, &digest::SHA512),
            "SHA512withRSA: use SHA256withRSA",
        ),
        (
            info(&nist(2), 48),
            &|text| sha(text, &digest::SHA384),
            "SHA384withRSA: use SHA256withRSA",
        ),
        (
            info(&[0x2b, 0x0e, 0x03, 0x02, 0x1a], 20),
            &|text| sha(text, &digest::SHA1_FOR_LEGACY_USE_ONLY),
            "SHA1withRSA: use SHA256withRSA",
        ),
        (
            info(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05], 16),
            &|text| sha(text, &digest::SHA256)[..16].to_vec(),
            "MD5withRSA: use SHA256withRSA",
        ),
        (
            bare(0),
            &|text| sha(text, &digest::SHA256),
            "without the DigestInfo",
        ),
        (
            bare(0),
            &|text| hex(&sha(text, &digest::SHA256)),
            "hex digits of the digest",
        ),
        (
            bare(0),
            &|text| text[..100].to_vec(),
            "100 bytes were encrypted",
        ),
    ];
    for (prefix, hash, expect) in ways {
        let draft = bench.client.draft("GET", &target, b"");
        let padding = Pkcs1v15Sign {
            hash_len: None,
            prefix,
        };
        let signature = key.sign(padding, &hash(&message(&draft))).unwrap();
        let text = explanation(&bench, carrying(draft, &STANDARD.encode(signature))).await;
        assert!(text.contains(expect), "expected {expect:?} in {text:?}");
        assert!(!text.contains("no key known"), "{text:?}");
    }
}

#[tokio::test]
async fn a_body_signed_in_another_order_charset_or_escape_is_explained() {
    let bench = Bench::new().await;
    let path = "/v3/pay/transactions/jsapi";
    let check = async |sent: &[u8], signed: &[u8], expect: &str| {
        let mut draft = bench.client.draft("POST", path, sent);
        draft.signed_body = signed.to_vec();
        explained(&bench, draft, expect).await;
    };
    let sorted = r#"{"amount":{"currency":"CNY","total":1},"appid":"wx1","description":"一杯咖啡","mchid":"1","notify_url":"http://x.cn/n","out_trade_no":"ORDER","payer":{"openid":"o"}}"#;
    let inserted = r#"{"appid":"wx1","mchid":"1","description":"一杯咖啡","out_trade_no":"ORDER","notify_url":"http://x.cn/n","amount":{"total":1,"currency":"CNY"},"payer":{"openid":"o"}}"#;
    let order = "the members of the body were signed in another order";
    check(sorted.as_bytes(), inserted.as_bytes(), order).await;
    // The other way round it is one of the forms that are written again.
    check(
        inserted.as_bytes(),
        sorted.as_bytes(),
        "sign the very bytes that are sent",
    )
    .await;
    let blanks = |text: &str| text.replace(",\"", ", \"").replace("\":", "\": ");
    check(
        blanks(sorted).as_bytes(),
        blanks(inserted).as_bytes(),
        order,
    )
    .await;
    // Of many members the order of the documents, and one member out of its place.
    let nine = r#"{"amount":{"total":1},"appid":"a","attach":"b","description":"c","goods_tag":"d","mchid":"e","notify_url":"f","out_trade_no":"g","time_expire":"h"}"#;
    let documented = r#"{"appid":"a","mchid":"e","description":"c","out_trade_no":"g","time_expire":"h","attach":"b","notify_url":"f","goods_tag":"d","amount":{"total":1}}"#;
    let moved = r#"{"appid":"a","attach":"b","description":"c","goods_tag":"d","mchid":"e","notify_url":"f","out_trade_no":"g","amount":{"total":1},"time_expire":"h"}"#;
    check(nine.as_bytes(), documented.as_bytes(), order).await;
    check(nine.as_bytes(), moved.as_bytes(), order).await;

    let raw = r#"{"description":"a <b> & c","attach":"咖啡"}"#;
    let go = r#"{"description":"a \u003cb\u003e \u0026 c","attach":"咖啡"}"#;
    let capitals = r#"{"description":"a <b> & c","attach":"\u5496\u5561"}"#;
    for (sent, signed) in [(raw, go), (go, raw), (raw, capitals)] {
        check(
            sent.as_bytes(),
            signed.as_bytes(),
            "serialised again after signing",
        )
        .await;
    }

    let body = r#"{"description":"一杯咖啡"}"#;
    let (gbk, _, _) = GBK.encode(body);
    check(body.as_bytes(), &gbk, "signed in GBK").await;
    check(&gbk, body.as_bytes(), "sent in GBK and was signed in UTF-8").await;
    let misread: String = body.bytes().map(char::from).collect();
    check(body.as_bytes(), misread.as_bytes(), "read as ISO-8859-1").await;
    check(misread.as_bytes(), body.as_bytes(), "another charset").await;
    let lost = r#"{"description":"????"}"#;
    check(body.as_bytes(), lost.as_bytes(), "as question marks").await;
    let marked = format!("\u{feff}{body}");
    check(
        body.as_bytes(),
        marked.as_bytes(),
        "a byte order mark was signed before the body",
    )
    .await;
    check(
        marked.as_bytes(),
        body.as_bytes(),
        "a byte order mark that was not signed",
    )
    .await;
    let mut draft = bench.client.draft("POST", path, body.as_bytes());
    draft.signed_method = "\u{feff}POST".to_owned();
    explained(
        &bench,
        draft,
        "a byte order mark was signed before the text",
    )
    .await;

    // A body that ends with a line feed: the line is whole, the bytes are not those that are sent.
    let text = "ends with a line feed or a blank that was not signed";
    check(format!("{body}\n").as_bytes(), body.as_bytes(), text).await;

    // Signed as sent, but no UTF-8 or marked: the refusal names that and not a column.
    for (bytes, expect) in [
        (marked.as_bytes(), "byte order mark"),
        (&gbk[..], "not UTF-8"),
    ] {
        let answer = bench
            .client
            .send(bench.client.draft("POST", path, bytes))
            .await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "PARAM_ERROR")
        );
        let explanation = bench.last_request().await["explanation"].clone();
        assert!(
            explanation.as_str().unwrap().contains(expect),
            "{explanation}"
        );
    }
}

#[tokio::test]
async fn a_path_method_or_clock_signed_otherwise_is_explained() {
    let bench = Bench::new().await;
    let mchid = bench.client.file.mchid.clone();
    let path = "/v3/pay/transactions/out-trade-no/ORDER|e";
    let query = format!("{path}?mchid={mchid}");
    let check = async |target: &str, signed: &str, expect: &str| {
        let mut draft = bench.client.draft("GET", target, b"");
        draft.signed_target = signed.to_owned();
        explained(&bench, draft, expect).await;
    };
    let host = bench.client.base.trim_start_matches("http://").to_owned();
    check(&query, &format!("{host}{query}"), "with scheme and host").await;
    for host in [
        "api.wechatpay.cn",
        "https://api.wechatpay.cn",
        "api.mch.weixin.qq.com",
    ] {
        check(&query, &format!("{host}{query}"), "with WeChat Pay's host").await;
    }
    let template = format!("/v3/pay/transactions/out-trade-no/{{out_trade_no}}?mchid={mchid}");
    check(&query, &template, "{out_trade_no} was left in the path").await;
    check(&query, &query.replace('|', "%7c"), "percent-encoded").await;
    check(
        &query.replace('|', "%7C"),
        &query.replace('|', "%7c"),
        "in another case",
    )
    .await;
    let bill = "/v3/bill/tradebill?bill_date=2026-01-01&bill_type=ALL&tar_type=GZIP";
    let other = "/v3/bill/tradebill?tar_type=GZIP&bill_date=2026-01-01&bill_type=ALL";
    check(bill, other, "in another order").await;

    for (method, expect) in [
        ("Get", "signed as Get: use upper case"),
        ("POST", "POST was signed as the method of a GET request"),
    ] {
        let mut draft = bench.client.draft("GET", &query, b"");
        draft.signed_method = method.to_owned();
        explained(&bench, draft, expect).await;
    }
    let mut draft = bench.client.draft("GET", &query, b"");
    draft.line_end = "\r\n";
    explained(&bench, draft, "four lines end with CR LF").await;

    for (signed, expect) in [
        (
            &|now: i64| format!("{now}123") as String,
            "milliseconds were signed",
        ),
        (
            &|now: i64| format!("{}999", now - 1),
            "milliseconds were signed",
        ),
        (&|now: i64| (now - 17).to_string(), "take the time once"),
        (&|now: i64| (now + 60).to_string(), "take the time once"),
    ] as [(&dyn Fn(i64) -> String, &str); 4]
    {
        let mut draft = bench.client.draft("GET", &query, b"");
        draft.signed_timestamp = signed(draft.timestamp.parse().unwrap());
        explained(&bench, draft, expect).await;
    }
    for (sent, expect) in [
        (
            &|now: i64| (now - 310).to_string(),
            "310 seconds, and at most 300 are allowed",
        ),
        (
            &|now: i64| (now - 310).to_string(),
            "5 minutes behind the server's clock",
        ),
        (
            &|now: i64| (now + 28_800).to_string(),
            "8 hours look like a time zone",
        ),
        (
            &|now: i64| (now - 19_800).to_string(),
            "5 hours and a half look like a time zone",
        ),
        (
            &|now: i64| format!("{now}123456"),
            "microseconds: send seconds",
        ),
        (
            &|now: i64| format!("{now}123456789"),
            "nanoseconds: send seconds",
        ),
        (
            &|now: i64| format!("+{now}"),
            "timestamp is no number of seconds",
        ),
    ] as [(&dyn Fn(i64) -> String, &str); 7]
    {
        let mut draft = bench.client.draft("GET", &query, b"");
        draft.timestamp = sent(draft.timestamp.parse().unwrap());
        draft.signed_timestamp = draft.timestamp.clone();
        let text = explanation(&bench, draft).await;
        // Seconds may pass between making the draft and its coming in.
        let text = (311..=319).fold(text, |text, late| {
            text.replace(&format!("{late} seconds"), "310 seconds")
        });
        assert!(text.contains(expect), "expected {expect:?} in {text:?}");
    }

    // What nobody can guess is told where to look.
    let mut draft = bench.client.draft("GET", &query, b"");
    draft.signed_target = "/something/else".to_owned();
    explained(
        &bench,
        draft,
        "a second reading of the clock, a second nonce",
    )
    .await;
}

#[tokio::test]
async fn a_multipart_body_signed_whole_is_explained() {
    let bench = Bench::new().await;
    let multipart = b"--b\r\nContent-Disposition: form-data; name=\"meta\"\r\n\r\n{\"filename\":\"a.png\"}\r\n--b\r\n\
        Content-Disposition: form-data; name=\"file\"\r\n\r\nbytes\r\n--b--\r\n";
    let mut draft = bench.client.draft("POST", "/v3/merchant/media/upload", b"");
    draft.headers = vec![(
        "Content-Type".to_owned(),
        "multipart/form-data; boundary=b".to_owned(),
    )];
    draft.signed_body = multipart.to_vec();
    let answer = bench.client.send_body(draft, multipart.to_vec()).await;
    assert_eq!(answer.status, 401);
    let explanation = bench.last_request().await["explanation"].clone();
    let text = explanation.as_str().unwrap();
    assert!(text.contains("whole multipart body was signed"), "{text}");
}
