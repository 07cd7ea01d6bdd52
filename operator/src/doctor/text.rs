//! Sentences in English and Chinese, side by side, with places for values.

use std::fmt;

/// What the doctor speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// English.
    En,
    /// Simplified Chinese.
    Zh,
}

impl Language {
    /// The language of a locale, as `LANG` has it: Chinese for `zh…`, otherwise English.
    pub fn of_locale(locale: Option<&str>) -> Self {
        match locale {
            Some(locale) if locale.to_ascii_lowercase().starts_with("zh") => Self::Zh,
            Some(_) | None => Self::En,
        }
    }

    pub(super) const fn separator(self) -> &'static str {
        match self {
            Self::En => "; ",
            Self::Zh => "；",
        }
    }

    pub(super) const fn colon(self) -> &'static str {
        match self {
            Self::En => ": ",
            Self::Zh => "：",
        }
    }
}

/// A sentence in both languages; `{name}` is a place for a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    #[cfg(test)]
    pub(super) id: &'static str,
    pub(super) en: &'static str,
    pub(super) zh: &'static str,
}

impl Text {
    /// The sentence as it stands.
    pub(super) const fn said(self) -> Said {
        Said {
            text: self,
            values: Vec::new(),
        }
    }

    /// The sentence with a value.
    pub(super) fn with(self, name: &'static str, value: impl fmt::Display) -> Said {
        self.said().and(name, value)
    }
}

/// A sentence with its values. Whoever gives one makes sure that it is no secret.
#[derive(Clone, Debug)]
pub(super) struct Said {
    text: Text,
    values: Vec<(&'static str, String)>,
}

impl Said {
    pub(super) fn and(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.values.push((name, value.to_string()));
        self
    }

    pub(super) fn to_text(&self, language: Language) -> String {
        let template = match language {
            Language::En => self.text.en,
            Language::Zh => self.text.zh,
        };
        let mut text = String::with_capacity(template.len());
        let mut rest = template;
        // One pass, so that a brace in a value is not taken for a place.
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                break;
            };
            let value = self.values.iter().find(|(known, _)| *known == name);
            text.push_str(value.map_or("…", |(_, value)| value));
            rest = after;
        }
        text.push_str(rest);
        text
    }
}

impl From<Text> for Said {
    fn from(text: Text) -> Self {
        text.said()
    }
}

/// Declares sentences: `NAME { "English", "中文" }`.
macro_rules! texts {
    ($($name:ident { $en:literal, $zh:literal })*) => {
        $(
            pub(super) const $name: Text = Text {
                #[cfg(test)]
                id: stringify!($name),
                en: $en,
                zh: $zh,
            };
        )*

        /// All of them.
        #[cfg(test)]
        pub(super) const ALL: &[Text] = &[$($name),*];
    };
}

pub(super) use texts;
