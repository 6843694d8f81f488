//! From the files of a deployment to its rules. What cannot be taken over is told, the rest applies.

use crate::headers::lines::without_repeats;
use crate::limits::FILE_BYTES_MAX;
use crate::redirects::parse::{Collected, take};
use crate::reject::{File, REJECTS_MAX, Reason, Reject};
use crate::rules::{Dialect, RuleSet};
use crate::{headers, netlify_toml, redirects, text, vercel};

/// The files, where they are there. The first two lie in the folder that is served, the others there or at the project's root.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sources<'s> {
    /// Whose rules the first two follow. Cloudflare knows neither of the others, so they are not read for it.
    pub dialect: Dialect,
    /// `_redirects`
    pub redirects: Option<&'s [u8]>,
    /// `_headers`
    pub headers: Option<&'s [u8]>,
    /// `netlify.toml`
    pub netlify_toml: Option<&'s [u8]>,
    /// `vercel.json`
    pub vercel_json: Option<&'s [u8]>,
}

/// What came of reading them.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The rules.
    pub rules: RuleSet,
    /// What could not be taken over, in the order of the files and their lines.
    pub rejects: Vec<Reject>,
}

/// Reads the files.
pub fn read(sources: &Sources<'_>) -> Reading {
    let mut rejects = Rejects::default();
    let mut rules = RuleSet { dialect: sources.dialect, ..RuleSet::default() };
    let redirects = rejects.text(File::Redirects, sources.redirects);
    let headers = rejects.text(File::Headers, sources.headers);
    match sources.dialect {
        Dialect::Cloudflare => {
            let reject = |line, text: &str, reason| rejects.push(File::Redirects, Some(line), text, reason);
            rules.redirects = redirects::cloudflare::parse(&redirects, reject);
            let reject = |line, text: &str, reason| rejects.push(File::Headers, Some(line), text, reason);
            rules.headers = headers::cloudflare::parse(&headers, reject);
        }
        Dialect::Netlify => {
            let toml = rejects.text(File::NetlifyToml, sources.netlify_toml);
            netlify(&mut rules, &redirects, &headers, &toml, &mut rejects);
            let json = rejects.text(File::VercelJson, sources.vercel_json);
            if !text::trim(&json).is_empty() {
                let reject = |line, text: &str, reason| rejects.push(File::VercelJson, line, text, reason);
                rules.vercel = Some(vercel::json::parse(&json, reject)).filter(|vercel| *vercel != Default::default());
            }
        }
    }
    Reading { rules, rejects: rejects.finish() }
}

fn netlify(rules: &mut RuleSet, redirects: &str, headers: &str, toml: &str, rejects: &mut Rejects) {
    let mut collected = Collected::new();
    for (number, line) in text::lines(redirects) {
        match redirects::lines::parse(line).and_then(take) {
            Ok(taken) => collected.push((File::Redirects, number), taken),
            Err(reason) => rejects.push(File::Redirects, Some(number), line, reason),
        }
    }
    let reject = |line, text: &str, reason| rejects.push(File::Headers, Some(line), text, reason);
    let mut blocks = headers::lines::parse(headers, reject);
    let from_toml = netlify_toml::parse(toml, |line, text, reason| rejects.push(File::NetlifyToml, line, text, reason));
    for (line, taken) in from_toml.redirects {
        collected.push((File::NetlifyToml, line), taken);
    }
    blocks.extend(from_toml.headers);
    rules.redirects = collected.finish(|(file, line), from, reason| rejects.push(file, Some(line), from, reason));
    rules.headers = without_repeats(blocks);
    rules.headers.retain(|block| match headers::find::Headers::check(&block.path) {
        Ok(()) => true,
        Err(error) => {
            rejects.push(File::Headers, None, &block.path, Reason::Regex(error));
            false
        }
    });
}

#[derive(Debug, Default)]
struct Rejects {
    list: Vec<Reject>,
    total: usize,
}

impl Rejects {
    fn push(&mut self, file: File, line: Option<usize>, text: &str, reason: Reason) {
        self.total += 1;
        if self.list.len() < REJECTS_MAX {
            self.list.push(Reject::new(file, line, text, reason));
        }
    }

    /// The text of a file; nothing where it is too long.
    fn text<'f>(&mut self, file: File, bytes: Option<&'f [u8]>) -> std::borrow::Cow<'f, str> {
        match bytes {
            Some(bytes) if bytes.len() > FILE_BYTES_MAX => {
                self.push(file, None, "", Reason::FileTooLong(FILE_BYTES_MAX));
                "".into()
            }
            bytes => String::from_utf8_lossy(bytes.unwrap_or_default()),
        }
    }

    fn finish(mut self) -> Vec<Reject> {
        self.list.sort_by_key(|reject| (reject.file, reject.line));
        if let Some(last) = self.list.last().filter(|_| self.total > self.list.len()) {
            let more = Reject::new(last.file, None, "", Reason::TooManyRejects(REJECTS_MAX));
            self.list.push(more);
        }
        self.list
    }
}
