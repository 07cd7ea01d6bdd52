//! Connections that are opened early: taken once, not taken when stale or closed, and never in the way.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::*;

/// A destination.
#[derive(Debug)]
#[expect(dead_code, reason = "it is known by its Debug form")]
struct Host(&'static str);

/// A connection, known by its number among those that were made.
struct Line {
    number: usize,
    closed: Arc<AtomicBool>,
}

impl Read for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.closed.load(Ordering::SeqCst) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
}

/// A network that connects whoever asks, as soon as it is allowed to.
#[derive(Clone)]
struct Network {
    asked: Arc<AtomicUsize>,
    allowed: Arc<Semaphore>,
    closed: Arc<AtomicBool>,
    down: Arc<AtomicBool>,
    early: Early<Line>,
}

impl Network {
    fn new(allowed: usize) -> Self {
        Self {
            asked: Arc::default(),
            allowed: Arc::new(Semaphore::new(allowed)),
            closed: Arc::default(),
            down: Arc::default(),
            early: Early::default(),
        }
    }

    fn connector(&self) -> BoxCloneSyncService<Host, Line, BoxError> {
        let network = self.clone();
        BoxCloneSyncService::new(tower::service_fn(move |_: Host| {
            let network = network.clone();
            let number = network.asked.fetch_add(1, Ordering::SeqCst) + 1;
            async move {
                network.allowed.acquire().await.unwrap().forget();
                if network.down.load(Ordering::SeqCst) {
                    return Err("nobody is there".into());
                }
                let closed = Arc::clone(&network.closed);
                Ok(Line { number, closed })
            }
        }))
    }

    /// Opens a connection to a place, as far as that is allowed.
    async fn open(&self, to: &'static str) {
        let opening = Opening(Arc::clone(&self.early)).layer(self.connector());
        tokio::spawn(opening.oneshot(Host(to)));
        settle().await;
    }

    /// The number of the connection that a request to a place would go over.
    async fn taken(&self, to: &'static str) -> usize {
        let taking = Taking(Arc::clone(&self.early)).layer(self.connector());
        taking
            .oneshot(Host(to))
            .await
            .map(|line| line.number)
            .unwrap()
    }

    /// Makes what was opened to a place older.
    fn aged(&self, to: &'static str, by: Duration) {
        let mut early = locked(&self.early);
        let opened = early.get_mut(&place(&Host(to))).unwrap();
        opened.since = opened.since.checked_sub(by).unwrap();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Lets every task go on until all wait.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_request_takes_what_was_opened_and_the_next_one_does_not() {
    let network = Network::new(9);
    network.open("pay").await;
    assert_eq!(network.asked(), 1);
    assert_eq!(network.taken("pay").await, 1);
    assert_eq!(network.taken("pay").await, 2);
}

#[tokio::test]
async fn a_request_waits_for_what_is_still_opening() {
    let network = Network::new(0);
    network.open("pay").await;
    let request = tokio::spawn({
        let network = network.clone();
        async move { network.taken("pay").await }
    });
    settle().await;
    assert!(!request.is_finished());
    network.allowed.add_permits(1);
    assert_eq!(request.await.unwrap(), 1);
    assert_eq!(network.asked(), 1);
}

#[tokio::test]
async fn a_connection_is_for_the_place_it_leads_to() {
    let network = Network::new(9);
    network.open("pay").await;
    assert_eq!(network.taken("table").await, 2);
    assert_eq!(network.taken("pay").await, 1);
}

#[tokio::test]
async fn a_request_makes_its_own_connection_where_the_opened_one_failed() {
    let network = Network::new(9);
    network.down.store(true, Ordering::SeqCst);
    network.open("pay").await;
    network.down.store(false, Ordering::SeqCst);
    assert_eq!(network.taken("pay").await, 2);
}

#[tokio::test]
async fn a_closed_connection_carries_no_request() {
    let network = Network::new(9);
    network.open("pay").await;
    network.closed.store(true, Ordering::SeqCst);
    assert_eq!(network.taken("pay").await, 2);
}

#[tokio::test]
async fn an_old_connection_carries_no_request() {
    let network = Network::new(9);
    network.open("pay").await;
    network.aged("pay", GOOD_FOR);
    assert_eq!(network.taken("pay").await, 2);
    network.open("pay").await;
    network.aged("pay", GOOD_FOR / 2);
    assert_eq!(network.taken("pay").await, 3);
}
