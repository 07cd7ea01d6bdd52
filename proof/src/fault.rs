//! What can go wrong between two parts, where, and how often; and the record of what did.

use std::collections::BTreeSet;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$item])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name in reports.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

named! {
    /// What goes wrong.
    Fault {
        /// There is no connection: nothing was sent.
        Refused = "refused",
        /// It is done, and the answer is lost.
        Lost = "lost",
        /// It takes seconds; whoever does not wait has sent it all the same.
        Delayed = "delayed",
        /// The connection breaks at once, and it is done a while later.
        Late = "late",
        /// It arrives twice.
        Twice = "twice",
        /// The service has too much to do, and does nothing.
        Throttled = "throttled",
        /// The service fails, and does nothing.
        Failed = "failed",
        /// A transaction meets another one.
        Conflict = "conflict",
        /// An index says what it said before.
        Stale = "stale",
        /// The bus takes a part.
        Part = "part",
        /// The process dies at this point.
        Crash = "crash",
        /// The clock of a process is wrong by some seconds.
        Skew = "skew",
    }
}

named! {
    /// Where it goes wrong.
    Place {
        /// Secrets Manager.
        Secrets = "secrets",
        /// A read of the table.
        Read = "read",
        /// A query of an index.
        Index = "index",
        /// A write of one item.
        Write = "write",
        /// A transaction.
        Transaction = "transaction",
        /// The event bus.
        Bus = "bus",
        /// The bucket of reports.
        Bucket = "bucket",
        /// WeChat Pay is asked for what an order is paid with.
        Prepay = "prepay",
        /// It is asked about an order.
        QueryOrder = "query order",
        /// It is told to close one.
        Close = "close",
        /// A refund is sent.
        Refund = "refund",
        /// It is asked about a refund.
        QueryRefund = "query refund",
        /// A bill is applied for.
        Bill = "bill",
        /// A bill is downloaded.
        Download = "download",
        /// WeChat Pay's certificates are downloaded.
        Certificates = "certificates",
        /// A payer logs in.
        Login = "login",
        /// A notification of WeChat Pay's.
        Notice = "notice",
        /// The table's stream.
        Stream = "stream",
        /// A function behind the API.
        Request = "request",
        /// A function that a schedule runs.
        Scheduled = "scheduled",
    }
}

impl Fault {
    /// Whether it can happen there.
    pub const fn is_possible_at(self, place: Place) -> bool {
        use Place::{
            Bill, Bucket, Bus, Certificates, Close, Download, Index, Login, Notice, Prepay,
            QueryOrder, QueryRefund, Read, Refund, Request, Scheduled, Secrets, Stream,
            Transaction, Write,
        };
        match place {
            Request | Scheduled => matches!(self, Self::Crash | Self::Skew),
            Stream => matches!(self, Self::Twice | Self::Crash | Self::Skew),
            Notice => matches!(
                self,
                Self::Refused
                    | Self::Lost
                    | Self::Delayed
                    | Self::Late
                    | Self::Twice
                    | Self::Crash
                    | Self::Skew
            ),
            Secrets | Read | Bucket | Bill | Download | Certificates | Login => matches!(
                self,
                Self::Refused | Self::Lost | Self::Delayed | Self::Throttled | Self::Failed
            ),
            Index => matches!(
                self,
                Self::Refused
                    | Self::Lost
                    | Self::Delayed
                    | Self::Throttled
                    | Self::Failed
                    | Self::Stale
            ),
            Bus => matches!(
                self,
                Self::Refused
                    | Self::Lost
                    | Self::Delayed
                    | Self::Late
                    | Self::Throttled
                    | Self::Failed
                    | Self::Part
            ),
            Write | Transaction => matches!(
                self,
                Self::Refused
                    | Self::Lost
                    | Self::Delayed
                    | Self::Late
                    | Self::Throttled
                    | Self::Failed
                    | Self::Conflict
            ),
            QueryOrder | QueryRefund => matches!(
                self,
                Self::Refused | Self::Lost | Self::Delayed | Self::Throttled | Self::Failed
            ),
            Prepay | Close | Refund => matches!(
                self,
                Self::Refused
                    | Self::Lost
                    | Self::Delayed
                    | Self::Late
                    | Self::Twice
                    | Self::Throttled
                    | Self::Failed
            ),
        }
    }
}

/// Which faults are on in a seed, and how often they happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switches {
    on: BTreeSet<Fault>,
    /// Of a hundred calls that a fault could meet, so many meet one.
    percent: u32,
    /// The fault that the seed is about, and where: it strikes there half of the time until it has struck
    /// [`AIMED_MAX`] times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aim: Option<(Fault, Place)>,
}

/// How often the fault strikes that a seed is about.
pub const AIMED_MAX: u64 = 3;

impl Switches {
    /// What this generator draws: each fault is on or off, and now and then there is none at all.
    pub fn draw(rng: &mut Rng) -> Self {
        let percent = [0, 3, 8, 20][rng.usize(..4)];
        let drawn = Fault::ALL.iter().copied();
        Self {
            on: drawn.filter(|_| rng.u32(..5) < 2).collect(),
            percent,
            aim: None,
        }
    }

    /// Few faults or none, so that what is prescribed comes to pass.
    pub fn calm(rng: &mut Rng) -> Self {
        Self {
            percent: [0, 0, 3][rng.usize(..3)],
            ..Self::draw(rng)
        }
    }

    /// This fault at this place, and few others.
    pub fn aimed(aim: (Fault, Place), rng: &mut Rng) -> Self {
        Self {
            aim: Some(aim),
            ..Self::calm(rng)
        }
    }

    /// What the seed is about.
    pub const fn aim(&self) -> Option<(Fault, Place)> {
        self.aim
    }

    /// The same without what the seed is about.
    #[must_use]
    pub fn without_aim(&self) -> Self {
        Self {
            aim: None,
            ..self.clone()
        }
    }

    /// Whether it is on.
    pub fn has(&self, fault: Fault) -> bool {
        self.percent > 0 && self.on.contains(&fault)
    }

    /// Those that are on.
    pub fn iter(&self) -> impl Iterator<Item = Fault> {
        self.on.iter().copied()
    }

    /// The same without one.
    #[must_use]
    pub fn without(&self, fault: Fault) -> Self {
        let mut fewer = self.clone();
        fewer.on.remove(&fault);
        fewer
    }

    /// The fault that meets a call there, if one does; `met` is how often the seed's own fault struck so
    /// far. The clock of a process is wrong from its start or not at all, so that is no matter of chance.
    pub fn strike(&self, place: Place, met: u64, rng: &mut Rng) -> Option<Fault> {
        if let Some((fault, _)) = self.aim.filter(|(_, at)| *at == place)
            && met < AIMED_MAX
            && (fault == Fault::Skew || rng.bool())
        {
            return Some(fault);
        }
        if self.percent == 0 || self.on.is_empty() || rng.u32(..100) >= self.percent {
            return None;
        }
        let possible = self.on.iter().filter(|fault| fault.is_possible_at(place));
        let possible: Vec<Fault> = possible.copied().collect();
        if possible.is_empty() {
            return None;
        }
        Some(possible[rng.usize(..possible.len())])
    }
}
