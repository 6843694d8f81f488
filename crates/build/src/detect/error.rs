//! Why no plan can be made.

use skylift_model::path::InvalidPath;

use super::app_json;
use crate::app_config::ConfigMistakes;

/// Why no plan can be made for a source. All of these are mistakes in the source or the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DetectError {
    #[error("`{folder}` is not a folder inside the source")]
    InvalidFolder {
        folder: String,
        #[source]
        reason: InvalidPath,
    },
    #[error("the source has no folder `{folder}`, which {from} names")]
    NoFolder { folder: String, from: String },
    #[error("{file}: {mistakes}")]
    Config { file: String, mistakes: ConfigMistakes },
    #[error("both {outer} and {inner} have settings")]
    TwoConfigs { outer: String, inner: String },
    #[error("{file}, line {line}, column {column}: {reason}")]
    Syntax { file: String, line: usize, column: usize, reason: String },
    #[error("{file} is larger than 1 MiB")]
    TooLarge { file: String },
    #[error("{file} is not UTF-8 text")]
    NotText { file: String },
    #[error("{file} cannot be read")]
    Unreadable { file: String },
    #[error("{file}: {mistakes}")]
    Procfile { file: String, mistakes: ConfigMistakes },
    #[error("{file} names no process `web`, which is the one that answers requests")]
    NoWeb { file: String },
    #[error("this is a {kind} project, and how it starts is not known: {why}")]
    NoStart { kind: &'static str, why: String },
    #[error("{file} says neither how the project starts nor what builds it")]
    NodeSaysNothing { file: String },
    #[error("this version does not install from {file}")]
    NoInstall { file: String },
    #[error("no kind of project was recognised in {place}")]
    Unrecognised { place: String, projects_below: Vec<String> },
}

impl DetectError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::InvalidFolder { .. } => "name a folder relative to the source, such as `apps/web`".into(),
            Self::NoFolder { .. } => "check its spelling; empty folders and ignored ones are not sent".into(),
            Self::Config { .. } => "correct the lines named; docs/detection.md lists every setting".into(),
            Self::Procfile { .. } => "a line is `name: command`; `web` answers requests, `release` runs before".into(),
            Self::NoWeb { .. } => {
                "add the line `web: …` with the command that listens on 0.0.0.0:$PORT, or [run] start in skylift.toml"
                    .into()
            }
            Self::NodeSaysNothing { .. } => {
                "for a program that listens on $PORT, add \"scripts\": { \"start\": \"node YOUR-FILE.js\" } to it; for a site, add the \
                 script `build`, or an index.html"
                    .into()
            }
            Self::NoStart { kind: "node-server", .. } => {
                "add \"start\": \"node YOUR-FILE.js\" to the scripts of package.json (or [run] start to skylift.toml, or a \
                 Procfile): the command that listens on 0.0.0.0:$PORT"
                    .into()
            }
            Self::NoStart { .. } => "say it in skylift.toml ([run] start = \"…\") or in a Procfile (web: …): the command \
                                     that listens on 0.0.0.0:$PORT"
                .into(),
            Self::NoInstall { .. } => {
                "write a requirements.txt (`pipenv requirements` does), or say how in skylift.toml: [build] install = \"…\""
                    .into()
            }
            Self::TwoConfigs { outer, inner } => {
                format!("keep nothing but `root` in {outer}, or move everything there and delete {inner}")
            }
            Self::Syntax { file, .. } if file.ends_with(app_json::FILE_NAME) => {
                format!("correct {file}; docs/detection.md tells what is read of it")
            }
            Self::Syntax { file, .. } => format!("correct {file}; npm and every other tool would refuse it as well"),
            Self::TooLarge { .. } | Self::NotText { .. } | Self::Unreadable { .. } => {
                "this file decides how the project is built; replace it by a readable one".into()
            }
            Self::Unrecognised { projects_below, .. } if !projects_below.is_empty() => {
                let folders = projects_below.join("`, `");
                format!("there are projects below it: choose one with --dir or `root` in skylift.toml: `{folders}`")
            }
            Self::Unrecognised { .. } => UNRECOGNISED_HINT.into(),
        }
    }
}

const UNRECOGNISED_HINT: &str = "looked for index.html or other .html files, package.json, Dockerfile, Procfile, \
     go.mod, Cargo.toml, requirements.txt, pyproject.toml, uv.lock, Pipfile, app.py and server.js; to serve files as they are, write `[build]` and \
     `output = \".\"` (or their folder) in skylift.toml, and `command = \"make\"` if something builds them";
