//! What of a Dockerfile the engine itself would do with the host's rights, and what of that is refused. Pure.
//!
//! Commands run in containers without a network. But `FROM` and `COPY --from` take any image that the engine has, other apps'
//! included, by name or by the beginning of an id; and `ADD` of an address is fetched by the engine, from the host's own
//! network. Both are decided before the engine sees the file, by reading it as the engine does; what could be read in
//! two ways is refused.

mod lines;
mod reference;

use lines::logical_lines;
use reference::{Arguments, refusal_of_image};

/// The names under which images that the platform builds are tagged.
pub const OWN_IMAGES: &str = "skylift/";

/// What is wrong with a Dockerfile, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Counted from 1.
    pub line: usize,
    pub message: String,
    pub hint: &'static str,
}

const HINT_ADD: &str = "put the file into the source and COPY it";
const HINT_IMAGE: &str = "name a public image with its tag, or an earlier stage";
const HINT_PLAIN: &str = "write it plainly, without quotes or backslashes";

/// Why a Dockerfile is refused; `None` where it is not.
pub fn refusal(text: &str) -> Option<Refusal> {
    let lines = match logical_lines(text) {
        Ok(lines) => lines,
        Err(line) => {
            let message = "a line ends with more than one continuation character".to_owned();
            return Some(Refusal { line, message, hint: "end it with one" });
        }
    };
    let mut arguments = Arguments::default();
    let mut stages = Vec::new();
    for (line, text) in lines {
        let refused = |(message, hint)| Refusal { line, message, hint };
        let (word, rest) = split(&text);
        let found = match word.to_ascii_uppercase().as_str() {
            "ARG" if stages.is_empty() => {
                arguments.declare(rest);
                None
            }
            "FROM" => {
                let found = from(rest, &arguments, &stages);
                let name = rest.split_whitespace().last().unwrap_or_default().to_ascii_lowercase();
                stages.push(name);
                found
            }
            "COPY" => copy(rest, &stages),
            "ADD" => copy(rest, &stages).or_else(|| add(rest)),
            "ONBUILD" => {
                Some(("ONBUILD makes the engine run steps that are not in this file".to_owned(), "leave it out"))
            }
            _ => None,
        };
        if found.is_some() {
            return found.map(refused);
        }
    }
    None
}

