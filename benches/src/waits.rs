//! What a payer waits for: the answer to an order whose services are as far away as the real ones.
//!
//! No count of instructions shows a round trip. Here WeChat Pay is [`WECHATPAY_AWAY`] away and AWS
//! [`AWS_AWAY`], and what is measured is how long create-order takes beside the round trips that nothing can
//! save: to connect to WeChat Pay, to agree on TLS with it, and to ask it.

use std::time::Duration;

use crate::child::{Job, Run};
use crate::numbers::{CREATE_ORDER, Wait};
use crate::{Bench, Result, check};

/// A round trip to WeChat Pay.
pub(crate) const WECHATPAY_AWAY: Duration = Duration::from_millis(150);

/// A round trip to AWS.
pub(crate) const AWS_AWAY: Duration = Duration::from_millis(5);

/// What a payer waits for at least: connection, TLS, request.
const UNAVOIDABLE: Duration = Duration::from_millis(3 * 150);

/// How long the process stands still between two orders, as Lambda freezes it: by then WeChat Pay has closed
/// its side.
const IDLE: Duration = Duration::from_secs(10);

/// How long after one process the next is started, so that no two run at a time.
const APART: Duration = Duration::from_secs(1);

impl Bench {
    /// The waits for the first order of a process, and for one after a pause: of three processes the one
    /// that waited least, since what else runs on the machine only adds to it.
    pub(crate) async fn waits(&self) -> Result<Vec<Wait>> {
        let (one, other, third) = tokio::try_join!(
            self.far_orders(Duration::ZERO),
            self.far_orders(APART),
            self.far_orders(2 * APART)
        )?;
        let least = |of: fn(&Run) -> Duration| {
            let waits = [&one, &other, &third].map(of);
            waits.into_iter().min().unwrap_or_default()
        };
        Ok(vec![
            Wait {
                what: "the first order of a process",
                took: least(|run| run.first_answer),
                unavoidable: UNAVOIDABLE,
            },
            Wait {
                what: "an order after ten idle seconds",
                took: least(|run| run.last_answer_took),
                unavoidable: UNAVOIDABLE,
            },
        ])
    }

    /// A process that places an order, stands still, and places another.
    async fn far_orders(&self, later: Duration) -> Result<Run> {
        tokio::time::sleep(later).await;
        let events = vec![
            self.world.event(CREATE_ORDER).await?,
            self.world.event(CREATE_ORDER).await?,
        ];
        let job = Job {
            program: &self.subject(CREATE_ORDER)?.program,
            environment: &self.world.far_environment(CREATE_ORDER)?,
            events,
            frozen_between: IDLE,
            callgrind: None,
        };
        let run = job.run(&self.spawner).await?;
        for answer in &run.answers {
            check(CREATE_ORDER, answer)?;
        }
        Ok(run)
    }
}
