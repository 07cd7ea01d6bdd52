//! Where a merchant's notices arrive.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;

use super::PATIENCE;
use super::keys::{PublicKey, open};

/// A notice as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn envelope(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(String::as_str)
            .unwrap_or_default()
    }

    pub fn payload(&self, apiv3_key: &str) -> String {
        let opened = open(apiv3_key, &self.envelope()["resource"]).expect("the key opens it");
        String::from_utf8(opened).unwrap()
    }

    pub fn verified_by(&self, public: &PublicKey) -> bool {
        public.verifies(
            self.header("wechatpay-timestamp"),
            self.header("wechatpay-nonce"),
            &self.body,
            self.header("wechatpay-signature"),
        )
    }
}

#[derive(Default)]
struct Mail {
    received: Vec<Received>,
    answers: VecDeque<(u16, Duration)>,
    always: Option<(u16, Duration)>,
}

/// Where notices arrive; answers 204 unless told otherwise.
#[derive(Clone)]
pub struct Inbox {
    pub url: String,
    mail: Arc<Mutex<Mail>>,
    arrived: Arc<Notify>,
}

impl Inbox {
    pub async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/wechatpay/notify", listener.local_addr().unwrap());
        let inbox = Self {
            url,
            mail: Arc::default(),
            arrived: Arc::new(Notify::new()),
        };
        let router = axum::Router::new()
            .fallback(
                |axum::extract::State(inbox): axum::extract::State<Self>,
                 headers: axum::http::HeaderMap,
                 body: axum::body::Bytes| async move {
                    inbox.take(&headers, &body).await
                },
            )
            .with_state(inbox.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        inbox
    }

    async fn take(&self, headers: &axum::http::HeaderMap, body: &[u8]) -> axum::http::StatusCode {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let (status, pause) = {
            let mut mail = self.mail.lock().unwrap();
            mail.received.push(Received {
                headers,
                body: body.to_vec(),
            });
            let always = mail.always;
            mail.answers
                .pop_front()
                .or(always)
                .unwrap_or((204, Duration::ZERO))
        };
        self.arrived.notify_waiters();
        tokio::time::sleep(pause).await;
        axum::http::StatusCode::from_u16(status).unwrap()
    }

    /// Answers the next notices with these statuses.
    pub fn answer(&self, statuses: &[u16]) {
        let answers = statuses.iter().map(|status| (*status, Duration::ZERO));
        self.mail.lock().unwrap().answers.extend(answers);
    }

    /// Answers every notice with this status after this pause.
    pub fn always(&self, status: u16, pause: Duration) {
        self.mail.lock().unwrap().always = Some((status, pause));
    }

    pub fn received(&self) -> Vec<Received> {
        self.mail.lock().unwrap().received.clone()
    }

    /// Waits until this many notices have arrived.
    pub async fn wait(&self, count: usize) -> Vec<Received> {
        let waited = async {
            loop {
                let arrived = self.arrived.notified();
                tokio::pin!(arrived);
                arrived.as_mut().enable();
                let received = self.received();
                if received.len() >= count {
                    return received;
                }
                arrived.await;
            }
        };
        tokio::time::timeout(PATIENCE, waited)
            .await
            .unwrap_or_else(|_| panic!("{} of {count} notices arrived", self.received().len()))
    }
}
