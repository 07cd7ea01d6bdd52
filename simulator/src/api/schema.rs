//! The schema layer: fields by their documented types and limits, refused one at a time with the
//! messages that were observed (docs/simulator.md, `schema`). These refusals are not signed.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::answer::{Refusal, Signing};
use crate::beijing;

/// `out_trade_no`, exactly as captured errors print it.
pub(crate) const ORDER_NUMBER: &str = r"^[0-9a-zA-Z_\-\|\*]+$";
/// `out_refund_no`.
pub(crate) const REFUND_NUMBER: &str = r"^[0-9a-zA-Z_\-\|\*@]+$";
/// `notify_url`, exactly as captured errors print it.
pub(crate) const NOTIFY_URL: &str =
    r"^https?://([^\s/?#\[\]\@]+\@)?([^\s/?#\@:]+)(?::\d{2,5})?([^\s?#\[\]]*)$";
const GOODS_NUMBER: &str = r"^[0-9a-zA-Z_\-]+$";

/// How the length of a text is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Characters,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Text {
        min: usize,
        max: usize,
        unit: Unit,
        pattern: Option<&'static str>,
    },
    Integer {
        min: i64,
    },
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of these integers.
    IntegerOneOf(&'static [i64]),
    /// RFC 3339 with an offset.
    Time {
        max: usize,
    },
    Boolean,
    Object(&'static [Field]),
    Objects(&'static [Field]),
    /// A list of texts, each one of these.
    Texts(&'static [&'static str]),
}

/// A member of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) required: bool,
    pub(crate) kind: Kind,
}

/// A text counted in characters, at least one when it is required.
pub(crate) const fn text(name: &'static str, label: &'static str, max: usize) -> Field {
    let kind = Kind::Text {
        min: 1,
        max,
        unit: Unit::Characters,
        pattern: None,
    };
    Field {
        name,
        label,
        required: true,
        kind,
    }
}

pub(crate) const fn matching(
    name: &'static str,
    label: &'static str,
    (min, max): (usize, usize),
    pattern: &'static str,
) -> Field {
    let kind = Kind::Text {
        min,
        max,
        unit: Unit::Bytes,
        pattern: Some(pattern),
    };
    Field {
        name,
        label,
        required: true,
        kind,
    }
}

pub(crate) const fn integer(name: &'static str, label: &'static str, min: i64) -> Field {
    Field {
        name,
        label,
        required: true,
        kind: Kind::Integer { min },
    }
}

pub(crate) const fn object(
    name: &'static str,
    label: &'static str,
    fields: &'static [Field],
) -> Field {
    Field {
        name,
        label,
        required: true,
        kind: Kind::Object(fields),
    }
}

pub(crate) const fn of(name: &'static str, label: &'static str, kind: Kind) -> Field {
    Field {
        name,
        label,
        required: true,
        kind,
    }
}

/// Makes a field optional; an optional text may be empty.
pub(crate) const fn optional(field: Field) -> Field {
    let kind = match field.kind {
        Kind::Text {
            max, unit, pattern, ..
        } => Kind::Text {
            min: 0,
            max,
            unit,
            pattern,
        },
        kind @ (Kind::Integer { .. }
        | Kind::OneOf(_)
        | Kind::IntegerOneOf(_)
        | Kind::Time { .. }
        | Kind::Boolean
        | Kind::Object(_)
        | Kind::Objects(_)
        | Kind::Texts(_)) => kind,
    };
    Field {
        kind,
        ..optional_as_it_is(field)
    }
}

/// Makes a field optional whose rule holds where it is sent, also when it is sent empty.
pub(crate) const fn optional_as_it_is(field: Field) -> Field {
    Field {
        required: false,
        ..field
    }
}

pub(crate) const GOODS: &[Field] = &[
    matching("merchant_goods_id", "商户侧商品编码", (1, 32), GOODS_NUMBER),
    optional(text("wechatpay_goods_id", "微信支付商品编码", 32)),
    optional(text("goods_name", "商品名称", 256)),
    integer("quantity", "商品数量", 1),
    integer("unit_price", "商品单价", 0),
];

/// Where a missing member is said to be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Body,
    /// As captured of closing an order: as if its body were part of the path.
    UriTemplate,
}

