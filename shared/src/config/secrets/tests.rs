//! A secret over its life: read, rotated well and badly, with a server in Secrets Manager's place.

#![expect(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::collections::BTreeMap;
use std::sync::Mutex as Shared;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::clock::Clock;
use crate::config::Vars;
use crate::process::Process;
use crate::telemetry::Log;
use crate::wechatpay::Apiv3Keys;

/// What the server answers, as a status and a body.
type Answer = Arc<Shared<(u16, Value)>>;

async fn serve(listener: TcpListener, answer: Answer) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(converse(BufReader::new(stream), Arc::clone(&answer)));
    }
}

async fn converse(mut stream: BufReader<TcpStream>, answer: Answer) {
    let mut length = 0;
    let mut line = String::new();
    while let Ok(1..) = stream.read_line(&mut line).await {
        if let Some(bytes) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = bytes.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            stream.read_exact(&mut vec![0; length]).await.unwrap();
            let (status, body) = answer.lock().unwrap().clone();
            let body = body.to_string();
            let told = format!(
                "HTTP/1.1 {status} So\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n{body}",
                body.len(),
            );
            stream.write_all(told.as_bytes()).await.unwrap();
        }
        line.clear();
    }
}

struct Watched {
    secret: Secret<AppSecret>,
    answer: Answer,
    lines: Arc<Shared<Vec<String>>>,
}

impl Watched {
    /// An app secret that was read once.
    async fn read() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let vars = [
            ("AWS_REGION", "local".to_owned()),
            ("AWS_ACCESS_KEY_ID", "a-key".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "a-secret".to_owned()),
            (
                "AWS_ENDPOINT_URL",
                format!("http://{}", listener.local_addr().unwrap()),
            ),
            ("APP_SECRET_ARN", "the-app-secret".to_owned()),
        ];
        let vars = vars.map(|(name, value)| (name.to_owned(), value));
        let lines = Arc::<Shared<Vec<String>>>::default();
        let written = Arc::clone(&lines);
        let log = Log::to(Arc::new(move |line| {
            written.lock().unwrap().push(line.to_owned());
        }));
        let process = Process::with(Clock::system(), log).unwrap();
        let vars = Vars::from_map(BTreeMap::from(vars));
        let mut reader = Environment::new(&vars, &process);
        let watched = Self {
            secret: {
                let mut secret = Secret::from_environment(&mut reader, "APP_SECRET_ARN");
                // A busy machine is not a slow Secrets Manager.
                secret.fresh.refresh_wait = Duration::from_secs(20);
                secret
            },
            answer: Answer::default(),
            lines,
        };
        reader.finish().unwrap();
        tokio::spawn(serve(listener, Arc::clone(&watched.answer)));
        watched.put("TheFirstSecretOfAllWhichIs32Long");
        assert_eq!(watched.used().await, "TheFirstSecretOfAllWhichIs32Long");
        watched
    }

    fn put(&self, app_secret: &str) {
        let text = json!({"appid": "wx01", "app_secret": app_secret});
        *self.answer.lock().unwrap() = (200, json!({"SecretString": text.to_string()}));
    }

    async fn used(&self) -> String {
        self.secret.get().await.unwrap().secret().to_owned()
    }

    /// Lets the reading, and the last try to read, be this much older.
    async fn age(&self, seconds: i64) {
        let mut reading = self.secret.fresh.reading.lock().await;
        if let Some((_, at)) = &mut reading.content {
            *at = at.minus_seconds(seconds);
        }
        if let Some((at, _)) = &mut reading.tried {
            *at = at.minus_seconds(seconds);
        }
    }

    /// The lines written since the last look.
    fn told(&self) -> Vec<Value> {
        let lines = std::mem::take(&mut *self.lines.lock().unwrap());
        let read = |line: &String| serde_json::from_str(line).unwrap();
        lines.iter().map(read).collect()
    }
}

#[tokio::test]
async fn a_refresh_that_fails_is_told_once_per_try_while_the_old_reading_serves() {
    let watched = Watched::read().await;
    watched.put("CANARY");
    assert_eq!(watched.used().await, "TheFirstSecretOfAllWhichIs32Long");
    assert_eq!(watched.told(), Vec::<Value>::new(), "nobody looked yet");

    watched.age(FRESH_SECONDS).await;
    // However many requests there are until the next try, it is one line.
    for _ in 0..3 {
        assert_eq!(watched.used().await, "TheFirstSecretOfAllWhichIs32Long");
    }
    let told = watched.told();
    let [line] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(
        (&line["level"], &line["not_configured"], &line["message"]),
        (&json!("WARN"), &Value::Null, &json!("not refreshed"))
    );
    let problems = line["problems"].to_string();
    assert!(problems.contains("the app secret"), "{problems}");
    assert!(problems.contains("app_secret is not 32"), "{problems}");
    assert!(!line.to_string().contains("CANARY"), "{line}");

    // While it stays broken, each further try tells it again, and in time a person.
    watched.age(FRESH_SECONDS).await;
    let denied = json!({"__type": "AccessDeniedException", "message": "CANARY"});
    *watched.answer.lock().unwrap() = (400, denied);
    assert_eq!(watched.used().await, "TheFirstSecretOfAllWhichIs32Long");
    let told = watched.told();
    assert_eq!(told[0]["not_configured"], 1);
    let told = Value::from(told).to_string();
    assert!(told.contains("AccessDeniedException"), "{told}");
    assert!(!told.contains("CANARY"), "{told}");
}

