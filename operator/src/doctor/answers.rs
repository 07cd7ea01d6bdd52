//! What WeChat Pay's answers prove: values in, findings out. `ask` brings the answers.

use shared::domain::Timestamp;

use super::check::{Finding, Name};
use super::merchant::is_serial;
use super::platform::is_id;
use super::subject::Subject;
use super::text::{Said, Text};
use super::texts;

/// How far clocks may be apart before WeChat Pay refuses what was signed, in seconds.
const WINDOW_SECONDS: i64 = 300;

/// From how many seconds on a clock is worth mending: a clock that is kept by NTP is within one.
const CLOCK_OFF_SECONDS: i64 = 30;

/// How many characters of WeChat Pay's own words are repeated.
const MESSAGE_MAX: usize = 80;

/// What came of a question.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// An answer, whatever it says.
    Answered(Answer),
    /// None.
    Silent(Silence),
    /// The question was not asked, and this is why.
    Not(Text),
}

impl Asked {
    pub(super) const fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answered(answer) => Some(answer),
            Self::Silent(_) | Self::Not(_) => None,
        }
    }
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// No connection could be made: the name, the port, a firewall, or TLS.
    Unreachable,
    /// It did not come in time.
    Timeout,
    /// It broke off, or was too large.
    Broken,
}

impl Silence {
    pub(super) const fn told(self) -> Text {
        match self {
            Self::Unreachable => texts::UNREACHABLE,
            Self::Timeout => texts::TIMED_OUT,
            Self::Broken => texts::BROKEN,
        }
    }
}

/// An answer over HTTP.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// WeChat Pay's code; for the mini-program platform its `errcode`.
    pub(super) code: String,
    /// Its text for people.
    pub(super) message: String,
    /// The server's clock, from `Date`.
    pub(super) date: Option<Timestamp>,
    /// This machine's clock when the answer came.
    pub(super) received: Timestamp,
    /// Which key it says that it is signed with.
    pub(super) serial: Option<String>,
    /// Whether its signature holds.
    pub(super) proof: Proof,
    /// A boolean that was asked for, where there is one.
    pub(super) yes: Option<bool>,
}

impl Answer {
    /// How far this machine's clock is ahead of the server's, in seconds.
    fn ahead(&self) -> Option<i64> {
        self.date.map(|date| self.received.seconds_since(date))
    }

    /// Status, code and WeChat Pay's own words, for the evidence.
    fn words(&self) -> String {
        let message = self.message.chars().filter(|letter| !letter.is_control());
        let message: String = message.take(MESSAGE_MAX).collect();
        let (status, code) = (self.status, &self.code);
        format!("{status} {code} {message}").trim_end().to_owned()
    }
}

/// Whether an answer's signature holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It holds with a key that is held.
    Holds,
    /// It is not signed.
    Unsigned,
    /// It names a key that is not held.
    UnknownKey,
    /// It does not hold with the key that it names.
    Broken,
    /// It was signed too long ago, by this machine's clock.
    Stale,
}

/// This machine's clock against the one of WeChat Pay's answer.
pub(super) fn clock(asked: &Asked) -> Finding {
    let name = Name::Clock;
    let ahead = match asked {
        Asked::Answered(answer) => answer.ahead(),
        Asked::Silent(silence) => return silent(name, *silence),
        Asked::Not(why) => return Finding::skipped(name, *why, texts::GO_ONLINE),
    };
    let Some(ahead) = ahead else {
        return Finding::skipped(name, texts::NO_DATE, texts::FIX_CLOCK);
    };
    let seconds = ahead.abs();
    let evidence = if seconds <= 1 {
        texts::CLOCK_RIGHT.said()
    } else if ahead > 0 {
        texts::CLOCK_AHEAD.with("seconds", seconds)
    } else {
        texts::CLOCK_BEHIND.with("seconds", seconds)
    };
    if seconds >= CLOCK_OFF_SECONDS {
        Finding::fail(name, evidence, texts::FIX_CLOCK)
    } else {
        Finding::ok(name, evidence)
    }
}

