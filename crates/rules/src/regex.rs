//! Regular expressions as JavaScript writes them, matched in bounded time.
//!
//! `vercel.json` holds patterns written for JavaScript; the most common of all, `/((?!api/).*)`, looks ahead, which the
//! linear-time engines for Rust leave out. This one backtracks, but visits no pair of instruction and position twice, so
//! a match takes at most (instructions × bytes) steps, and every step is charged to the request's [`Budget`]. What cannot be
//! matched that way (references to groups, looking behind) is refused when the pattern is read.

mod compile;
mod parse;
mod run;

use std::sync::Arc;

use compile::Inst;
use parse::Class;
pub use parse::InvalidRegex;
pub(crate) use run::{Budget, Captures, folded};

/// A compiled expression.
#[derive(Clone, Debug)]
pub(crate) struct Regex {
    program: Vec<Inst>,
    /// The names of its groups, from the first on; `None` for those without one.
    groups: Vec<Option<String>>,
    /// What every match begins with, where it is anchored to the start.
    prefix: String,
    /// Whether case does not matter.
    fold: bool,
}

/// Whether upper and lower case are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Matters,
    Folded,
}

impl Regex {
    /// Reads an expression in JavaScript's syntax (without the `u` and `v` flags).
    pub(crate) fn new(pattern: &str, case: Case) -> Result<Self, InvalidRegex> {
        let parsed = parse::parse(pattern)?;
        let program = compile::compile(&parsed.node)?;
        let mut prefix = parsed.node.literal_prefix();
        if case == Case::Folded {
            prefix.truncate(prefix.find(|c: char| !c.is_ascii()).unwrap_or(prefix.len()));
        }
        Ok(Self { program, groups: parsed.groups, prefix, fold: case == Case::Folded })
    }

    /// How much it takes to keep: its instructions, and the ranges of the classes in them, which are shared.
    pub(crate) fn weight(&self) -> usize {
        let mut classes: Vec<&Arc<Class>> = Vec::new();
        for inst in &self.program {
            if let Inst::Class(class) = inst
                && !classes.last().is_some_and(|last| Arc::ptr_eq(last, class))
            {
                classes.push(class);
            }
        }
        self.program.len() + classes.iter().map(|class| class.ranges.len()).sum::<usize>()
    }

    /// The names of its groups, from the first on.
    pub(crate) fn groups(&self) -> &[Option<String>] {
        &self.groups
    }

    /// Where the expression matches in `text`, tried from its start only. Expressions that are not anchored with `^` have to
    /// be written so. `None` also where the budget is spent.
    pub(crate) fn captures(&self, text: &str, budget: &mut Budget) -> Option<Captures> {
        if !self.may_match(text) {
            return None;
        }
        run::run(&self.program, self.groups.len(), text, self.fold, budget)
    }

    fn may_match(&self, text: &str) -> bool {
        match (self.fold, text.get(..self.prefix.len())) {
            (false, Some(start)) => start == self.prefix,
            (true, Some(start)) => start.eq_ignore_ascii_case(&self.prefix),
            (_, None) => false,
        }
    }

    /// Whether it matches.
    pub(crate) fn is_match(&self, text: &str, budget: &mut Budget) -> bool {
        self.captures(text, budget).is_some()
    }
}

