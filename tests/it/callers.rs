//! Who may do what: every route with every kind of caller, and credentials that are none.
//!
//! Somebody else's order is answered exactly as a missing one, on every route; a credential that is
//! not one of ours is answered with 401 and nothing more, whatever is wrong with it.

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{ALICE, Answer, BOB, TestStack};

/// A payer's paid order with a refund that waits for the merchant.
async fn bought(stack: &TestStack, token: &str, key: &str) -> (String, String) {
    let number = stack.bought(token, key, 1).await;
    let asked = stack.asked_back(token, &number, key, 100).await;
    let refund = asked["out_refund_no"].as_str().unwrap().to_owned();
    (number, refund)
}

/// Every route that names an order.
fn routes(number: &str, refund: &str) -> [(Method, String, Option<Value>); 7] {
    let order = format!("/orders/{number}");
    let refunds = format!("{order}/refunds");
    let one = format!("{refunds}/{refund}");
    let asked = json!({"amount": {"refund": 1}, "out_refund_no": "mine-r1"});
    [
        (Method::GET, order.clone(), None),
        (Method::POST, format!("{order}/close"), Some(json!({}))),
        (Method::POST, refunds.clone(), Some(asked)),
        (Method::GET, one.clone(), None),
        (Method::POST, format!("{one}/approve"), Some(json!({}))),
        (Method::POST, format!("{one}/reject"), Some(json!({}))),
        (Method::GET, format!("{refunds}/mine-r1"), None),
    ]
}

async fn ask(
    stack: &TestStack,
    (method, path, body): &(Method, String, Option<Value>),
    credential: Option<&str>,
    headers: &[(&str, &str)],
) -> Answer {
    stack
        .send(method.clone(), path, credential, headers, body.clone())
        .await
}

#[tokio::test]
async fn somebody_elses_order_is_as_good_as_missing_on_every_route() {
    let stack = TestStack::start().await;
    let (alice, bob) = (stack.login(ALICE).await, stack.login(BOB).await);
    let (number, refund) = bought(&stack, &alice, "key-0000000000001").await;
    let missing = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let (books, asked) = (stack.books(), stack.wire.requests().len());
    for (theirs, nobodys) in routes(&number, &refund)
        .iter()
        .zip(&routes(missing, &refund))
    {
        let (theirs, nobodys) = (
            ask(&stack, theirs, Some(&bob), &[]).await,
            ask(&stack, nobodys, Some(&bob), &[]).await,
        );
        assert_eq!(theirs, nobodys, "not a byte tells that it is there");
        theirs.refused(404, "not_found");
    }
    // The merchant's decisions are no route of a payer's, their own order or not.
    for decision in &routes(&number, &refund)[4..6] {
        ask(&stack, decision, Some(&alice), &[])
            .await
            .refused(404, "not_found");
    }
    assert_eq!(stack.books(), books, "nothing was done");
    assert_eq!(stack.wire.requests().len(), asked, "nothing was asked");
    let orders = stack.get(&bob, "/orders").await.expect(200);
    assert_eq!(orders["items"], json!([]));
    // Where Alice's page ended is no way into her list.
    let token = format!("/orders?next_token=99999999999.{number}");
    let page = stack.get(&bob, &token).await;
    assert!(!page.body.to_string().contains(&number), "{page:?}");
}

#[tokio::test]
async fn the_owner_and_the_merchant_see_and_do_what_is_theirs() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let (number, refund) = bought(&stack, &alice, "key-0000000000001").await;
    let merchant = stack.merchant.clone();
    let statuses = async |credential: &str| {
        let mut statuses = Vec::new();
        for route in &routes(&number, &refund) {
            let answer = ask(&stack, route, Some(credential), &[]).await;
            statuses.push(answer.status);
        }
        statuses
    };
    // See, close (it is paid), ask back under a name of their own, see the first, decide, see the second
    // by that name: a payer's names stand in a namespace of their own, so it is free to the merchant.
    assert_eq!(
        statuses(&alice).await,
        [200, 409, 202, 200, 404, 404, 404],
        "the owner"
    );
    assert_eq!(
        statuses(&merchant).await,
        [200, 409, 202, 200, 202, 409, 200],
        "the merchant"
    );
}