/// Whether WeChat Pay accepts what the merchant's key signs under this serial number and merchant
/// number. What it was asked, about an order that does not exist, does not matter.
pub(super) fn signature(asked: &Asked) -> Finding {
    let name = Name::Signature;
    let answer = match asked {
        Asked::Answered(answer) => answer,
        Asked::Silent(silence) => return silent(name, *silence),
        Asked::Not(why) => return Finding::skipped(name, *why, texts::GO_ONLINE),
    };
    let words = answer.words();
    match answer.status {
        401 => refused(answer),
        403 => Finding::fail(
            name,
            texts::NO_PERMISSION.with("words", words),
            texts::FIX_PERMISSION,
        ),
        429 | 500.. => Finding::skipped(name, texts::BUSY.with("words", words), texts::AGAIN),
        _ if answer.code.is_empty() && answer.status != 200 => Finding::skipped(
            name,
            texts::NOT_WECHAT_PAY.with("words", words),
            texts::FIX_NOT_WECHAT_PAY,
        ),
        _ => Finding::ok(name, texts::SIGNATURE_ACCEPTED.with("words", words)),
    }
}

/// Why a signature was refused. WeChat Pay has one code for all of it, so its words are looked at; they
/// choose among hints and decide nothing else.
fn refused(answer: &Answer) -> Finding {
    let name = Name::Signature;
    let says = |word: &str| answer.message.contains(word);
    let evidence = texts::SIGNATURE_REFUSED.with("words", answer.words());
    let off = answer
        .ahead()
        .is_some_and(|ahead| ahead.abs() >= WINDOW_SECONDS);
    if off || says("timestamp") {
        // The clock is told by its own check; nothing else can be told before it is right.
        return Finding::skipped(name, evidence, texts::FIX_CLOCK_FIRST);
    }
    let fix = if says("APIv3") {
        texts::FIX_NO_APIV3
    } else if says("序列号") {
        texts::FIX_SERIAL_REFUSED
    } else if says("已过期") || says("作废") || says("已更换") || says("未申请过证书")
    {
        texts::FIX_CERTIFICATE_EXPIRED
    } else {
        texts::FIX_SIGNATURE
    };
    Finding::fail(name, evidence, fix)
}

/// Whether the signature of WeChat Pay's answer holds with the public key that is configured.
pub(super) fn answer_signature(asked: &Asked, subject: &Subject) -> Finding {
    let name = Name::AnswerSignature;
    let answer = match asked {
        Asked::Answered(answer) => answer,
        Asked::Silent(silence) => return silent(name, *silence),
        Asked::Not(why) => return Finding::skipped(name, *why, texts::GO_ONLINE),
    };
    let serial = answer.serial.as_deref().filter(|text| is_known_form(text));
    let serial = serial.unwrap_or("?");
    match answer.proof {
        Proof::Holds => Finding::ok(name, texts::ANSWER_HOLDS.with("serial", serial)),
        Proof::Unsigned if answer.status == 401 => {
            Finding::skipped(name, texts::ANSWER_UNSIGNED_401, texts::SEE_SIGNATURE)
        }
        Proof::Unsigned if answer.status == 429 || answer.status >= 500 => {
            let words = answer.words();
            Finding::skipped(name, texts::BUSY.with("words", words), texts::AGAIN)
        }
        Proof::Unsigned => Finding::fail(name, texts::ANSWER_UNSIGNED, texts::FIX_UNSIGNED),
        Proof::Stale => Finding::skipped(name, texts::ANSWER_STALE, texts::FIX_CLOCK_FIRST),
        Proof::UnknownKey => unknown_key(subject, serial),
        Proof::Broken => Finding::fail(
            name,
            texts::ANSWER_BROKEN.with("serial", serial),
            texts::FIX_PUBLIC_KEY,
        ),
    }
}

fn unknown_key(subject: &Subject, serial: &str) -> Finding {
    let name = Name::AnswerSignature;
    if subject.public_key_id.is_none() && subject.public_key.is_none() && !is_serial(serial) {
        let evidence = texts::ANSWER_NO_KEY.with("serial", serial);
        return Finding::skipped(name, evidence, texts::GIVE_PUBLIC_KEY);
    }
    if is_serial(serial) {
        let evidence = texts::ANSWER_BY_CERTIFICATE.with("serial", serial);
        return Finding::fail(name, evidence, texts::FIX_BY_CERTIFICATE);
    }
    let own = subject
        .public_key_id
        .as_deref()
        .filter(|id| is_known_form(id));
    let evidence = texts::ANSWER_BY_OTHER
        .with("serial", serial)
        .and("id", own.unwrap_or("?"));
    Finding::fail(
        name,
        evidence,
        texts::FIX_ID_ANSWERED.with("serial", serial),
    )
}

fn is_known_form(text: &str) -> bool {
    is_serial(text) || is_id(text)
}

/// What came of opening a list of certificates with the APIv3 key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// It opened.
    Yes,
    /// It did not: the key is another one.
    No,
    /// The answer held nothing that could be opened.
    Nothing,
}

