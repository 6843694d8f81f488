//! What the scripts of a `package.json` run: the programs behind `npm run build`, without running anything.

use std::collections::BTreeMap;

/// A program with its arguments, as a script calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) program: String,
    pub(crate) args: Vec<String>,
}

impl Call {
    /// The value of the first of these options, as `--out x` or `--out=x`.
    pub(crate) fn option(&self, names: &[&str]) -> Option<&str> {
        for (index, arg) in self.args.iter().enumerate() {
            for name in names {
                if arg == name {
                    return self.args.get(index + 1).map(String::as_str);
                }
                if let Some(value) = arg.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
                    return Some(value);
                }
            }
        }
        None
    }

    /// Its first argument that is no option.
    pub(crate) fn operand(&self, index: usize) -> Option<&str> {
        self.args.iter().filter(|arg| !arg.starts_with('-')).nth(index).map(String::as_str)
    }
}

/// More steps than any build script has; bounds scripts that call each other.
const STEPS_MAX: usize = 200;
const DEPTH_MAX: usize = 8;

/// Every program that the script `name` calls, scripts that it runs by name included, in order.
pub(crate) fn calls(scripts: &BTreeMap<String, String>, name: &str) -> Vec<Call> {
    let mut walk = Walk { scripts, calls: Vec::new(), steps_left: STEPS_MAX };
    walk.script(name, 0);
    walk.calls
}

struct Walk<'s> {
    scripts: &'s BTreeMap<String, String>,
    calls: Vec<Call>,
    steps_left: usize,
}

impl Walk<'_> {
    fn script(&mut self, name: &str, depth: usize) {
        let Some(script) = self.scripts.get(name) else { return };
        if depth > DEPTH_MAX {
            return;
        }
        for words in commands(script) {
            if self.steps_left == 0 {
                return;
            }
            self.steps_left -= 1;
            self.command(&words, depth);
        }
    }

    fn command(&mut self, words: &[String], depth: usize) {
        let Some((program, args)) = words.split_first() else { return };
        let program = program.rsplit('/').next().unwrap_or(program);
        let operands: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
        match program {
            _ if is_assignment(program) => self.command(args, depth),
            "cross-env" | "env" | "npx" | "bunx" | "pnpx" | "time" | "exec" | "dotenv" | "cross-env-shell" => {
                self.command(after_options(args), depth);
            }
            "run-s" | "run-p" | "npm-run-all" | "npm-run-all2" => {
                for name in operands {
                    self.scripts_like(name, depth);
                }
            }
            "npm" | "pnpm" | "yarn" | "bun" => self.package_manager(program, args, depth),
            _ => self.calls.push(Call { program: program.to_owned(), args: args.to_vec() }),
        }
    }

    /// `npm run x`, `pnpm x`, `yarn exec x`, `bun --bun run x`…
    fn package_manager(&mut self, manager: &str, args: &[String], depth: usize) {
        let args = after_options(args);
        let Some((verb, rest)) = args.split_first() else { return };
        match verb.as_str() {
            "run" | "run-script" => {
                let rest = after_options(rest);
                match rest.first() {
                    Some(name) if self.scripts.contains_key(name) => self.script(name, depth + 1),
                    Some(_) if manager != "npm" => self.command(rest, depth + 1),
                    _ => {}
                }
            }
            "exec" | "dlx" | "x" => self.command(after_options(rest), depth + 1),
            name if manager != "npm" && self.scripts.contains_key(name) => self.script(name, depth + 1),
            "install" | "add" | "ci" | "i" => {}
            // `bun server.ts` runs a file, `yarn vite` a package's program.
            _ if manager == "bun" => self.calls.push(Call { program: manager.to_owned(), args: args.to_vec() }),
            _ if manager != "npm" && depth < DEPTH_MAX => self.command(args, depth + 1),
            _ => {}
        }
    }

    /// A script's name, or a pattern such as `build:*`.
    fn scripts_like(&mut self, pattern: &str, depth: usize) {
        let Some((prefix, _)) = pattern.split_once('*') else { return self.script(pattern, depth + 1) };
        let scripts = self.scripts;
        for name in scripts.keys().filter(|name| name.starts_with(prefix)) {
            if self.steps_left > 0 {
                self.steps_left -= 1;
                self.script(name, depth + 1);
            }
        }
    }
}

fn after_options(args: &[String]) -> &[String] {
    let options = args.iter().take_while(|arg| arg.starts_with('-')).count();
    args.get(options..).unwrap_or_default()
}

/// `NODE_ENV=production` before a command.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.parse::<skylift_model::EnvName>().is_ok())
}

/// The commands of a script line, each as its words. Quotes are honoured; what a shell would expand is left as it is.
fn commands(script: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in script.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '&' | '|' | ';' | '\n' | '(' | ')') => {
                end_word(&mut commands, &mut word);
                commands.push(Vec::new());
            }
            (None, c) if c.is_whitespace() => end_word(&mut commands, &mut word),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    end_word(&mut commands, &mut word);
    commands.retain(|words| !words.is_empty());
    commands
}

fn end_word(commands: &mut [Vec<String>], word: &mut Option<String>) {
    if let (Some(word), Some(last)) = (word.take(), commands.last_mut()) {
        last.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scripts: &[(&str, &str)], expected: &[&str]) {
        let scripts = scripts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let told: Vec<String> =
            calls(&scripts, "build").iter().map(|call| format!("{} {}", call.program, call.args.join(" "))).collect();
        assert_eq!(told.iter().map(|text| text.trim()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn programs_are_found_behind_wrappers_and_other_scripts() {
        check(&[("build", "tsc -b && vite build")], &["tsc -b", "vite build"]);
        check(
            &[("build", "NODE_ENV=production cross-env A=b npx --yes vite build --outDir 'my dist'")],
            &["vite build --outDir my dist"],
        );
        check(&[("build", "./node_modules/.bin/eleventy")], &["eleventy"]);
        check(
            &[("build", "npm run a -- --x; yarn b | pnpm c"), ("a", "one"), ("b", "two"), ("c", "three")],
            &["one", "two", "three"],
        );
        check(
            &[("build", "run-s build:*"), ("build:css", "sass a b"), ("build:js", "parcel build x")],
            &["sass a b", "parcel build x"],
        );
        check(
            &[("build", "yarn vite build && bun run astro build && pnpm exec next build")],
            &["vite build", "astro build", "next build"],
        );
        check(&[("build", "npm install && npm ci")], &[]);
    }

    #[test]
    fn scripts_that_call_each_other_end() {
        check(&[("build", "npm run build && npm run build && npm run build")], &[]);
        let many: Vec<(String, String)> =
            (0..50).map(|index| (format!("s{index}"), "run-p s* && run-p s*".to_owned())).collect();
        let mut scripts: BTreeMap<String, String> = many.into_iter().collect();
        scripts.insert("build".into(), "run-p s*".into());
        assert_eq!(calls(&scripts, "build"), []);
    }

    #[test]
    fn options_are_read_in_both_spellings() {
        let call = Call { program: "x".into(), args: ["--out=a", "-o", "b", "docs"].map(str::to_owned).to_vec() };
        assert_eq!(call.option(&["--out"]), Some("a"));
        assert_eq!(call.option(&["-o"]), Some("b"));
        assert_eq!(call.option(&["--dir"]), None);
        assert_eq!(call.operand(1), Some("docs"));
    }
}
