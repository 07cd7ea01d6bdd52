//! A client at a till, and the server of these tests as the WeChat Pay that it asks.

use std::sync::Arc;
use std::time::Duration;

use super::server::{Asked, Reply, Server};
use super::{merchant, platform_keys};
use crate::clock::Clock;
use crate::domain::report::RefundStatus;
use crate::domain::terms::Payee;
use crate::domain::{Mchid, OrderId, OrderReport, Refund, RefundId, TradeType, TransactionId};
use crate::process::Process;
use crate::wechatpay::{
    Call, CallError, Client, Closed, Endpoints, Keys, Prepaid, PrepayRequest, Signed, UnknownCause,
};

pub(super) const MCHID: &str = "1900007291";

/// Long enough for two attempts on a busy machine.
const PATIENCE: Duration = Duration::from_secs(8);

pub(super) const UNPAID: &str = r#"{"mchid":"1900007291","out_trade_no":"order_1","trade_state":"NOTPAY","amount":{"total":1}}"#;

pub(super) const REFUND: &str = r#"{"out_refund_no":"refund_1","out_trade_no":"order_1","transaction_id":"4200","refund_id":"5030","status":"PROCESSING","amount":{"refund":1,"total":2}}"#;

/// A client, what it asks with, and the server it asks.
pub(super) struct Till {
    pub(super) client: Client,
    keys: Keys,
    pub(super) clock: Clock,
    pub(super) time_left: Duration,
    pub(super) server: Server,
}

impl Till {
    pub(super) async fn before(replies: Vec<Reply>) -> Self {
        let server = Server::start(replies).await;
        let base = format!("http://{}", server.authority);
        Self::at(&base, server)
    }

    /// A till whose server's answers name its own address.
    pub(super) async fn before_naming(replies: impl FnOnce(&str) -> Vec<Reply>) -> Self {
        let server = Server::start_naming(replies).await;
        let base = format!("http://{}", server.authority);
        Self::at(&base, server)
    }

    /// A till whose first host nobody listens at; the server is the backup.
    pub(super) async fn with_a_dead_host_before(replies: Vec<Reply>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let server = Server::start(replies).await;
        Self::at(&dead, server)
    }

    fn at(base: &str, server: Server) -> Self {
        let backup = format!("http://{}", server.authority);
        let trusted = [
            base.trim_start_matches("http://"),
            server.authority.as_str(),
        ];
        let endpoints = Endpoints::parse(base, &backup, &trusted).unwrap();
        let transport = Process::system().unwrap().transport;
        Self {
            client: Client::new(transport, endpoints, payee(None)),
            keys: Keys {
                merchant: Arc::new(merchant()),
                platform: Arc::new(platform_keys()),
            },
            clock: Clock::system(),
            time_left: PATIENCE,
            server,
        }
    }

    pub(super) fn call(&self) -> Call<'_> {
        Call {
            keys: &self.keys,
            clock: &self.clock,
            time_left: self.time_left,
        }
    }

    pub(super) async fn query(&self) -> Result<Signed<OrderReport>, CallError> {
        self.client.query_order(&self.call(), &order_id()).await
    }

    pub(super) async fn close(&self) -> Result<Signed<Closed>, CallError> {
        self.client.close(&self.call(), &order_id()).await
    }

    pub(super) async fn prepay(&self, trade_type: TradeType) -> Result<Signed<Prepaid>, CallError> {
        let terms = super::bodies::terms(trade_type);
        let request = PrepayRequest::of(&terms).unwrap();
        self.client.prepay(&self.call(), &request).await
    }

    pub(super) async fn refund(&self) -> Result<RefundStatus, CallError> {
        self.client
            .refund(&self.call(), &refund())
            .await
            .map(|report| report.into_inner().status)
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.server.asked()
    }
}

fn payee(sub_mchid: Option<&str>) -> Payee {
    Payee {
        mchid: Mchid::parse(MCHID).unwrap(),
        sub_mchid: sub_mchid.map(|mchid| Mchid::parse(mchid).unwrap()),
    }
}

pub(super) fn refund() -> Refund {
    Refund {
        refund_id: refund_id(),
        transaction_id: transaction_id(),
        ..super::bodies::refund()
    }
}

fn order_id() -> OrderId {
    OrderId::parse("order_1").unwrap()
}

fn refund_id() -> RefundId {
    RefundId::parse("refund_1").unwrap()
}

pub(super) fn transaction_id() -> TransactionId {
    TransactionId::parse("4200").unwrap()
}

pub(super) fn cause<T: std::fmt::Debug>(outcome: Result<T, CallError>) -> UnknownCause {
    match outcome {
        Err(CallError::Unknown(cause)) => cause,
        Err(CallError::Refused(_)) | Ok(_) => panic!("unknown, not {outcome:?}"),
    }
}