/// Whether the APIv3 key opens what WeChat Pay seals: its platform certificates, where it has any for this
/// merchant. Nothing else that is sealed can be asked for.
pub(super) fn apiv3_key_opens(asked: &Asked, opened: Opened) -> Finding {
    let name = Name::Apiv3KeyOpens;
    let answer = match asked {
        Asked::Answered(answer) => answer,
        Asked::Silent(silence) => return silent(name, *silence),
        Asked::Not(why) => return Finding::skipped(name, *why, texts::GO_ONLINE),
    };
    match (answer.status, opened) {
        (200, Opened::Yes) => Finding::ok(name, texts::APIV3_OPENED),
        (200, Opened::No) => Finding::fail(name, texts::APIV3_OPENED_NOT, texts::FIX_APIV3_OTHER),
        (404, _) => Finding::skipped(name, texts::APIV3_NOTHING_SEALED, texts::APIV3_LATER),
        (401, _) => Finding::skipped(
            name,
            texts::SIGNATURE_REFUSED.with("words", answer.words()),
            texts::SEE_SIGNATURE,
        ),
        (_, Opened::Yes | Opened::No | Opened::Nothing) => Finding::skipped(
            name,
            texts::BUSY.with("words", answer.words()),
            texts::AGAIN,
        ),
    }
}

/// Whether the appid is bound to the merchant number: what WeChat Pay said to an order that nobody can
/// pay. `closed` says whether the order was closed again, where there was one.
pub(super) fn appid_bound(asked: &Asked, closed: Option<bool>) -> Finding {
    let name = Name::AppidBound;
    let answer = match asked {
        Asked::Answered(answer) => answer,
        Asked::Silent(silence) => return silent(name, *silence),
        Asked::Not(why) => return Finding::skipped(name, *why, texts::GO_ONLINE),
    };
    let words = answer.words();
    let evidence = || texts::ORDER_REFUSED.with("words", &words);
    match (answer.status, answer.code.as_str()) {
        (200, _) => {
            let finding = Finding::ok(name, texts::ORDER_PLACED);
            match closed {
                Some(true) | None => finding,
                Some(false) => finding.noting(texts::ORDER_LEFT_OPEN),
            }
        }
        (401, _) => Finding::skipped(name, evidence(), texts::SEE_SIGNATURE),
        (_, "APPID_MCHID_NOT_MATCH") => Finding::fail(name, evidence(), texts::FIX_BINDING),
        (403, _) => Finding::fail(name, evidence(), texts::FIX_PERMISSION),
        (429 | 500.., _) => Finding::skipped(name, texts::BUSY.with("words", &words), texts::AGAIN),
        _ => Finding::skipped(name, evidence(), texts::CHECK_BINDING),
    }
}

/// Whether WeChat accepts appid and AppSecret: what it said to a login code that cannot exist.
pub(super) fn app_login(asked: &Asked) -> Finding {
    let name = Name::AppLogin;
    let answer = match asked {
        Asked::Answered(answer) => answer,
        Asked::Silent(silence) => return silent(name, *silence),
        Asked::Not(why) => return Finding::skipped(name, *why, texts::GO_ONLINE),
    };
    let code = &answer.code;
    let told = || errcode_of(answer);
    match code.as_str() {
        // The code is wrong, which is all that is: appid and secret were looked at before it.
        "40029" | "40163" | "0" => Finding::ok(name, texts::APP_ACCEPTED),
        "40125" | "40001" => Finding::fail(name, told(), texts::FIX_APP_SECRET),
        "40013" => Finding::fail(name, told(), texts::FIX_APPID),
        "40226" => Finding::fail(name, told(), texts::FIX_APP_RESTRICTED),
        _ => Finding::skipped(name, told(), texts::AGAIN),
    }
}

/// Whether the mini-program owes shipping information, and whether its administrator has confirmed.
/// `confirmed` is asked only where it does.
pub(super) fn trade_management(token: &Asked, managed: &Asked, confirmed: &Asked) -> Finding {
    let name = Name::TradeManagement;
    if let Some(finding) = no_token(token) {
        return finding;
    }
    let yes = |asked: &Asked| asked.answer().and_then(|answer| answer.yes);
    match (yes(managed), yes(confirmed)) {
        (Some(false), _) => Finding::ok(name, texts::NOT_MANAGED),
        (Some(true), Some(true)) => Finding::ok(name, texts::MANAGED_AND_CONFIRMED),
        (Some(true), Some(false)) => {
            Finding::fail(name, texts::MANAGED_UNCONFIRMED, texts::FIX_UNCONFIRMED)
        }
        (Some(true), None) => errcode(name, confirmed),
        (None, _) => errcode(name, managed),
    }
}

