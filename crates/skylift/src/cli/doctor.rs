//! `skylift doctor`: what isolation this machine gives, and what is missing.

use clap::Args;
use serde::Serialize;

use super::Context;
use super::clean::clean;
use super::problem::Problem;

/// Show what isolation this machine gives, and what is missing
#[derive(Args)]
pub(crate) struct DoctorArgs {}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at, such as `cgroups`.
    pub(crate) name: String,
    /// How it is.
    pub(crate) verdict: Verdict,
    /// What was found, and for what is missing what that means and what helps.
    pub(crate) detail: String,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As it should be.
    Good,
    /// It works, with less than promised.
    Reduced,
    /// It is not there, and something does not work without it.
    Missing,
}

#[derive(Serialize)]
struct Report {
    complete: bool,
    findings: Vec<Finding>,
}

pub(super) fn run(context: &Context, probe: fn() -> Vec<Finding>) -> Result<(), Problem> {
    let findings = probe();
    let complete = findings.iter().all(|finding| finding.verdict == Verdict::Good);
    let is_usable = findings.iter().all(|finding| finding.verdict != Verdict::Missing);
    context.output.result(&Report { complete, findings }, text)?;
    if is_usable {
        return Ok(());
    }
    Err(Problem::refused("this machine lacks something that Skylift needs", "see what is marked as missing above"))
}

fn text(report: &Report) -> String {
    let width = report.findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or(0);
    let line = |finding: &Finding| {
        let mark = match finding.verdict {
            Verdict::Good => "ok     ",
            Verdict::Reduced => "reduced",
            Verdict::Missing => "MISSING",
        };
        format!("{mark}  {:width$}  {}", clean(&finding.name), clean(&finding.detail))
    };
    report.findings.iter().map(line).collect::<Vec<_>>().join("\n")
}
