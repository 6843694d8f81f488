//! `/v1/apps/{app}/purge`.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use axum::Json;
use skylift_bus::{PurgeWhat, Served};
use skylift_model::AppName;
use skylift_model::wire::{ErrorEnvelope, Purge, Purged};

use crate::address::At;
use crate::body::SentOrUsual;
use crate::error::ApiError;
use crate::guard::Authorized;

/// How long an answer waits for edges to have dropped what is meant.
const WAIT: Duration = Duration::from_secs(2);

/// How long a path and a tag may be.
const PATH_BYTES_MAX: usize = 8 << 10;
const TAG_BYTES_MAX: usize = 256;

/// Drop answers of other hosts that the edge keeps for an app.
#[utoipa::path(post, path = "/v1/apps/{app}/purge", tag = "apps", params(("app" = String, Path)), request_body = Purge,
    responses((status = 200, body = Purged), (status = 404, body = ErrorEnvelope), (status = 422, body = ErrorEnvelope)))]
pub(crate) async fn purge(
    auth: Authorized,
    At(app): At<AppName>,
    SentOrUsual(purge): SentOrUsual<Purge>,
) -> Result<Json<Purged>, ApiError> {
    let what = parse(purge)?;
    auth.store.app(app.clone()).await?;
    // Any number that nobody else waits for.
    let id = RandomState::new().hash_one(&app);
    let served = auth.applied.purge(app, what, id, WAIT).await;
    Ok(Json(Purged { applied: served == Served::Everywhere }))
}

fn parse(purge: Purge) -> Result<PurgeWhat, ApiError> {
    let is_visible = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
    match (purge.path, purge.tag) {
        (None, None) => Ok(PurgeWhat::Everything),
        (Some(path), None) if path.starts_with('/') && path.len() <= PATH_BYTES_MAX && is_visible(&path) => {
            // A path stands for itself with any query.
            let path = path.split(['?', '#']).next().unwrap_or_default().to_owned();
            Ok(PurgeWhat::Path(path))
        }
        (Some(_), None) => Err(ApiError::invalid(
            "this is not the path of an address".to_owned(),
            "begin it with `/`, and write letters beyond ASCII as in an address: `/caf%C3%A9`",
        )),
        (None, Some(tag)) if (1..=TAG_BYTES_MAX).contains(&tag.len()) && is_visible(&tag) && !tag.contains(',') => {
            Ok(PurgeWhat::Tag(tag))
        }
        (None, Some(_)) => Err(ApiError::invalid(
            "this is not a tag".to_owned(),
            "name one tag: visible ASCII without commas, 256 characters at most",
        )),
        (Some(_), Some(_)) => {
            Err(ApiError::invalid("a path and a tag are two purges".to_owned(), "ask for one, then for the other"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_purged_at_a_time_and_only_what_can_be_named() {
        let check = |path: Option<&str>, tag: Option<&str>| {
            parse(Purge { path: path.map(str::to_owned), tag: tag.map(str::to_owned) }).ok()
        };
        assert_eq!(check(None, None), Some(PurgeWhat::Everything));
        assert_eq!(check(Some("/a?b#c"), None), Some(PurgeWhat::Path("/a".to_owned())));
        assert_eq!(check(None, Some("post-1")), Some(PurgeWhat::Tag("post-1".to_owned())));
        for (path, tag) in [
            (Some("a"), None),
            (Some("/a b"), None),
            (Some("/é"), None),
            (None, Some("")),
            (None, Some("a,b")),
            (None, Some("a b")),
            (Some("/a"), Some("b")),
        ] {
            assert_eq!(check(path, tag), None, "{path:?} {tag:?}");
        }
    }
}
