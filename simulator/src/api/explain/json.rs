//! The forms in which clients write one and the same JSON text: blanks, escapes, charsets, the
//! order of members. Every form is made on its own and can be let go before the next.

use std::ops::ControlFlow;

use encoding_rs::GBK;
use serde_json::Value;

use crate::canonical;

/// Objects of up to this many members are tried in every order.
const PERMUTED_MEMBERS_MAX: usize = 7;

/// The order in which WeChat Pay's pages list the members of orders and refunds, which clients
/// copy.
const DOCUMENTED: [&str; 24] = [
    "sp_appid",
    "sp_mchid",
    "sub_appid",
    "sub_mchid",
    "appid",
    "mchid",
    "transaction_id",
    "description",
    "out_trade_no",
    "out_refund_no",
    "reason",
    "time_expire",
    "attach",
    "notify_url",
    "funds_account",
    "goods_tag",
    "support_fapiao",
    "amount",
    "payer",
    "detail",
    "scene_info",
    "settle_info",
    "goods_detail",
    "limit_pay",
];

/// Visits every way of writing the text, members in the order of the text or sorted. What visits
/// says when to stop; forms may come more than once.
pub(super) fn each_form(
    text: &str,
    value: &Value,
    visit: &mut dyn FnMut(String) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let forms: [&dyn Fn() -> String; 10] = [
        &|| text.to_owned(),
        &|| reformat(text, ",", ":"),
        &|| reformat(text, ", ", ": "),
        &|| reformat(text, ",", ": "),
        &|| canonical::sorted(value),
        &|| reformat(&canonical::sorted(value), ", ", ": "),
        &|| indented(text, "  "),
        &|| indented(text, "    "),
        &|| indented(text, "\t"),
        &|| serde_json::to_string_pretty(value).unwrap_or_default(),
    ];
    let letters: [&dyn Fn(&str) -> String; 4] = [
        &str::to_owned,
        &|form| escape(form, false),
        &|form| escape(form, true),
        &unescape,
    ];
    let signs: [&dyn Fn(&str) -> String; 3] = [&str::to_owned, &escape_html, &unescape_html];
    for form in forms {
        let form = form();
        for letter in letters {
            let form = letter(&form);
            for sign in signs {
                let form = sign(&form);
                let bare = form.replace("\\/", "/");
                visit(bare.replace('/', "\\/"))?;
                visit(bare)?;
                visit(form)?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// Visits the text in other charsets than UTF-8, or as a program misread it.
pub(super) fn each_charset(
    body: &[u8],
    visit: &mut dyn FnMut(&'static str, Vec<u8>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let signed = "the body was signed in another charset than it is sent in";
    if let Some(rest) = body.strip_prefix(MARK) {
        visit(
            "a byte order mark that was not signed is sent before the body: send UTF-8 without one",
            rest.to_vec(),
        )?;
    } else {
        visit(
            "a byte order mark was signed before the body: sign the very bytes that are sent",
            [MARK, body].concat(),
        )?;
    }
    let Ok(text) = std::str::from_utf8(body) else {
        let (text, _, damaged) = GBK.decode(body);
        if !damaged {
            visit(
                "the body is sent in GBK and was signed in UTF-8: send UTF-8",
                text.into_owned().into_bytes(),
            )?;
        }
        return ControlFlow::Continue(());
    };
    if text.is_ascii() {
        return ControlFlow::Continue(());
    }
    visit(
        "the body was signed in GBK: take the bytes of UTF-8, also where the text is turned into \
         bytes for signing",
        GBK.encode(text).0.into_owned(),
    )?;
    let question_marks = |character: char| if character.is_ascii() { character } else { '?' };
    visit(
        "letters beyond ASCII were signed as question marks, as a charset such as ISO-8859-1 makes \
         them: take the bytes of UTF-8",
        text.chars().map(question_marks).collect::<String>().into(),
    )?;
    let misread: String = body.iter().copied().map(char::from).collect();
    visit(
        "UTF-8 was read as ISO-8859-1 before signing (å’– for 咖): take the bytes of UTF-8",
        misread.into_bytes(),
    )?;
    let bytes: Result<Vec<u8>, _> = text
        .chars()
        .map(|character| u8::try_from(u32::from(character)))
        .collect();
    match bytes {
        Ok(bytes) => visit(signed, bytes),
        Err(_) => ControlFlow::Continue(()),
    }
}

/// Visits the text with its members in other orders, blanks as they are: every order of a few
/// members, of many the likely ones.
pub(super) fn each_order(
    text: &str,
    visit: &mut dyn FnMut(String) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for inner in [Inner::AsSent, Inner::Sorted, Inner::Reversed] {
        let Some(mut object) = Object::split(text) else {
            return ControlFlow::Continue(());
        };
        if inner != Inner::AsSent {
            let members: Vec<String> = object
                .members
                .iter()
                .map(|member| inner.of(member))
                .collect();
            if members == object.members {
                continue;
            }
            object.members = members;
        }
        let count = object.members.len();
        let mut order: Vec<usize> = (0..count).collect();
        if count <= PERMUTED_MEMBERS_MAX {
            loop {
                visit(object.written(&order))?;
                if !next_permutation(&mut order) {
                    break;
                }
            }
            continue;
        }
        visit(object.written(&order))?;
        order.sort_by_key(|index| &object.members[*index]);
        visit(object.written(&order))?;
        order.reverse();
        visit(object.written(&order))?;
        order.sort_unstable();
        order.reverse();
        visit(object.written(&order))?;
        order.sort_unstable();
        order.sort_by_key(|index| {
            let name = name(&object.members[*index]);
            DOCUMENTED
                .iter()
                .position(|known| *known == name)
                .unwrap_or(DOCUMENTED.len())
        });
        visit(object.written(&order))?;
        for from in 0..count {
            for to in 0..count {
                let mut moved: Vec<usize> = (0..count).collect();
                let member = moved.remove(from);
                moved.insert(to, member);
                visit(object.written(&moved))?;
                let mut swapped: Vec<usize> = (0..count).collect();
                swapped.swap(from, to);
                visit(object.written(&swapped))?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// Brings the next order in the dictionary's sense; false after the last.
pub(super) fn next_permutation(order: &mut [usize]) -> bool {
    let Some(at) = (1..order.len()).rev().find(|at| order[at - 1] < order[*at]) else {
        return false;
    };
    let larger = (at..order.len())
        .rev()
        .find(|other| order[*other] > order[at - 1]);
    order.swap(at - 1, larger.unwrap_or(at));
    order[at..].reverse();
    true
}

/// What becomes of the objects inside the object whose members are reordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inner {
    AsSent,
    Sorted,
    Reversed,
}

impl Inner {
    /// A member with the objects in it reordered.
    fn of(self, member: &str) -> String {
        let Some(at) = member
            .find("{")
            .filter(|at| member[..*at].trim_end().ends_with(':'))
        else {
            return member.to_owned();
        };
        let Some(mut object) = Object::split(&member[at..]) else {
            return member.to_owned();
        };
        object.members = object
            .members
            .iter()
            .map(|member| self.of(member))
            .collect();
        let mut order: Vec<usize> = (0..object.members.len()).collect();
        match self {
            Self::AsSent => {}
            Self::Sorted => order.sort_by_key(|index| &object.members[*index]),
            Self::Reversed => order.reverse(),
        }
        format!("{}{}", &member[..at], object.written(&order))
    }
}

/// The text of an object, taken apart: `members`, and what stands around the place of each.
struct Object<'a> {
    members: Vec<String>,
    around: Vec<(&'a str, &'a str)>,
    before: &'a str,
    after: &'a str,
}

impl<'a> Object<'a> {
    fn split(text: &'a str) -> Option<Self> {
        let open = text
            .find('{')
            .filter(|open| text[..*open].trim().is_empty())?;
        let close = text.rfind('}').filter(|close| *close > open)?;
        let inside = &text[open + 1..close];
        let mut pieces = Vec::new();
        let (mut start, mut depth, mut in_string, mut escaped) = (0, 0_usize, false, false);
        for (at, byte) in inside.bytes().enumerate() {
            if in_string {
                in_string = escaped || byte != b'"';
                escaped = !escaped && byte == b'\\';
                continue;
            }
            match byte {
                b'"' => in_string = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.checked_sub(1)?,
                b',' if depth == 0 => {
                    pieces.push(&inside[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
        }
        pieces.push(&inside[start..]);
        let around = |piece: &'a str| {
            let rest = piece.trim_start();
            (
                &piece[..piece.len() - rest.len()],
                &rest[rest.trim_end().len()..],
            )
        };
        Some(Self {
            members: pieces.iter().map(|piece| piece.trim().to_owned()).collect(),
            around: pieces.iter().map(|piece| around(piece)).collect(),
            before: &text[..=open],
            after: &text[close..],
        })
    }

    fn written(&self, order: &[usize]) -> String {
        let mut text = self.before.to_owned();
        for (place, (index, (lead, trail))) in order.iter().zip(&self.around).enumerate() {
            if place > 0 {
                text.push(',');
            }
            text.push_str(lead);
            text.push_str(&self.members[*index]);
            text.push_str(trail);
        }
        text.push_str(self.after);
        text
    }
}

fn name(member: &str) -> &str {
    member
        .strip_prefix('"')
        .and_then(|rest| rest.split('"').next())
        .unwrap_or_default()
}

/// Writes JSON text again with other separators, order and escapes kept.
fn reformat(text: &str, between_items: &str, after_key: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_string = false;
    let mut escaped = false;
    for character in text.chars() {
        if in_string {
            out.push(character);
            if escaped {
                escaped = false;
            } else if character == '\\' {
                escaped = true;
            } else if character == '"' {
                in_string = false;
            }
        } else {
            match character {
                '"' => {
                    in_string = true;
                    out.push('"');
                }
                ',' => out.push_str(between_items),
                ':' => out.push_str(after_key),
                ' ' | '\n' | '\r' | '\t' => {}
                other => out.push(other),
            }
        }
    }
    out
}

/// Writes JSON text again a member to a line, order and escapes kept.
fn indented(text: &str, indent: &str) -> String {
    let compact = reformat(text, ",", ":");
    let mut out = String::with_capacity(compact.len() * 2);
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    let mut characters = compact.chars().peekable();
    while let Some(character) = characters.next() {
        if in_string {
            out.push(character);
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            '{' | '[' => {
                out.push(character);
                if let Some(close) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    out.push('\n');
                    out.push_str(&indent.repeat(depth));
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                out.push('\n');
                out.push_str(&indent.repeat(depth));
                out.push(character);
            }
            ',' => {
                out.push_str(",\n");
                out.push_str(&indent.repeat(depth));
            }
            ':' => out.push_str(": "),
            other => {
                in_string = other == '"';
                out.push(other);
            }
        }
    }
    out
}

/// Writes everything beyond ASCII as `\uXXXX`, as Python and PHP do by default, .NET in capitals.
fn escape(text: &str, capitals: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                if capitals {
                    out.push_str(&format!("\\u{unit:04X}"));
                } else {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out
}

/// Reads `\uXXXX` beyond ASCII back and keeps all else, for bodies that were sent escaped and
/// signed unescaped.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let unit = |text: &str| {
            let digits = text.strip_prefix("\\u")?.get(..4)?;
            u16::from_str_radix(digits, 16).ok()
        };
        // A character beyond the basic plane is two escapes.
        let units = [unit(rest), rest.get(6..).and_then(unit)];
        let read: Option<char> = char::decode_utf16(units.into_iter().map_while(|unit| unit))
            .next()
            .and_then(Result::ok)
            .filter(|character| !character.is_ascii());
        match read {
            Some(character) => {
                out.push(character);
                rest = &rest[6 * character.len_utf16()..];
            }
            None => {
                // An escape of another kind: the character after the backslash belongs to it.
                let taken = rest.chars().take(2).map(char::len_utf8).sum();
                out.push_str(&rest[..taken]);
                rest = &rest[taken..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Writes `<`, `>` and `&` as `\u003c`, `\u003e` and `\u0026`, as Go does by default.
fn escape_html(text: &str) -> String {
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// Reads those three back, in either case of their digits.
fn unescape_html(text: &str) -> String {
    text.replace("\\u003c", "<")
        .replace("\\u003C", "<")
        .replace("\\u003e", ">")
        .replace("\\u003E", ">")
        .replace("\\u0026", "&")
}