type Found = (String, &'static str);

fn from(rest: &str, arguments: &Arguments, stages: &[String]) -> Option<Found> {
    let image = rest.split_whitespace().find(|word| !word.starts_with("--"))?;
    let Some(image) = arguments.substitute(image) else {
        return Some((format!("`FROM {image}` cannot be read without running it"), HINT_PLAIN));
    };
    image_refusal(&image, stages)
}

/// `--from` of COPY (and, in engines that know it, of ADD).
fn copy(rest: &str, stages: &[String]) -> Option<Found> {
    for flag in rest.split_whitespace().take_while(|word| word.starts_with("--")) {
        let Some(image) = flag.strip_prefix("--from=") else { continue };
        if !is_plain(image) {
            return Some((format!("`{flag}` cannot be read without running it"), HINT_PLAIN));
        }
        // Stages have numbers, too.
        let is_stage = image.parse::<usize>().is_ok_and(|number| number < stages.len());
        if !is_stage && let Some(found) = image_refusal(image, stages) {
            return Some(found);
        }
    }
    None
}

fn image_refusal(image: &str, stages: &[String]) -> Option<Found> {
    if image == "scratch" || stages.contains(&image.to_ascii_lowercase()) {
        return None;
    }
    refusal_of_image(image).map(|why| (format!("`{image}`: {why}"), HINT_IMAGE))
}

fn add(rest: &str) -> Option<Found> {
    let words = rest.split_whitespace().filter(|word| !word.starts_with("--"));
    for word in words {
        let word = word.trim_matches(|c| matches!(c, '[' | ']' | ',' | '"'));
        if word.contains("://") || word.starts_with("git@") || word.ends_with(".git") {
            return Some((
                format!("`ADD {word}` would have the engine fetch it from the host's own network"),
                HINT_ADD,
            ));
        }
        if !is_plain(word) {
            return Some((format!("`ADD {word}` cannot be read without running it"), HINT_ADD));
        }
    }
    None
}

/// Whether the engine reads the word as it stands.
fn is_plain(word: &str) -> bool {
    !word.contains(['$', '\\', '\'', '"', '`'])
}

fn split(line: &str) -> (&str, &str) {
    let line = line.trim();
    line.split_once(char::is_whitespace).map_or((line, ""), |(word, rest)| (word, rest.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        let told =
            refusal(text).map_or("fine".to_owned(), |refusal| format!("line {}: {}", refusal.line, refusal.message));
        expected.assert_eq(&told);
    }

    #[test]
    fn usual_files_are_fine() {
        check(
            "# syntax=docker/dockerfile:1\nARG VERSION=20\nFROM node:${VERSION}-slim AS build\nRUN npm ci && \\\n  # why\n  \
             npm run build\nADD . /app\nFROM scratch\nCOPY --from=build --chown=1:1 /app /app\nCOPY --from=0 /x $HOME/\n",
            expect!["fine"],
        );
        check("FROM scratch\nRUN apk \\\n add curl\nCOPY \"a b\" /c\n", expect!["fine"]);
        check("from ghcr.io/owner/image@sha256:0123 as x\nFROM x\n", expect!["fine"]);
        check("FROM --platform=linux/amd64 alpine:3\n", expect!["fine"]);
    }

    #[test]
    fn images_of_other_apps_cannot_be_taken() {
        check("FROM skylift/shop:d-1\n", expect!["line 1: `skylift/shop:d-1`: it is an image of this platform"]);
        check(
            "FROM docker.io/SKYLIFT/shop\n",
            expect!["line 1: `docker.io/SKYLIFT/shop`: it is an image of this platform"],
        );
        check(
            "FROM scratch\nCOPY --from=skylift/shop:d-1 / /\n",
            expect!["line 2: `skylift/shop:d-1`: it is an image of this platform"],
        );
        check("FROM 6d3f\n", expect!["line 1: `6d3f`: it reads as the beginning of an image's id"]);
        check("FROM sha256:6d3f\n", expect!["line 1: `sha256:6d3f`: it reads as the beginning of an image's id"]);
        check(
            "ARG A=skylift/shop:d-1\nFROM $A\n",
            expect!["line 2: `skylift/shop:d-1`: it is an image of this platform"],
        );
        check(
            "ARG A=sky\nFROM ${A}lift/shop:d-1\n",
            expect!["line 2: `skylift/shop:d-1`: it is an image of this platform"],
        );
        check("ARG A\nFROM ${A:-6d3f}\n", expect!["line 2: `FROM ${A:-6d3f}` cannot be read without running it"]);
        check(
            "FROM \"skylift/shop\"\n",
            expect![[r#"line 1: `FROM "skylift/shop"` cannot be read without running it"#]],
        );
        check("FROM sky\\\nlift/shop\n", expect!["line 1: `skylift/shop`: it is an image of this platform"]);
        check("# escape=`\nFROM sky`\nlift/shop\n", expect!["line 2: `skylift/shop`: it is an image of this platform"]);
        check("FROM scratch\nCOPY --from=7 / /\n", expect!["line 2: `7`: it reads as the beginning of an image's id"]);
        check(
            "FROM 127.0.0.1:5000/x\n",
            expect!["line 1: `127.0.0.1:5000/x`: its registry is an address or has no domain"],
        );
        check("FROM localhost/x\n", expect!["line 1: `localhost/x`: its registry is an address or has no domain"]);
    }

    #[test]
    fn nothing_is_fetched_from_the_hosts_own_network() {
        for source in
            ["http://169.254.169.254/latest /x", "[\"http://x\", \"/y\"]", "--chown=1 https://x /y", "git@h:a /x"]
        {
            assert!(refusal(&format!("FROM scratch\nADD {source}\n")).unwrap().message.contains("host's own network"));
        }
        check(
            "FROM scratch\nENV U=http://x\nADD $U /x\n",
            expect!["line 3: `ADD $U` cannot be read without running it"],
        );
        check(
            "FROM scratch\nADD ht\\tp:/x /y\n",
            expect![[r"line 2: `ADD ht\tp:/x` cannot be read without running it"]],
        );
        check(
            "FROM scratch\nONBUILD ADD http://x /y\n",
            expect!["line 2: ONBUILD makes the engine run steps that are not in this file"],
        );
    }

    #[test]
    fn where_engines_differ_in_what_a_line_is_both_readings_are_looked_at() {
        let hidden = "FROM scratch\nRUN a \\\n  # comment\nADD http://x /y\n";
        assert!(refusal(hidden).is_some(), "an older engine ends the command at the comment");
        assert!(refusal("FROM scratch\nRUN a \\\\\nADD http://x /y\n").is_some());
    }
}
