//! A secret in any field that is not its own: whoever mixes them up reads about it and not the secret itself.

use super::fixture::{assert_tells_no_secret, looked_at, made};
use crate::doctor::{Language, Secrets, Subject};

type Field = (&'static str, fn(&mut Subject) -> &mut Option<String>);

const FIELDS: [Field; 13] = [
    ("mchid", |subject| &mut subject.mchid),
    ("appid", |subject| &mut subject.appid),
    ("appid_of_secret", |subject| &mut subject.appid_of_secret),
    ("private_key", |subject| &mut subject.private_key),
    ("certificate", |subject| &mut subject.certificate),
    ("serial_no", |subject| &mut subject.serial_no),
    ("public_key", |subject| &mut subject.public_key),
    ("public_key_id", |subject| &mut subject.public_key_id),
    ("apiv3_key", |subject| &mut subject.apiv3_key),
    ("app_secret", |subject| &mut subject.app_secret),
    ("notify_url", |subject| &mut subject.notify_url),
    ("base_url", |subject| &mut subject.base_url),
    ("wechatpay_url", |subject| &mut subject.wechatpay_url),
];

#[tokio::test]
async fn a_secret_in_a_wrong_field_is_not_told() {
    let canaries = [
        "CANARYapiv3key0CANARYapiv3key012",
        "0123456789abcdef0123456789abcdef",
        "CANARY+base64/CANARY+base64/CANARY+base64/0=",
        "wxCANARYappsecret",
        "PUB_KEY_ID_CANARYsecret",
        "-----BEGIN PRIVATE KEY-----\nCANARYprivatekey\n-----END PRIVATE KEY-----\n",
    ];
    for canary in canaries {
        for (name, field) in FIELDS {
            let mut subject = made().sound.clone();
            *field(&mut subject) = Some(canary.to_owned());
            let report = looked_at(&subject).await;
            assert_tells_no_secret(&report, &subject);
            for language in [Language::En, Language::Zh] {
                let said = report.to_json(language).to_string() + &report.to_text(language);
                let part = canary.trim_start_matches("-----BEGIN PRIVATE KEY-----\n");
                let part = part.lines().next().unwrap_or(part);
                assert!(!said.contains(part), "{name} tells {part}:\n{said}");
            }
        }
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_as_json_is_not_told() {
    let canary = "CANARYjson0000000000000000";
    let shapes = [
        canary.to_owned(),
        format!("\"{canary}\""),
        format!("{{\"{canary}\": 1}}"),
        format!("{{\"apiv3_key\": \"{canary}\", \"app_secret\": [\"{canary}\"]}}"),
        format!("{{\"public_key_id\": \"{canary}\", \"public_key\": \"{canary}\"}}"),
        format!(
            "{{\"token_key\": \"{canary}\", \"number_key\": \"{canary}\", \"merchant_key_hashes\": [\"{canary}\"]}}"
        ),
        format!(
            "{{\"serial_no\": \"{canary}\", \"private_key\": \"{canary}\", \"record_key\": \"{canary}\"}}"
        ),
    ];
    for shape in shapes {
        let secrets = Secrets {
            signing: Some(shape.clone()),
            wechatpay: Some(shape.clone()),
            apiv3: Some(shape.clone()),
            app: Some(shape.clone()),
            api: Some(shape.clone()),
        };
        let report = looked_at(&Subject::default().with_secrets(secrets)).await;
        for language in [Language::En, Language::Zh] {
            let said = report.to_json(language).to_string() + &report.to_text(language);
            assert!(!said.contains("CANARY"), "{shape} is told:\n{said}");
        }
    }
}
