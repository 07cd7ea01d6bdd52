//! Addresses: where WeChat Pay sends notifications, and where the mini-program sends requests.

use std::net::{IpAddr, Ipv4Addr};

use reqwest::Url;

use super::check::{Finding, Name};
use super::subject::{Place, Subject};
use super::text::Text;
use super::texts;

/// How long a `notify_url` may be (docs/wechatpay.md, "Orders").
const NOTIFY_URL_MAX: usize = 255;

/// The address of notifications: https, a public host, a path, no query.
pub(super) fn notify_url(subject: &Subject) -> Finding {
    let name = Name::NotifyUrl;
    let Some(address) = &subject.notify_url else {
        return Finding::skipped(name, texts::NOT_GIVEN, texts::GIVE_NOTIFY_URL);
    };
    if subject.place == Place::Local {
        return Finding::skipped(name, texts::NOTIFY_LOCAL, texts::NOTIFY_LOCAL_FIX);
    }
    match fault(address) {
        Some(fault) => Finding::fail(name, fault, texts::FIX_NOTIFY_URL),
        None => Finding::ok(name, texts::NOTIFY_SHAPED.with("address", address)),
    }
}

/// What is wrong with an address of notifications. The address itself is shown only when nothing is: a
/// query or a password in it may be a secret.
fn fault(address: &str) -> Option<Text> {
    if address.trim() != address || address.contains(char::is_whitespace) {
        return Some(texts::NOTIFY_BLANK);
    }
    if address.len() > NOTIFY_URL_MAX {
        return Some(texts::NOTIFY_LONG);
    }
    let Ok(url) = Url::parse(address) else {
        return Some(texts::NOTIFY_UNREADABLE);
    };
    if address.contains('?') {
        return Some(texts::NOTIFY_QUERY);
    }
    if address.contains('#') {
        return Some(texts::NOTIFY_FRAGMENT);
    }
    if url.scheme() != "https" {
        return Some(texts::NOTIFY_HTTP);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some(texts::NOTIFY_USER);
    }
    if !is_public(&url) {
        return Some(texts::NOTIFY_PRIVATE);
    }
    (url.path() == "/").then_some(texts::NOTIFY_NO_PATH)
}

/// Whether a host can be reached from outside, as far as its name tells.
fn is_public(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse() {
        Ok(IpAddr::V4(address)) => is_public_v4(address),
        Ok(IpAddr::V6(address)) => {
            let first = address.segments()[0];
            let local = first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80;
            !(address.is_loopback() || address.is_unspecified() || local)
        }
        Err(_) => {
            let inner = [".local", ".localhost", ".internal", ".lan", ".test"];
            host.contains('.') && !inner.iter().any(|end| host.ends_with(end))
        }
    }
}

const fn is_public_v4(address: Ipv4Addr) -> bool {
    !(address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_broadcast())
}

/// The API's host: that a published mini-program may call it.
pub(super) fn request_domain(subject: &Subject) -> Finding {
    let name = Name::RequestDomain;
    let Some(address) = &subject.base_url else {
        return Finding::skipped(name, texts::NO_STACK, texts::GIVE_STACK);
    };
    if subject.place == Place::Local {
        return Finding::skipped(name, texts::DOMAIN_LOCAL, texts::DOMAIN_LOCAL_FIX);
    }
    let url = Url::parse(address).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    if host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn") {
        let given = texts::DOMAIN_OF_AWS.with("host", host);
        return Finding::skipped(name, given, texts::FIX_DOMAIN);
    }
    let own = texts::DOMAIN_OWN.with("host", host);
    Finding::skipped(name, own, texts::FIX_DOMAIN_REGISTER)
}
