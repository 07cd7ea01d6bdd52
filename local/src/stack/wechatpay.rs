//! The simulated WeChat Pay of a stack, and the business clock that both share.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use shared::clock::Clock;
use simulator::{BusinessClock, Simulator};

use super::error::StartError;
use super::options::Options;

pub(super) async fn start_simulator(
    options: &Options,
    port: u16,
    control_port: u16,
    business: &Arc<OnceLock<BusinessClock>>,
) -> Result<Simulator, StartError> {
    let mut config = simulator::Config::new(options.data_dir.join("simulator"));
    config.port = port;
    config.control_port = control_port;
    config.mode = options.mode;
    config.seed = options.seed;
    config.hostility = options.hostility;
    config.speed = options.speed;
    config.keys_from.clone_from(&options.keys_from);
    config.control_routes = Router::new()
        .route("/_local/clock", post(move_clock))
        .with_state(Arc::clone(business));
    Ok(Simulator::start(config).await?)
}

async fn move_clock(
    State(business): State<Arc<OnceLock<BusinessClock>>>,
    body: axum::body::Bytes,
) -> (StatusCode, axum::Json<Value>) {
    let seconds = serde_json::from_slice::<Value>(&body)
        .ok()
        .and_then(|body| body["advance_s"].as_i64());
    let (Some(seconds @ 0..), Some(business)) = (seconds, business.get()) else {
        let why = json!({"message": "send {\"advance_s\": seconds}, not below 0"});
        return (StatusCode::BAD_REQUEST, axum::Json(why));
    };
    if !business.advance(seconds) {
        let why = json!({"message": "business time may be a century ahead of real time"});
        return (StatusCode::BAD_REQUEST, axum::Json(why));
    }
    (
        StatusCode::OK,
        axum::Json(json!({"offset_s": business.offset_seconds()})),
    )
}

pub(super) fn offset_clock(business: BusinessClock) -> Clock {
    Clock::offset_by(Arc::new(move || business.offset_seconds()))
}
