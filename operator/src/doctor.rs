//! `wxpay doctor`: checks a merchant's set-up and says what to mend.
//!
//! Each check has a stable name, a verdict, what was seen, and the fix in one sentence (docs/doctor.md). The
//! checks are functions of plain values ([`Subject`]), so that a folder of files, a stack on AWS and the one on
//! this machine feed them alike; `ask` alone connects. No secret stands in what is said: a value is repeated only
//! where its form says that it is none.

mod address;
mod answers;
mod ask;
mod check;
mod facts;
mod folder;
mod merchant;
mod pem;
mod platform;
mod secrets;
mod stack;
mod subject;
mod target;
mod text;
mod texts;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use reqwest::Url;
use shared::process::Process;

use self::answers::{Asked, Opened, Proof};
use self::ask::{WechatApi, Wechatpay, is_loopback};
use self::facts::Facts;
use crate::exit::Failure;
use crate::output::{BAD, DIM, GOOD};
use crate::target::Which;

pub use self::ask::{Machine, Now};
pub use self::check::{Finding, Name, Report, Verdict};
pub use self::folder::read as read_folder;
pub use self::subject::{Place, Secrets, Subject, Unread, WhyUnread};
pub use self::text::Language;

/// What to check.
#[derive(Args, Debug)]
pub struct Doctor {
    #[command(flatten)]
    which: Which,
    /// A folder of files: WeChat's own download (apiclient_key.pem, apiclient_cert.pem, pub_key.pem), and
    /// pub_key_id.txt, apiv3.txt, appsecret.txt. Together with --stack it adds what the stack does not store.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// The merchant number, where the folder does not say it.
    #[arg(long)]
    mchid: Option<String>,
    /// The mini-program's appid, where the folder does not say it.
    #[arg(long)]
    appid: Option<String>,
    /// The address of notifications, where no stack says it.
    #[arg(long, value_name = "URL")]
    notify_url: Option<String>,
    /// Looks only at what is here: nothing is asked of WeChat Pay or of notify_url.
    #[arg(long)]
    offline: bool,
    /// Also places an order of one fen, for a payer who does not exist, and closes it: nothing less shows
    /// whether the appid is bound.
    #[arg(long)]
    place_order: bool,
    /// The language; without it that of the environment (LANG).
    #[arg(long, value_enum)]
    lang: Option<Language>,
}

/// Makes the checks.
///
/// # Errors
/// A check failed, or there is nothing to check.
pub async fn run(doctor: Doctor) -> Result<(), Failure> {
    let process = Process::system().map_err(|error| Failure::Failed(error.to_string()))?;
    let subject = doctor.subject().await?;
    let clock = process.clock.clone();
    let asking = Asking {
        machine: Machine {
            http: process.http,
            now: Arc::new(move || clock.wall()),
        },
        online: !doctor.offline,
        place_order: doctor.place_order,
    };
    let report = examine(&subject, &asking).await;
    let language = doctor.lang.unwrap_or_else(language);
    let output = doctor.which.output();
    output.answer(&report.to_json(language), || {
        painted(&report.to_text(language))
    });
    if report.is_ok() {
        return Ok(());
    }
    let (failed, all) = (report.count(Verdict::Fail), report.findings().len());
    Err(Failure::Found(format!("{failed} of {all} checks failed")))
}

impl Doctor {
    async fn subject(&self) -> Result<Subject, Failure> {
        let given = Subject {
            mchid: self.mchid.clone(),
            appid: self.appid.clone(),
            notify_url: self.notify_url.clone(),
            ..Subject::default()
        };
        let folder = match &self.from {
            Some(folder) => Some(folder::read(folder).map_err(|error| {
                Failure::NoAccess(format!("{} cannot be read: {error}", folder.display()))
            })?),
            None => None,
        };
        let Some(folder) = folder else {
            return Ok(target::read(&self.which).await.or(given));
        };
        if self.which.is_named() {
            return Ok(target::read(&self.which).await.or(given).or(folder));
        }
        Ok(given.or(folder))
    }
}

