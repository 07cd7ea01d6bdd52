//! Credentials of callers.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use shared::api::{Caller, Callers};
use shared::clock::Clock;
use shared::config::secrets::{ApiKeys, Content};
use shared::config::{Environment, Vars};
use shared::process::Process;
use shared::telemetry::Log;

const AUDIENCE: &str = "this-stack";

/// The key that genuine tokens are made with.
const TOKEN_KEY: &str = "Zm9yIHRoZSBmdXp6ZXIncyBvd24gdG9rZW5zLCAzMi4=";

/// One that no token was ever made with.
const UNUSED_TOKEN_KEY: &str = "bm8gdG9rZW4gd2FzIGV2ZXIgbWFkZSB3aXRoIHRoaXM=";

fn keys(token_key: &str) -> ApiKeys {
    let text = json!({
        "token_key": token_key,
        "merchant_key_hashes": ["5a0c9e31b7d24f8896aa1c3e5d7f90b2c4e6f8a1133557799bbddff00224466a"],
        "number_key": "b25lIG51bWJlciBrZXkgb2YgdGhpcnR5LXR3byBieXQ=",
    });
    ApiKeys::parse(&text.to_string()).unwrap()
}

static CALLERS: LazyLock<Callers> = LazyLock::new(|| {
    let variables = [
        ("TOKEN_AUDIENCE", AUDIENCE),
        (
            "API_SECRET_ARN",
            "arn:aws:secretsmanager:local:000000000000:secret:api",
        ),
        ("AWS_REGION", "local"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let process = Process::with(Clock::system(), Log::stdout()).unwrap();
    let vars = Vars::from_map(BTreeMap::from(variables));
    Callers::from_environment(&mut Environment::new(&vars, &process))
});

static KEYS: LazyLock<[ApiKeys; 2]> = LazyLock::new(|| [keys(TOKEN_KEY), keys(UNUSED_TOKEN_KEY)]);

/// A credential as it came; and the same bytes as the header and the claims, parted by a line feed, of a
/// token that is signed with the right key.
pub fn token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let [known, unused] = &*KEYS;
    assert!(
        CALLERS.recognise(&text, unused).is_none(),
        "a forged credential is believed"
    );
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let header = parts.next().unwrap_or_default();
    let claims = parts.next().unwrap_or_default();
    let encoded = [header, claims]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .join(".");
    for (place, key) in [TOKEN_KEY, UNUSED_TOKEN_KEY].into_iter().enumerate() {
        let key = base64::engine::general_purpose::STANDARD
            .decode(key)
            .unwrap();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), encoded.as_bytes());
        let token = format!("{encoded}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
        let Some(caller) = CALLERS.recognise(&token, known) else {
            continue;
        };
        assert_eq!(place, 0, "a token of another key is believed");
        let Caller::Payer { openid } = caller else {
            panic!("a token is believed to be the merchant's key");
        };
        // What only a strict reader takes is not for the lax one to judge.
        let lax = |part| serde_json::from_slice::<Value>(part);
        let (Ok(header), Ok(claims)) = (lax(header), lax(claims)) else {
            continue;
        };
        assert_eq!(header["alg"], "HS256");
        assert_eq!(claims["sub"], openid.as_str());
        let audiences = match &claims["aud"] {
            Value::Array(all) => all.clone(),
            one => vec![one.clone()],
        };
        assert!(
            audiences.contains(&json!(AUDIENCE)),
            "of another stack: {claims}"
        );
        let now = Clock::system().wall().unix_seconds();
        assert!(claims["exp"].as_i64().unwrap() > now, "over: {claims}");
    }
}
