//! How many signed orders per second the simulator takes on one core, beside the floor that its own
//! checking and making of signatures sets, and how fast it starts once it has keys.
//!
//! `cargo run --release -p simulator --example throughput`. A report for people, not a test. Where
//! the system tells how long a thread ran, the share is of that time and holds on a busy machine too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a report that cannot be made stops with the reason"
)]

use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1v15::{SigningKey, VerifyingKey};
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::sha2::Sha256;
use rsa::signature::{Signer as _, Verifier as _};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use simulator::{Config, MerchantFile, Simulator};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ORDERS: usize = 3_000;
const CONNECTIONS: usize = 8;
const FLOOR_ROUNDS: u32 = 500;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let one_thread = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    one_thread().block_on(async {
        Simulator::start(Config::new(folder.path()))
            .await
            .unwrap()
            .stop()
            .await;
    });
    let started = Instant::now();
    one_thread().block_on(async {
        let simulator = Simulator::start(Config::new(folder.path())).await.unwrap();
        println!(
            "start-up with keys present: {:.1} ms",
            started.elapsed().as_secs_f64() * 1e3
        );
        simulator.stop().await;
    });

    let pem = std::fs::read_to_string(folder.path().join("apiclient_key.pem")).unwrap();
    let floor = floor(&pem);
    println!(
        "floor: one check and one signature take {:.3} ms, so at most {:.0} per second",
        floor.wall.as_secs_f64() * 1e3,
        1.0 / floor.wall.as_secs_f64()
    );

    let (ready, started) = std::sync::mpsc::channel();
    let (done, finished) = tokio::sync::oneshot::channel::<()>();
    let config = Config::new(folder.path());
    // The simulator has this one thread and so one core; the requests come from another.
    let server = std::thread::spawn(move || {
        one_thread().block_on(async {
            let simulator = Simulator::start(config).await.unwrap();
            ready.send(simulator.control_url().to_owned()).unwrap();
            let began = Moment::now();
            finished.await.unwrap();
            let spent = began.elapsed();
            simulator.stop().await;
            spent
        })
    });
    let control = started.recv().unwrap();
    let taken = one_thread().block_on(orders(folder.path(), &pem, &control));
    done.send(()).unwrap();
    let spent = server.join().unwrap();
    let each = taken / ORDERS as u32;
    println!(
        "orders: {:.0} per second on one core, {:.3} ms each",
        1.0 / each.as_secs_f64(),
        each.as_secs_f64() * 1e3
    );
    println!(
        "share of the floor: {:.2}",
        floor.wall.as_secs_f64() / each.as_secs_f64()
    );
    if let (Some(floor), Some(spent)) = (floor.on_core, spent.on_core) {
        let each = spent / ORDERS as u32;
        println!(
            "by the time the core was ours: floor {:.3} ms, an order {:.3} ms, share {:.2}",
            floor.as_secs_f64() * 1e3,
            each.as_secs_f64() * 1e3,
            floor.as_secs_f64() / each.as_secs_f64()
        );
    }
}

/// A moment on the clock and, where the system tells, in the life of this thread.
struct Moment {
    wall: Instant,
    on_core: Option<Duration>,
}

/// What passed since a moment.
struct Spent {
    wall: Duration,
    on_core: Option<Duration>,
}

impl Moment {
    fn now() -> Self {
        // Linux: nanoseconds that this thread ran, then what it waited, then how often it was switched.
        let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
        let ran = told.and_then(|told| told.split(' ').next()?.parse().ok());
        Self {
            wall: Instant::now(),
            on_core: ran.map(Duration::from_nanos),
        }
    }

    fn elapsed(&self) -> Spent {
        let now = Self::now();
        Spent {
            wall: now.wall - self.wall,
            on_core: now.on_core.zip(self.on_core).map(|(now, then)| now - then),
        }
    }
}

fn floor(pem: &str) -> Spent {
    let key = SigningKey::<Sha256>::new(rsa::PrivateKey::from_pkcs8_pem(pem).unwrap());
    let public: VerifyingKey<Sha256> = rsa::signature::Keypair::verifying_key(&key);
    let message = vec![b'x'; 500];
    let signature = key.sign(&message);
    let began = Moment::now();
    for _ in 0..FLOOR_ROUNDS {
        public
            .verify(black_box(&message), black_box(&signature))
            .unwrap();
        black_box(key.sign(black_box(&message)));
    }
    let spent = began.elapsed();
    Spent {
        wall: spent.wall / FLOOR_ROUNDS,
        on_core: spent.on_core.map(|ran| ran / FLOOR_ROUNDS),
    }
}

async fn orders(folder: &std::path::Path, pem: &str, control: &str) -> Duration {
    let file: MerchantFile =
        serde_json::from_slice(&std::fs::read(folder.join("merchant.json")).unwrap()).unwrap();
    let host = control.trim_start_matches("http://").to_owned();
    let knobs = "{\"rate_limits\":false}";
    let request = format!(
        "POST /_sim/knobs HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{knobs}",
        knobs.len()
    );
    exchange(
        &mut TcpStream::connect(&host).await.unwrap(),
        request.as_bytes(),
    )
    .await;

    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let key = KeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let requests: Vec<Vec<u8>> = (0..ORDERS)
        .map(|index| signed_order(&file, &key, index))
        .collect();
    let host = file.base_url.trim_start_matches("http://").to_owned();
    let began = Instant::now();
    let mut tasks = Vec::new();
    for share in requests.chunks(ORDERS / CONNECTIONS) {
        let (share, host) = (share.to_vec(), host.clone());
        tasks.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(host).await.unwrap();
            stream.set_nodelay(true).unwrap();
            for request in share {
                let answer = exchange(&mut stream, &request).await;
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    began.elapsed()
}

fn signed_order(file: &MerchantFile, key: &KeyPair, index: usize) -> Vec<u8> {
    let body = format!(
        "{{\"appid\":\"{}\",\"mchid\":\"{}\",\"description\":\"coffee\",\
         \"out_trade_no\":\"BENCH-{index:08}\",\"notify_url\":\"http://127.0.0.1:9/notify\",\
         \"amount\":{{\"total\":1}},\"payer\":{{\"openid\":\"oBench\"}}}}",
        file.appid, file.mchid
    );
    let timestamp = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let nonce = format!("{index:032}");
    let path = "/v3/pay/transactions/jsapi";
    let message = format!("POST\n{path}\n{timestamp}\n{nonce}\n{body}\n");
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nUser-Agent: \
         bench\r\nContent-Type: application/json\r\nContent-Length: {}\r\nAuthorization: \
         WECHATPAY2-SHA256-RSA2048 mchid=\"{}\",nonce_str=\"{nonce}\",signature=\"{}\",\
         timestamp=\"{timestamp}\",serial_no=\"{}\"\r\n\r\n{body}",
        body.len(),
        file.mchid,
        STANDARD.encode(signature),
        file.serial_no
    )
    .into_bytes()
}

async fn exchange(stream: &mut TcpStream, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the simulator hung up");
        answer.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse()
                        .ok()
                })
                .unwrap_or(0);
            if body.len() >= length {
                return text.into_owned();
            }
        }
    }
}
