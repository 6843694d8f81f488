//! What rules make of a file where nothing but the path it is asked for by decides that: neither the query, nor a header field,
//! nor who asks.
//!
//! Whatever this says is what [`Rules::decide`] and [`Rules::headers`] say to every such request. It says nothing rather than
//! too much: a rule that could send anything else than the file, for anybody, is enough for that.

use super::{Headers, Redirects, Rules};
use crate::ask::Ask;
use crate::headers::HeaderChange;
use crate::regex::Budget;

/// How long a request's query and cookies may be, together, for what is said of its path alone to be true of it: a request
/// that costs more than it may is denied, and these count.
pub const PLAIN_BYTES_MAX: usize = 16 << 10;

impl Rules {
    /// What is done to the head of an answer of 200 or 304 with the file that a path names. `None` where a request has to be
    /// looked at as a whole: the file may not be what is sent, or the head depends on more. The path begins with `/`.
    pub fn plain(&self, path: &str) -> Option<Vec<HeaderChange<'_>>> {
        // A path with escapes has another spelling by which rules may know it.
        if path.contains('%') {
            return None;
        }
        let ask = Ask { scheme: "", host: "", path, query: None, country: None, header: &|_| None };
        let budget = &mut Budget::default();
        let spared = match &self.redirects {
            Redirects::Netlify(redirects) => redirects.spare_files_at(path, budget),
            Redirects::Cloudflare(redirects) => !redirects.may_apply(&ask, budget),
        };
        let spared = spared && self.vercel.as_ref().is_none_or(|vercel| !vercel.may_redirect(path, budget));
        if !spared || budget.is_spent() {
            return None;
        }
        let mut changes = Vec::new();
        let budget = &mut Budget::default();
        match &self.headers {
            Headers::Netlify(headers) => headers.find(path, budget, &mut changes),
            Headers::Cloudflare(headers) if headers.know_hosts() => return None,
            Headers::Cloudflare(headers) => headers.find(&ask, budget, &mut changes),
        }
        if let Some(vercel) = &self.vercel {
            vercel.plain_headers(&ask, budget, &mut changes)?;
        }
        (!budget.is_spent()).then_some(changes)
    }
}
