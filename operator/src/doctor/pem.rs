//! PEM as people really have it: what is around the block, and what is in it.

/// The first line of a PEM block without its dashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// `PRIVATE KEY`, `RSA PRIVATE KEY`.
    PrivateKey,
    /// `ENCRYPTED PRIVATE KEY`: behind a password.
    EncryptedKey,
    /// `EC PRIVATE KEY`, `OPENSSH PRIVATE KEY`: not what WeChat Pay uses.
    OtherKey,
    /// `CERTIFICATE`.
    Certificate,
    /// `CERTIFICATE REQUEST`: what a certificate is applied for with.
    Request,
    /// `PUBLIC KEY`.
    PublicKey,
    /// `RSA PUBLIC KEY`: the same in an older wrapping.
    RsaPublicKey,
    /// A block of another kind.
    Other,
    /// No block at all.
    None,
}

impl Block {
    /// What a text begins with.
    pub(super) fn of(text: &str) -> Self {
        let Some((_, rest)) = text.split_once("-----BEGIN ") else {
            return Self::None;
        };
        match rest.split_once("-----").map(|(label, _)| label) {
            Some("PRIVATE KEY" | "RSA PRIVATE KEY") => Self::PrivateKey,
            Some("ENCRYPTED PRIVATE KEY") => Self::EncryptedKey,
            Some("EC PRIVATE KEY" | "OPENSSH PRIVATE KEY") => Self::OtherKey,
            Some("CERTIFICATE") => Self::Certificate,
            Some("CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") => Self::Request,
            Some("PUBLIC KEY") => Self::PublicKey,
            Some("RSA PUBLIC KEY") => Self::RsaPublicKey,
            Some(_) => Self::Other,
            None => Self::None,
        }
    }
}

/// Something around or in a text that other readers stumble over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blemish {
    /// A byte order mark at its start, as Windows editors write it.
    ByteOrderMark,
    /// Not UTF-8: UTF-16, as Notepad's "Unicode", or a binary file.
    NotUtf8,
    /// Lines that end with carriage return and line feed.
    CarriageReturns,
    /// `\n` in two characters instead of a line feed, as left by a variable or by JSON twice encoded.
    EscapedLineFeeds,
    /// The whole block in one line.
    OneLine,
}

impl Blemish {
    /// What is wrong with a text of PEM.
    pub(super) fn of_pem(text: &str) -> Vec<Self> {
        let mut blemishes = Self::of_text(text);
        if text.contains('\r') {
            blemishes.push(Self::CarriageReturns);
        }
        if text.contains("\\n") {
            blemishes.push(Self::EscapedLineFeeds);
        } else if text.contains("-----BEGIN ") && !text.trim().contains('\n') {
            blemishes.push(Self::OneLine);
        }
        blemishes
    }

    /// What is wrong with any text.
    pub(super) fn of_text(text: &str) -> Vec<Self> {
        let mut blemishes = Vec::new();
        if text.starts_with('\u{feff}') {
            blemishes.push(Self::ByteOrderMark);
        }
        if text.contains(['\u{fffd}', '\0']) {
            blemishes.push(Self::NotUtf8);
        }
        blemishes
    }
}

/// The text as it was meant: each fault is told once, and the rest can still be checked.
pub(super) fn mended(text: &str) -> String {
    let text = text.trim_start_matches('\u{feff}').replace("\\n", "\n");
    text.replace('\r', "")
}
