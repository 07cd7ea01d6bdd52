//! A text as it is signed: its five lines, and the ways in which they may have been joined.

/// One way in which the lines may have been joined: what goes before them and what ends each.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) fault: &'static str,
    pub(super) before: &'static str,
    pub(super) ends: [&'static str; 5],
    /// Whether the method and the target are lines.
    pub(super) request: bool,
}

const fn shape(fault: &'static str, ends: [&'static str; 5]) -> Shape {
    Shape {
        fault,
        before: "",
        ends,
        request: true,
    }
}

pub(super) const SHAPES: [Shape; 10] = [
    shape("", ["\n"; 5]),
    shape(
        "the last line lacks its line feed: every one of the five lines ends with one",
        ["\n", "\n", "\n", "\n", ""],
    ),
    shape("the lines end with CR LF: use a lone LF", ["\r\n"; 5]),
    shape(
        "four lines end with CR LF: use a lone LF",
        ["\r\n", "\r\n", "\r\n", "\r\n", "\n"],
    ),
    shape(
        "four lines end with CR LF and the last with nothing: end all five with a lone LF",
        ["\r\n", "\r\n", "\r\n", "\r\n", ""],
    ),
    shape(
        "the lines end with a backslash and an n, two characters: use a real line feed",
        ["\\n"; 5],
    ),
    shape(
        "a line feed too many ends the text",
        ["\n", "\n", "\n", "\n", "\n\n"],
    ),
    shape(
        "the line of the empty body is missing: the text ends with two line feeds",
        ["\n", "\n", "\n", "", ""],
    ),
    Shape {
        fault: "the three lines of a response were signed: a request has five",
        before: "",
        ends: ["\n"; 5],
        request: false,
    },
    Shape {
        fault: "a byte order mark was signed before the text: encode it as UTF-8 without one",
        before: "\u{feff}",
        ends: ["\n"; 5],
        request: true,
    },
];

/// A whole text, in parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) timestamp: &'a [u8],
    pub(super) nonce: &'a [u8],
    pub(super) body: &'a [u8],
    pub(super) shape: &'static Shape,
}

impl<'a> Text<'a> {
    pub(super) fn pieces(self) -> impl Iterator<Item = &'a [u8]> {
        let lines = [
            self.method,
            self.target,
            self.timestamp,
            self.nonce,
            self.body,
        ];
        let first = if self.shape.request { 0 } else { 2 };
        let before = std::iter::once(self.shape.before.as_bytes());
        before.chain(
            (first..lines.len())
                .flat_map(move |line| [lines[line], self.shape.ends[line].as_bytes()]),
        )
    }

    pub(super) fn written(self) -> Vec<u8> {
        self.pieces().flatten().copied().collect()
    }

    pub(super) fn written_length(self) -> usize {
        self.pieces().map(<[u8]>::len).sum()
    }
}
