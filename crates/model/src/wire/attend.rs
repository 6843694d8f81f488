use serde::{Deserialize, Serialize};

use super::{ErrorBody, Run};
use crate::RunId;
use crate::run::Encoding;

/// What a client sends to a run that it is connected with (`GET /v1/runs/connect`), after the run itself. One of the three in each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RunSent {
    /// What the program reads next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// How `stdin` is written.
    #[serde(default, skip_serializing_if = "is_text")]
    pub encoding: Encoding,
    /// That there is no more for it to read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stdin_end: bool,
    /// A signal for its first process, such as `SIGINT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
fn is_text(encoding: &Encoding) -> bool {
    *encoding == Encoding::Utf8
}

/// What a client is told of a run that it is connected with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunTold {
    /// Its program runs.
    Running {
        /// Its id.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        id: RunId,
    },
    /// It printed this, in the run's encoding.
    Stdout {
        /// What it printed.
        data: String,
    },
    /// It complained this, in the run's encoding.
    Stderr {
        /// What it complained.
        data: String,
    },
    /// It has ended. Nothing follows.
    Done(Box<Run>),
    /// It was not run, or not to its end. Nothing follows.
    Error(ErrorBody),
}
