//! `wxpay doctor`: checks a set-up and says what to mend.
//!
//! Each check has a name, a verdict, what was seen and, where it failed, the fix in one sentence.

use clap::Args;
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::output::{BAD, GOOD};
use crate::target::Which;

/// What to check.
#[derive(Args, Debug)]
pub struct Doctor {
    #[command(flatten)]
    which: Which,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Fail,
}

/// A check that was made.
#[derive(Clone, Debug)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    evidence: String,
    fix: Option<String>,
}

impl Check {
    fn json(&self) -> Value {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Fail => "fail",
        };
        json!({"name": self.name, "verdict": verdict, "evidence": self.evidence, "fix": self.fix})
    }

    fn line(&self) -> String {
        let (style, sign) = match self.verdict {
            Verdict::Ok => (GOOD, "✓"),
            Verdict::Fail => (BAD, "✗"),
        };
        let fix = self.fix.as_ref();
        let fix = fix.map_or_else(String::new, |fix| format!("\n    {fix}"));
        format!(
            "{style}{sign}{style:#} {}: {}{fix}",
            self.name, self.evidence
        )
    }
}

/// Makes the checks.
///
/// # Errors
/// A check failed.
pub async fn run(doctor: Doctor) -> Result<(), Failure> {
    let checks = [stack(&doctor.which).await];
    let told: Vec<Value> = checks.iter().map(Check::json).collect();
    doctor.which.output().answer(&json!({"checks": told}), || {
        let lines: Vec<String> = checks.iter().map(Check::line).collect();
        lines.join("\n")
    });
    let failed = checks
        .iter()
        .filter(|check| check.verdict == Verdict::Fail)
        .count();
    if failed > 0 {
        return Err(Failure::Found(format!(
            "{failed} of {} checks failed",
            checks.len()
        )));
    }
    Ok(())
}

/// Whether there is a stack, and what it is called.
async fn stack(which: &Which) -> Check {
    let (verdict, evidence, fix) = match which.find().await {
        Ok(target) => (Verdict::Ok, format!("{} is there", target.name), None),
        Err(failure) => {
            let fix =
                "Name the stack (--stack, --region), or start one here (wxpay up).".to_owned();
            (Verdict::Fail, failure.to_string(), Some(fix))
        }
    };
    Check {
        name: "stack",
        verdict,
        evidence,
        fix,
    }
}
