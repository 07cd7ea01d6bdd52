//! Functions: create-order in other languages, on the same servers and for the same events.

use std::time::Duration;

use super::{Comparison, Peer, Samples, Work};
use crate::authority::Authority;
use crate::child::{Job, Spawner};
use crate::numbers::CREATE_ORDER;
use crate::world::World;
use crate::{Result, check};

/// How many orders of a process that runs are timed, and how many before them are not.
const TIMED_ORDERS: usize = 150;
const WARM_UP_ORDERS: usize = 150;

/// What tells each language of the authority that signed the servers' certificates: Node, Go, boto3,
/// requests.
const AUTHORITY_VARIABLES: [&str; 4] = [
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "AWS_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
];

/// Measures cold and warm orders.
pub(super) async fn measure(
    world: &World,
    authority: &Authority,
    spawner: &Spawner,
    ours: &Peer,
    peers: &[Peer],
    rounds: usize,
) -> Result<Vec<Comparison>> {
    let starts = Starts {
        world,
        authority,
        spawner,
    };
    let mut cold: Vec<Samples> = peers.iter().map(samples).collect();
    for round in 0..rounds {
        eprintln!("cold create-order, round {} of {rounds} …", round + 1);
        for of in &mut cold {
            let pair = (starts.cold(ours).await?, starts.cold(&of.peer).await?);
            of.pairs.push(pair);
        }
    }
    let mut warm: Vec<Samples> = peers.iter().map(samples).collect();
    // Each is already the mean of many orders.
    let rounds = (rounds / 3) | 1;
    for round in 0..rounds {
        eprintln!("warm create-order, round {} of {rounds} …", round + 1);
        for of in &mut warm {
            let pair = (starts.warm(ours).await?, starts.warm(&of.peer).await?);
            of.pairs.push(pair);
        }
    }
    Ok(vec![
        Comparison::of(Work::ColdOrder, ours, cold),
        Comparison::of(Work::WarmOrder, ours, warm),
    ])
}

fn samples(peer: &Peer) -> Samples {
    Samples {
        peer: peer.clone(),
        pairs: Vec::new(),
    }
}

/// Starts functions.
struct Starts<'a> {
    world: &'a World,
    authority: &'a Authority,
    spawner: &'a Spawner,
}

impl Starts<'_> {
    /// The processor time from exec to the first answer.
    async fn cold(&self, peer: &Peer) -> Result<Duration> {
        let after = self.processor_times(peer, 1).await?;
        after.first().copied().ok_or_else(|| "no answer".into())
    }

    /// The processor time of one more order.
    async fn warm(&self, peer: &Peer) -> Result<Duration> {
        let orders = WARM_UP_ORDERS + TIMED_ORDERS;
        let after = self.processor_times(peer, orders).await?;
        match (after.get(WARM_UP_ORDERS - 1), after.last()) {
            (Some(began), Some(ended)) => {
                let timed = u32::try_from(TIMED_ORDERS).unwrap_or(u32::MAX);
                Ok(ended.saturating_sub(*began) / timed)
            }
            _ => Err("too few answers".into()),
        }
    }

    /// The processor time after each of so many orders, all of them answered as create-order answers.
    async fn processor_times(&self, peer: &Peer, orders: usize) -> Result<Vec<Duration>> {
        let mut environment = self.world.environment(CREATE_ORDER)?;
        for name in AUTHORITY_VARIABLES {
            let file = self.authority.file.display().to_string();
            environment.insert(name.to_owned(), file);
        }
        let mut events = Vec::new();
        for _ in 0..orders {
            events.push(self.world.event(CREATE_ORDER).await?);
        }
        let job = Job {
            program: &peer.program,
            environment: &environment,
            events,
            frozen_between: Duration::ZERO,
            callgrind: None,
        };
        let run = job.run(self.spawner).await?;
        for answer in &run.answers {
            check(CREATE_ORDER, answer).map_err(|error| format!("{}: {error}", peer.name))?;
        }
        Ok(run.processor_answers)
    }
}