#[tokio::test]
async fn a_refresh_that_succeeds_is_not_told() {
    let watched = Watched::read().await;
    watched.put("TheSecondSecretOfAllThatIs32Long");
    watched.age(FRESH_SECONDS).await;
    assert_eq!(watched.used().await, "TheSecondSecretOfAllThatIs32Long");
    assert_eq!(watched.told(), Vec::<Value>::new());
}

/// What is said of an `api` secret in which one member was replaced; nothing where it is accepted.
fn said_of_api(member: &str, value: Value) -> String {
    let mut text = json!({
        "token_key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "number_key": "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
        "merchant_key_hashes": [
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        ],
    });
    text[member] = value;
    let said = ApiKeys::parse(&text.to_string()).err().unwrap_or_default();
    let secret = text["number_key"].as_str().unwrap();
    assert!(secret.is_empty() || !said.contains(secret), "{said}");
    said
}

#[test]
fn keys_that_cannot_be_meant_are_refused_with_the_reason() {
    let token = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let of_a_line_feed = "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b";
    let of_a_blank = "36a9e7f1c95b82ffb99743e0c5c4ce95d83c9a430aac59f84ef3cbfab6145068";
    let of_null = "38e0b9de817f645c4bec37c0d4a3e58baecccb040f5718dc069a72c7385a0bed";
    assert_eq!(said_of_api("merchant_key_hashes", json!([hash])), "");
    assert_eq!(said_of_api("merchant_key_hashes", json!([])), "");
    assert_eq!(said_of_api("also_accepted_token_keys", json!([])), "");
    for (member, value, reason) in [
        (
            "merchant_key_hashes",
            json!([of_nothing]),
            "of an empty key",
        ),
        (
            "merchant_key_hashes",
            json!([hash, of_nothing]),
            "of an empty key",
        ),
        (
            "merchant_key_hashes",
            json!([of_nothing.to_uppercase()]),
            "of an empty key",
        ),
        (
            "merchant_key_hashes",
            json!([of_a_line_feed]),
            "of an empty key",
        ),
        (
            "merchant_key_hashes",
            json!([of_a_blank]),
            "of an empty key",
        ),
        ("merchant_key_hashes", json!([of_null]), "of an empty key"),
        (
            "merchant_key_hashes",
            json!(["0".repeat(64)]),
            "is one byte 32 times",
        ),
        ("merchant_key_hashes", json!([""]), "not SHA-256 in hex"),
        (
            "merchant_key_hashes",
            json!([hash, hash]),
            "a merchant key hash is given twice",
        ),
        (
            "merchant_key_hashes",
            json!([hash, hash.to_uppercase()]),
            "is given twice",
        ),
        (
            "also_accepted_token_keys",
            json!([token]),
            "a token key is given twice",
        ),
        ("number_key", json!(token), "number_key is a token key, too"),
        (
            "number_key",
            json!(""),
            "number_key has 0 bytes; it must have 32",
        ),
        (
            "number_key",
            json!("ICEiIyQlJicoKSorLC0uLw=="),
            "number_key has 16 bytes",
        ),
        ("number_key", json!(hash), "number_key has 48 bytes"),
        ("number_key", json!("CANARY!"), "number_key is not base64"),
        (
            "number_key",
            json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            "number_key is one byte 32 times",
        ),
        ("token_key", json!(""), "token_key has 0 bytes"),
    ] {
        let said = said_of_api(member, value.clone());
        assert!(said.contains(reason), "{member} {value}: {said:?}");
    }
}

#[test]
fn apiv3_keys_that_cannot_be_meant_are_refused_with_the_reason() {
    let key = "0123456789abcdef0123456789ABCDEF";
    let said = |text: Value| {
        <Apiv3Keys as Content>::parse(&text.to_string())
            .err()
            .unwrap_or_default()
    };
    assert_eq!(said(json!({"apiv3_key": key})), "");
    let twice = said(json!({"apiv3_key": key, "also_accepted": [key]}));
    assert_eq!(twice, "an APIv3 key is given twice");
    let empty = said(json!({"apiv3_key": ""}));
    assert_eq!(empty, "an APIv3 key has 0 bytes; it must have 32");
    let short = said(json!({"apiv3_key": "", "also_accepted": [""]}));
    assert_eq!(short, "an APIv3 key has 0 bytes; it must have 32");
    for nobodys in ["0".repeat(32), " ".repeat(32), format!("{} ", &key[1..])] {
        let reason = "an APIv3 key is not 32 letters and digits, not all the same";
        assert_eq!(said(json!({"apiv3_key": nobodys})), reason);
        let beside = json!({"apiv3_key": key, "also_accepted": [nobodys]});
        assert_eq!(said(beside), reason);
    }
}

#[test]
fn an_app_secret_that_cannot_be_meant_is_refused_with_the_reason() {
    let secret = "c0ffee00c0ffee00c0ffee00c0ffee00";
    let said = |secret: &str| {
        let text = json!({"appid": "wx01", "app_secret": secret}).to_string();
        AppSecret::parse(&text).err().unwrap_or_default()
    };
    assert_eq!(said(secret), "");
    for nobodys in [
        "",
        "your-app-secret-here \n",
        "your-app-secret-goes-in-here-now",
        &secret[1..],
        &format!("{secret}0"),
        &format!("{secret}\n"),
        &"x".repeat(32),
    ] {
        let reason = "app_secret is not 32 letters and digits, not all the same";
        assert_eq!(said(nobodys), reason, "{nobodys:?}");
    }
}
