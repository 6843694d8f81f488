//! Pages of our own: what went wrong and what to do next, for people or for programs.
//!
//! Who visits a site is told nothing of how it is run. Only where there is no site yet is it the owner who most likely
//! looks, and a command may be named.

mod behind;
mod html;
mod request;
mod welcome;

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, RETRY_AFTER, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use skylift_model::DeploymentState;
use skylift_model::wire::{Code, ErrorBody, ErrorEnvelope};

use crate::accept::prefers_json;
use crate::body::EdgeBody;
use crate::content::Outage;
use crate::site::insert_security;
use html::{Document, LOOK_AGAIN_S, Wait};

pub(crate) use welcome::welcome;

/// After how many seconds what is out of reach is worth another try.
const OUT_OF_REACH_S: u16 = 5;

/// A page of our own.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    status: StatusCode,
    code: Code,
    title: &'static str,
    message: String,
    hint: String,
    /// What an owner can type.
    command: Option<String>,
    /// Where a visitor can go on, with its text.
    link: Option<(&'static str, &'static str)>,
    wait: Wait,
    extra: Option<(HeaderName, HeaderValue)>,
}

impl Page {
    fn new(status: StatusCode, code: Code, title: &'static str, message: String, hint: String) -> Self {
        Self { status, code, title, message, hint, command: None, link: None, wait: Wait::No, extra: None }
    }

    /// 404: no app of this name.
    pub(crate) fn unknown_app(label: &str) -> Self {
        let message = format!("There is no app called “{label}” here.");
        let hint = "Check the spelling, or make it from a project's folder:".into();
        let page = Self::new(StatusCode::NOT_FOUND, Code::NotFound, "No such app", message, hint);
        Self { command: Some(format!("skylift deploy --app {label}")), ..page }
    }

    /// 404: no deployment of this id.
    pub(crate) fn unknown_deployment(label: &str) -> Self {
        let message = format!("The deployment {label} does not exist, or is no longer kept.");
        let hint = "Check the address. This lists those that are kept:".into();
        let page = Self::new(StatusCode::NOT_FOUND, Code::NotFound, "No such deployment", message, hint);
        Self { command: Some("skylift deployments".into()), ..page }
    }

    /// A deployment that is not served, by its state: on its way (503, to be looked at again), or come to nothing (404).
    /// Why it failed is for its owner alone.
    pub(crate) fn not_served(state: DeploymentState) -> Self {
        use DeploymentState::{Building, Cancelled, Deploying, Failed, Live, Previous, Queued, Superseded};
        let (title, message) = match state {
            Queued => ("Waiting to be built", "This deployment is queued; it is built when its turn comes."),
            Building => ("Being built", "This deployment is being built."),
            Deploying | Live | Previous => ("Almost there", "This deployment is built and about to be served."),
            Failed => ("The build failed", "This deployment failed, so there is nothing to show."),
            Cancelled => ("Cancelled", "This deployment was cancelled before it was built."),
            Superseded => ("Overtaken", "A newer deployment took this one's place before it was built."),
        };
        if matches!(state, Queued | Building | Deploying | Live | Previous) {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let hint = "This page looks again by itself.".into();
            let page = Self::new(status, Code::Unavailable, title, message.into(), hint);
            let extra = Some((RETRY_AFTER, HeaderValue::from(u16::from(LOOK_AGAIN_S))));
            return Self { wait: Wait::Yes, extra, ..page };
        }
        let hint = "Whoever deployed it finds the reason in its log.".into();
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, title, message.into(), hint)
    }

    /// 404: an app without a live deployment.
    pub(crate) fn nothing_live(app: &str) -> Self {
        let message = format!("The app “{app}” has nothing live yet.");
        let hint = "Wait for its first build, or deploy something:".into();
        let page = Self::new(StatusCode::NOT_FOUND, Code::NotFound, "Nothing here yet", message, hint);
        Self { command: Some(format!("skylift deploy --app {app}")), ..page }
    }

    /// 404: no such page in a site.
    pub(crate) fn not_found() -> Self {
        let message = "There is no page at this address.".into();
        let hint = "Check the spelling, or go to the start page.".into();
        let page = Self::new(StatusCode::NOT_FOUND, Code::NotFound, "Page not found", message, hint);
        Self { link: Some(("/", "Start page")), ..page }
    }

    /// 502: what should be served is damaged or gone; the log says how.
    pub(crate) fn bad_content() -> Self {
        let message = "What belongs here cannot be read, so nothing is shown rather than something wrong.".into();
        let hint = "Try again later.".into();
        Self::new(StatusCode::BAD_GATEWAY, Code::Internal, "Content not readable", message, hint)
    }

    /// 503 or 504: what should be served is out of reach for now.
    pub(crate) fn out_of_reach(outage: Outage) -> Self {
        let message = "What belongs here cannot be reached at the moment.".into();
        let status = match outage {
            Outage::Away => StatusCode::SERVICE_UNAVAILABLE,
            Outage::Late => StatusCode::GATEWAY_TIMEOUT,
        };
        let hint = "Try again in a few seconds.".into();
        let page = Self::new(status, Code::Unavailable, "Not available at the moment", message, hint);
        Self { extra: Some((RETRY_AFTER, HeaderValue::from(OUT_OF_REACH_S))), ..page }
    }

    /// Renders the page in the form the request prefers.
    pub(crate) fn respond(self, request: &HeaderMap) -> Response<EdgeBody> {
        let (media_type, text) = match prefers_json(request) {
            true => ("application/json; charset=utf-8", self.as_json()),
            false => ("text/html; charset=utf-8", self.as_html()),
        };
        answer(self.status, media_type, text, self.extra)
    }

    fn as_json(&self) -> String {
        let hint = match &self.command {
            Some(command) => format!("{} {command}", self.hint),
            None => self.hint.clone(),
        };
        let error = ErrorBody { code: self.code, message: self.message.clone(), hint, retry_after_s: None };
        serde_json::to_string(&ErrorEnvelope { error }).unwrap_or_default()
    }

    fn as_html(&self) -> String {
        let command = self.command.as_deref().map(|command| (self.hint.as_str(), command));
        let told = [self.message.as_str(), self.hint.as_str()];
        Document {
            title: self.title,
            kicker: self.status.as_str(),
            // A hint that leads to a command stands above it.
            paragraphs: if command.is_some() { told.get(..1).unwrap_or_default() } else { &told },
            commands: command.as_slice(),
            links: self.link.as_slice(),
            wait: self.wait,
        }
        .render()
    }
}

