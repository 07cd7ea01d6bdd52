//! The language in which a caller wants to read why a request was not done.

use lambda_http::http::HeaderMap;
use lambda_http::http::header::ACCEPT_LANGUAGE;

/// A language that problems are told in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English, also for whoever asks for neither.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// What `Accept-Language` prefers of these: of two that are wanted equally, the first. Any form of a
    /// language counts (`zh-TW`, `en-GB`); `*` and a header that cannot be read choose nothing.
    pub fn wanted(headers: &HeaderMap) -> Self {
        let header = headers.get(ACCEPT_LANGUAGE);
        let ranges = header.and_then(|value| value.to_str().ok()).unwrap_or("");
        let mut best = (Self::default(), 0.0);
        for range in ranges.split(',') {
            let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
            let language = match tag.trim().split('-').next().unwrap_or_default() {
                primary if primary.eq_ignore_ascii_case("en") => Self::English,
                primary if primary.eq_ignore_ascii_case("zh") => Self::Chinese,
                _ => continue,
            };
            let weight = weight.trim().strip_prefix("q=").unwrap_or_default();
            let weight: f32 = weight.trim().parse().unwrap_or_default();
            if weight > best.1 {
                best = (language, weight);
            }
        }
        best.0
    }

    /// The language's tag (RFC 5646).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "these are tests")]

    use lambda_http::http::HeaderValue;

    use super::*;

    fn wanted(header: &[u8]) -> Language {
        let value = HeaderValue::from_bytes(header).unwrap();
        Language::wanted(&HeaderMap::from_iter([(ACCEPT_LANGUAGE, value)]))
    }

    #[test]
    fn chinese_is_chosen_where_it_is_wanted_most() {
        for header in [
            "zh",
            "zh-CN",
            "ZH-hans-cn",
            "zh-TW;q=0.1",
            "zh,en",
            "zh-CN,zh;q=0.9,en;q=0.8",
            "de, en;q=0.5, zh ; q=0.7",
            "en;q=0,zh;q=0.001",
        ] {
            assert_eq!(wanted(header.as_bytes()), Language::Chinese, "{header}");
        }
    }

    #[test]
    fn everyone_else_reads_english() {
        for header in [
            "",
            "en",
            "*",
            "de-DE,de;q=0.9",
            "en,zh",
            "en-US,zh;q=0.9",
            "zh;q=0",
            "zh;q=",
            "zh;q=NaN",
            "zh;level=1",
            "zhx",
            "x-zh",
            ",;,",
        ] {
            assert_eq!(wanted(header.as_bytes()), Language::English, "{header}");
        }
        assert_eq!(wanted(b"zh\xff"), Language::English);
        assert_eq!(Language::wanted(&HeaderMap::new()), Language::English);
    }
}
