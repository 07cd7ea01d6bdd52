//! What can be told without asking anybody: each mistake alone, in a set-up that is sound otherwise.

use super::fixture::{assert_finding, looked_at, made, names, report};
use crate::doctor::{Name, Subject, Verdict};

/// A mistake, the checks that fail for it, and words of the first one's evidence.
struct Mistake {
    what: &'static str,
    plant: fn(&mut Subject),
    fails: &'static [Name],
    evidence: &'static str,
}

#[tokio::test]
async fn a_sound_set_up_has_nothing_to_mend() {
    let report = looked_at(&made().sound).await;
    assert_eq!(names(&report, Verdict::Fail), []);
    let fine = names(&report, Verdict::Ok);
    let expected = [
        Name::Files,
        Name::Mchid,
        Name::PrivateKey,
        Name::Certificate,
        Name::KeyPair,
        Name::SerialNo,
        Name::PublicKey,
        Name::PublicKeyId,
        Name::Apiv3Key,
        Name::Appid,
        Name::AppSecret,
        Name::NotifyUrl,
    ];
    assert_eq!(fine, expected);
    assert!(report.is_ok());
}

#[tokio::test]
async fn every_check_is_told_once_and_in_order() {
    let report = looked_at(&Subject::default()).await;
    let told: Vec<Name> = report
        .findings()
        .iter()
        .map(|finding| finding.name)
        .collect();
    assert_eq!(told, Name::ALL);
    assert_eq!(names(&report, Verdict::Skipped), Name::ALL);
}

#[tokio::test]
async fn each_mistake_is_named() {
    for mistake in MISTAKES {
        let mut subject = made().sound.clone();
        (mistake.plant)(&mut subject);
        let report = looked_at(&subject).await;
        assert_eq!(
            names(&report, Verdict::Fail),
            mistake.fails,
            "{}",
            mistake.what
        );
        let Some(first) = mistake.fails.first() else {
            panic!("{} fails nothing", mistake.what)
        };
        assert_finding(&report, *first, Verdict::Fail, mistake.evidence, ".");
    }
}

#[tokio::test]
async fn a_key_of_hexadecimal_digits_may_be_an_apiv2_key() {
    let mut subject = made().sound.clone();
    subject.apiv3_key = Some("0123456789abcdef0123456789abcdef".to_owned());
    let report = looked_at(&subject).await;
    assert_finding(
        &report,
        Name::Apiv3Key,
        Verdict::Skipped,
        "APIv2",
        "APIv3密钥",
    );
}

#[tokio::test]
async fn a_certificate_that_has_ended_or_soon_will_is_told() {
    let sound = &made().sound;
    let days = |days: i64| days * 86_400;
    let expired = report(sound, days(1_900), false).await;
    let certificate = Name::Certificate;
    assert_finding(
        &expired,
        certificate,
        Verdict::Fail,
        "expired",
        "Apply for a new",
    );
    let soon = report(sound, days(1_800), false).await;
    assert_finding(&soon, certificate, Verdict::Ok, "it ends soon", "");
    let early = report(sound, -days(1), false).await;
    assert_finding(&early, certificate, Verdict::Fail, "not valid yet", "clock");
}

#[tokio::test]
async fn the_rule_about_virtual_goods_is_always_told() {
    let report = looked_at(&made().sound).await;
    let name = Name::VirtualGoods;
    assert_finding(
        &report,
        name,
        Verdict::Skipped,
        "requestVirtualPayment",
        "physical",
    );
}

/// A byte order mark before a text.
fn marked(text: &Option<String>) -> Option<String> {
    text.as_ref().map(|text| format!("\u{feff}{text}"))
}

fn replaced(text: &Option<String>, from: &str, to: &str) -> Option<String> {
    text.as_ref().map(|text| text.replace(from, to))
}

fn is(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The public half of the merchant's own key, as `openssl pkey -pubout` writes it.
fn own_public_key() -> String {
    use rsa::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _, LineEnding};
    let own = made().sound.private_key.as_deref().unwrap();
    let own = rsa::PrivateKey::from_pkcs8_pem(own.trim()).unwrap();
    own.to_public_key()
        .to_public_key_pem(LineEnding::LF)
        .unwrap()
}

