//! Walks the tree of a `skylift.toml` and collects settings and mistakes.

mod link;
mod net;
mod rollout;
mod scale;

use std::collections::BTreeMap;
use std::ops::Range;

use skylift_model::health::HealthChecks;
use skylift_model::program::Protocol;
use skylift_model::site::Compat;
use skylift_model::{EnvName, FilePath};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::{AppConfig, BuildConfig, ConfigMistakes, Mistake, RunConfig};
use crate::detect::node_version;

const TOP_KEYS: &[&str] = &[
    "root",
    "spa",
    "clean_urls",
    "compat",
    "source_maps",
    "[build]",
    "[run]",
    "[instance]",
    "[scale]",
    "[rollout]",
    "[health]",
    "[cache]",
    "[[link]]",
    "[[net.out]]",
    "[[net.in]]",
    "[env]",
];
const BUILD_KEYS: &[&str] = &["install", "command", "output", "test", "node"];
const RUN_KEYS: &[&str] = &["start", "release", "protocol", "sticky"];
const HEALTH_KEYS: &[&str] =
    &["path", "interval_seconds", "timeout_seconds", "unhealthy_threshold", "healthy_threshold", "replace_seconds"];
const CACHE_KEYS: &[&str] = &["enabled"];
const HEALTH_PATH_BYTES_MAX: usize = 1024;
/// More than anybody reads at once.
const MISTAKES_MAX: usize = 20;

type Key<'i> = Spanned<DeString<'i>>;
type Value<'i> = Spanned<DeValue<'i>>;

pub(super) fn read(text: &str) -> Result<AppConfig, ConfigMistakes> {
    let mut reader = Reader { text, mistakes: Vec::new() };
    let (tree, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        reader.mistake(error.span().unwrap_or_default(), error.message().replace('\n', ", "));
    }
    let config = if errors.is_empty() { reader.top(tree.get_ref()) } else { AppConfig::default() };
    reader.finish(config)
}

