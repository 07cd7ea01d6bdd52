//! Two merchants of a simulator's, and a doctor that looks at one of them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use shared::clock::Clock;
use shared::domain::Timestamp;
use shared::process::Process;
use simulator::{Config, Mode, Simulator};
use tempfile::TempDir;

use super::super::{Asking, Finding, Language, Machine, Name, Report, Subject, Verdict, examine};

/// The second merchant.
const OTHER: &str = "1900000222";

/// The files of two merchants, made once: keys take a moment.
pub(super) struct Made {
    _folder: TempDir,
    pub(super) path: PathBuf,
    /// The first merchant, with nothing wrong in it.
    pub(super) sound: Subject,
    /// The second one.
    pub(super) other: Subject,
    pub(super) platform_certificate: String,
}

pub(super) fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    // A thread of its own: the first to ask may be inside a runtime.
    MADE.get_or_init(|| std::thread::spawn(make).join().unwrap())
}

fn make() -> Made {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let simulator = Simulator::start(config(&path)).await.unwrap();
        control(
            &simulator,
            "merchants",
            &format!(r#"{{"mchid":"{OTHER}"}}"#),
        )
        .await;
        simulator.stop().await;
    });
    Made {
        sound: sound(&path),
        other: sound(&path.join("merchants").join(OTHER)),
        platform_certificate: std::fs::read_to_string(path.join("platform_cert.pem")).unwrap(),
        path,
        _folder: folder,
    }
}

fn sound(folder: &Path) -> Subject {
    Subject {
        notify_url: Some("https://pay.example.com/wechatpay/notify".to_owned()),
        // Only a test that asks has somebody to ask.
        wechatpay_url: None,
        wechat_api_url: None,
        ..super::super::read_folder(folder).unwrap()
    }
}

/// A simulator that listens wherever there is room.
pub(super) fn config(folder: &Path) -> Config {
    let mut config = Config::new(folder);
    config.port = 0;
    config.backup_port = 0;
    config.control_port = 0;
    config.mode = Mode::Both;
    config
}

/// What somebody does on the merchant platform or the phone.
pub(super) async fn control(simulator: &Simulator, path: &str, body: &str) {
    let url = format!("{}/_sim/{path}", simulator.control_url());
    let body = body.to_owned();
    let answer = http().post(url).body(body).send().await.unwrap();
    let status = answer.status();
    assert!(status.is_success(), "{}", answer.text().await.unwrap());
}

pub(super) fn http() -> reqwest::Client {
    Process::system().unwrap().http
}

/// A machine whose clock is so many seconds ahead.
pub(super) fn machine(ahead: i64) -> Machine {
    Machine {
        http: http(),
        now: Arc::new(move || now().plus_seconds(ahead)),
    }
}

pub(super) fn now() -> Timestamp {
    Clock::system().wall()
}

/// What the doctor says without asking anybody.
pub(super) async fn looked_at(subject: &Subject) -> Report {
    report(subject, 0, false).await
}

/// What the doctor says, on a machine whose clock is so many seconds ahead.
pub(super) async fn report(subject: &Subject, ahead: i64, online: bool) -> Report {
    let asking = Asking {
        machine: machine(ahead),
        online,
        place_order: true,
    };
    let report = examine(subject, &asking).await;
    assert_tells_no_secret(&report, subject);
    report
}

pub(super) fn finding(report: &Report, name: Name) -> &Finding {
    let mut findings = report.findings().iter();
    findings.find(|finding| finding.name == name).unwrap()
}

/// The checks that came to this verdict.
pub(super) fn names(report: &Report, verdict: Verdict) -> Vec<Name> {
    let findings = report.findings().iter();
    let found = findings.filter(|finding| finding.verdict == verdict);
    found.map(|finding| finding.name).collect()
}

/// Checks the verdict, that these words are in the evidence and those in the fix, and that it is told in both
/// languages.
#[track_caller]
pub(super) fn assert_finding(
    report: &Report,
    name: Name,
    verdict: Verdict,
    evidence: &str,
    fix: &str,
) {
    let finding = finding(report, name);
    let (said, mend) = (finding.evidence(Language::En), finding.fix(Language::En));
    assert_eq!(finding.verdict, verdict, "{}: {said}", name.as_str());
    assert!(
        said.contains(evidence),
        "{}: {said:?} lacks {evidence:?}",
        name.as_str()
    );
    assert!(
        mend.contains(fix),
        "{}: {mend:?} lacks {fix:?}",
        name.as_str()
    );
    assert!(!finding.evidence(Language::Zh).is_empty());
    assert_eq!(mend.is_empty(), finding.fix(Language::Zh).is_empty());
}

/// Searches everything that is said for everything that must not be.
#[track_caller]
pub(super) fn assert_tells_no_secret(report: &Report, subject: &Subject) {
    for language in [Language::En, Language::Zh] {
        let said = format!(
            "{:#}\n{}",
            report.to_json(language),
            report.to_text(language)
        );
        for secret in secrets_of(subject) {
            assert!(!said.contains(&secret), "{secret:?} is told in:\n{said}");
        }
    }
}

/// The secrets of a subject, as somebody would recognise them: words, and lines of a key.
fn secrets_of(subject: &Subject) -> Vec<String> {
    let mut secrets: Vec<String> = Vec::new();
    let words = [&subject.apiv3_key, &subject.app_secret];
    secrets.extend(
        words
            .into_iter()
            .flatten()
            .map(|word| word.trim().to_owned()),
    );
    let of_stack = &subject.secrets;
    let texts = [
        &subject.private_key,
        &of_stack.signing,
        &of_stack.apiv3,
        &of_stack.app,
        &of_stack.api,
    ];
    for text in texts.into_iter().flatten() {
        let parts = text.split(['\n', '"', ',', ':', '\\', '{', '}']);
        let parts = parts.filter(|part| part.len() >= 24 && !part.contains("-----"));
        secrets.extend(parts.map(str::to_owned));
    }
    secrets.retain(|secret| secret.len() >= 8);
    // What is public may stand anywhere.
    let shown = [&subject.serial_no, &subject.public_key_id];
    secrets.retain(|secret| !shown.contains(&&Some(secret.clone())));
    secrets
}