const MISTAKES: &[Mistake] = &[
    Mistake {
        what: "the certificate in place of the key",
        plant: |subject| subject.private_key = subject.certificate.clone(),
        fails: &[Name::PrivateKey],
        evidence: "holds a certificate",
    },
    Mistake {
        what: "the public key in place of the key",
        plant: |subject| subject.private_key = subject.public_key.clone(),
        fails: &[Name::PrivateKey],
        evidence: "holds a public key",
    },
    Mistake {
        what: "a certificate request in place of the key",
        plant: |subject| {
            subject.private_key =
                replaced(&subject.private_key, "PRIVATE KEY", "CERTIFICATE REQUEST");
        },
        fails: &[Name::PrivateKey],
        evidence: "request",
    },
    Mistake {
        what: "a key behind a password",
        plant: |subject| {
            subject.private_key =
                replaced(&subject.private_key, "PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        },
        fails: &[Name::PrivateKey],
        evidence: "password",
    },
    Mistake {
        what: "a key of another kind",
        plant: |subject| {
            subject.private_key = replaced(&subject.private_key, "PRIVATE KEY", "EC PRIVATE KEY");
        },
        fails: &[Name::PrivateKey],
        evidence: "not an RSA key",
    },
    Mistake {
        what: "a word in place of the key",
        plant: |subject| subject.private_key = is("apiclient_key.pem"),
        fails: &[Name::PrivateKey],
        evidence: "not PEM",
    },
    Mistake {
        what: "a key that was cut off",
        plant: |subject| {
            let key = subject.private_key.clone().unwrap();
            let lines: Vec<&str> = key.lines().collect();
            let kept = [&lines[..10], &lines[lines.len() - 1..]].concat();
            subject.private_key = Some(kept.join("\n"));
        },
        fails: &[Name::PrivateKey],
        evidence: "cut off",
    },
    Mistake {
        what: "another key than the certificate's",
        plant: |subject| subject.private_key = made().other.private_key.clone(),
        fails: &[Name::KeyPair],
        evidence: "not the certificate's",
    },
    Mistake {
        what: "the key in place of the certificate",
        plant: |subject| subject.certificate = subject.private_key.clone(),
        fails: &[Name::Certificate],
        evidence: "holds a private key",
    },
    Mistake {
        what: "a request in place of the certificate",
        plant: |subject| {
            subject.certificate =
                replaced(&subject.certificate, "CERTIFICATE", "CERTIFICATE REQUEST");
        },
        fails: &[Name::Certificate],
        evidence: "request",
    },
    Mistake {
        what: "WeChat Pay's certificate in place of the merchant's",
        plant: |subject| subject.certificate = Some(made().platform_certificate.clone()),
        fails: &[Name::Certificate, Name::KeyPair, Name::SerialNo],
        evidence: "platform certificate",
    },
    Mistake {
        what: "another merchant's certificate",
        plant: |subject| subject.certificate = made().other.certificate.clone(),
        fails: &[Name::Mchid, Name::KeyPair, Name::SerialNo],
        evidence: "is of merchant 1900000222",
    },
    Mistake {
        what: "the serial number of another certificate",
        plant: |subject| subject.serial_no = made().other.serial_no.clone(),
        fails: &[Name::SerialNo],
        evidence: "of another certificate",
    },
    Mistake {
        what: "the public key's id in place of the serial number",
        plant: |subject| subject.serial_no = subject.public_key_id.clone(),
        fails: &[Name::SerialNo],
        evidence: "id of WeChat Pay's public key",
    },
    Mistake {
        what: "the serial number as openssl prints it",
        plant: |subject| {
            subject.serial_no = subject
                .serial_no
                .as_ref()
                .map(|serial| format!("serial={serial}"));
        },
        fails: &[Name::SerialNo],
        evidence: "47 characters",
    },
    Mistake {
        what: "the appid in place of the merchant number",
        plant: |subject| subject.mchid = subject.appid.clone(),
        fails: &[Name::Mchid],
        evidence: "that is an appid",
    },
    Mistake {
        what: "a merchant number with a letter",
        plant: |subject| subject.mchid = is("19000O0109"),
        fails: &[Name::Mchid],
        evidence: "8 to 10 digits",
    },
    Mistake {
        what: "another merchant's number",
        plant: |subject| subject.mchid = is("1900000222"),
        fails: &[Name::Mchid, Name::PublicKeyId],
        evidence: "the certificate is of merchant",
    },
    Mistake {
        what: "the certificate in place of WeChat Pay's public key",
        plant: |subject| subject.public_key = Some(made().platform_certificate.clone()),
        fails: &[Name::PublicKey],
        evidence: "holds a certificate",
    },
    Mistake {
        what: "a private key in place of WeChat Pay's public key",
        plant: |subject| subject.public_key = made().other.private_key.clone(),
        fails: &[Name::PublicKey],
        evidence: "holds a private key",
    },
    Mistake {
        what: "WeChat Pay's public key in another wrapping",
        plant: |subject| {
            subject.public_key = replaced(&subject.public_key, "PUBLIC KEY", "RSA PUBLIC KEY");
        },
        fails: &[Name::PublicKey],
        evidence: "PKCS#1",
    },
    Mistake {
        what: "the merchant's own public key",
        plant: |subject| subject.public_key = Some(own_public_key()),
        fails: &[Name::PublicKey],
        evidence: "your own private key",
    },
    Mistake {
        what: "another merchant's public key id",
        plant: |subject| subject.public_key_id = made().other.public_key_id.clone(),
        fails: &[Name::PublicKeyId],
        evidence: "names merchant 1900000222",
    },
    Mistake {
        what: "a public key id without its beginning",
        plant: |subject| {
            subject.public_key_id = replaced(&subject.public_key_id, "PUB_KEY_ID_", "");
        },
        fails: &[Name::PublicKeyId],
        evidence: "not PUB_KEY_ID_",
    },
    Mistake {
        what: "the certificate's serial number in place of the public key id",
        plant: |subject| subject.public_key_id = subject.serial_no.clone(),
        fails: &[Name::PublicKeyId],
        evidence: "your own certificate's",
    },
    Mistake {
        what: "an APIv3 key of 31 bytes",
        plant: |subject| subject.apiv3_key = is("CANARYapiv3key0CANARYapiv3key01"),
        fails: &[Name::Apiv3Key],
        evidence: "it has 31 bytes; it must have 32",
    },
    Mistake {
        what: "an APIv3 key of 33 bytes",
        plant: |subject| subject.apiv3_key = is("CANARYapiv3key0CANARYapiv3key0123"),
        fails: &[Name::Apiv3Key],
        evidence: "it has 33 bytes; it must have 32",
    },
    Mistake {
        what: "an APIv3 key with a line feed",
        plant: |subject| subject.apiv3_key = is("CANARYapiv3key0CANARYapiv3key012\n"),
        fails: &[Name::Apiv3Key],
        evidence: "33 bytes: 32, and blanks or a line feed",
    },
    Mistake {
        what: "an APIv3 key with a byte order mark",
        plant: |subject| subject.apiv3_key = is("\u{feff}CANARYapiv3key0CANARYapiv3key012"),
        fails: &[Name::Apiv3Key],
        evidence: "byte order mark",
    },
    Mistake {
        what: "an APIv3 key in quotation marks",
        plant: |subject| subject.apiv3_key = is("\"CANARYapiv3key0CANARYapiv3key012\""),
        fails: &[Name::Apiv3Key],
        evidence: "quotation marks",
    },
    Mistake {
        what: "an APIv3 key with a hyphen",
        plant: |subject| subject.apiv3_key = is("CANARY-piv3key0CANARYapiv3key012"),
        fails: &[Name::Apiv3Key],
        evidence: "other characters",
    },
    Mistake {
        what: "a placeholder for the APIv3 key",
        plant: |subject| subject.apiv3_key = is("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        fails: &[Name::Apiv3Key],
        evidence: "placeholder",
    },
    Mistake {
        what: "the private key in place of the APIv3 key",
        plant: |subject| subject.apiv3_key = subject.private_key.clone(),
        fails: &[Name::Apiv3Key],
        evidence: "PEM",
    },
    Mistake {
        what: "the AppSecret in place of the APIv3 key",
        plant: |subject| subject.apiv3_key = subject.app_secret.clone(),
        fails: &[Name::Apiv3Key],
        evidence: "AppSecret",
    },
    Mistake {
        what: "the original id in place of the appid",
        plant: |subject| subject.appid = is("gh_0123456789ab"),
        fails: &[Name::Appid],
        evidence: "original id",
    },
    Mistake {
        what: "the merchant number in place of the appid",
        plant: |subject| subject.appid = subject.mchid.clone(),
        fails: &[Name::Appid],
        evidence: "merchant number",
    },
    Mistake {
        what: "an appid in capitals",
        plant: |subject| subject.appid = is("WXD678EFH567HG6787"),
        fails: &[Name::Appid],
        evidence: "lower-case",
    },
    Mistake {
        what: "an AppSecret that was cut off",
        plant: |subject| subject.app_secret = is("0123456789abcdef"),
        fails: &[Name::AppSecret],
        evidence: "it has 16 bytes",
    },
    Mistake {
        what: "the AppSecret of another app",
        plant: |subject| subject.appid_of_secret = is("wx0123456789abcdef"),
        fails: &[Name::AppSecret],
        evidence: "it is of wx0123456789abcdef",
    },
    Mistake {
        what: "a notify_url without TLS",
        plant: |subject| subject.notify_url = is("http://pay.example.com/wechatpay/notify"),
        fails: &[Name::NotifyUrl],
        evidence: "not https",
    },
    Mistake {
        what: "a notify_url with a query",
        plant: |subject| subject.notify_url = is("https://pay.example.com/notify?key=CANARYquery"),
        fails: &[Name::NotifyUrl],
        evidence: "has a query",
    },
    Mistake {
        what: "a notify_url with an empty query",
        plant: |subject| subject.notify_url = is("https://pay.example.com/notify?"),
        fails: &[Name::NotifyUrl],
        evidence: "has a query",
    },
    Mistake {
        what: "a notify_url with a fragment",
        plant: |subject| subject.notify_url = is("https://pay.example.com/#/notify"),
        fails: &[Name::NotifyUrl],
        evidence: "fragment",
    },
    Mistake {
        what: "a notify_url of this machine",
        plant: |subject| subject.notify_url = is("https://localhost/notify"),
        fails: &[Name::NotifyUrl],
        evidence: "from outside",
    },
    Mistake {
        what: "a notify_url of a private network",
        plant: |subject| subject.notify_url = is("https://192.168.1.20/notify"),
        fails: &[Name::NotifyUrl],
        evidence: "from outside",
    },
    Mistake {
        what: "a notify_url of a private network of the newer kind",
        plant: |subject| subject.notify_url = is("https://[fd00::1]/notify"),
        fails: &[Name::NotifyUrl],
        evidence: "from outside",
    },
    Mistake {
        what: "a notify_url without a path",
        plant: |subject| subject.notify_url = is("https://pay.example.com"),
        fails: &[Name::NotifyUrl],
        evidence: "no path",
    },
    Mistake {
        what: "a notify_url with a password",
        plant: |subject| {
            subject.notify_url = is("https://me:CANARYpassword@pay.example.com/notify");
        },
        fails: &[Name::NotifyUrl],
        evidence: "password",
    },
    Mistake {
        what: "a notify_url with a line feed",
        plant: |subject| subject.notify_url = is("https://pay.example.com/notify\n"),
        fails: &[Name::NotifyUrl],
        evidence: "line feed",
    },
    Mistake {
        what: "a notify_url without a host",
        plant: |subject| subject.notify_url = is("/wechatpay/notify"),
        fails: &[Name::NotifyUrl],
        evidence: "absolute",
    },
    Mistake {
        what: "Windows line ends",
        plant: |subject| subject.private_key = replaced(&subject.private_key, "\n", "\r\n"),
        fails: &[Name::Files],
        evidence: "apiclient_key.pem has Windows line ends",
    },
    Mistake {
        what: "a byte order mark",
        plant: |subject| subject.certificate = marked(&subject.certificate),
        fails: &[Name::Files],
        evidence: "apiclient_cert.pem begins with a byte order mark",
    },
    Mistake {
        what: "line feeds in two characters",
        plant: |subject| subject.public_key = replaced(&subject.public_key, "\n", "\\n"),
        fails: &[Name::Files],
        evidence: "pub_key.pem has \\n",
    },
    Mistake {
        what: "a key in one line",
        plant: |subject| subject.private_key = replaced(&subject.private_key, "\n", " "),
        fails: &[Name::Files, Name::PrivateKey],
        evidence: "one line",
    },
    Mistake {
        what: "a file in UTF-16",
        plant: |subject| subject.public_key = is("\u{fffd}\u{fffd}-\0-\0-\0"),
        fails: &[Name::Files, Name::PublicKey],
        evidence: "not UTF-8",
    },
];