impl Source {
    fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::UriTemplate => "uri_template",
        }
    }
}

/// How a member breaks its rule.
struct Breach {
    message: String,
    /// `location` and `value`, where an observed refusal has them.
    detail: Option<Value>,
    explanation: String,
}

impl Breach {
    fn new(source: Source, message: String, value: &Value) -> Self {
        Self {
            explanation: format!("the body breaks the API's schema: {message}"),
            detail: Some(json!({"location": source.as_str(), "value": value})),
            message,
        }
    }

    /// A breach for which no message was observed.
    fn unobserved(explanation: String) -> Self {
        Self {
            message: "参数错误".to_owned(),
            detail: None,
            explanation,
        }
    }
}

/// Refuses the first field that breaks its rule, then what no document says is in a body.
pub(crate) fn check(
    body: &Value,
    fields: &[Field],
    source: Source,
    signing: Signing,
) -> Result<(), Refusal> {
    if !body.is_object() {
        return Err(Refusal::new(400, "PARAM_ERROR", "参数错误")
            .signing(signing)
            .because("the body is no JSON object"));
    }
    check_object(body, fields, source, "").map_err(|breach| {
        let refusal = Refusal::new(400, "PARAM_ERROR", breach.message)
            .signing(signing)
            .because(breach.explanation);
        match breach.detail {
            Some(detail) => refusal.detail(detail),
            None => refusal,
        }
    })?;
    let mut undefined = Vec::new();
    find_undefined(body, fields, "/body", &mut undefined);
    if undefined.is_empty() {
        return Ok(());
    }
    let message = "请求中含有未在API文档中定义的参数";
    Err(Refusal::new(400, "PARAM_ERROR", message)
        .detail(json!({"location": null, "value": undefined}))
        .number(270_924_358)
        .signing(signing)
        .because(format!("the body breaks the API's schema: {message}")))
}

fn find_undefined(body: &Value, fields: &[Field], path: &str, found: &mut Vec<String>) {
    let Some(members) = body.as_object() else {
        return;
    };
    let mut names: Vec<&String> = members.keys().collect();
    names.sort_unstable();
    for name in names {
        let value = &members[name];
        let path = format!("{path}/{name}");
        match fields
            .iter()
            .find(|field| field.name == name)
            .map(|field| field.kind)
        {
            None => found.push(path),
            Some(Kind::Object(fields)) => find_undefined(value, fields, &path, found),
            Some(Kind::Objects(fields)) => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    find_undefined(item, fields, &format!("{path}/{index}"), found);
                }
            }
            Some(
                Kind::Text { .. }
                | Kind::Integer { .. }
                | Kind::OneOf(_)
                | Kind::IntegerOneOf(_)
                | Kind::Time { .. }
                | Kind::Boolean
                | Kind::Texts(_),
            ) => {}
        }
    }
}

/// Checks the members of an object, which is at `path` below the body.
fn check_object(body: &Value, fields: &[Field], source: Source, path: &str) -> Result<(), Breach> {
    for field in fields {
        let path = format!("{path}/{}", field.name);
        match body.get(field.name) {
            Some(value) => check_field(value, field, &path)?,
            None if field.required => {
                let message = format!(
                    "输入源“/{}{path}”映射到字段“{}”必填性规则校验失败，此字段为必填项",
                    source.as_str(),
                    field.label
                );
                return Err(Breach::new(source, message, &json!("")));
            }
            None => {}
        }
    }
    Ok(())
}

