//! What bodies of every operation have in common: JSON by the operation's schema, in the name of
//! the merchant who signed.

use serde_json::Value;

use super::answer::{Refusal, Signing};
use super::context::Context;
use super::schema::{self, Field, Source};

/// Reads and checks a body.
pub(crate) fn parse(context: &Context<'_>, fields: &[Field]) -> Result<Value, Refusal> {
    parse_from(context, fields, Source::Body)
}

/// Reads and checks a body whose missing members are said to be missing elsewhere.
pub(crate) fn parse_from(
    context: &Context<'_>,
    fields: &[Field],
    source: Source,
) -> Result<Value, Refusal> {
    let signing = if context.state.behaviours.sign_schema_errors {
        Signing::Signed
    } else {
        Signing::Unsigned
    };
    let bytes = &context.request.body[..];
    let body: Value = serde_json::from_slice(bytes).map_err(|error| {
        Refusal::new(400, "PARAM_ERROR", "参数错误")
            .signing(signing)
            .because(no_json(bytes, &error))
    })?;
    schema::check(&body, fields, source, signing)?;
    Ok(body)
}

/// Why bytes are no JSON, with the two mistakes that an editor does not show named first.
fn no_json(bytes: &[u8], error: &serde_json::Error) -> String {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        "the body starts with a byte order mark: send UTF-8 without one (EF BB BF)".to_owned()
    } else if let Err(at) = std::str::from_utf8(bytes) {
        format!(
            "the body is not UTF-8 from byte {} on, as if it were written in GBK or another charset: \
             send UTF-8",
            at.valid_up_to()
        )
    } else {
        format!("the body is no JSON: {error}")
    }
}

/// Refuses a body or query that names another merchant than the signature.
pub(crate) fn same_merchant(context: &Context<'_>, stated: Option<&str>) -> Result<(), Refusal> {
    let caller = context.caller.mchid();
    if stated == Some(caller) {
        return Ok(());
    }
    let message = "http header中的mchid与post payload中的mchid不匹配";
    Err(Refusal::new(400, "PARAM_ERROR", message)
        .number(270_924_337)
        .because(format!(
            "Authorization is signed for {caller}, the request names {}",
            stated.unwrap_or("nobody")
        )))
}
