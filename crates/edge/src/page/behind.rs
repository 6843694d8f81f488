//! Pages about what is behind the edge: servers that requests are passed on to, and instances of apps.

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use skylift_model::wire::Code;

use super::Page;

/// Of other servers.
impl Page {
    /// 501: WebSockets are not passed on to other hosts.
    pub(crate) fn no_other_protocol() -> Self {
        let message = "This address answers plain HTTP only; WebSockets are not passed on.".into();
        let hint = "Connect to the server behind it directly, or ask without Upgrade.".into();
        Self::new(StatusCode::NOT_IMPLEMENTED, Code::Internal, "No WebSockets here", message, hint)
    }

    /// 400: what a request and a rule make together is no address to pass it on to.
    pub(crate) fn passed_nowhere() -> Self {
        let message = "This address leads to no place on the server behind it.".into();
        let hint = "Check the spelling: parts such as `..` are not passed on.".into();
        Self::new(StatusCode::BAD_REQUEST, Code::BadRequest, "Bad address", message, hint)
    }

    /// 508: the request has come back to where it was.
    pub(crate) fn passed_in_a_circle() -> Self {
        let message = "This address leads back to where it came from, so the request was stopped.".into();
        let hint = "Tell whoever runs this site: its rules send this address round in a circle.".into();
        Self::new(StatusCode::LOOP_DETECTED, Code::Internal, "Going round in circles", message, hint)
    }

    /// 502: the other host is not there, or talks nonsense.
    pub(crate) fn not_answered() -> Self {
        let message = "The server behind this address cannot be reached, or did not answer as it should.".into();
        let hint =
            "Try again in a minute. If it stays so, tell whoever runs this site, with the X-Request-Id of this answer.";
        Self::new(StatusCode::BAD_GATEWAY, Code::Internal, "No answer from behind", message, hint.into())
    }

    /// 504: the other host takes too long.
    pub(crate) fn passed_on_too_long() -> Self {
        let message = "The server behind this address took too long to answer.".into();
        let hint =
            "Try again in a minute. If it stays so, tell whoever runs this site, with the X-Request-Id of this answer.";
        Self::new(StatusCode::GATEWAY_TIMEOUT, Code::Internal, "No answer in time", message, hint.into())
    }

    /// 503: everything that may speak to other hosts does.
    pub(crate) fn too_busy() -> Self {
        let message = "There are more requests to the server behind this address than can be passed on at once.".into();
        let hint = "Try again in a few seconds.".into();
        let mut page = Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, "Too busy", message, hint);
        page.extra = Some((RETRY_AFTER, HeaderValue::from_static("5")));
        page
    }

    /// 504: only a kept answer was wanted, and there is none.
    pub(crate) fn not_kept() -> Self {
        let message = "There is no kept answer to this request, and it wants no other.".into();
        let hint = "Ask without `only-if-cached`.".into();
        Self::new(StatusCode::GATEWAY_TIMEOUT, Code::NotFound, "Nothing kept", message, hint)
    }

    /// 413: a body larger than what is passed on.
    pub(crate) fn body_too_large(bytes_max: u64) -> Self {
        let message = format!("The request has more than the {bytes_max} bytes that are passed on.");
        let hint = "Send it in smaller pieces.".into();
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, "Too much at once", message, hint)
    }
}

/// Of instances.
impl Page {
    /// 503: no instance is there yet, or all have as much as they can take.
    pub(crate) fn no_instance_ready() -> Self {
        let message = "This app has no instance that could answer at this moment.".into();
        let hint = "Try again in a few seconds.".into();
        let mut page = Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, "Not ready", message, hint);
        page.extra = Some((RETRY_AFTER, HeaderValue::from_static("5")));
        page
    }

    /// 503: its owner wants no instance of it.
    pub(crate) fn stopped() -> Self {
        let message = "This app is stopped.".into();
        let hint = "Its owner starts it again with `skylift scale APP 1`.".into();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, "Stopped", message, hint)
    }

    /// 503: only what is live has instances.
    pub(crate) fn not_running() -> Self {
        let message = "This deployment is kept, but it is not live, so it has no instance that could answer.".into();
        let hint = "`skylift rollback APP DEPLOYMENT` makes it live.".into();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, "Not running", message, hint)
    }

    /// 502: the instance that was asked gave no answer.
    pub(crate) fn no_instance_answered() -> Self {
        let message = "The app did not answer: its instance ended, or closed the connection.".into();
        let hint =
            "Try again in a minute. If it stays so, tell whoever runs this app, with the X-Request-Id of this answer.";
        Self::new(StatusCode::BAD_GATEWAY, Code::Internal, "No answer", message, hint.into())
    }
}