fn check_field(value: &Value, field: &Field, path: &str) -> Result<(), Breach> {
    let wrong = |wanted: &str| {
        let label = field.label;
        let message = format!(
            "无法将 JSON 输入源“/body{path}”映射到目标字段“{label}”中，此字段需要一个{wanted}"
        );
        Breach::new(Source::Body, message, value)
    };
    let text = || {
        value
            .as_str()
            .ok_or_else(|| wrong(" string 类型的 Json 值"))
    };
    let integer = || {
        value
            .as_i64()
            .ok_or_else(|| wrong("合法的 64 位有符号整数"))
    };
    let list = || {
        value
            .as_array()
            .ok_or_else(|| wrong(" array 类型的 Json 值"))
    };
    match field.kind {
        Kind::Text {
            min,
            max,
            unit,
            pattern,
        } => check_text(text()?, (min, max), unit, pattern, field.label, path),
        Kind::OneOf(known) => {
            if known.contains(&text()?) {
                return Ok(());
            }
            Err(Breach::unobserved(format!(
                "{} is {}, not {value}",
                path.trim_start_matches('/').replace('/', "."),
                known.join(", "),
            )))
        }
        Kind::Time { max } => check_time(text()?, max, field.label, path),
        Kind::Integer { min } => {
            if integer()? < min {
                let message = format!(
                    "输入源“/body{path}”映射到数值字段“{}”规则校验失败，值低于最小值 {min}",
                    field.label
                );
                return Err(Breach::new(Source::Body, message, value));
            }
            Ok(())
        }
        Kind::IntegerOneOf(known) => {
            if known.contains(&integer()?) {
                return Ok(());
            }
            Err(Breach::unobserved(format!(
                "{} is one of {known:?}, not {value}",
                path.trim_start_matches('/').replace('/', "."),
            )))
        }
        Kind::Boolean if value.is_boolean() => Ok(()),
        Kind::Boolean => Err(wrong(" bool 类型的 Json 值")),
        Kind::Object(fields) if value.is_object() => {
            check_object(value, fields, Source::Body, path)
        }
        Kind::Object(_) => Err(wrong(" object 类型的 Json 值")),
        Kind::Objects(fields) => {
            for (index, item) in list()?.iter().enumerate() {
                check_object(item, fields, Source::Body, &format!("{path}/{index}"))?;
            }
            Ok(())
        }
        Kind::Texts(known) => {
            let item = Field {
                kind: Kind::OneOf(known),
                ..*field
            };
            for (index, text) in list()?.iter().enumerate() {
                check_field(text, &item, &format!("{path}/{index}"))?;
            }
            Ok(())
        }
    }
}

/// A rule that a text breaks.
fn broken_text(path: &str, label: &str, rule: &str, value: &Value) -> Breach {
    let message = format!("输入源“/body{path}”映射到值字段“{label}”字符串规则校验失败，{rule}");
    Breach::new(Source::Body, message, value)
}

fn check_time(text: &str, max: usize, label: &str, path: &str) -> Result<(), Breach> {
    check_text(text, (0, max), Unit::Characters, None, label, path)?;
    if beijing::parse_rfc3339(text).is_some() {
        return Ok(());
    }
    let mut breach = broken_text(
        path,
        label,
        "字符串必须是符合 RFC3339 日期时间格式",
        &json!(text),
    );
    breach
        .explanation
        .push_str("; send RFC 3339 with an offset, such as 2018-06-08T10:34:56+08:00");
    Err(breach)
}

fn check_text(
    text: &str,
    (min, max): (usize, usize),
    unit: Unit,
    pattern: Option<&'static str>,
    label: &str,
    path: &str,
) -> Result<(), Breach> {
    let (length, word) = match unit {
        Unit::Bytes => (text.len(), "字节数"),
        Unit::Characters => (text.chars().count(), "字符数"),
    };
    if length < min {
        let rule = format!("{word} {length}，小于最小值 {min}");
        return Err(broken_text(path, label, &rule, &json!(length)));
    }
    if length > max {
        let rule = format!("{word} {length}，大于最大值 {max}");
        return Err(broken_text(path, label, &rule, &json!(length)));
    }
    if let Some(pattern) = pattern
        && !matches(pattern, text)
    {
        let rule = format!("字符串必须匹配正则表达式“{pattern}”");
        return Err(broken_text(path, label, &rule, &json!(text)));
    }
    Ok(())
}

/// Matches one of the patterns above.
fn matches(pattern: &str, text: &str) -> bool {
    static PATTERNS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
        [ORDER_NUMBER, REFUND_NUMBER, NOTIFY_URL, GOODS_NUMBER]
            .into_iter()
            .filter_map(|pattern| Some((pattern, Regex::new(pattern).ok()?)))
            .collect()
    });
    PATTERNS
        .iter()
        .any(|(known, regex)| *known == pattern && regex.is_match(text))
}
