//! All rules of a deployment: as data that is kept with it, and compiled.

mod plain;

use serde::{Deserialize, Serialize};

use crate::ask::Ask;
use crate::decision::{Decision, FileExists};
use crate::headers::{self, HeaderBlock, HeaderChange};
use crate::redirects::find::Hit;
use crate::redirects::{self, Redirect};
use crate::regex::Budget;
use crate::vercel::Vercel;
use crate::vercel::find::Compiled;
pub use plain::PLAIN_BYTES_MAX;

/// Rules as they are kept with a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSet {
    /// Whose rules the redirects and headers follow.
    #[serde(default)]
    pub dialect: Dialect,
    /// From `_redirects`, then from `netlify.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirects: Vec<Redirect>,
    /// From `_headers`, then from `netlify.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderBlock>,
    /// From `vercel.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vercel: Option<Vercel>,
}

/// Whose rules `_redirects` and `_headers` follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// Netlify's.
    #[default]
    Netlify,
    /// Cloudflare's.
    Cloudflare,
}

impl RuleSet {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.redirects.is_empty() && self.headers.is_empty() && self.vercel.is_none()
    }
}

/// Compiled rules. Made once from what is kept, never changed.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    redirects: Redirects,
    headers: Headers,
    vercel: Option<Compiled>,
}

#[derive(Clone, Debug)]
enum Redirects {
    Netlify(redirects::find::Redirects),
    Cloudflare(redirects::cloudflare::Redirects),
}

#[derive(Clone, Debug)]
enum Headers {
    Netlify(headers::find::Headers),
    Cloudflare(headers::cloudflare::Headers),
}

impl Default for Redirects {
    fn default() -> Self {
        Self::Netlify(redirects::find::Redirects::default())
    }
}

impl Default for Headers {
    fn default() -> Self {
        Self::Netlify(headers::find::Headers::default())
    }
}

impl Rules {
    /// Compiles rules.
    pub fn new(set: RuleSet) -> Self {
        let vercel = set.vercel.map(Compiled::new);
        match set.dialect {
            Dialect::Netlify => Self {
                redirects: Redirects::Netlify(redirects::find::Redirects::new(set.redirects)),
                headers: Headers::Netlify(headers::find::Headers::new(set.headers)),
                vercel,
            },
            Dialect::Cloudflare => Self {
                redirects: Redirects::Cloudflare(redirects::cloudflare::Redirects::new(set.redirects)),
                headers: Headers::Cloudflare(headers::cloudflare::Headers::new(set.headers)),
                vercel,
            },
        }
    }

    /// What to do with a request. `file` says whether a file answers its path; that a rule overrides it is for the rule to
    /// say. A request that costs more than one may is denied: a rule that was not reached may be what keeps it from a file.
    pub fn decide(&self, ask: &Ask<'_>, file: FileExists) -> Decision<'_> {
        let mut budget = Budget::default();
        let decision = self.decide_within(ask, file, &mut budget);
        if budget.is_spent() { Decision::Denied } else { decision }
    }

    fn decide_within(&self, ask: &Ask<'_>, file: FileExists, budget: &mut Budget) -> Decision<'_> {
        let of = |(status, to)| Decision::of(status, to, &[]);
        match &self.redirects {
            Redirects::Cloudflare(redirects) => match redirects.find(ask, budget) {
                Some((status, to)) if status == 200 || !is_here(ask, &to) => return of((status, to)),
                _ => {}
            },
            Redirects::Netlify(redirects) => match redirects.find(ask, budget) {
                Hit::RoleMissing => return Decision::Denied,
                Hit::Rule(rule, to) if rule.force || file == FileExists::No => {
                    return Decision::of(rule.status, to, &rule.headers);
                }
                Hit::Rule(..) | Hit::Nothing => {}
            },
        }
        let Some(vercel) = &self.vercel else { return Decision::Serve };
        if let Some(found) = vercel.redirect(ask, budget) {
            return of(found);
        }
        match file {
            FileExists::Yes => Decision::Serve,
            FileExists::No => vercel.rewrite(ask, budget).map_or(Decision::Serve, of),
        }
    }

    /// What the owner of the site wants done to the header of an answer with this status, in order. Answers from another host
    /// and errors of ours are none of theirs, and what is missing today may be there tomorrow, so nobody keeps a 404.
    /// `None` where that takes more than a request may cost: what was not reached may be what protects the visitor.
    pub fn headers(&self, ask: &Ask<'_>, status: u16) -> Option<Vec<HeaderChange<'_>>> {
        let mut changes = Vec::new();
        if status >= 500 {
            return Some(changes);
        }
        let budget = &mut Budget::default();
        match &self.headers {
            Headers::Netlify(headers) => {
                if let Some(path) = ask.decoded_path() {
                    headers.find(&path, budget, &mut changes);
                }
            }
            Headers::Cloudflare(headers) => headers.find(ask, budget, &mut changes),
        }
        if let Some(vercel) = &self.vercel {
            vercel.headers(ask, budget, &mut changes);
        }
        if status == 404 {
            changes.retain(|change| change.name() != "cache-control");
        }
        (!budget.is_spent()).then_some(changes)
    }
}

/// Whether a redirect leads to the very address that was asked for.
fn is_here(ask: &Ask<'_>, to: &str) -> bool {
    let to = to.split('#').next().unwrap_or(to);
    to.split_once('?').unwrap_or((to, "")) == (ask.path, ask.query.unwrap_or_default())
}
