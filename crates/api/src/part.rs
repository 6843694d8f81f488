//! The parts of the API that may be answered by different processes.

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use skylift_model::wire::Code;

use crate::error::ApiError;

/// A part of the API; each is a role that a process may have or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Takes in code: uploads, archives and the order to build them.
    Upload,
    /// Everything else.
    Api,
}

/// What a process answers. Health and metrics it always answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    pub api: bool,
    pub upload: bool,
}

impl Parts {
    /// Whether a part is answered here.
    pub fn has(self, part: Part) -> bool {
        match part {
            Part::Upload => self.upload,
            Part::Api => self.api,
        }
    }
}

/// The part that a request belongs to, by its method and path.
pub fn part_of(method: &Method, path: &str) -> Part {
    let words: Vec<&str> = path.split('/').skip(1).collect();
    match words.as_slice() {
        ["v1", "uploads", ..] | ["v1", "apps", _, "uploads"] => Part::Upload,
        ["v1", "apps", _, "deployments"] if *method == Method::POST => Part::Upload,
        _ => Part::Api,
    }
}

/// Whether a path is about the process that is asked rather than about the platform.
pub fn is_of_the_process(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// Refuses what this process does not answer.
pub(crate) async fn only(parts: Parts, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let part = part_of(request.method(), path);
    if parts.has(part) || is_of_the_process(path) {
        return next.run(request).await;
    }
    elsewhere(part).into_response()
}

/// The answer to a request that another process should have got.
pub fn elsewhere(part: Part) -> ApiError {
    let role = match part {
        Part::Upload => "upload",
        Part::Api => "api",
    };
    ApiError::new(
        Code::Unavailable,
        format!("the process that was asked does not have the role `{role}`"),
        format!("ask one that has, or name it to the edge: `{role} = \"HOST:PORT\"` below [edge]"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_goes_to_those_who_take_it_in() {
        for (method, path) in [
            (Method::POST, "/v1/apps/shop/uploads"),
            (Method::PUT, "/v1/uploads/u-1/blobs/ab"),
            (Method::POST, "/v1/uploads/u-1/blobs"),
            (Method::POST, "/v1/apps/shop/deployments"),
        ] {
            assert_eq!(part_of(&method, path), Part::Upload, "{method} {path}");
        }
        for (method, path) in [
            (Method::GET, "/v1/apps/shop/deployments"),
            (Method::POST, "/v1/apps/shop/rollback"),
            (Method::POST, "/v1/apps"),
            (Method::GET, "/v1/uploadsx"),
            (Method::GET, "/"),
        ] {
            assert_eq!(part_of(&method, path), Part::Api, "{method} {path}");
        }
    }
}