struct Reader<'t> {
    text: &'t str,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn finish(mut self, config: AppConfig) -> Result<AppConfig, ConfigMistakes> {
        if self.mistakes.is_empty() {
            return Ok(config);
        }
        self.mistakes.sort();
        self.mistakes.truncate(MISTAKES_MAX);
        Err(ConfigMistakes(self.mistakes))
    }

    fn top(&mut self, table: &DeTable<'_>) -> AppConfig {
        let mut config = AppConfig::default();
        for (key, value) in table.iter() {
            match name(key) {
                "root" => config.root = self.folder(key, value),
                "spa" => config.spa = self.yes_or_no(key, value),
                "clean_urls" => config.clean_urls = self.yes_or_no(key, value),
                "compat" => config.compat = self.compat(key, value),
                "source_maps" => config.source_maps = self.yes_or_no(key, value),
                "build" => config.build = self.build(key, value),
                "run" => config.run = self.run(key, value),
                "rollout" => config.rollout = self.rollout(key, value),
                "instance" => config.instance_type = self.instance_type(key, value),
                "scale" => config.scale = self.scale(key, value),
                "health" => (config.health_path, config.health) = self.health(key, value),
                "cache" => config.cache = self.cache(key, value),
                "link" => config.links = self.links(key, value),
                "net" => config.net = self.net(key, value),
                "env" => config.env = self.env(key, value),
                stray if BUILD_KEYS.contains(&stray) => {
                    self.mistake(key.span(), format!("`{stray}` belongs below `[build]`"));
                }
                stray if RUN_KEYS.contains(&stray) => {
                    self.mistake(key.span(), format!("`{stray}` belongs below `[run]`"));
                }
                _ => self.unknown(key, "", TOP_KEYS),
            }
        }
        if let (Some(_), Some(_), Some((key, _))) =
            (&config.build.output, &config.run.start, table.get_key_value("run"))
        {
            let message =
                "`[build] output` says that the result is files to serve, `[run] start` that it runs: keep one";
            self.mistake(key.span(), message.to_owned());
        }
        if let (Some(Protocol::H2c), Some(_), Some((key, _))) =
            (config.run.protocol, &config.health_path, table.get_key_value("health"))
        {
            let message = "`[health] path` is asked over HTTP/1.1, and `[run] protocol` says `h2c`: keep one";
            self.mistake(key.span(), message.to_owned());
        }
        config
    }

    fn build(&mut self, key: &Key<'_>, value: &Value<'_>) -> BuildConfig {
        let mut build = BuildConfig::default();
        let Some(table) = self.table(key, value) else { return build };
        for (key, value) in table.iter() {
            match name(key) {
                "install" => build.install = self.command(key, value),
                "command" => build.command = self.command(key, value),
                "output" => build.output = self.folder(key, value),
                "test" => build.test = self.command(key, value),
                "node" => build.node = self.node(key, value),
                _ => self.unknown(key, " in `[build]`", BUILD_KEYS),
            }
        }
        build
    }

    fn run(&mut self, key: &Key<'_>, value: &Value<'_>) -> RunConfig {
        let mut run = RunConfig::default();
        let Some(table) = self.table(key, value) else { return run };
        for (key, value) in table.iter() {
            match name(key) {
                "start" => run.start = self.command(key, value),
                "release" => run.release = self.command(key, value),
                "protocol" => run.protocol = self.protocol(key, value),
                "sticky" => run.sticky = self.yes_or_no(key, value),
                _ => self.unknown(key, " in `[run]`", RUN_KEYS),
            }
            if name(key) == "start" && run.start.as_deref() == Some("") {
                self.mistake(value.span(), "`start` must not be empty: leave it out, and it is detected".to_owned());
            }
        }
        run
    }

    fn protocol(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<Protocol> {
        let text = self.text(key, value)?;
        let protocol = [Protocol::Http1, Protocol::H2c].into_iter().find(|protocol| protocol.as_str() == text);
        if protocol.is_none() {
            let message = format!("`protocol` must be `http1` or `h2c`, not `{}`", shown(&text));
            self.mistake(value.span(), message);
        }
        protocol
    }

    fn health(&mut self, key: &Key<'_>, value: &Value<'_>) -> (Option<String>, Option<HealthChecks>) {
        let (mut path, mut checks) = (None, HealthChecks::default());
        let Some(table) = self.table(key, value) else { return (path, None) };
        for (key, value) in table.iter() {
            match name(key) {
                "path" => path = self.health_path(key, value),
                "interval_seconds" => self.whole(key, value, 0..=3600, &mut checks.interval_seconds),
                "timeout_seconds" => self.whole(key, value, 1..=60, &mut checks.timeout_seconds),
                "unhealthy_threshold" => self.whole(key, value, 1..=100, &mut checks.unhealthy_threshold),
                "healthy_threshold" => self.whole(key, value, 1..=100, &mut checks.healthy_threshold),
                "replace_seconds" => self.whole(key, value, 0..=86_400, &mut checks.replace_seconds),
                _ => self.unknown(key, " in `[health]`", HEALTH_KEYS),
            }
        }
        let says_more = table.keys().any(|key| key.get_ref() != "path");
        (path, says_more.then_some(checks))
    }

    /// A path that can stand in a request as it is.
    fn health_path(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<String> {
        let path = self.text(key, value)?;
        if !is_request_path(&path) {
            let message = format!("`path` must be that of a request, such as `/up`, not `{}`", shown(&path));
            self.mistake(value.span(), message);
            return None;
        }
        Some(path)
    }

    fn cache(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<bool> {
        let mut enabled = None;
        for (key, value) in self.table(key, value)?.iter() {
            match name(key) {
                "enabled" => enabled = self.yes_or_no(key, value),
                _ => self.unknown(key, " in `[cache]`", CACHE_KEYS),
            }
        }
        enabled
    }

    fn env(&mut self, key: &Key<'_>, value: &Value<'_>) -> BTreeMap<EnvName, String> {
        let mut env = BTreeMap::new();
        let Some(table) = self.table(key, value) else { return env };
        for (key, value) in table.iter() {
            let variable = match name(key).parse::<EnvName>() {
                Ok(variable) => variable,
                Err(reason) => {
                    self.mistake(key.span(), format!("`{}` in `[env]`: {reason}", shown(name(key))));
                    continue;
                }
            };
            if variable.is_platforms() || variable.is_of_the_contract() {
                self.mistake(
                    key.span(),
                    format!("`{variable}` in `[env]` is set by the platform itself; choose another name"),
                );
                continue;
            }
            match self.text(key, value) {
                Some(text) if text.contains('\0') => {
                    self.mistake(value.span(), format!("`{variable}` must not contain a NUL character"));
                }
                Some(text) => drop(env.insert(variable, text)),
                None => {}
            }
        }
        env
    }

    fn table<'v, 'i>(&mut self, key: &Key<'_>, value: &'v Value<'i>) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            let name = name(key);
            self.mistake(key.span(), format!("`{name}` is a section: write `[{name}]` and its settings below it"));
        }
        table
    }

    fn text(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<String> {
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.wrong(key, value, "a text in quotes");
        }
        text
    }

    fn yes_or_no(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<bool> {
        let answer = value.get_ref().as_bool();
        if answer.is_none() {
            self.wrong(key, value, "true or false");
        }
        answer
    }

    fn command(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<String> {
        let command = self.text(key, value)?;
        if command.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            self.mistake(value.span(), format!("`{}` must not contain control characters", name(key)));
            return None;
        }
        Some(command.trim().to_owned())
    }

    fn folder(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<String> {
        let text = self.text(key, value)?;
        match parse_folder(&text) {
            Ok(folder) => Some(folder),
            Err(reason) => {
                let message = format!("`{}` must be a folder inside the source: {reason}", name(key));
                self.mistake(value.span(), message);
                None
            }
        }
    }

    fn node(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<String> {
        let text = self.text(key, value)?;
        let range = node_version::normalise(&text);
        if range.is_none() {
            let message = format!("`node` must be a version or a range such as `22` or `>=20`, not `{}`", shown(&text));
            self.mistake(value.span(), message);
        }
        range
    }

    fn compat(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<Compat> {
        match self.text(key, value)?.as_str() {
            "skylift" => Some(Compat::Skylift),
            "cloudflare" => Some(Compat::Cloudflare),
            other => {
                let message = format!("`compat` must be `skylift` or `cloudflare`, not `{}`", shown(other));
                self.mistake(value.span(), message);
                None
            }
        }
    }

    fn wrong(&mut self, key: &Key<'_>, value: &Value<'_>, wanted: &str) {
        let found = value.get_ref().type_str();
        self.mistake(value.span(), format!("`{}` must be {wanted}, not {found}", name(key)));
    }

    fn unknown(&mut self, key: &Key<'_>, place: &str, allowed: &[&str]) {
        let allowed = allowed.join(", ");
        self.mistake(key.span(), format!("unknown key `{}`{place}; allowed are {allowed}", shown(name(key))));
    }

    fn mistake(&mut self, span: Range<usize>, message: String) {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        self.mistakes.push(Mistake { line, message });
    }
}

/// Whether a path can stand in a request as it is.
pub(crate) fn is_request_path(path: &str) -> bool {
    let is_plain = path.len() <= HEALTH_PATH_BYTES_MAX && path.bytes().all(|byte| byte.is_ascii_graphic());
    path.starts_with('/') && !path.starts_with("//") && !path.contains('#') && is_plain
}

/// A folder as people write it (`.`, `./x`, `x/`) in its one spelling, empty for the source itself.
pub(crate) fn parse_folder(text: &str) -> Result<String, skylift_model::path::InvalidPath> {
    let mut plain = text.trim();
    while let Some(rest) = plain.strip_prefix("./") {
        plain = rest.trim_start_matches('/');
    }
    if !plain.starts_with('/') {
        plain = plain.trim_end_matches('/');
    }
    match plain {
        "" | "." => Ok(String::new()),
        _ => plain.parse::<FilePath>().map(|path| path.as_str().to_owned()),
    }
}

fn name<'k>(key: &'k Key<'_>) -> &'k str {
    key.get_ref()
}

/// A user's text inside a message: short, without control characters.
fn shown(text: &str) -> String {
    text.chars().take(60).flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
