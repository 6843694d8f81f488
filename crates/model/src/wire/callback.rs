use serde::{Deserialize, Serialize};

/// Whom to tell what became of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CallbackAsked {
    /// A public address, `http` or `https`, to which the run is sent by `POST`, signed.
    pub url: String,
}

/// How far the telling of a run's end is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunCallback {
    /// Where it is told.
    pub url: String,
    /// How far that is.
    pub state: RunCallbackState,
    /// How often it was tried.
    pub attempts: u64,
    /// Why the last try came to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// How far the telling of a run's end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunCallbackState {
    /// The run has not settled, or it is still to be told.
    Waiting,
    /// The address has answered with a 2xx.
    Delivered,
    /// It was given up.
    Failed,
}

/// `GET /v1/callback-secret`: what callbacks for runs of this key are signed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CallbackSecret {
    /// `whsec_` and 32 bytes in base 64, as Standard Webhooks have it.
    pub secret: String,
}
