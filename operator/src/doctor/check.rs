//! A check and what came of it: its name, a verdict, what was seen, and what to do.

use serde::Serialize;
use serde_json::{Value, json};

use super::text::{Language, Said, Text};
use super::texts;

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it has to be.
    Ok,
    /// Something to be mended.
    Fail,
    /// Not looked at, or nothing that can be told from here.
    Skipped,
}

impl Verdict {
    /// The sign before the line that people read.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Ok => "✓",
            Self::Fail => "✗",
            Self::Skipped => "–",
        }
    }
}

/// Declares the checks, in the order in which they are told: each with its stable name and its title.
macro_rules! names {
    ($($(#[$doc:meta])* $variant:ident $name:literal $title:ident;)*) => {
        /// Which check. The names are a contract of the JSON: none changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Name { $($(#[$doc])* $variant),* }

        impl Name {
            /// All of them, in the order in which they are told.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What people read.
            pub(super) const fn title(self) -> Text {
                match self { $(Self::$variant => texts::$title),* }
            }
        }
    };
}

names! {
    /// The stack is where it was looked for, and in which region.
    Stack "stack" TITLE_STACK;
    /// What the caller's credentials may read.
    Iam "iam" TITLE_IAM;
    /// Each secret's text is of its shape.
    Secrets "secrets" TITLE_SECRETS;
    /// Byte order marks, line ends and the like in files of text.
    Files "files" TITLE_FILES;
    /// The merchant number's shape, and whose certificate it is.
    Mchid "mchid" TITLE_MCHID;
    /// The merchant's private key.
    PrivateKey "private_key" TITLE_PRIVATE_KEY;
    /// The merchant's certificate.
    Certificate "certificate" TITLE_CERTIFICATE;
    /// The private key is the certificate's.
    KeyPair "key_pair" TITLE_KEY_PAIR;
    /// The serial number is the certificate's.
    SerialNo "serial_no" TITLE_SERIAL_NO;
    /// WeChat Pay's public key.
    PublicKey "public_key" TITLE_PUBLIC_KEY;
    /// The public key's id.
    PublicKeyId "public_key_id" TITLE_PUBLIC_KEY_ID;
    /// The APIv3 key's shape.
    Apiv3Key "apiv3_key" TITLE_APIV3_KEY;
    /// The appid's shape.
    Appid "appid" TITLE_APPID;
    /// The mini-program's secret: its shape and its app.
    AppSecret "app_secret" TITLE_APP_SECRET;
    /// The address of notifications: its shape.
    NotifyUrl "notify_url" TITLE_NOTIFY_URL;
    /// The address of notifications: who answers there.
    NotifyReachable "notify_reachable" TITLE_NOTIFY_REACHABLE;
    /// A mini-program may call the API's host.
    RequestDomain "request_domain" TITLE_REQUEST_DOMAIN;
    /// The deployed functions can use their secrets.
    Functions "functions" TITLE_FUNCTIONS;
    /// This machine's clock and WeChat Pay's.
    Clock "clock" TITLE_CLOCK;
    /// WeChat Pay accepts what the merchant's key signs.
    Signature "signature" TITLE_SIGNATURE;
    /// What WeChat Pay signs holds with the public key.
    AnswerSignature "answer_signature" TITLE_ANSWER_SIGNATURE;
    /// The APIv3 key opens what WeChat Pay seals.
    Apiv3KeyOpens "apiv3_key_opens" TITLE_APIV3_KEY_OPENS;
    /// The appid is bound to the merchant number.
    AppidBound "appid_bound" TITLE_APPID_BOUND;
    /// WeChat accepts the mini-program's secret.
    AppLogin "app_login" TITLE_APP_LOGIN;
    /// Shipping information: whether the mini-program owes it, and the administrator has confirmed.
    TradeManagement "trade_management" TITLE_TRADE_MANAGEMENT;
    /// The rule about virtual goods, which nobody can check from here.
    VirtualGoods "virtual_goods" TITLE_VIRTUAL_GOODS;
}

/// What came of one check.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which check.
    pub name: Name,
    /// What came of it.
    pub verdict: Verdict,
    evidence: Vec<Said>,
    fix: Option<Said>,
}

impl Finding {
    pub(super) fn ok(name: Name, evidence: impl Into<Said>) -> Self {
        Self {
            name,
            verdict: Verdict::Ok,
            evidence: vec![evidence.into()],
            fix: None,
        }
    }

    pub(super) fn fail(name: Name, evidence: impl Into<Said>, fix: impl Into<Said>) -> Self {
        Self {
            name,
            verdict: Verdict::Fail,
            evidence: vec![evidence.into()],
            fix: Some(fix.into()),
        }
    }

    pub(super) fn skipped(name: Name, evidence: impl Into<Said>, fix: impl Into<Said>) -> Self {
        Self {
            name,
            verdict: Verdict::Skipped,
            evidence: vec![evidence.into()],
            fix: Some(fix.into()),
        }
    }

    /// Several things that are wrong at once; the fix is of the first. `None` where there is none.
    pub(super) fn failures(name: Name, evidence: Vec<Said>, fix: impl Into<Said>) -> Option<Self> {
        (!evidence.is_empty()).then(|| Self {
            name,
            verdict: Verdict::Fail,
            evidence,
            fix: Some(fix.into()),
        })
    }

    /// The same, with something to be known beside it.
    pub(super) fn noting(mut self, also: impl Into<Said>) -> Self {
        self.evidence.push(also.into());
        self
    }

    /// What was seen. No secret stands in it.
    pub fn evidence(&self, language: Language) -> String {
        let said = self.evidence.iter().map(|said| said.to_text(language));
        said.collect::<Vec<_>>().join(language.separator())
    }

    /// What to do, in one sentence; empty where there is nothing to do.
    pub fn fix(&self, language: Language) -> String {
        let fix = self.fix.as_ref();
        fix.map(|said| said.to_text(language)).unwrap_or_default()
    }
}

/// What came of all checks, each once and in the order of [`Name::ALL`].
#[derive(Clone, Debug)]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.name);
        Self { findings }
    }

    /// The findings.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether nothing has to be mended.
    pub fn is_ok(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.all(|finding| finding.verdict != Verdict::Fail)
    }

    /// How many checks came to this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        let findings = self.findings.iter();
        findings
            .filter(|finding| finding.verdict == verdict)
            .count()
    }

    /// For scripts: `{checks: [{name, verdict, evidence, fix}]}`. `fix` is empty where there is
    /// nothing to do.
    pub fn to_json(&self, language: Language) -> Value {
        let checks = self.findings.iter().map(|finding| {
            json!({
                "name": finding.name.as_str(),
                "verdict": finding.verdict,
                "evidence": finding.evidence(language),
                "fix": finding.fix(language),
            })
        });
        json!({"checks": checks.collect::<Vec<_>>()})
    }

    /// For people: a line per check with its evidence, below it what to do, and a line that sums up.
    pub fn to_text(&self, language: Language) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let (sign, title) = (finding.verdict.sign(), finding.name.title());
            let title = title.said().to_text(language);
            let evidence = finding.evidence(language);
            let colon = language.colon();
            text.push_str(&format!("{sign} {title}{colon}{evidence}\n"));
            let fix = finding.fix(language);
            if !fix.is_empty() {
                text.push_str(&format!("  → {fix}\n"));
            }
        }
        let summary = texts::SUMMARY
            .with("ok", self.count(Verdict::Ok))
            .and("failed", self.count(Verdict::Fail))
            .and("skipped", self.count(Verdict::Skipped));
        text.push('\n');
        text.push_str(&summary.to_text(language));
        text.push('\n');
        text
    }
}
