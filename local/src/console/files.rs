//! The page's files, built into the binary.

/// A file of the page.
pub(super) struct File {
    /// Its content type.
    pub(super) kind: &'static str,
    /// Its text.
    pub(super) text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// The file of this path below `/console`.
pub(super) fn of(path: &str) -> Option<File> {
    let (kind, text) = match path {
        "" => (HTML, include_str!("page/index.html")),
        "/page.css" => (CSS, include_str!("page/page.css")),
        "/parts.css" => (CSS, include_str!("page/parts.css")),
        "/books.js" => (JS, include_str!("page/books.js")),
        "/calls.js" => (JS, include_str!("page/calls.js")),
        "/clock.js" => (JS, include_str!("page/clock.js")),
        "/elements.js" => (JS, include_str!("page/elements.js")),
        "/entry.js" => (JS, include_str!("page/entry.js")),
        "/item.js" => (JS, include_str!("page/item.js")),
        "/main.js" => (JS, include_str!("page/main.js")),
        "/orders.js" => (JS, include_str!("page/orders.js")),
        "/phone.js" => (JS, include_str!("page/phone.js")),
        "/refunds.js" => (JS, include_str!("page/refunds.js")),
        "/shop.js" => (JS, include_str!("page/shop.js")),
        "/terminal.js" => (JS, include_str!("page/terminal.js")),
        "/timeline.js" => (JS, include_str!("page/timeline.js")),
        "/words.js" => (JS, include_str!("page/words.js")),
        "/written.js" => (JS, include_str!("page/written.js")),
        _ => return None,
    };
    Some(File { kind, text })
}
