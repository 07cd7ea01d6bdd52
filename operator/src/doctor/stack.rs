//! The stack itself: where it is, and what the caller's credentials may read of it.

use super::check::{Finding, Name};
use super::subject::{Place, Subject, WhyUnread};
use super::texts;

/// Regions from which a call to WeChat Pay and back is short.
const NEAR: [&str; 5] = [
    "ap-east-1",
    "ap-southeast-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
];

/// Where the stack is.
pub(super) fn stack(subject: &Subject) -> Finding {
    let name = Name::Stack;
    match &subject.place {
        Place::Folder => Finding::skipped(name, texts::NO_STACK, texts::GIVE_STACK),
        Place::Local => Finding::ok(name, texts::STACK_LOCAL),
        Place::Aws { stack, region } => {
            let found = texts::STACK_FOUND.with("stack", stack);
            let finding = Finding::ok(name, found);
            if NEAR.contains(&region.as_str()) {
                finding
            } else {
                finding.noting(texts::STACK_FAR)
            }
        }
        Place::Unfound { why } => Finding::fail(
            name,
            texts::STACK_UNFOUND.with("why", why),
            texts::FIX_STACK,
        ),
    }
}

/// What the caller's credentials may read. The functions' own roles are looked at through the API
/// (`functions`, `notify_reachable`).
pub(super) fn iam(subject: &Subject) -> Finding {
    let name = Name::Iam;
    match &subject.place {
        Place::Folder => return Finding::skipped(name, texts::NO_STACK, texts::GIVE_STACK),
        Place::Unfound { .. } => {
            return Finding::skipped(name, texts::STACK_UNSEEN, texts::SEE_STACK);
        }
        Place::Local | Place::Aws { .. } => {}
    }
    let mut evidence = Vec::new();
    let mut only_empty = true;
    for unread in &subject.unread {
        let what = &unread.what;
        only_empty &= unread.why == WhyUnread::Empty;
        evidence.push(match &unread.why {
            WhyUnread::Denied { action } => texts::DENIED.with("what", what).and("action", *action),
            WhyUnread::Empty => texts::EMPTY.with("what", what),
            WhyUnread::Failed { code } => texts::FAILED.with("what", what).and("code", code),
        });
    }
    let fix = if only_empty {
        texts::FIX_EMPTY
    } else {
        texts::FIX_DENIED
    };
    Finding::failures(name, evidence, fix).unwrap_or_else(|| Finding::ok(name, texts::ALL_READ))
}

/// What nobody can check from here, and everybody has to know.
pub(super) fn virtual_goods() -> Finding {
    Finding::skipped(
        Name::VirtualGoods,
        texts::VIRTUAL_GOODS_RULE,
        texts::VIRTUAL_GOODS_FIX,
    )
}
