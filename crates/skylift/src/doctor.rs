//! What `skylift doctor` finds on this machine.

use crate::cli::{Finding, Verdict};

/// Looks at isolation, tools and Git.
pub(crate) fn findings() -> Vec<Finding> {
    let isolation = skylift_sandbox::probe();
    let verdict = |good: bool, else_: Verdict| if good { Verdict::Good } else { else_ };
    let finding = |name: &str, verdict: Verdict, detail: String| Finding { name: name.to_owned(), verdict, detail };
    let works = if isolation.works { "sandboxes start" } else { "sandboxes do not start: nothing can be built" };
    let mut findings = vec![
        finding("sandbox", verdict(isolation.works, Verdict::Missing), works.to_owned()),
        finding(
            "namespaces",
            verdict(isolation.namespaces.len() == 7, Verdict::Reduced),
            isolation.namespaces.join(", "),
        ),
        finding(
            "cgroups",
            verdict(!isolation.controllers.is_empty(), Verdict::Reduced),
            format!("{:?}: {}", isolation.cgroup_version, isolation.controllers.join(", ")).to_lowercase(),
        ),
        finding(
            "overlay",
            verdict(isolation.overlay, Verdict::Reduced),
            if isolation.overlay {
                "dependency layers are cached"
            } else {
                "dependencies are installed at every build"
            }
            .to_owned(),
        ),
        finding("seccomp", verdict(isolation.seccomp, Verdict::Missing), "system calls are filtered".to_owned()),
    ];
    for missing in isolation.missing {
        findings.push(finding("missing", Verdict::Reduced, missing));
    }
    findings.push(tool("node", "Node projects can be built", skylift_build::client::node_version()));
    findings.push(tool("git", "Git sources and upload history work", git_version()));
    findings
}

fn tool(name: &str, use_: &str, version: Option<String>) -> Finding {
    match version {
        Some(version) => {
            Finding { name: name.to_owned(), verdict: Verdict::Good, detail: format!("{version}: {use_}") }
        }
        None => Finding {
            name: name.to_owned(),
            verdict: Verdict::Missing,
            detail: format!("not found; without it not: {use_}"),
        },
    }
}

fn git_version() -> Option<String> {
    let answer = std::process::Command::new("git").arg("--version").output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    Some(text.trim().trim_start_matches("git version ").to_owned())
}
