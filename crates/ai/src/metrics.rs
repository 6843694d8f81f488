//! How much was asked and how it went, as Prometheus text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use skylift_model::TokenId;

use crate::meter::Spent;
use crate::{Endpoint, Tally};

/// So many keys are told apart; more are told together.
const KEYS_MAX: usize = 200;
const OTHERS: &str = "others";

/// Counts since the process began.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    requests: BTreeMap<(Endpoint, u16), u64>,
    spent: BTreeMap<String, Spent>,
}

impl Metrics {
    /// Counts how a request was answered.
    pub(crate) fn answered(&self, endpoint: Endpoint, status: StatusCode) {
        *self.counts().requests.entry((endpoint, status.as_u16())).or_default() += 1;
    }

    /// Writes them.
    pub(crate) fn render(&self, under_way: usize, out: &mut String) {
        let counts = self.counts();
        out.push_str("# HELP skylift_ai_requests_total Requests to the AI node, by what was asked and how it was answered.\n# TYPE skylift_ai_requests_total counter\n");
        for ((endpoint, status), count) in &counts.requests {
            let endpoint = endpoint.as_str();
            let _ = writeln!(out, "skylift_ai_requests_total{{endpoint=\"{endpoint}\",status=\"{status}\"}} {count}");
        }
        out.push_str("# HELP skylift_ai_tokens_total Tokens read (prompt) and written (completion) by models, by key.\n# TYPE skylift_ai_tokens_total counter\n");
        for (key, spent) in &counts.spent {
            for (kind, count) in [("prompt", spent.prompt_tokens), ("completion", spent.completion_tokens)] {
                let _ = writeln!(out, "skylift_ai_tokens_total{{key=\"{key}\",kind=\"{kind}\"}} {count}");
            }
        }
        out.push_str("# HELP skylift_ai_requests_under_way Requests that are being answered.\n# TYPE skylift_ai_requests_under_way gauge\n");
        let _ = writeln!(out, "skylift_ai_requests_under_way {under_way}");
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally for Metrics {
    fn spent(&self, key: &TokenId, spent: Spent) {
        let mut counts = self.counts();
        let is_known = counts.spent.contains_key(key.as_str()) || counts.spent.len() < KEYS_MAX;
        let name = if is_known { key.as_str() } else { OTHERS };
        let sum = counts.spent.entry(name.to_owned()).or_default();
        sum.add(spent);
    }
}

impl Spent {
    /// Both together.
    pub fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
    }
}
