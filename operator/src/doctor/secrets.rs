//! The secrets that are words rather than keys: the APIv3 key, the AppSecret, and the appid beside it;
//! and whether each secret of a stack is of its shape.

use shared::config::secrets::{
    ApiKeys, AppSecret, Content, OptionalPlatformKeys, PlatformKeysSecret, SigningSecret,
};
use shared::wechatpay::Apiv3Keys;

use super::check::{Finding, Name};
use super::pem::Block;
use super::subject::{Secrets, Subject};
use super::text::{Said, Text};
use super::texts;

/// How long an APIv3 key and an AppSecret are, in bytes.
const LENGTH: usize = 32;

/// The APIv3 key's shape. `opened` says whether it opened what WeChat Pay sealed, where that was tried.
pub(super) fn apiv3_key(subject: &Subject, opened: Option<bool>) -> Finding {
    let name = Name::Apiv3Key;
    let Some(key) = &subject.apiv3_key else {
        return Finding::skipped(name, texts::NOT_GIVEN, texts::GIVE_APIV3);
    };
    if let Some(fault) = word_fault(key) {
        return Finding::fail(name, fault, texts::FIX_APIV3);
    }
    if subject.app_secret.as_ref() == Some(key) {
        return Finding::fail(name, texts::APIV3_IS_APP_SECRET, texts::FIX_APIV3);
    }
    let hexadecimal = key.bytes().all(|byte| byte.is_ascii_hexdigit());
    match opened {
        Some(true) => Finding::ok(name, texts::APIV3_OPENS),
        // The other check says what to do; the shape alone is right.
        Some(false) => Finding::ok(name, texts::APIV3_SHAPED),
        None if hexadecimal => Finding::skipped(name, texts::APIV3_MAY_BE_V2, texts::FIX_MAY_BE_V2),
        None => Finding::ok(name, texts::APIV3_SHAPED),
    }
}

/// The appid's shape.
pub(super) fn appid(subject: &Subject) -> Finding {
    let name = Name::Appid;
    let Some(appid) = &subject.appid else {
        return Finding::skipped(name, texts::NOT_GIVEN, texts::GIVE_APPID);
    };
    if is_appid(appid) {
        return Finding::ok(name, texts::APPID_SHAPED.with("appid", appid));
    }
    let what = if appid.starts_with("gh_") {
        texts::APPID_IS_ORIGINAL_ID
    } else if super::merchant::is_mchid(appid) {
        texts::APPID_IS_MCHID
    } else {
        texts::APPID_SHAPE
    };
    Finding::fail(name, what, texts::FIX_APPID)
}

/// Whether a text is an appid, which may then be shown.
pub(super) fn is_appid(text: &str) -> bool {
    // WeChat's own examples have letters beyond f, too.
    let fits = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    text.strip_prefix("wx")
        .is_some_and(|rest| rest.len() == 16 && rest.bytes().all(fits))
}

/// The AppSecret's shape, and that it stands beside the appid of the stack.
pub(super) fn app_secret(subject: &Subject) -> Finding {
    let name = Name::AppSecret;
    let Some(secret) = &subject.app_secret else {
        return Finding::skipped(name, texts::NOT_GIVEN, texts::GIVE_APP_SECRET);
    };
    if let Some(fault) = word_fault(secret) {
        return Finding::fail(name, fault, texts::FIX_APP_SECRET);
    }
    match (&subject.appid_of_secret, &subject.appid) {
        (Some(of_secret), Some(appid)) if of_secret != appid => {
            let shown = |text: &str| {
                let shown = is_appid(text).then(|| text.to_owned());
                shown.unwrap_or_else(|| "?".to_owned())
            };
            let other = texts::APP_SECRET_OTHER_APPID.with("of_secret", shown(of_secret));
            let other = other.and("appid", shown(appid));
            Finding::fail(name, other, texts::FIX_APP_SECRET_APPID)
        }
        _ => Finding::ok(name, texts::APP_SECRET_SHAPED),
    }
}

/// What is wrong with a word of 32 letters and digits.
fn word_fault(word: &str) -> Option<Said> {
    let (length, trimmed) = (word.len(), word.trim_matches(is_blank));
    if Block::of(word) != Block::None {
        return Some(texts::WORD_IS_PEM.said());
    }
    if length != LENGTH && trimmed.len() == LENGTH {
        let what = surrounding(word);
        return Some(what.with("length", length));
    }
    if length != LENGTH {
        return Some(texts::WORD_LENGTH.with("length", length));
    }
    if !word.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Some(texts::WORD_LETTERS.said());
    }
    let first = word.bytes().next();
    let repeated = word.bytes().all(|byte| Some(byte) == first);
    repeated.then(|| texts::WORD_PLACEHOLDER.said())
}

fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '\u{feff}' | '"' | '\'')
}

/// What stands around a word of the right length.
fn surrounding(word: &str) -> Text {
    if word.starts_with('\u{feff}') {
        texts::WORD_HAS_BOM
    } else if word.contains(['"', '\'']) {
        texts::WORD_IS_QUOTED
    } else {
        texts::WORD_HAS_BLANKS
    }
}

/// The shape of each secret's text, as the functions read it.
pub(super) fn secrets(secrets: &Secrets, platform_certificates: bool) -> Finding {
    let name = Name::Secrets;
    let of_wechatpay = if platform_certificates {
        problem::<OptionalPlatformKeys>
    } else {
        problem::<PlatformKeysSecret>
    };
    let read = [
        (
            "signing",
            &secrets.signing,
            problem::<SigningSecret> as fn(&str) -> Option<String>,
        ),
        ("wechatpay", &secrets.wechatpay, of_wechatpay),
        ("apiv3", &secrets.apiv3, problem::<Apiv3Keys>),
        ("app", &secrets.app, problem::<AppSecret>),
        ("api", &secrets.api, problem::<ApiKeys>),
    ];
    let mut evidence = Vec::new();
    let mut usable = Vec::new();
    for (secret, text, problem) in read {
        let Some(text) = text else { continue };
        match problem(text) {
            Some(problem) => evidence.push(
                texts::SECRET_UNUSABLE
                    .with("secret", secret)
                    .and("problem", problem),
            ),
            None => usable.push(secret),
        }
    }
    if evidence.is_empty() && usable.is_empty() {
        return Finding::skipped(name, texts::NO_SECRETS, texts::GIVE_STACK);
    }
    Finding::failures(name, evidence, texts::FIX_SECRET).unwrap_or_else(|| {
        Finding::ok(
            name,
            texts::SECRETS_USABLE.with("secrets", usable.join(", ")),
        )
    })
}

/// What is wrong with a secret's text; none of its content stands in it.
fn problem<C: Content>(text: &str) -> Option<String> {
    C::parse(text).err()
}