/// Why there is no token to ask with, if there is none.
fn no_token(token: &Asked) -> Option<Finding> {
    let name = Name::TradeManagement;
    let answer = match token {
        Asked::Answered(answer) => answer,
        Asked::Silent(silence) => return Some(silent(name, *silence)),
        Asked::Not(why) => return Some(Finding::skipped(name, *why, texts::GO_ONLINE)),
    };
    let fix = match answer.code.as_str() {
        "0" => return None,
        "40164" => texts::FIX_IP_LIST,
        "40013" | "40125" | "40001" => texts::SEE_APP_LOGIN,
        _ => texts::ASK_TRADE_MANAGEMENT,
    };
    let evidence = errcode_of(answer);
    Some(Finding::skipped(name, evidence, fix))
}

/// What the mini-program platform said: its `errcode`, or what came in the place of one.
fn errcode_of(answer: &Answer) -> Said {
    let code = &answer.code;
    let numeric = code
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-');
    let told = if numeric {
        format!("errcode {code}")
    } else {
        code.clone()
    };
    texts::ERRCODE.with("told", told)
}

fn errcode(name: Name, asked: &Asked) -> Finding {
    match asked {
        Asked::Answered(answer) => {
            let evidence = errcode_of(answer);
            Finding::skipped(name, evidence, texts::ASK_TRADE_MANAGEMENT)
        }
        Asked::Silent(silence) => silent(name, *silence),
        Asked::Not(why) => Finding::skipped(name, *why, texts::GO_ONLINE),
    }
}

/// Who answers at the address of notifications, to one that is not signed by WeChat Pay.
pub(super) fn notify_reachable(asked: &Asked) -> Finding {
    let name = Name::NotifyReachable;
    let answer = match asked {
        Asked::Answered(answer) => answer,
        Asked::Silent(silence) => {
            return Finding::fail(name, silence.told(), texts::FIX_NOTIFY_SILENT);
        }
        Asked::Not(why) => return Finding::skipped(name, *why, texts::GO_ONLINE),
    };
    let status = |text: Text| -> Said { text.with("status", answer.status) };
    // The webhook answers refusals in WeChat Pay's dialect, a gateway without the route does not.
    let own = answer.code == "FAIL";
    match answer.status {
        200..=299 => Finding::fail(
            name,
            status(texts::NOTIFY_BELIEVES),
            texts::FIX_NOTIFY_BELIEVES,
        ),
        300..=399 => Finding::fail(
            name,
            status(texts::NOTIFY_REDIRECTS),
            texts::FIX_NOTIFY_REDIRECTS,
        ),
        404 | 405 if !own => Finding::fail(
            name,
            status(texts::NOTIFY_NOT_THERE),
            texts::FIX_NOTIFY_NOT_THERE,
        ),
        400..=499 => Finding::ok(name, status(texts::NOTIFY_REFUSES)),
        503 if own => Finding::fail(name, status(texts::NOTIFY_NO_SECRETS), texts::FIX_SECRET),
        _ => Finding::fail(name, status(texts::NOTIFY_BROKEN), texts::FIX_NOTIFY_BROKEN),
    }
}

/// Whether the deployed functions can use their secrets: what the API said to a caller that it does not
/// know.
pub(super) fn functions(asked: &Asked) -> Finding {
    let name = Name::Functions;
    let answer = match asked {
        Asked::Answered(answer) => answer,
        Asked::Silent(silence) => {
            return Finding::fail(name, silence.told(), texts::FIX_API_SILENT);
        }
        Asked::Not(why) => return Finding::skipped(name, *why, texts::GO_ONLINE),
    };
    let words = answer.words();
    match (answer.status, answer.code.as_str()) {
        (401, _) => Finding::ok(name, texts::FUNCTIONS_WORK),
        (503, "not_configured") => {
            Finding::fail(name, texts::FUNCTIONS_NOT_CONFIGURED, texts::FIX_SECRET)
        }
        _ => Finding::fail(
            name,
            texts::FUNCTIONS_BROKEN.with("words", words),
            texts::FIX_FUNCTIONS,
        ),
    }
}

fn silent(name: Name, silence: Silence) -> Finding {
    Finding::skipped(name, silence.told(), texts::FIX_NETWORK)
}
