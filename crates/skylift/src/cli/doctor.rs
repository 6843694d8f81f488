//! `skylift doctor`: what isolation this machine gives, and what is missing.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use skylift_model::wire::{PackageSet, PackageSetState};

use super::Context;
use super::clean::clean;
use super::problem::Problem;

/// How long it is waited for a platform: what is found on the machine is told without it.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

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
    let mut findings = probe();
    findings.extend(super::network()?.block_on(package_sets(context)));
    let complete = findings.iter().all(|finding| finding.verdict == Verdict::Good);
    let is_usable = findings.iter().all(|finding| finding.verdict != Verdict::Missing);
    context.output.result(&Report { complete, findings }, text)?;
    if is_usable {
        return Ok(());
    }
    Err(Problem::refused("this machine lacks something that Skylift needs", "see what is marked as missing above"))
}

/// The sets of packages of the platform that is known, where it answers: it alone knows what became of them.
async fn package_sets(context: &Context) -> Vec<Finding> {
    let Ok(client) = context.client() else { return Vec::new() };
    let told = tokio::time::timeout(ANSWERS_WITHIN, client.languages()).await;
    let Ok(Ok(told)) = told else { return Vec::new() };
    let sets = told.languages.iter().flat_map(|language| language.package_sets.iter().map(move |set| (language, set)));
    sets.map(|(language, set)| of_set(&language.name, set)).collect()
}

fn of_set(language: &str, set: &PackageSet) -> Finding {
    let name = &set.name;
    let (verdict, detail) = match set.state {
        PackageSetState::Ready => (Verdict::Good, format!("`{name}` for {language}: {} packages", set.packages.len())),
        PackageSetState::Building => (Verdict::Reduced, format!("`{name}` for {language} is being built")),
        PackageSetState::Failed => {
            let why = set.error.as_deref().unwrap_or("nobody said why");
            (Verdict::Reduced, format!("`{name}` for {language} could not be built, and is tried again: {why}"))
        }
    };
    Finding { name: "packages".to_owned(), verdict, detail }
}

fn text(report: &Report) -> String {
    let width = report.findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or(0);
    let line = |finding: &Finding| {
        let mark = match finding.verdict {
            Verdict::Good => "ok     ",
            Verdict::Reduced => "reduced",
            Verdict::Missing => "MISSING",
        };
        // Why a set could not be built is told in lines, of which only a line is made here.
        let detail = finding.detail.lines().map(str::trim).filter(|line| !line.is_empty()).map(clean);
        format!("{mark}  {:width$}  {}", clean(&finding.name), detail.collect::<Vec<_>>().join(" · "))
    };
    report.findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_could_not_be_built_is_told_with_the_reason_and_stops_nothing() {
        let set = |state, error: Option<&str>| PackageSet {
            name: "data".to_owned(),
            state,
            packages: Vec::new(),
            error: error.map(str::to_owned),
        };
        let failed = of_set("python", &set(PackageSetState::Failed, Some("pip ended with code 1")));
        assert_eq!(failed.verdict, Verdict::Reduced);
        assert!(failed.detail.contains("`data` for python") && failed.detail.ends_with("pip ended with code 1"));
        assert_eq!(of_set("python", &set(PackageSetState::Ready, None)).verdict, Verdict::Good);
        let of_lines =
            of_set("python", &set(PackageSetState::Failed, Some("no such version\n  of numpy\r\n\n\u{1b}[2Jpip")));
        let told = text(&Report { complete: false, findings: vec![of_lines] });
        assert!(told.ends_with("again: no such version · of numpy · [2Jpip"), "{told}");
    }
}
