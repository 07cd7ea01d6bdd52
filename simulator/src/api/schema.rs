//! The schema layer: fields by their documented types and limits, refused one at a time with the
//! messages that were observed (docs/simulator.md, `schema`). These refusals are not signed.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::answer::{Refusal, Signing};

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
    Boolean,
    Object(&'static [Field]),
    Objects(&'static [Field]),
    Texts,
    /// A documented member whose inside is not checked.
    Anything,
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
        | Kind::Boolean
        | Kind::Object(_)
        | Kind::Objects(_)
        | Kind::Texts
        | Kind::Anything) => kind,
    };
    Field {
        required: false,
        kind,
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

/// Refuses what a document says is not in it, then the first field that breaks its rule.
pub(crate) fn check(body: &Value, fields: &[Field], signing: Signing) -> Result<(), Refusal> {
    let refuse = |message: String, detail: Value| {
        Refusal::new(400, "PARAM_ERROR", message.clone())
            .detail(detail)
            .signing(signing)
            .because(format!("the body breaks the API's schema: {message}"))
    };
    if !body.is_object() {
        return Err(Refusal::new(400, "PARAM_ERROR", "参数错误")
            .signing(signing)
            .because("the body is no JSON object"));
    }
    let mut undefined = Vec::new();
    find_undefined(body, fields, "/body", &mut undefined);
    if !undefined.is_empty() {
        return Err(refuse(
            "请求中含有未在API文档中定义的参数".to_owned(),
            json!({"location": null, "value": undefined}),
        )
        .number(270_924_358));
    }
    check_object(body, fields, "/body")
        .map_err(|(message, value)| refuse(message, json!({"location": "body", "value": value})))
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
                | Kind::Boolean
                | Kind::Texts
                | Kind::Anything,
            ) => {}
        }
    }
}

type Fault = (String, Value);

fn check_object(body: &Value, fields: &[Field], path: &str) -> Result<(), Fault> {
    for field in fields {
        let path = format!("{path}/{}", field.name);
        match body.get(field.name) {
            Some(value) => check_field(value, field, &path)?,
            None if field.required => {
                let message = format!(
                    "输入源“{path}”映射到字段“{}”必填性规则校验失败，此字段为必填项",
                    field.label
                );
                return Err((message, json!("")));
            }
            None => {}
        }
    }
    Ok(())
}

fn check_field(value: &Value, field: &Field, path: &str) -> Result<(), Fault> {
    let label = field.label;
    let wrong = |wanted: &str| {
        let message =
            format!("无法将 JSON 输入源“{path}”映射到目标字段“{label}”中，此字段需要一个{wanted}");
        (message, value.clone())
    };
    match field.kind {
        Kind::Text {
            min,
            max,
            unit,
            pattern,
        } => {
            let text = value
                .as_str()
                .ok_or_else(|| wrong(" string 类型的 Json 值"))?;
            check_text(text, (min, max), unit, pattern, label, path)
        }
        Kind::Integer { min } => {
            let number = value
                .as_i64()
                .ok_or_else(|| wrong("合法的 64 位有符号整数"))?;
            if number < min {
                let message = format!(
                    "输入源“{path}”映射到数值字段“{label}”规则校验失败，值低于最小值 {min}"
                );
                return Err((message, value.clone()));
            }
            Ok(())
        }
        Kind::Boolean if value.is_boolean() => Ok(()),
        Kind::Boolean => Err(wrong(" bool 类型的 Json 值")),
        Kind::Object(fields) if value.is_object() => check_object(value, fields, path),
        Kind::Object(_) => Err(wrong(" object 类型的 Json 值")),
        Kind::Objects(fields) => {
            let items = value
                .as_array()
                .ok_or_else(|| wrong(" array 类型的 Json 值"))?;
            for (index, item) in items.iter().enumerate() {
                check_object(item, fields, &format!("{path}/{index}"))?;
            }
            Ok(())
        }
        Kind::Anything => Ok(()),
        Kind::Texts => {
            let items = value
                .as_array()
                .ok_or_else(|| wrong(" array 类型的 Json 值"))?;
            if items.iter().all(Value::is_string) {
                Ok(())
            } else {
                Err(wrong(" string 类型的 Json 值"))
            }
        }
    }
}

fn check_text(
    text: &str,
    (min, max): (usize, usize),
    unit: Unit,
    pattern: Option<&'static str>,
    label: &str,
    path: &str,
) -> Result<(), Fault> {
    let (length, word) = match unit {
        Unit::Bytes => (text.len(), "字节数"),
        Unit::Characters => (text.chars().count(), "字符数"),
    };
    let prefix = format!("输入源“{path}”映射到值字段“{label}”字符串规则校验失败");
    if length < min {
        return Err((
            format!("{prefix}，{word} {length}，小于最小值 {min}"),
            json!(length),
        ));
    }
    if length > max {
        return Err((
            format!("{prefix}，{word} {length}，大于最大值 {max}"),
            json!(length),
        ));
    }
    if let Some(pattern) = pattern
        && !matches(pattern, text)
    {
        return Err((
            format!("{prefix}，字符串必须匹配正则表达式“{pattern}”"),
            json!(text),
        ));
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