/// The same with its signs in colour.
fn painted(text: &str) -> String {
    let lines = text.lines().map(|line| {
        for (verdict, style) in [
            (Verdict::Ok, GOOD),
            (Verdict::Fail, BAD),
            (Verdict::Skipped, DIM),
        ] {
            let sign = verdict.sign();
            if let Some(rest) = line.strip_prefix(sign) {
                return format!("{style}{sign}{style:#}{rest}");
            }
        }
        line.to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The language of the environment, as programs look for it.
fn language() -> Language {
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter();
    let mut locale = locale.filter_map(|name| std::env::var(name).ok());
    let locale = locale.find(|locale| !locale.is_empty());
    Language::of_locale(locale.as_deref())
}

/// How far to go.
#[derive(Clone, Debug)]
pub struct Asking {
    /// What to ask with.
    pub machine: Machine,
    /// Whether anything is asked at all.
    pub online: bool,
    /// Whether an order that nobody can pay may be placed and closed.
    pub place_order: bool,
}

/// Makes all checks, each once.
pub async fn examine(subject: &Subject, asking: &Asking) -> Report {
    let facts = Facts::of(subject);
    let told = ask_wechatpay(subject, &facts, asking).await;
    let app = ask_wechat(subject, asking).await;
    let (notify, api) = ask_stack(subject, asking).await;
    // By WeChat Pay's clock where it is known: this machine's is judged by a check of its own.
    let now = told.order.answer().and_then(|answer| answer.date);
    let now = now.unwrap_or_else(|| (asking.machine.now)());
    let own_id = subject.public_key_id.as_deref();
    let proven = told.order.answer().is_some_and(|answer| {
        answer.proof == Proof::Holds && answer.serial.as_deref() == own_id && own_id.is_some()
    });
    let opened = match told.opened {
        Opened::Yes => Some(true),
        Opened::No => Some(false),
        Opened::Nothing => None,
    };
    let [token, managed, confirmed] = &app.trade_management;
    Report::new(vec![
        stack::stack(subject),
        stack::iam(subject),
        secrets::secrets(&subject.secrets, subject.platform_certificates),
        merchant::files(subject),
        merchant::mchid(subject, &facts),
        merchant::private_key(&facts),
        merchant::certificate(&facts, now),
        merchant::key_pair(&facts),
        merchant::serial_no(subject, &facts),
        platform::public_key(subject, &facts),
        platform::public_key_id(subject, &facts, proven),
        secrets::apiv3_key(subject, opened),
        secrets::appid(subject),
        secrets::app_secret(subject),
        address::notify_url(subject),
        answers::notify_reachable(&notify),
        address::request_domain(subject),
        answers::functions(&api),
        answers::clock(&told.order),
        answers::signature(&told.order),
        answers::answer_signature(&told.order, subject),
        answers::apiv3_key_opens(&told.certificates, told.opened),
        answers::appid_bound(&told.bound, told.closed),
        answers::app_login(&app.login),
        answers::trade_management(token, managed, confirmed),
        stack::virtual_goods(),
    ])
}

/// What WeChat Pay said.
struct Told {
    order: Asked,
    certificates: Asked,
    opened: Opened,
    bound: Asked,
    closed: Option<bool>,
}

async fn ask_wechatpay(subject: &Subject, facts: &Facts, asking: &Asking) -> Told {
    let merchant = if asking.online {
        Wechatpay::of(subject, facts, &asking.machine)
    } else {
        Err(texts::OFFLINE)
    };
    let mut merchant = match merchant {
        Ok(merchant) => merchant,
        Err(why) => {
            return Told {
                order: Asked::Not(why),
                certificates: Asked::Not(why),
                opened: Opened::Nothing,
                bound: Asked::Not(why),
                closed: None,
            };
        }
    };
    // First, since certificates that open verify the answers after them.
    let (certificates, opened) = merchant.certificates(subject.apiv3_key.as_deref()).await;
    let order = merchant.order().await;
    let appid = subject.appid.as_deref();
    let appid = appid.filter(|appid| secrets::is_appid(appid));
    let (bound, closed) = match appid {
        _ if subject.place == Place::Local => (Asked::Not(texts::SIMULATORS_OWN), None),
        _ if !asking.place_order => (Asked::Not(texts::NO_ORDER), None),
        None => (Asked::Not(texts::CANNOT_BIND), None),
        Some(appid) => {
            let notify_url = subject.notify_url.as_deref();
            merchant.bound(appid, notify_url).await
        }
    };
    Told {
        order,
        certificates,
        opened,
        bound,
        closed,
    }
}

/// What the mini-program platform said.
struct App {
    login: Asked,
    trade_management: [Asked; 3],
}

async fn ask_wechat(subject: &Subject, asking: &Asking) -> App {
    let app = if asking.online {
        WechatApi::of(subject, &asking.machine)
    } else {
        Err(texts::OFFLINE)
    };
    match app {
        Ok(app) => App {
            login: app.login().await,
            trade_management: app.trade_management().await,
        },
        Err(why) => App {
            login: Asked::Not(why),
            trade_management: [Asked::Not(why), Asked::Not(why), Asked::Not(why)],
        },
    }
}

/// What the stack's own addresses said: that of notifications, and the API.
async fn ask_stack(subject: &Subject, asking: &Asking) -> (Asked, Asked) {
    if !asking.online {
        return (Asked::Not(texts::OFFLINE), Asked::Not(texts::OFFLINE));
    }
    let machine = &asking.machine;
    let notify = match web_address(subject.notify_url.as_deref()) {
        Ok(address) => machine.notify(&address).await,
        Err(why) => Asked::Not(why),
    };
    let api = match web_address(subject.base_url.as_deref()) {
        Ok(address) => machine.api(&address).await,
        Err(why) => Asked::Not(why),
    };
    (notify, api)
}

fn web_address(address: Option<&str>) -> Result<Url, text::Text> {
    let address = address.ok_or(texts::NO_ADDRESS)?;
    let url = Url::parse(address).map_err(|_| texts::ADDRESS_FAULTY)?;
    let asked = url.scheme() == "https" || is_loopback(address);
    asked.then_some(url).ok_or(texts::ADDRESS_FAULTY)
}

#[cfg(test)]
mod tests;
