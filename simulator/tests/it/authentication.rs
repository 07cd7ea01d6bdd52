//! Who sent a request, and the exact words when it is not clear.

use serde_json::json;

use crate::support::{Bench, Client, Draft, private_key};

const FORMAT: &str = "{\"code\":\"SIGN_ERROR\",\"message\":\"Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》\"}";
const UNAUTHENTICATED: &str = "{\"code\":\"SIGN_ERROR\",\"message\":\"签名信息错误，验签失败\"}";
const STALE: &str = "{\"code\":\"SIGN_ERROR\",\"message\":\"Http头Authorization中的timestamp与发起请求的时间不得超过5分钟\"}";

fn certificates(bench: &Bench) -> Draft {
    bench.client.draft("GET", "/v3/certificates", b"")
}

#[tokio::test]
async fn authorization_checks_come_in_order_with_the_exact_401_bodies() {
    let bench = Bench::with(crate::support::certificate_mode).await;
    let query = format!(
        "/v3/pay/transactions/id/1?mchid={}",
        bench.client.file.mchid
    );
    let garbled = [
        None,
        Some("nonsense".to_owned()),
        Some("WECHATPAY2-SHA256-RSA2048 mchid=1".to_owned()),
        Some("WECHATPAY2-SHA256-RSA2048 mchid=\"1\",nonce_str=\"2\"".to_owned()),
    ];
    for authorization in garbled {
        let other_scheme = authorization
            .as_ref()
            .is_some_and(|text| !text.starts_with("WECHATPAY2-SHA256"));
        let mut draft = certificates(&bench);
        draft.authorization = Some(authorization.clone());
        let answer = bench.client.send(draft).await;
        assert_eq!(answer.status, 401);
        if !other_scheme {
            assert_eq!(answer.text(), FORMAT);
        }
        assert!(answer.is_unsigned());
        let mut draft = bench.client.draft("GET", &query, b"");
        draft.authorization = Some(authorization);
        assert_eq!(bench.client.send(draft).await.text(), UNAUTHENTICATED);
    }
    let mut draft = certificates(&bench);
    draft.authorization = Some(Some("Bearer x".to_owned()));
    assert!(
        bench
            .client
            .send(draft)
            .await
            .text()
            .contains("HTTP头Authorization认证类型不正确")
    );

    // Time comes before the signature: this one is wrong in both.
    for off_s in [-301_i64, 301, -86_400] {
        let mut draft = certificates(&bench);
        draft.timestamp = (draft.timestamp.parse::<i64>().unwrap() + off_s).to_string();
        let answer = bench.client.send(draft).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (401, STALE),
            "{off_s}"
        );
    }
    for off_s in [-290_i64, 290] {
        let mut draft = certificates(&bench);
        draft.timestamp = (draft.timestamp.parse::<i64>().unwrap() + off_s).to_string();
        draft.signed_timestamp = draft.timestamp.clone();
        assert_eq!(bench.client.send(draft).await.status, 200, "{off_s}");
    }
    // Any order of the pairs.
    let draft = certificates(&bench);
    let message = format!(
        "GET\n/v3/certificates\n{}\n{}\n\n",
        draft.timestamp, draft.nonce
    );
    let signature = crate::support::sign(&bench.client.key, message.as_bytes());
    let mut draft = draft;
    draft.authorization = Some(Some(format!(
        "WECHATPAY2-SHA256-RSA2048 serial_no=\"{}\",timestamp=\"{}\",signature=\"{signature}\",\
         nonce_str=\"{}\",mchid=\"{}\"",
        draft.serial_no.to_lowercase(),
        draft.timestamp,
        draft.nonce,
        draft.mchid
    )));
    assert_eq!(bench.client.send(draft).await.status, 200);
    // The signature comes before the merchant numbers.
    let mut body = bench.jsapi("ORDER-05", 1);
    body["mchid"] = json!("1999999999");
    let answer = bench.client.post("/v3/pay/transactions/jsapi", &body).await;
    let message = "http header中的mchid与post payload中的mchid不匹配";
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "PARAM_ERROR")
    );
    assert_eq!(answer.json()["message"], message);
    assert_eq!(answer.body.len(), 92, "the length that was captured");
    let mut draft = bench.client.draft(
        "POST",
        "/v3/pay/transactions/jsapi",
        body.to_string().as_bytes(),
    );
    draft.signed_body = b"{}".to_vec();
    assert_eq!(bench.client.send(draft).await.status, 401);
    // A merchant nobody knows gets no detail.
    let mut draft = certificates(&bench);
    draft.mchid = "1111111111".to_owned();
    assert_eq!(
        bench.client.send(draft).await.text(),
        "{\"code\":\"SIGN_ERROR\",\"message\":\"签名错误\"}"
    );
}

