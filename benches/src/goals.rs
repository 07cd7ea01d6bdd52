//! The goals, and which of them end the command with a failure.
//!
//! Instructions, sizes and calls are the same on every machine: they are gates. Clocks and the memory of a
//! start depend on who else is on the machine: they are told, and judged by a reader. What a million rows
//! take of memory is a gate again: a bill is as large as the shop is busy.

use std::time::Duration;

use crate::artefacts::AtRest;
use crate::million::Million;
use crate::numbers::{
    CREATE_ORDER, FLOOR, HELLO, Numbers, Recorded, SIGNATURES, TOLERANCE_PERCENT, change_percent,
    millions, milliseconds,
};
use crate::waits::{AWS_AWAY, WECHATPAY_AWAY};

/// Instructions of create-order's cold start. What is lost easily costs far more: AWS-LC's jitter
/// entropy 420 million, the system's certificate store 9 to 18, signing with the `rsa` crate 48, a
/// second TLS stack 17.
const COLD_INSTRUCTIONS_MAX: u64 = 29_000_000;

/// The same, beside the floor's.
const COLD_TO_FLOOR_MAX: f64 = 1.2;

/// Processor time of create-order's cold start beside hello's.
const COLD_TO_HELLO_MAX: f64 = 4.5;

/// Peak memory at the first answer, in KiB.
const PEAK_KIB_MAX: u64 = 10 * 1000 * 1000 / 1024;

/// A zipped binary.
const ZIP_BYTES_MAX: u64 = (31 << 20) / 10;

/// A binary.
const ELF_BYTES_MAX: u64 = 8 << 20;

/// The C library of `provided.al2023` is 2.34.
const GLIBC_MINOR_MAX: u32 = 34;

/// Instructions of one more order.
const WARM_INSTRUCTIONS_MAX: u64 = 14_500_000;

/// The same without its signatures.
const WARM_REST_MAX: u64 = 1_300_000;

/// Processor time of one more order beside its signatures'.
const WARM_TO_SIGNATURES_MAX: f64 = 2.4;

/// How long an order may take beside the round trips to WeChat Pay that nothing can save.
const WAIT_TO_UNAVOIDABLE_MAX: f64 = 1.15;

/// An item above this costs a second write unit.
const ITEM_BYTES_MAX: usize = 1024;

/// Peak memory of a day of a million payments, in KiB: a quarter of what the function has.
const MILLION_KIB_MAX: u64 = 64 << 10;

/// A goal and how it stands.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) limit: String,
    pub(crate) measured: String,
    /// `None` where it could not be measured.
    pub(crate) met: Option<bool>,
    /// Whether missing it fails the command.
    pub(crate) gate: bool,
}

impl Goal {
    fn gate(what: &str, limit: impl Into<String>, measured: impl Into<String>, met: bool) -> Self {
        Self {
            what: what.to_owned(),
            limit: limit.into(),
            measured: measured.into(),
            met: Some(met),
            gate: true,
        }
    }

    fn report(
        what: &str,
        limit: impl Into<String>,
        measured: impl Into<String>,
        met: bool,
    ) -> Self {
        Self {
            gate: false,
            ..Self::gate(what, limit, measured, met)
        }
    }

    fn unmeasured(what: &str, limit: impl Into<String>) -> Self {
        Self {
            what: what.to_owned(),
            limit: limit.into(),
            measured: "not counted: there is no valgrind".to_owned(),
            met: None,
            gate: true,
        }
    }

    /// Whether the command fails because of it; `strict` is CI, where nothing may go unmeasured.
    pub(crate) fn fails(&self, strict: bool) -> bool {
        self.gate && !self.met.unwrap_or(!strict)
    }
}

/// All goals.
pub(crate) fn judge(numbers: &Numbers, recorded: Option<&Recorded>) -> Vec<Goal> {
    let mut goals = Vec::new();
    cold(numbers, &mut goals);
    warm(numbers, &mut goals);
    at_rest(numbers, &mut goals);
    calls(numbers, &mut goals);
    goals.push(million(numbers.million));
    waits(numbers, &mut goals);
    unchanged(numbers, recorded, &mut goals);
    clocks(numbers, &mut goals);
    goals
}

fn cold(numbers: &Numbers, goals: &mut Vec<Goal>) {
    let what = "create-order, cold start to first answer";
    let limit = format!("≤ {:.0} M instructions", millions(COLD_INSTRUCTIONS_MAX));
    let beside = "the same, beside the floor";
    let beside_limit = format!("≤ {COLD_TO_FLOOR_MAX} ×");
    let of = |name| numbers.of(name).and_then(|measured| measured.instructions);
    let (Some(create_order), Some(floor)) = (of(CREATE_ORDER), of(FLOOR)) else {
        goals.push(Goal::unmeasured(what, limit));
        goals.push(Goal::unmeasured(beside, beside_limit));
        return;
    };
    let count = create_order.first_answer;
    let met = count <= COLD_INSTRUCTIONS_MAX;
    goals.push(Goal::gate(
        what,
        limit,
        format!("{:.2} M", millions(count)),
        met,
    ));
    let ratio = millions(count) / millions(floor.first_answer);
    let measured = format!("{ratio:.3} × {:.2} M", millions(floor.first_answer));
    goals.push(Goal::gate(
        beside,
        beside_limit,
        measured,
        ratio <= COLD_TO_FLOOR_MAX,
    ));
}

