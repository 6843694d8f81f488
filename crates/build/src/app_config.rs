//! The app's own settings, `skylift.toml`.
//!
//! Read from the file's tree rather than through derived decoding, so that every mistake is told at once, each with its
//! line and what is allowed there.

mod read;

pub(crate) use read::{is_request_path, parse_folder};

use std::collections::BTreeMap;
use std::fmt;

use skylift_model::health::HealthChecks;
use skylift_model::net::NetRules;
use skylift_model::program::Protocol;
use skylift_model::rollout::RolloutSettings;
use skylift_model::site::Compat;
use skylift_model::wire::Scaling;
use skylift_model::{EnvName, Link};

/// The file's name.
pub const FILE_NAME: &str = "skylift.toml";

/// What `skylift.toml` says. What it leaves out is detected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppConfig {
    /// The project's folder, relative to this file; empty for the file's own.
    pub root: Option<String>,
    /// Whether unknown pages are answered with `index.html`.
    pub spa: Option<bool>,
    /// Whether `/x.html` and `/x/index.html` are redirected to `/x`.
    pub clean_urls: Option<bool>,
    /// Whose rules for paths apply.
    pub compat: Option<Compat>,
    /// Whether source maps are served.
    pub source_maps: Option<bool>,
    /// `[build]`.
    pub build: BuildConfig,
    /// `[run]`.
    pub run: RunConfig,
    /// `[rollout]`: how it takes the place of what is live.
    pub rollout: Option<RolloutSettings>,
    /// `[health] path`: where health is asked for.
    pub health_path: Option<String>,
    /// The rest of `[health]`: how often it is asked, and what counts. `None` where it says nothing of that.
    pub health: Option<HealthChecks>,
    /// `[instance] type`: how much its instances may use, by name.
    pub instance_type: Option<String>,
    /// `[scale]`: how many instances there are to be.
    pub scale: Option<Scaling>,
    /// `[cache] enabled`: whether answers of other hosts, to which rules pass requests on, may be kept.
    pub cache: Option<bool>,
    /// `[[link]]`: what else it may reach, in the order of the file.
    pub links: Vec<Link>,
    /// `[[net.out]]` and `[[net.in]]`: rules for its network.
    pub net: NetRules,
    /// `[env]`: variables for the build. Not for secrets, which have no place in a source.
    pub env: BTreeMap<EnvName, String>,
}

/// `[build]`. A command that is the empty text means that the step is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildConfig {
    /// Installs dependencies.
    pub install: Option<String>,
    /// Builds.
    pub command: Option<String>,
    /// The folder with the result, relative to the project's; empty for the project's own.
    pub output: Option<String>,
    /// Tests after the build; their failure fails it.
    pub test: Option<String>,
    /// The range of Node versions, normalised.
    pub node: Option<String>,
}

/// `[run]`: what runs, where the project is no site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunConfig {
    /// Starts what answers requests on `PORT`.
    pub start: Option<String>,
    /// Runs once before the first instance of a deployment; the empty text means that nothing does.
    pub release: Option<String>,
    /// What it speaks on `PORT`.
    pub protocol: Option<Protocol>,
    /// Whether a visitor stays with the instance that answered first.
    pub sticky: Option<bool>,
}

/// One mistake in `skylift.toml`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Every mistake in a `skylift.toml`, in the order of lines; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigMistakes(pub Vec<Mistake>);

impl AppConfig {
    /// Reads the text of a `skylift.toml`.
    ///
    /// # Errors
    /// All its mistakes: syntax, unknown keys, sections of later versions, wrong kinds of values.
    pub fn parse(text: &str) -> Result<Self, ConfigMistakes> {
        read::read(text)
    }
}

