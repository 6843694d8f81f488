//! Version skew: a page that was opened before a deploy goes on asking for the files that came with it.
//!
//! Its scripts and styles have names with a hash of what is in them, so the ones of the deployment that was live then
//! are the right answer for a while, and never the wrong one.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use skylift_model::Digest;
use skylift_model::route::RoutedDeployment;

use super::Gateway;
use crate::accept::is_navigation;
use crate::now::Moment;
use crate::path::RequestPath;
use crate::routes::table::Route;
use crate::site::ServedSite;

impl Gateway {
    /// Whether a request for what `site` lacks may be for a file of a deployment that was live before.
    pub(super) fn may_be_of_another(
        &self,
        route: &Route,
        site: &ServedSite,
        request: &Request<Incoming>,
        now: Moment,
    ) -> bool {
        let lacks = |path: RequestPath<'_>| site.lacks(&path, is_navigation(request.headers()));
        within(&route.before, self.skew_window, now).next().is_some()
            && RequestPath::parse(request.uri().path()).is_ok_and(lacks)
    }

    /// The last site before `site` that has a file of this name which never changes, if the window still has it.
    pub(super) async fn of_another(
        &self,
        route: &Route,
        site: &ServedSite,
        request: &Request<Incoming>,
        now: Moment,
    ) -> Option<Arc<ServedSite>> {
        if !self.may_be_of_another(route, site, request, now) {
            return None;
        }
        let path = RequestPath::parse(request.uri().path()).ok()?;
        for artifact in within(&route.before, self.skew_window, now) {
            match self.sites.get(artifact).await {
                Ok(before) if before.immutable_file(&path).is_some() => return Some(before),
                Ok(_) => {}
                // What is live answers, as if nothing had been before.
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a replaced deployment cannot be read")
                }
            }
        }
        None
    }
}

/// The artifacts that were replaced less than a window ago, the last of them first.
fn within(before: &[RoutedDeployment], window: Duration, now: Moment) -> impl Iterator<Item = &Digest> {
    let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
    let oldest = now.timestamp().as_millis().saturating_sub(window_ms);
    let recent = move |deployment: &&RoutedDeployment| {
        window_ms > 0 && deployment.replaced.is_some_and(|replaced| replaced.as_millis() >= oldest)
    };
    before.iter().filter(recent).map(|deployment| &deployment.artifact)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use skylift_model::{DeploymentId, Timestamp};

    use super::*;

    #[test]
    fn the_window_ends_and_can_be_closed() {
        let replaced_at = |ms: i64| RoutedDeployment {
            replaced: Some(Timestamp::from_millis(ms)),
            ..RoutedDeployment::new(DeploymentId::new(Timestamp::from_millis(ms), 0), Digest::of(&ms.to_be_bytes()))
        };
        let before = [replaced_at(9_000), replaced_at(5_000)];
        let now = Moment { instant: Instant::now(), unix_ms: 10_000 };
        for (window_ms, expected) in [(0, 0), (999, 0), (1_000, 1), (4_999, 1), (5_000, 2), (u64::MAX, 2)] {
            assert_eq!(within(&before, Duration::from_millis(window_ms), now).count(), expected, "{window_ms}");
        }
    }
}