fn warm(numbers: &Numbers, goals: &mut Vec<Goal>) {
    let what = "create-order, one more order";
    let limit = format!("≤ {:.1} M instructions", millions(WARM_INSTRUCTIONS_MAX));
    let rest = "the same, without two signatures and a check";
    let rest_limit = format!("≤ {:.1} M instructions", millions(WARM_REST_MAX));
    let of = |name| numbers.warm.instructions.get(name).copied();
    let (Some(order), Some(signatures)) = (of(CREATE_ORDER), of(SIGNATURES)) else {
        goals.push(Goal::unmeasured(what, limit));
        goals.push(Goal::unmeasured(rest, rest_limit));
        return;
    };
    let met = order <= WARM_INSTRUCTIONS_MAX;
    goals.push(Goal::gate(
        what,
        limit,
        format!("{:.2} M", millions(order)),
        met,
    ));
    let left = order.saturating_sub(signatures);
    let measured = format!("{:.2} M", millions(left));
    goals.push(Goal::gate(
        rest,
        rest_limit,
        measured,
        left <= WARM_REST_MAX,
    ));
}

fn at_rest(numbers: &Numbers, goals: &mut Vec<Goal>) {
    let largest = |of: fn(&AtRest) -> u64| {
        numbers
            .functions()
            .map(|measured| (of(&measured.at_rest), measured.name.as_str()))
            .max()
            .unwrap_or_default()
    };
    for (what, max, (bytes, name)) in [
        (
            "largest zip",
            ZIP_BYTES_MAX,
            largest(|at_rest| at_rest.zip_bytes),
        ),
        (
            "largest binary",
            ELF_BYTES_MAX,
            largest(|at_rest| at_rest.elf_bytes),
        ),
    ] {
        let limit = format!("≤ {:.1} MiB", mebibytes(max));
        let measured = format!("{:.2} MiB ({name})", mebibytes(bytes));
        goals.push(Goal::gate(what, limit, measured, bytes <= max));
    }
    let newest = numbers
        .functions()
        .filter_map(|measured| measured.at_rest.glibc_minor)
        .max()
        .unwrap_or(0);
    let limit = format!("≤ 2.{GLIBC_MINOR_MAX}, that of provided.al2023");
    let met = newest <= GLIBC_MINOR_MAX;
    goals.push(Goal::gate(
        "newest GLIBC version asked for",
        limit,
        format!("2.{newest}"),
        met,
    ));
}

fn calls(numbers: &Numbers, goals: &mut Vec<Goal>) {
    for paid in &numbers.paid_orders {
        let of = format!("a {}'s paid order", paid.placed_by);
        let split = |create: usize, notify: usize| {
            format!(
                "{}: {create} to create, {notify} to settle",
                create + notify
            )
        };
        let (create, notify) = (&paid.create, &paid.notify);
        goals.push(Goal::gate(
            &format!("{of}: writes to the table"),
            "2",
            split(create.writes, notify.writes),
            create.writes + notify.writes == 2,
        ));
        goals.push(Goal::gate(
            &format!("{of}: reads of the table"),
            format!("≤ {}", paid.reads_max),
            split(create.reads, notify.reads),
            create.reads + notify.reads <= paid.reads_max,
        ));
        let transactions = create.transactions + notify.transactions;
        goals.push(Goal::gate(
            &format!("{of}: transactions"),
            "0",
            transactions.to_string(),
            transactions == 0,
        ));
        goals.push(Goal::gate(
            &format!("{of}: its item"),
            format!("≤ {ITEM_BYTES_MAX} bytes, one write unit"),
            format!("{} bytes", paid.item_bytes),
            paid.item_bytes <= ITEM_BYTES_MAX,
        ));
        goals.push(Goal::gate(
            &format!("{of}: requests of create-order to WeChat Pay"),
            "1",
            paid.requests_to_wechatpay.to_string(),
            paid.requests_to_wechatpay == 1,
        ));
        let secrets = || create.secrets.values().chain(notify.secrets.values());
        goals.push(Goal::gate(
            &format!("{of}: reads of each secret, per process"),
            "≤ 1",
            format!(
                "{}: of {} by create-order, of {} by notify-callback",
                secrets().max().unwrap_or(&0),
                create.secrets.len(),
                notify.secrets.len()
            ),
            secrets().all(|reads| *reads <= 1),
        ));
    }
}

/// What a day of a million payments may take.
pub(crate) fn million(measured: Million) -> Goal {
    let Million {
        peak_kib,
        took,
        processor,
    } = measured;
    let told = format!(
        "{:.1} MiB, in {:.0} s, {:.0} s of them on the processor",
        mebibytes(peak_kib << 10),
        took.as_secs_f64(),
        processor.as_secs_f64()
    );
    Goal::gate(
        "reconcile, a day of a million payments: peak memory",
        format!("≤ {:.0} MiB", mebibytes(MILLION_KIB_MAX << 10)),
        told,
        peak_kib <= MILLION_KIB_MAX,
    )
}

