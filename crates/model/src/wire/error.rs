use serde::{Deserialize, Serialize};

/// Why a request was refused, for programs to branch on. Codes are stable; messages are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// 400: not what the endpoint takes.
    BadRequest,
    /// 401: no token, or one that is unknown, expired or revoked.
    Unauthorized,
    /// 403: the token may not do this.
    Forbidden,
    /// 404: no such thing, or none that the token may see.
    NotFound,
    /// 405: the endpoint exists, the method does not.
    MethodNotAllowed,
    /// 409: the state of things does not allow it.
    Conflict,
    /// 409: the idempotency key was used with another request.
    IdempotencyMismatch,
    /// 413: more bytes or files than the limit.
    TooLarge,
    /// 415: a body of that type is not taken here.
    UnsupportedMediaType,
    /// 421: this host name is not served here.
    Misdirected,
    /// 422: well-formed, but something in it is not allowed.
    Invalid,
    /// 429: too many requests; `Retry-After` says when.
    RateLimited,
    /// 500: our fault.
    Internal,
    /// 503: not now; `Retry-After` says when.
    Unavailable,
    /// 507: the disk is full; deleting and rolling back still work.
    OutOfSpace,
}

impl Code {
    /// The HTTP status that goes with it.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict | Self::IdempotencyMismatch => 409,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Misdirected => 421,
            Self::Invalid => 422,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::OutOfSpace => 507,
        }
    }
}

/// Every error answer: `{"error":{"code","message","hint"}}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorEnvelope {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong and what to do next.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// For programs.
    pub code: Code,
    /// For people: what happened.
    pub message: String,
    /// For people: what to do next.
    pub hint: String,
    /// With 429: the seconds of `Retry-After`, for who sees no headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}