impl fmt::Display for ConfigMistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}line {}: {}", mistake.line, mistake.message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        let told = match AppConfig::parse(text) {
            Ok(config) => format!("{config:#?}"),
            Err(mistakes) => mistakes.to_string().replace("; line", "\nline"),
        };
        expected.assert_eq(&told);
    }

    #[test]
    fn every_setting_is_read() {
        check(
            r#"
root = "./apps/web/"
spa = true
clean_urls = false
compat = "cloudflare"
source_maps = false

[build]
install = ""
command = "npm run build"
output = "dist"
test = "npm test"
node = "v20"

[cache]
enabled = true

[health]
path = "/up"

[[link]]
service = "messages"

[env]
NODE_OPTIONS = "--max-old-space-size=2048"
"#,
            expect![[r#"
                AppConfig {
                    root: Some(
                        "apps/web",
                    ),
                    spa: Some(
                        true,
                    ),
                    clean_urls: Some(
                        false,
                    ),
                    compat: Some(
                        Cloudflare,
                    ),
                    source_maps: Some(
                        false,
                    ),
                    build: BuildConfig {
                        install: Some(
                            "",
                        ),
                        command: Some(
                            "npm run build",
                        ),
                        output: Some(
                            "dist",
                        ),
                        test: Some(
                            "npm test",
                        ),
                        node: Some(
                            "20",
                        ),
                    },
                    run: RunConfig {
                        start: None,
                        release: None,
                        protocol: None,
                        sticky: None,
                    },
                    rollout: None,
                    health_path: Some(
                        "/up",
                    ),
                    health: None,
                    instance_type: None,
                    scale: None,
                    cache: Some(
                        true,
                    ),
                    links: [
                        Service(
                            messages,
                        ),
                    ],
                    net: NetRules {
                        out: [],
                        inward: [],
                    },
                    env: {
                        NODE_OPTIONS: "--max-old-space-size=2048",
                    },
                }"#]],
        );
    }

    #[test]
    fn whether_visitors_stay_is_yes_or_no() {
        let read = |text: &str| AppConfig::parse(text).map(|config| config.run.sticky);
        assert_eq!(read("[run]\nsticky = true\n"), Ok(Some(true)));
        assert_eq!(read("[run]\nstart = \"x\"\n"), Ok(None));
        check("[run]\nsticky = \"yes\"\n", expect!["line 2: `sticky` must be true or false, not string"]);
        check("sticky = true\n", expect!["line 1: `sticky` belongs below `[run]`"]);
    }

    #[test]
    fn a_protocol_is_one_of_two_and_health_is_asked_over_the_first() {
        let read = |text: &str| AppConfig::parse(text).map(|config| config.run.protocol);
        assert_eq!(read("[run]\nprotocol = \"h2c\"\n"), Ok(Some(Protocol::H2c)));
        assert_eq!(read("[health]\npath = \"/\"\n[run]\nprotocol = \"http1\"\n"), Ok(Some(Protocol::Http1)));
        check("[run]\nprotocol = \"grpc\"\n", expect!["line 2: `protocol` must be `http1` or `h2c`, not `grpc`"]);
        check(
            "[health]\npath = \"/up\"\n[run]\nprotocol = \"h2c\"\n",
            expect!["line 1: `[health] path` is asked over HTTP/1.1, and `[run] protocol` says `h2c`: keep one"],
        );
    }

    #[test]
    fn a_link_names_one_service_once() {
        check(
            "[[link]]\nservice = \"a\"\n[[link]]\nservice = \"a\"\n[[link]]\nservice = \"B\"\nport = 3\n",
            expect![[r#"
                line 4: `service a` is linked twice
                line 6: `service`: service names are 1 to 40 characters: a lower-case letter first, then lower-case letters, digits or `-`
                line 7: unknown key `port` in `[[link]]`; allowed are service, app"#]],
        );
    }

    #[test]
    fn rules_for_the_network_are_read_and_none_opens_what_is_private() {
        let read = |text: &str| AppConfig::parse(text).map(|config| config.net.out[0].to_string());
        let rule = "[[net.out]]\nto = \"*.Example.org\"\nports = [443, 5432]\n";
        assert_eq!(read(rule).unwrap(), "allow *.example.org --port 443 --port 5432");
        assert_eq!(read("[[net.out]]\ndeny = true\n").unwrap(), "deny *");
        check(
            "[[net.out]]\nto = \"10.0.0.0/8\"\nports = [70000]\n[[net.in]]\nfrom = \"1.2.3\"\nport = 80\n[net.x]\n\
             [[net.out]]\nto = \"localhost\"\n",
            expect![[r#"
                line 2: `10.0.0.0/8` is a private address, which no rule of an app opens: ask the platform's owner for a `[[service]]`
                line 3: `ports` is a list of numbers such as [443, 5432]
                line 5: `from`: `1.2.3` is none of: a network such as 203.0.113.0/24, an address, a name, `*.example.org`, `*`
                line 6: unknown key `port` in `[[net.in]]`; allowed are from, deny
                line 7: unknown key `x` in `[net]`; allowed are [[net.out]], [[net.in]]
                line 9: `localhost` is a name of the machine's own (loopback), which no rule of an app opens: ask the platform's owner for a `[[service]]`"#]],
        );
    }

    #[test]
    fn an_empty_file_leaves_everything_to_detection() {
        assert_eq!(AppConfig::parse("# nothing\n").unwrap(), AppConfig::default());
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_lines() {
        check(
            r#"root = "../other"
sap = true
spa = "yes"
output = "dist"
compat = "netlify"

[build]
comand = "make"
node = "the newest"
output = "/var/www"

[env]
2ND = "x"
PORT = 3000

[health]
path = "up"

[run]
start = ""
stop = "x"

[scale]
min = 2

[[link]]

[deploy]
"#,
            expect![[r#"
                line 1: `root` must be a folder inside the source: the path has an empty, `.` or `..` part
                line 2: unknown key `sap`; allowed are root, spa, clean_urls, compat, source_maps, [build], [run], [instance], [scale], [rollout], [health], [cache], [[link]], [[net.out]], [[net.in]], [env]
                line 3: `spa` must be true or false, not string
                line 4: `output` belongs below `[build]`
                line 5: `compat` must be `skylift` or `cloudflare`, not `netlify`
                line 8: unknown key `comand` in `[build]`; allowed are install, command, output, test, node
                line 9: `node` must be a version or a range such as `22` or `>=20`, not `the newest`
                line 10: `output` must be a folder inside the source: the path is absolute
                line 13: `2ND` in `[env]`: environment variable names are letters, digits and `_`, not starting with a digit, at most 128 characters
                line 14: `PORT` in `[env]` is set by the platform itself; choose another name
                line 17: `path` must be that of a request, such as `/up`, not `up`
                line 20: `start` must not be empty: leave it out, and it is detected
                line 21: unknown key `stop` in `[run]`; allowed are start, release, protocol, sticky
                line 26: a `[[link]]` names a service or an app: `service = "messages"`, `app = "payments"`
                line 28: unknown key `deploy`; allowed are root, spa, clean_urls, compat, source_maps, [build], [run], [instance], [scale], [rollout], [health], [cache], [[link]], [[net.out]], [[net.in]], [env]"#]],
        );
    }

    #[test]
    fn broken_syntax_is_told_with_its_line() {
        check("spa = true\n[build\n", expect!["line 2: unclosed table, expected `]`"]);
        check("spa = true\nspa = false\n", expect!["line 2: duplicate key"]);
        check(
            "build = 3\nlink = 4\n",
            expect![[r#"
            line 1: `build` is a section: write `[build]` and its settings below it
            line 2: `link` is a list of sections: write `[[link]]` and its settings below it"#]],
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|\n){0,200}") {
            let _ = AppConfig::parse(&text);
        }

        #[test]
        fn mistakes_are_never_an_empty_list(key in "[a-z_]{1,8}", value in "(true|3|\"x\"|\\[\\]|\\{\\})") {
            if let Err(mistakes) = AppConfig::parse(&format!("{key} = {value}")) {
                proptest::prop_assert!(!mistakes.0.is_empty());
            }
        }
    }
}