/// An answer with a text of ours, which browsers neither keep nor let run anything.
fn answer(
    status: StatusCode,
    media_type: &'static str,
    text: String,
    extra: Option<(HeaderName, HeaderValue)>,
) -> Response<EdgeBody> {
    let mut headers = HeaderMap::with_capacity(10);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // It depends on what the request accepts.
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex"));
    insert_security(&mut headers);
    headers.extend(extra);
    respond(status, headers, text.into())
}

/// HEAD gets the same head and nothing else.
pub(crate) fn without_body_for_head(response: Response<EdgeBody>, method: &Method) -> Response<EdgeBody> {
    if method == Method::HEAD { response.map(|_| EdgeBody::empty()) } else { response }
}

/// 308 to a path of the same host.
pub(crate) fn redirect(to: &str, request: &HeaderMap) -> Response<EdgeBody> {
    let Ok(location) = HeaderValue::from_str(to) else { return Page::not_found().respond(request) };
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(LOCATION, location);
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    // Going live with other settings must take a redirect back.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=0, must-revalidate"));
    insert_security(&mut headers);
    respond(StatusCode::PERMANENT_REDIRECT, headers, EdgeBody::empty())
}

/// An answer of these parts.
pub(crate) fn respond(status: StatusCode, headers: HeaderMap, body: EdgeBody) -> Response<EdgeBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_is_looked_at_again_and_what_came_to_nothing_is_not() {
        for state in DeploymentState::ALL {
            let page = Page::not_served(state);
            let looks_again = page.as_html().contains("http-equiv=\"refresh\"");
            let is_over =
                matches!(state, DeploymentState::Failed | DeploymentState::Cancelled | DeploymentState::Superseded);
            assert_eq!((looks_again, page.status == StatusCode::NOT_FOUND), (!is_over, is_over), "{state}");
        }
    }

    #[test]
    fn visitors_of_a_site_are_told_nothing_of_how_it_is_run() {
        let passed_on =
            [Page::not_answered(), Page::passed_on_too_long(), Page::passed_in_a_circle(), Page::too_busy()];
        let files = [Page::not_found(), Page::bad_content(), Page::method_not_allowed()];
        for page in files.into_iter().chain(passed_on) {
            let html = page.as_html();
            let text = html.rsplit("</style>").next().unwrap().to_lowercase();
            assert!(!["skylift", "owner", "log", "deploy"].iter().any(|word| text.contains(word)), "{text}");
        }
    }

    #[test]
    fn programs_get_the_envelope() {
        let json = Page::unknown_app("shop").as_json();
        let envelope: ErrorEnvelope = serde_json::from_str(&json).unwrap();
        assert_eq!(envelope.error.code, Code::NotFound);
        assert!(envelope.error.hint.contains("--app shop"));
    }
}