/// `text` with everything escaped that means something in an expression.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(
            c,
            '.' | '+' | '*' | '?' | '=' | '^' | '!' | ':' | '$' | '{' | '}' | '(' | ')' | '[' | ']' | '|' | '/' | '\\'
        ) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str) -> Option<Vec<Option<String>>> {
        let regex = Regex::new(pattern, Case::Matters).unwrap();
        let captures = regex.captures(text, &mut Budget::default())?;
        Some((0..=regex.groups().len()).map(|n| captures.get(text, n).map(str::to_owned)).collect())
    }

    fn groups(pattern: &str, text: &str) -> String {
        match check(pattern, text) {
            None => "-".into(),
            Some(found) => found.into_iter().map(|g| g.unwrap_or("~".into())).collect::<Vec<_>>().join("|"),
        }
    }

    #[test]
    fn expressions_mean_what_they_mean_in_javascript() {
        for (pattern, text, expected) in [
            ("^a(b|c)*d$", "abcbd", "abcbd|b"),
            ("^a(b|c)*d$", "abcb", "-"),
            ("^/((?!api/).*)$", "/about", "/about|about"),
            ("^/((?!api/).*)$", "/api/x", "-"),
            ("^/((?!api/|static/)[^/]*)/?$", "/apix/", "/apix/|apix"),
            ("^(a+?)(a*)$", "aaa", "aaa|a|aa"),
            ("^(a+)(a*)$", "aaa", "aaa|aaa|"),
            ("^(?:(x)|y)z$", "yz", "yz|~"),
            ("^(?<year>\\d{4})-(\\d{2,3}?)(.*)$", "2024-1234", "2024-1234|2024|12|34"),
            ("^[\\w.-]+@[^\\s@]+$", "a.b-c@d", "a.b-c@d"),
            ("^[^a-c]$", "é", "é"),
            ("^\\bfoo\\b.*$", "foo bar", "foo bar"),
            ("^\\u0041\\x42\\/\\-$", "AB/-", "AB/-"),
            ("^a{,2}$", "a{,2}", "a{,2}"),
            ("^(?=ab)a.$", "ab", "ab"),
            ("^(a|ab)(c|bcd)(d*)$", "abcd", "abcd|a|bcd|"),
            ("^(?:a*)*$", "aaaa", "aaaa"),
            ("^(|a)+$", "aa", "aa|a"),
            ("^.$", "\n", "-"),
            ("^(?:|/|/(.*)/?)$", "/a/", "/a/|a/"),
        ] {
            assert_eq!(groups(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn case_can_be_left_out_of_account() {
        let regex = Regex::new("^/Über/[a-c]+$", Case::Folded).unwrap();
        assert!(regex.is_match("/üBER/ABC", &mut Budget::default()));
        assert!(!regex.is_match("/uber/ABC", &mut Budget::default()));
    }

    #[test]
    fn what_cannot_be_matched_in_bounded_time_is_refused() {
        for pattern in [
            "(a)\\1",
            "(?<=a)b",
            "(?<!a)b",
            "(?<n>a)\\k<n>",
            "(a",
            "a)",
            "[a",
            "*a",
            "a**",
            "a{3,2}",
            "(?x)",
            "\\",
            "[z-a]",
        ] {
            assert!(Regex::new(pattern, Case::Matters).is_err(), "{pattern}");
        }
        assert!(Regex::new(&"(".repeat(10_000), Case::Matters).is_err());
        assert!(Regex::new("((a{100}){100}){100}", Case::Matters).is_err());
    }

    #[test]
    fn a_class_is_no_larger_than_what_it_says() {
        let regex = Regex::new(&format!("^[{}]{{1000}}$", "\\S".repeat(1950)), Case::Matters).unwrap();
        assert!(regex.weight() < 1100, "{}", regex.weight());
        assert!(regex.is_match(&"x".repeat(1000), &mut Budget::default()));
        assert!(!regex.is_match(&" ".repeat(1000), &mut Budget::default()));
        for (pattern, text, expected) in [
            ("^[c-ea-bx]+$", "abcdex", true),
            ("^[^c-eb-d]$", "b", false),
            ("^[^\\S\\d]$", " ", true),
            ("^[^\\S\\d]$", "5", false),
        ] {
            assert_eq!(check(pattern, text).is_some(), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn nothing_repeated_however_often_is_compiled_at_once() {
        let nested = (0..12).fold(String::from("a"), |inner, _| format!("(?:(?:){{1000}}){{1000}}{inner}"));
        let deep = (0..12).fold(String::new(), |inner, _| format!("(?:{inner}){{1000}}"));
        assert!(Regex::new(&format!("^{nested}{deep}$"), Case::Matters).unwrap().is_match("a", &mut Budget::default()));
    }

    #[test]
    fn patterns_that_explode_elsewhere_end_within_the_budget() {
        let text = format!("{}!", "a".repeat(5_000));
        for pattern in ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "^(.*a){12}$", "^(?:(?=(a+))a*)*$"] {
            let mut budget = Budget::default();
            assert!(!Regex::new(pattern, Case::Matters).unwrap().is_match(&text, &mut budget), "{pattern}");
        }
        let mut spent = Budget::new(10);
        assert!(!Regex::new("^a*!$", Case::Matters).unwrap().is_match(&text, &mut spent));
        assert!(spent.is_spent());
        let mut enough = Budget::default();
        assert!(Regex::new("^a*!$", Case::Matters).unwrap().is_match(&text, &mut enough) && !enough.is_spent());
    }
}