fn waits(numbers: &Numbers, goals: &mut Vec<Goal>) {
    let (wechatpay, aws) = (WECHATPAY_AWAY.as_millis(), AWS_AWAY.as_millis());
    for wait in &numbers.waits {
        let ratio = quotient(wait.took, wait.unavoidable);
        goals.push(Goal::gate(
            &format!(
                "{}, WeChat Pay {wechatpay} ms away, AWS {aws} ms, beside three round trips to WeChat Pay",
                wait.what
            ),
            format!("≤ {WAIT_TO_UNAVOIDABLE_MAX} ×"),
            format!("{ratio:.3} × {:.0} ms", milliseconds(wait.unavoidable)),
            ratio <= WAIT_TO_UNAVOIDABLE_MAX,
        ));
    }
}

fn unchanged(numbers: &Numbers, recorded: Option<&Recorded>, goals: &mut Vec<Goal>) {
    let what = "every count, beside what is recorded";
    let limit = format!("± {TOLERANCE_PERCENT:.0} %");
    let Some(now) = Recorded::from_numbers(numbers) else {
        goals.push(Goal::unmeasured(what, limit));
        return;
    };
    let Some(recorded) = recorded else {
        let measured = format!(
            "nothing is recorded for {}: use --record",
            std::env::consts::ARCH
        );
        goals.push(Goal {
            met: None,
            ..Goal::gate(what, limit, measured, false)
        });
        return;
    };
    let mut changes: Vec<(f64, String)> = Vec::new();
    let mut compare = |name: String, now: u64, before: Option<u64>| {
        // What is new has to be recorded to be watched.
        let change = before.map_or(f64::INFINITY, |before| change_percent(now, before));
        changes.push((change, name));
    };
    for (name, counted) in &now.cold {
        let before = recorded.cold.get(name);
        compare(
            format!("{name}, first answer"),
            counted.first_answer,
            before.map(|before| before.first_answer),
        );
    }
    for (name, counted) in &now.warm {
        compare(
            format!("{name}, one more order"),
            *counted,
            recorded.warm.get(name).copied(),
        );
    }
    changes.sort_by(|one, other| other.0.abs().total_cmp(&one.0.abs()));
    let beyond: Vec<String> = changes
        .iter()
        .filter(|(change, _)| change.abs() > TOLERANCE_PERCENT)
        .map(|(change, name)| format!("{name} {change:+.1} %"))
        .collect();
    let mut measured = match (beyond.as_slice(), changes.first()) {
        ([], Some((change, name))) => format!("at most {change:+.2} % ({name})"),
        ([], None) => "nothing was counted".to_owned(),
        (beyond, _) => beyond.join("; "),
    };
    if !beyond.is_empty() && recorded.setting != now.setting {
        measured.push_str(&format!(
            " (recorded with valgrind {} and glibc {}, here {} and {})",
            recorded.setting.valgrind,
            recorded.setting.glibc,
            now.setting.valgrind,
            now.setting.glibc
        ));
    }
    goals.push(Goal::gate(
        what,
        limit,
        measured,
        beyond.is_empty() && !changes.is_empty(),
    ));
}

fn clocks(numbers: &Numbers, goals: &mut Vec<Goal>) {
    let of = |name| {
        numbers
            .of(name)
            .map(|measured| measured.processor_first_answer)
    };
    if let (Some(create_order), Some(hello)) = (of(CREATE_ORDER), of(HELLO)) {
        let ratio = quotient(create_order, hello);
        goals.push(Goal::report(
            "create-order, processor time to first answer, beside hello",
            format!("≤ {COLD_TO_HELLO_MAX} ×"),
            format!("{ratio:.2} × {:.2} ms", milliseconds(hello)),
            ratio <= COLD_TO_HELLO_MAX,
        ));
    }
    let of = |name| numbers.warm.processor.get(name).copied();
    if let (Some(order), Some(signatures)) = (of(CREATE_ORDER), of(SIGNATURES)) {
        let ratio = quotient(order, signatures);
        goals.push(Goal::report(
            "create-order, processor time of one more order, beside its signatures",
            format!("≤ {WARM_TO_SIGNATURES_MAX} ×"),
            format!("{ratio:.2} × {:.2} ms", milliseconds(signatures)),
            ratio <= WARM_TO_SIGNATURES_MAX,
        ));
    }
    let (peak, name) = numbers
        .functions()
        .map(|measured| (measured.peak_kib, measured.name.as_str()))
        .max()
        .unwrap_or_default();
    goals.push(Goal::report(
        "peak memory at the first answer",
        "≤ 10 MB",
        format!("{:.1} MB ({name})", megabytes(peak)),
        peak <= PEAK_KIB_MAX,
    ));
}

fn quotient(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64().max(1e-9)
}

/// MiB of bytes.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let bytes = bytes as f64;
    bytes / f64::from(1 << 20)
}

/// MB of KiB.
pub(crate) fn megabytes(kib: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let kib = kib as f64;
    kib * 1024.0 / 1e6
}
