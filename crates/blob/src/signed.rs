//! Requests to services that are signed as those to the object store are, with short answers.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use skylift_model::Digest;
use tokio::time::timeout;

use crate::error::BlobError;
use crate::s3::connect::Connections;
use crate::s3::send::{amazon_time, chain};
use crate::s3::settings::Hidden;
use crate::s3::sign::{Signer, Signing};

/// Longer than any answer that is waited for.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Which service, and who asks.
#[derive(Clone, Debug)]
pub struct SignedSettings {
    /// Such as `https://sqs.eu-central-1.amazonaws.com`; what follows the host is left out.
    pub endpoint: String,
    /// As signatures name it, such as `sqs`.
    pub service: &'static str,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: Hidden,
    pub session_token: Hidden,
    /// Certificates (PEM) that the server's is checked against, in place of this machine's.
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take in all.
    pub timeout: Duration,
}

/// A service.
pub struct Signed {
    settings: SignedSettings,
    origin: String,
    host: String,
    connections: Connections,
}

/// What a service said.
#[derive(Clone, Debug)]
pub struct Answered {
    pub status: u16,
    pub body: Bytes,
}

impl Signed {
    /// Prepares, without connecting.
    ///
    /// # Errors
    /// Where the settings cannot work.
    pub fn new(settings: SignedSettings) -> Result<Self, BlobError> {
        let nonsense = || BlobError::Settings(format!("not an address: {}", settings.endpoint));
        let endpoint: Uri = settings.endpoint.parse().map_err(|_| nonsense())?;
        let scheme = endpoint.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https")).ok_or_else(nonsense)?;
        let host = endpoint.authority().filter(|host| !host.as_str().contains('@')).ok_or_else(nonsense)?.to_string();
        let connections = Connections::new(scheme == "https", settings.ca_file.as_deref())?;
        let origin = format!("{scheme}://{host}");
        Ok(Self { settings, origin, host, connections })
    }

    /// One request to the path `/`, and its answer, whatever its status. It is not made again.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn post(&self, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Answered, String> {
        let request = self.request(headers, body, SystemTime::now())?;
        let asked = async {
            let response = self.connections.send(request).await.map_err(|error| chain(&error))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok(Answered { status, body: body.map_err(|error| error.to_string())?.to_bytes() })
        };
        let patience = self.settings.timeout;
        timeout(patience, asked).await.unwrap_or_else(|_| Err(format!("no answer within {} s", patience.as_secs_f32())))
    }

    fn request(&self, own: &[(&str, &str)], body: Vec<u8>, now: SystemTime) -> Result<Request<Full<Bytes>>, String> {
        let settings = &self.settings;
        let (time, payload) = (amazon_time(now), Digest::of(&body).to_string());
        let mut headers = vec![
            ("host".to_owned(), self.host.clone()),
            ("x-amz-content-sha256".to_owned(), payload.clone()),
            ("x-amz-date".to_owned(), time.clone()),
        ];
        headers.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        if !settings.session_token.reveal().is_empty() {
            headers.push(("x-amz-security-token".to_owned(), settings.session_token.reveal().to_owned()));
        }
        let signer = Signer {
            access_key_id: &settings.access_key_id,
            secret_access_key: settings.secret_access_key.reveal(),
            region: &settings.region,
            service: settings.service,
        };
        let signing = Signing { method: "POST", path: "/", query: &[], headers: &headers, payload: &payload };
        let authorization = signer.authorization(&signing, &time);
        let mut request = Request::post(format!("{}/", self.origin));
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let request = request.header("authorization", authorization).body(Full::new(Bytes::from(body)));
        request.map_err(|error| error.to_string())
    }
}
