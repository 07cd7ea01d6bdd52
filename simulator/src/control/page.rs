//! The phone: the page that the control port serves, and the stream that tells it what changed. The
//! page is a few plain files, built into the binary; everything it shows comes from control calls.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use fast_qr::convert::svg::SvgBuilder;
use fast_qr::{ECL, QRBuilder};
use futures_util::stream::{self, Stream};
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::problem::Problem;
use crate::changes::Change;
use crate::handle::SimulatorHandle;

/// Only the page's own files run and style it, it talks to its own port alone, no other page frames
/// it, and no text can become markup even by mistake.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";
/// A proxy or a sleeping laptop is found out by the lack of these.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A page that lost the stream tries again after this long.
const RETRY: Duration = Duration::from_secs(1);

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// The page's files by their paths.
const FILES: [(&str, &str, &str); 17] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/page.css", CSS, include_str!("page/page.css")),
    ("/page.js", JS, include_str!("page/page.js")),
    ("/dom.js", JS, include_str!("page/dom.js")),
    ("/faults.js", JS, include_str!("page/faults.js")),
    ("/lists.js", JS, include_str!("page/lists.js")),
    ("/looks.js", JS, include_str!("page/looks.js")),
    ("/notices.js", JS, include_str!("page/notices.js")),
    ("/orders.js", JS, include_str!("page/orders.js")),
    ("/requests.js", JS, include_str!("page/requests.js")),
    ("/signatures.js", JS, include_str!("page/signatures.js")),
    ("/talk.js", JS, include_str!("page/talk.js")),
    ("/violations.js", JS, include_str!("page/violations.js")),
    ("/wire.js", JS, include_str!("page/wire.js")),
    ("/words.js", JS, include_str!("page/words.js")),
    ("/zh.js", JS, include_str!("page/zh.js")),
    ("/zh-sentences.js", JS, include_str!("page/zh-sentences.js")),
];

/// The routes of the page's files.
pub(crate) fn files() -> Router<Arc<SimulatorHandle>> {
    let mut router = Router::new();
    for (path, kind, text) in FILES {
        router = router.route(path, get(move || async move { asset(kind, text) }));
    }
    router
}

/// The files change with the binary, so a browser asks for them every time.
fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &str); 4] = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}

/// `GET /_sim/orders/{out_trade_no}/code.svg?mchid=`: the QR code of a Native order's newest `code_url`.
pub(crate) async fn code(
    State(handle): State<Arc<SimulatorHandle>>,
    Path(out_trade_no): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let code_url = {
        let state = handle.lock();
        let mchid = query.get("mchid").map(String::as_str);
        let order = state.find_order(&out_trade_no, mchid);
        let ticket = order.and_then(|order| order.tickets.last());
        ticket.and_then(|ticket| ticket.code_url.clone())
    };
    let code_url = code_url.ok_or_else(|| {
        Problem::missing(format!(
            "WeChat Pay has no Native order {out_trade_no}, so there is no code_url to draw"
        ))
    })?;
    let code = QRBuilder::new(code_url)
        .ecl(ECL::M)
        .build()
        .map_err(|error| Problem::bad(format!("the code_url cannot be drawn: {error:?}")))?;
    // Black on white in any colour scheme, with the quiet zone that scanners need.
    let svg = SvgBuilder::default().to_str(&code);
    let headers = [(CONTENT_TYPE, "image/svg+xml"), (CACHE_CONTROL, "no-store")];
    Ok((headers, svg).into_response())
}

/// Tells what changes: `hello` first, then an event per kind of change, named after it. Listening
/// begins before `hello` is sent, so whoever looks at everything after it misses nothing.
pub(crate) async fn events(
    State(handle): State<Arc<SimulatorHandle>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let listener = Listener {
        heard: handle.changes.listen(),
        handle,
        unsent: BTreeSet::new(),
    };
    let hello = Event::default()
        .event("hello")
        .retry(RETRY)
        .data(json!({"note": "a simulator; it is not WeChat Pay"}).to_string());
    let first = stream::once(std::future::ready(Ok(hello)));
    let rest = stream::unfold(listener, |mut listener| async move {
        let change = listener.next().await?;
        let name = change.as_str();
        let event = Event::default()
            .event(name)
            .data(json!({"changed": name}).to_string());
        Some((Ok(event), listener))
    });
    Sse::new(stream::StreamExt::chain(first, rest))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// One open stream. Changes of a kind that come faster than they can be sent are sent once.
struct Listener {
    handle: Arc<SimulatorHandle>,
    heard: Receiver<Change>,
    unsent: BTreeSet<Change>,
}

impl Listener {
    /// The next change to tell; none when the simulator stops.
    async fn next(&mut self) -> Option<Change> {
        if self.unsent.is_empty() {
            let heard = tokio::select! {
                () = self.handle.stopped() => return None,
                heard = self.heard.recv() => heard,
            };
            match heard {
                Ok(change) => {
                    self.unsent.insert(change);
                }
                // Which ones were missed is not known: everything is looked at again.
                Err(RecvError::Lagged(_)) => self.unsent.extend(Change::ALL),
                Err(RecvError::Closed) => return None,
            }
            while let Ok(change) = self.heard.try_recv() {
                self.unsent.insert(change);
            }
        }
        self.unsent.pop_first()
    }
}
