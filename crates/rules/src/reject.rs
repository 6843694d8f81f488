//! What could not be taken over from a file, for the build's log.

use std::fmt;

use crate::regex::InvalidRegex;
use crate::text::plain;

/// The most rejects that are listed for one deployment.
pub const REJECTS_MAX: usize = 200;
/// How much of a rejected line is shown, in characters.
const SHOWN_CHARS_MAX: usize = 120;

/// A file of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum File {
    /// `_redirects`
    Redirects,
    /// `_headers`
    Headers,
    /// `netlify.toml`
    NetlifyToml,
    /// `vercel.json`
    VercelJson,
}

impl File {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redirects => "_redirects",
            Self::Headers => "_headers",
            Self::NetlifyToml => "netlify.toml",
            Self::VercelJson => "vercel.json",
        }
    }
}

/// A line, or an entry, that does not apply. The others do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Where it stands.
    pub file: File,
    /// In which line, from 1; `None` where it is about the whole file.
    pub line: Option<usize>,
    /// What stands there, shortened, without control characters.
    pub text: String,
    /// Why it does not apply.
    pub reason: Reason,
}

impl Reject {
    pub(crate) fn new(file: File, line: Option<usize>, text: &str, reason: Reason) -> Self {
        Self { file, line, text: plain(text, SHOWN_CHARS_MAX), reason }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file.name())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", plain(&self.reason.to_string(), 2 * SHOWN_CHARS_MAX))?;
        if self.text.is_empty() { Ok(()) } else { write!(f, " — `{}`", self.text) }
    }
}

/// Why a line or an entry does not apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("the file is longer than {0} bytes; none of it applies")]
    FileTooLong(usize),
    #[error("the line is longer than {0} bytes")]
    LineTooLong(usize),
    #[error("more than {0} rules; this one and those below do not apply")]
    TooManyRules(usize),
    #[error("more than {0} rules with placeholders or `*`; this one and those below do not apply")]
    TooManyPatterns(usize),
    #[error("more than {0} rules that can match any path; this one and those below do not apply")]
    TooManyWildcards(usize),
    #[error("the expressions of the entries before it, and its own, are too large together; it does not apply")]
    TooMuch,
    #[error("only the first {0} rejected lines are listed")]
    TooManyRejects(usize),
    #[error("cannot be read: {0}")]
    Syntax(String),
    #[error("`{0}` has to be {1}")]
    Field(String, &'static str),
    #[error("the target is missing")]
    NoTarget,
    #[error("the target has to begin with `/`, `http://` or `https://`")]
    Target,
    #[error("`{0}` is no status code")]
    Status(String),
    #[error("the path may not begin with `/.netlify`")]
    Reserved,
    #[error("the address of the rule cannot be read")]
    Origin,
    #[error("the header stands before any path")]
    HeaderBeforePath,
    #[error("the header has no name")]
    NoHeaderName,
    #[error("the header has no value")]
    NoHeaderValue,

    #[error("expected 2 or 3 words, found {0}")]
    Words(usize),
    #[error("the status has to be 200, 301, 302, 303, 307 or 308")]
    CloudflareStatus,
    #[error("the path has to begin with `/`; addresses with a host are not supported here")]
    OnlyRelative,
    #[error("addresses have to begin with `/` or `https://`, without a port")]
    CloudflareAddress,
    #[error("the rule would redirect to itself for ever")]
    Loop,
    #[error("the path has a rule already")]
    Duplicate,
    #[error("rewrites (200) lead to paths of the site only")]
    ProxyNotAllowed,
    #[error("the path has no headers")]
    NoHeaders,
    #[error(
        "neither a path, which begins with `/`, nor a header, which is `Name: value`; what follows is for the path before it"
    )]
    NeitherPathNorHeader,
    #[error("expected `name: value` or `! name`")]
    NoPair,
    #[error("only one `*` is allowed, and none beside `:splat`")]
    Wildcards,

    #[error("the expression cannot be used: {0}")]
    Regex(#[from] InvalidRegex),
    #[error("the pattern cannot be read: {0}")]
    Pattern(&'static str),
    #[error("`:{0}` is in the destination, but not in the source")]
    UnknownSegment(String),
    #[error("`{0}` and `{1}` exclude each other")]
    Both(&'static str, &'static str),

    #[error("a status of {0} cannot be sent with a page or as a redirect")]
    StatusRange(i64),
    #[error("a rule may have one `*`, at the end of a part of the path; this one can never match")]
    Star,
    #[error("the condition `{0}` is unknown, so the rule could never match")]
    Condition(String),
    #[error("signed proxying is not supported")]
    Signed,
    #[error("`{0}` has no effect: {1}")]
    NoEffect(String, &'static str),
    #[error("`{0}` is not supported")]
    Unsupported(String),
    #[error("a target that begins with `//` or `/\\` leads to another host; write it with `https://`")]
    ForeignTarget,
    #[error("it holds a control character")]
    Control,
    #[error("`{0}` is no name of a header")]
    HeaderName(String),
    #[error("`{0}` is set by the platform alone")]
    ProtectedHeader(String),
    #[error("`Basic-Auth` is not supported: the files are public")]
    BasicAuth,
}

impl Reason {
    /// Whether Netlify and Vercel pass over it without a word, so that telling it changes nothing of what applies.
    pub fn is_told_here_alone(&self) -> bool {
        matches!(self, Self::NoHeaders | Self::NeitherPathNorHeader | Self::NoEffect(..))
    }

    /// Whether the platform whose file it is would take the rule: where we are stricter, and docs/rules.md says why.
    pub fn is_stricter(&self) -> bool {
        matches!(
            self,
            Self::FileTooLong(_)
                | Self::LineTooLong(_)
                | Self::TooManyRules(_)
                | Self::TooManyPatterns(_)
                | Self::TooManyWildcards(_)
                | Self::TooManyRejects(_)
                | Self::Regex(_)
                | Self::StatusRange(_)
                | Self::Star
                | Self::Condition(_)
                | Self::Signed
                | Self::Unsupported(_)
                | Self::ForeignTarget
                | Self::Control
                | Self::HeaderName(_)
                | Self::ProtectedHeader(_)
                | Self::BasicAuth
        )
    }
}