#[tokio::test]
async fn signed_text_a_known_merchant_is_told_the_message_the_server_built() {
    let bench = Bench::new().await;
    let mchid = &bench.client.file.mchid;
    let target = format!("/v3/pay/transactions/out-trade-no/ORDER%7C06*?mchid={mchid}&x=%E4%B8%AD");
    let answer = bench.client.get(&target).await;
    assert_eq!(
        answer.status,
        404,
        "raw target is what is signed: {}",
        answer.text()
    );
    let body = "{\"mchid\" : \"咖啡\"}".as_bytes();
    let path = "/v3/pay/transactions/out-trade-no/ORDER06/close";
    let mut draft = bench.client.draft("POST", path, body);
    draft.signed_body = b"other".to_vec();
    let (timestamp, nonce) = (draft.timestamp.clone(), draft.nonce.clone());
    let answer = bench.client.send(draft).await;
    let message = format!("POST\n{path}\n{timestamp}\n{nonce}\n{{\"mchid\" : \"咖啡\"}}\n");
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.json(),
        json!({
            "code": "SIGN_ERROR",
            "detail": {
                "detail": {"issue": "sign not match"},
                "field": "signature",
                "location": "authorization",
                "sign_information": {
                    "method": "POST",
                    "sign_message_length": message.len(),
                    "truncated_sign_message": message,
                    "url": path,
                },
            },
            "message": "错误的签名，验签失败",
        })
    );
    assert!(
        answer
            .text()
            .starts_with("{\"code\":\"SIGN_ERROR\",\"detail\":{\"detail\":{\"issue\":")
    );
}

#[tokio::test]
async fn merchant_certificates_several_certificates_work_at_once_and_bad_ones_are_refused() {
    let bench = Bench::new().await;
    let mchid = bench.client.file.mchid.clone();
    let path = format!("/_sim/merchants/{mchid}/certificates");
    let second = bench.control(&path, json!({})).await;
    let other = Client {
        key: std::sync::Arc::new(private_key(second["apiclient_key"].as_str().unwrap())),
        file: simulator::MerchantFile {
            serial_no: second["serial_no"].as_str().unwrap().to_owned(),
            ..bench.client.file.clone()
        },
        ..bench.client.clone()
    };
    let query = format!("/v3/pay/transactions/out-trade-no/ORDER-07?mchid={mchid}");
    for client in [&bench.client, &other] {
        assert_eq!(client.get(&query).await.code(), "ORDER_NOT_EXIST");
    }
    bench.control(&path, json!({})).await;
    let (status, _) = bench.control_raw(&path, json!({})).await;
    assert_eq!(status, 400, "three usable certificates at most");
    let mut draft = other.draft("GET", &query, b"");
    draft.serial_no = "0".repeat(40);
    let answer = other.send(draft).await;
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.json()["message"],
        "商户证书序列号有误。请使用签名私钥匹配的证书序列号"
    );
    for (state, message) in [
        ("expired", "商户证书已过期"),
        ("revoked", "商户证书已作废"),
        ("replaced", "已更换证书，请使用新证书"),
    ] {
        let path = format!("{path}/{}", other.file.serial_no);
        bench.control(&path, json!({"state": state})).await;
        let answer = other.get(&query).await;
        assert_eq!(
            (answer.status, answer.json()["message"].as_str()),
            (401, Some(message))
        );
    }
    assert_eq!(
        bench.client.get(&query).await.status,
        404,
        "the first one still works"
    );
    // Five years on, by the business clock.
    bench.advance(1826 * 86_400).await;
    assert_eq!(
        bench.client.get(&query).await.json()["message"],
        "商户证书已过期"
    );
}

#[tokio::test]
async fn uploads_only_the_meta_part_of_an_upload_is_signed() {
    let bench = Bench::new().await;
    let digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let meta = format!("{{\"filename\":\"a.jpg\",\"sha256\":\"{digest}\"}}");
    let body = format!(
        "--border\r\nContent-Disposition: form-data; name=\"meta\";\r\nContent-Type: \
         application/json\r\n\r\n{meta}\r\n--border\r\nContent-Disposition: form-data; \
         name=\"file\"; filename=\"a.jpg\";\r\nContent-Type: image/jpg\r\n\r\nhello\r\n--border--\r\n"
    );
    let mut draft = bench.client.draft("POST", "/v3/merchant/media/upload", b"");
    draft.signed_body = meta.into_bytes();
    draft.headers = vec![(
        "Content-Type".to_owned(),
        "multipart/form-data; boundary=border".to_owned(),
    )];
    let mut whole = draft.clone();
    whole.signed_body = body.clone().into_bytes();
    let send = |mut draft: Draft| {
        let client = bench.client.clone();
        let body = body.clone();
        async move {
            // The draft's own Content-Type must be the only one.
            draft.body = Vec::new();
            client.send_body(draft, body.into_bytes()).await
        }
    };
    let answer = send(draft).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.json()["media_id"].is_string());
    assert_eq!(send(whole).await.status, 401);
}
