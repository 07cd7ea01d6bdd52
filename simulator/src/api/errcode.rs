//! Answers of the mini-program platform (api.weixin.qq.com), which is no APIv3: unsigned, and HTTP 200 for
//! refusals too, which an `errcode` tells.

use serde_json::{Value, json};

use super::answer::Draft;
use crate::random;

/// A refusal, with the number by which WeChat finds the request again.
pub(super) fn refused(content_type: &'static str, errcode: i64, errmsg: &str) -> Draft {
    let rid = random::lower_hex(8);
    let body = json!({"errcode": errcode, "errmsg": format!("{errmsg}, rid: {rid}")}).to_string();
    let mut answer = Draft::plain(200, content_type, body);
    answer.verdict = format!("errcode {errcode} {errmsg}");
    answer
}

/// An answer that says that all went well.
pub(super) fn said(content_type: &'static str, body: &Value) -> Draft {
    Draft::plain(200, content_type, body.to_string())
}