#[tokio::test]
async fn the_same_key_of_two_payers_means_two_orders() {
    let stack = TestStack::start().await;
    let (alice, bob) = (stack.login(ALICE).await, stack.login(BOB).await);
    let (hers, hers_back) = bought(&stack, &alice, "key-0000000000001").await;
    let (his, his_back) = bought(&stack, &bob, "key-0000000000001").await;
    assert_ne!(hers, his);
    assert_ne!(hers_back, his_back);
    // One payer's key for two orders' refunds means two refunds.
    let (second, second_back) = bought(&stack, &alice, "key-0000000000002").await;
    assert_ne!(hers, second);
    let asked = stack
        .asked_back(&alice, &second, "key-0000000000001", 100)
        .await;
    let third = asked["out_refund_no"].as_str().unwrap();
    assert!(third != hers_back && third != second_back);
    // Numbers tell nothing of who they are for, and keep WeChat Pay's alphabet.
    for number in [&hers, &his, &hers_back, &his_back] {
        assert!(number.len() >= 26 && number.len() <= 32, "{number}");
        assert!(number.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Makes tokens as the stack does, and as it never would.
struct Mint {
    key: Vec<u8>,
    audience: String,
    now: i64,
}

impl Mint {
    fn of(stack: &TestStack) -> Self {
        use base64::Engine;
        let text = stack.secret("ApiSecret")["token_key"].clone();
        let key = base64::engine::general_purpose::STANDARD
            .decode(text.as_str().unwrap())
            .unwrap();
        let audience =
            stack.stack.template.functions["QueryFunction"].environment["TOKEN_AUDIENCE"].clone();
        Self {
            key,
            audience,
            now: stack.now(),
        }
    }

    fn claims(&self) -> Value {
        json!({"sub": ALICE, "aud": self.audience, "iat": self.now, "exp": self.now + 3600})
    }

    fn token(
        &self,
        header: &Value,
        claims: &Value,
        key: &[u8],
        algorithm: hmac::Algorithm,
    ) -> String {
        let signed = format!(
            "{}.{}",
            base64url(header.to_string().as_bytes()),
            base64url(claims.to_string().as_bytes())
        );
        let tag = hmac::sign(&hmac::Key::new(algorithm, key), signed.as_bytes());
        format!("{signed}.{}", base64url(tag.as_ref()))
    }

    fn with(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        self.token(&header("HS256"), &claims, &self.key, hmac::HMAC_SHA256)
    }
}

fn header(algorithm: &str) -> Value {
    json!({"alg": algorithm, "typ": "JWT"})
}

fn without(claims: &mut Value, name: &str) {
    claims.as_object_mut().unwrap().remove(name);
}

#[tokio::test]
async fn a_credential_that_is_not_ours_opens_nothing_whatever_is_wrong_with_it() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let (number, refund) = bought(&stack, &alice, "key-0000000000001").await;
    let mint = Mint::of(&stack);
    let good = mint.with(|_| {});
    let order = format!("/orders/{number}");
    // What is made here is as good as what the stack makes, so that what follows means something.
    stack.get(&good, &order).await.expect(200);
    let public_key = std::fs::read(stack.simulator_file("pub_key.pem")).unwrap();
    let hash = HEXLOWER.encode(&Sha256::digest(stack.merchant.as_bytes()));
    let unsigned = {
        let none = mint.token(&header("none"), &mint.claims(), b"", hmac::HMAC_SHA256);
        none.rsplit_once('.').unwrap().0.to_owned()
    };
    let (body_of, sign_of) = (
        good.split('.').nth(1).unwrap().to_owned(),
        good.split('.').nth(2).unwrap().to_owned(),
    );
    let bob = mint.with(|claims| claims["sub"] = json!(BOB));
    let bobs_body = bob.split('.').nth(1).unwrap();
    let first = good.split('.').next().unwrap();
    let pathed = json!({"alg": "HS256", "typ": "JWT", "kid": "../../dev/null"});
    let credentials = [
        ("nothing", String::new()),
        ("a word", "x".to_owned()),
        ("10 KiB", "x".repeat(10 << 10)),
        (
            "expired",
            mint.with(|claims| claims["exp"] = json!(mint.now - 1)),
        ),
        (
            "expired this second",
            mint.with(|claims| claims["exp"] = json!(mint.now)),
        ),
        ("without an end", mint.with(|claims| without(claims, "exp"))),
        (
            "an end that is text",
            mint.with(|claims| claims["exp"] = json!("tomorrow")),
        ),
        (
            "another audience",
            mint.with(|claims| claims["aud"] = json!("another-stack")),
        ),
        (
            "without an audience",
            mint.with(|claims| without(claims, "aud")),
        ),
        (
            "without a subject",
            mint.with(|claims| without(claims, "sub")),
        ),
        (
            "an empty subject",
            mint.with(|claims| claims["sub"] = json!("")),
        ),
        (
            "a subject that is a list",
            mint.with(|claims| claims["sub"] = json!([ALICE])),
        ),
        ("alg none", format!("{unsigned}.")),
        ("alg none without a dot", unsigned.clone()),
        (
            "alg None, with a signature",
            mint.token(
                &header("None"),
                &mint.claims(),
                &mint.key,
                hmac::HMAC_SHA256,
            ),
        ),
        (
            "HS512 under the right key",
            mint.token(
                &header("HS512"),
                &mint.claims(),
                &mint.key,
                hmac::HMAC_SHA512,
            ),
        ),
        (
            "HS384 under the right key",
            mint.token(
                &header("HS384"),
                &mint.claims(),
                &mint.key,
                hmac::HMAC_SHA384,
            ),
        ),
        (
            "said to be RS256",
            mint.token(
                &header("RS256"),
                &mint.claims(),
                &mint.key,
                hmac::HMAC_SHA256,
            ),
        ),
        (
            "another key",
            mint.token(
                &header("HS256"),
                &mint.claims(),
                &[7; 32],
                hmac::HMAC_SHA256,
            ),
        ),
        (
            "an empty key",
            mint.token(&header("HS256"), &mint.claims(), b"", hmac::HMAC_SHA256),
        ),
        (
            "a public key",
            mint.token(
                &header("HS256"),
                &mint.claims(),
                &public_key,
                hmac::HMAC_SHA256,
            ),
        ),
        (
            "the APIv3 key",
            mint.token(
                &header("HS256"),
                &mint.claims(),
                stack.apiv3_key().as_bytes(),
                hmac::HMAC_SHA256,
            ),
        ),
        (
            "a kid that is a path",
            mint.token(&pathed, &mint.claims(), b"", hmac::HMAC_SHA256),
        ),
        ("another's claims", format!("{first}.{bobs_body}.{sign_of}")),
        ("no signature", format!("{first}.{body_of}.")),
        ("a signature cut short", good[..good.len() - 4].to_owned()),
        ("a part too many", format!("{good}.{sign_of}")),
        ("a trailing dot", format!("{good}.")),
        ("another scheme inside", format!("Bearer {good}")),
        ("the key's hash", hash),
        (
            "the key's beginning",
            stack.merchant[..stack.merchant.len() - 1].to_owned(),
        ),
        ("the key and more", format!("{}x", stack.merchant)),
        ("the key in other letters", stack.merchant.to_uppercase()),
        ("two keys in one", format!("{0},{0}", stack.merchant)),
    ];
    let refused = stack.send(Method::GET, &order, None, &[], None).await;
    let refused = refused.refused(401, "unauthenticated");
    let (books, asked) = (stack.books(), stack.wire.requests().len());
    stack.watch.hide(&good);
    for (what, credential) in &credentials {
        if credential.len() > 20 {
            stack.watch.hide(credential);
        }
        let answer = stack.get(credential, &order).await;
        assert_eq!((answer.status, &answer.body), (401, &refused), "{what}");
    }
    // The other routes: without any, and with one of them.
    for route in &routes(&number, &refund) {
        for credential in [None, Some(credentials[3].1.as_str())] {
            let answer = ask(&stack, route, credential, &[]).await;
            assert_eq!((answer.status, &answer.body), (401, &refused), "{route:?}");
        }
    }
    let place = json!({"trade_type": "native", "items": [{"sku": "tea", "quantity": 1}]});
    for credential in [None, Some(credentials[3].1.as_str())] {
        for (method, body) in [(Method::GET, None), (Method::POST, Some(place.clone()))] {
            let headers = [("idempotency-key", "key-0000000000009")];
            let answer = stack
                .send(method, "/orders", credential, &headers, body)
                .await;
            assert_eq!((answer.status, &answer.body), (401, &refused));
        }
    }
    // Good ones where they do not belong, or twice.
    let (bearer, merchants) = (
        format!("Bearer {good}"),
        format!("Bearer {}", stack.merchant),
    );
    for headers in [
        &[
            ("authorization", bearer.as_str()),
            ("authorization", bearer.as_str()),
        ][..],
        &[("authorization", &bearer), ("authorization", &merchants)],
        &[("authorization", "Bearer x"), ("authorization", &bearer)],
        &[("authorization", &good)],
        &[("authorization", &format!("Basic {good}"))],
        &[("authorization", &format!("bearer\t{good}"))],
        &[("authorization", &format!("bearers {good}"))],
        &[("x-authorization", &bearer)],
        &[("proxy-authorization", &bearer)],
        &[("cookie", &format!("token={good}"))],
        &[("x-api-key", &stack.merchant)],
        &[("x-amzn-oidc-data", &good)],
    ] {
        let answer = stack.send(Method::GET, &order, None, headers, None).await;
        assert_eq!(
            (answer.status, &answer.body),
            (401, &refused),
            "{headers:?}"
        );
    }
    let in_query = format!("{order}?access_token={good}");
    let answer = stack.send(Method::GET, &in_query, None, &[], None).await;
    assert_eq!((answer.status, &answer.body), (401, &refused));
    assert_eq!((stack.books(), stack.wire.requests().len()), (books, asked));
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case() {
    let stack = TestStack::start().await;
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "bearer "] {
        let authorization = format!("{scheme} {}", stack.merchant);
        let headers = [("authorization", authorization.as_str())];
        let order = "/orders/nobody-0001";
        let missing = stack.send(Method::GET, order, None, &headers, None).await;
        missing.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_key_that_is_on_its_way_in_or_out_is_accepted() {
    let stack = TestStack::start().await;
    let mint = Mint::of(&stack);
    let mut api = stack.secret("ApiSecret");
    let new: [u8; 32] = std::array::from_fn(|index| u8::try_from(index).unwrap());
    let old = mint.with(|_| {});
    let fresh = mint.token(&header("HS256"), &mint.claims(), &new, hmac::HMAC_SHA256);
    let second = "another-key-of-the-back-office";
    let hash: String = Sha256::digest(second.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    api["also_accepted_token_keys"] = json!([api["token_key"]]);
    api["token_key"] = {
        use base64::Engine;
        Value::from(base64::engine::general_purpose::STANDARD.encode(new))
    };
    api["merchant_key_hashes"]
        .as_array_mut()
        .unwrap()
        .push(json!(hash));
    stack.put_secret("ApiSecret", &api.to_string());
    for credential in [&old, &fresh] {
        stack.get(credential, "/orders").await.expect(200);
    }
    for credential in [second, stack.merchant.as_str()] {
        let missing = stack.get(credential, "/orders/nobody-0001").await;
        missing.refused(404, "not_found");
    }
}
