//! A typed client of one server. One file per kind of thing below `/v1`.

mod apps;
mod attend;
mod data;
mod deployments;
mod files;
mod logs;
mod platform;
mod runs;
mod uploads;

use http::HeaderValue;

pub use attend::{Sends, Told};
pub use files::Side;
pub use logs::{Output, Printed};

use crate::base_url::BaseUrl;
use crate::connect::Connections;
use crate::error::ClientError;

/// Speaks to one server with one token. Cheap to clone; clones share their connections.
///
/// Every mutation carries an `Idempotency-Key` of its own and is repeated, with that same key, up to twice where the
/// connection fails, so that a lost answer never makes a second deployment.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) base: BaseUrl,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) connections: Connections,
}

impl Client {
    /// Prepares a client, without connecting.
    ///
    /// Must be called within a tokio runtime. Fails where the token cannot stand in a header or, for https, the
    /// machine's root certificates cannot be read.
    pub fn new(base: BaseUrl, token: Option<&str>) -> Result<Self, ClientError> {
        let authorization = token.map(bearer).transpose()?;
        let connections = Connections::new(base.is_https()).map_err(ClientError::RootCertificates)?;
        Ok(Self { base, authorization, connections })
    }

    /// The server's address.
    pub fn base_url(&self) -> &BaseUrl {
        &self.base
    }
}

fn bearer(token: &str) -> Result<HeaderValue, ClientError> {
    let token = token.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ClientError::InvalidToken);
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| ClientError::InvalidToken)?;
    value.set_sensitive(true);
    Ok(value)
}
