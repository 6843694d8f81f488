//! The syntax of path-to-regexp 6.1, in which sources and destinations are written.
//!
//! ```text
//! /blog/:slug        one part            /:path*            any number of parts
//! /post/:id(\d{1,})  what an expression takes               /a{-:b}?           a group, optional
//! ```

use crate::regex::{InvalidRegex, escape};
use crate::reject::Reason;

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Text(String),
    Key { name: Name, prefix: String, suffix: String, pattern: String, modifier: Modifier },
}

/// How a part is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Named(String),
    /// The nth without a name.
    Unnamed(usize),
    /// A group that captures nothing.
    None,
}

/// How often a part may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modifier {
    Once,
    Optional,
    Many,
    Any,
}

impl Modifier {
    const fn of(c: Option<char>) -> Self {
        match c {
            Some('?') => Self::Optional,
            Some('+') => Self::Many,
            Some('*') => Self::Any,
            _ => Self::Once,
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Once => "",
            Self::Optional => "?",
            Self::Many => "+",
            Self::Any => "*",
        }
    }

    pub(crate) const fn is_optional(self) -> bool {
        matches!(self, Self::Optional | Self::Any)
    }
}

/// Reads a pattern. A part without an expression of its own ends at one of `delimiters`.
pub(crate) fn parse(text: &str, delimiters: &str) -> Result<Vec<Token>, Reason> {
    let mut parser = Parser { lexemes: lex(text)?, next: 0, keys: 0, plain: format!("[^{}]+?", escape(delimiters)) };
    parser.tokens()
}

/// The expression for a whole path, and how its groups are called.
pub(crate) fn expression(tokens: &[Token]) -> (String, Vec<Name>) {
    let mut expression = String::from("^");
    let mut names = Vec::new();
    for token in tokens {
        match token {
            Token::Text(text) => expression.push_str(&escape(text)),
            Token::Key { name, prefix, suffix, pattern, modifier } => {
                let (prefix, suffix, sign) = (escape(prefix), escape(suffix), modifier.sign());
                if pattern.is_empty() {
                    expression.push_str(&format!("(?:{prefix}{suffix}){sign}"));
                    continue;
                }
                names.push(name.clone());
                let group = match modifier {
                    _ if prefix.is_empty() && suffix.is_empty() => format!("({pattern}){sign}"),
                    Modifier::Once | Modifier::Optional => format!("(?:{prefix}({pattern}){suffix}){sign}"),
                    Modifier::Many | Modifier::Any => {
                        let optional = if *modifier == Modifier::Any { "?" } else { "" };
                        format!("(?:{prefix}((?:{pattern})(?:{suffix}{prefix}(?:{pattern}))*){suffix}){optional}")
                    }
                };
                expression.push_str(&group);
            }
        }
    }
    expression.push('$');
    (expression, names)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Lexeme {
    Modifier(char),
    Escaped(char),
    Open,
    Close,
    Name(String),
    Pattern(String),
    Char(char),
}

fn lex(text: &str) -> Result<Vec<Lexeme>, Reason> {
    let mut lexemes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        lexemes.push(match c {
            '*' | '+' | '?' => Lexeme::Modifier(c),
            '{' => Lexeme::Open,
            '}' => Lexeme::Close,
            '\\' => {
                let escaped = rest.chars().next().ok_or(Reason::Pattern("it ends in `\\`"))?;
                rest = rest.get(escaped.len_utf8()..).unwrap_or_default();
                Lexeme::Escaped(escaped)
            }
            ':' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                if name.is_empty() {
                    return Err(Reason::Pattern("a `:` has no name behind it"));
                }
                rest = after;
                Lexeme::Name(name.to_owned())
            }
            '(' => {
                let (pattern, after) = own_expression(rest)?;
                rest = after;
                Lexeme::Pattern(pattern.to_owned())
            }
            c => Lexeme::Char(c),
        });
    }
    Ok(lexemes)
}

/// What stands before the `)` that closes an expression, and what follows.
fn own_expression(text: &str) -> Result<(&str, &str), Reason> {
    if text.starts_with('?') {
        return Err(Reason::Pattern("an expression may not begin with `?`"));
    }
    let mut depth = 1;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            ')' => {
                depth -= 1;
                if depth == 0 {
                    let expression = text.get(..at).unwrap_or_default();
                    let after = text.get(at + 1..).unwrap_or_default();
                    return if at == 0 {
                        Err(Reason::Pattern("an expression is empty"))
                    } else {
                        Ok((expression, after))
                    };
                }
            }
            '(' => {
                depth += 1;
                if chars.peek().is_none_or(|(_, next)| *next != '?') {
                    return Err(Reason::Pattern("an expression may not have groups that capture"));
                }
            }
            _ => {}
        }
    }
    Err(Reason::Pattern("a `(` has no `)`"))
}

struct Parser {
    lexemes: Vec<Lexeme>,
    next: usize,
    keys: usize,
    plain: String,
}

impl Parser {
    fn tokens(&mut self) -> Result<Vec<Token>, Reason> {
        let mut tokens = Vec::new();
        let mut text = String::new();
        while self.next < self.lexemes.len() {
            let character = self.char();
            let name = self.name();
            let pattern = self.pattern();
            if name.is_some() || pattern.is_some() {
                let mut prefix = character.map(String::from).unwrap_or_default();
                if !matches!(prefix.as_str(), "" | "." | "/") {
                    text.push_str(&std::mem::take(&mut prefix));
                }
                flush(&mut tokens, &mut text);
                let key = self.key(name, pattern);
                tokens.push(self.modified(key, prefix, String::new()));
                continue;
            }
            if let Some(c) = character.or_else(|| self.escaped()) {
                text.push(c);
                continue;
            }
            flush(&mut tokens, &mut text);
            if !self.takes(&Lexeme::Open) {
                return Err(Reason::Pattern("a `*`, `+`, `?` or `}` stands where none is expected"));
            }
            let prefix = self.text();
            let (name, pattern) = (self.name(), self.pattern());
            let suffix = self.text();
            if !self.takes(&Lexeme::Close) {
                return Err(Reason::Pattern("a `{` has no `}`"));
            }
            let key =
                if name.is_none() && pattern.is_none() { (Name::None, String::new()) } else { self.key(name, pattern) };
            tokens.push(self.modified(key, prefix, suffix));
        }
        flush(&mut tokens, &mut text);
        Ok(tokens)
    }

    fn key(&mut self, name: Option<String>, pattern: Option<String>) -> (Name, String) {
        let name = name.map_or_else(
            || {
                self.keys += 1;
                Name::Unnamed(self.keys - 1)
            },
            Name::Named,
        );
        (name, pattern.unwrap_or_else(|| self.plain.clone()))
    }

    fn modified(&mut self, (name, pattern): (Name, String), prefix: String, suffix: String) -> Token {
        let sign = match self.lexemes.get(self.next) {
            Some(Lexeme::Modifier(c)) => Some(*c),
            _ => None,
        };
        self.next += usize::from(sign.is_some());
        Token::Key { name, prefix, suffix, pattern, modifier: Modifier::of(sign) }
    }

    fn takes(&mut self, lexeme: &Lexeme) -> bool {
        let there = self.lexemes.get(self.next) == Some(lexeme);
        self.next += usize::from(there);
        there
    }

    fn take<T>(&mut self, of: impl Fn(&Lexeme) -> Option<T>) -> Option<T> {
        let taken = self.lexemes.get(self.next).and_then(of);
        self.next += usize::from(taken.is_some());
        taken
    }

    fn char(&mut self) -> Option<char> {
        self.take(|lexeme| if let Lexeme::Char(c) = lexeme { Some(*c) } else { None })
    }

    fn escaped(&mut self) -> Option<char> {
        self.take(|lexeme| if let Lexeme::Escaped(c) = lexeme { Some(*c) } else { None })
    }

    fn name(&mut self) -> Option<String> {
        self.take(|lexeme| if let Lexeme::Name(name) = lexeme { Some(name.clone()) } else { None })
    }

    fn pattern(&mut self) -> Option<String> {
        self.take(|lexeme| if let Lexeme::Pattern(pattern) = lexeme { Some(pattern.clone()) } else { None })
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        while let Some(c) = self.char().or_else(|| self.escaped()) {
            text.push(c);
        }
        text
    }
}

fn flush(tokens: &mut Vec<Token>, text: &mut String) {
    if !text.is_empty() {
        tokens.push(Token::Text(std::mem::take(text)));
    }
}

/// Whether a text is an expression at all, which Vercel asks of every source before it reads it as a pattern.
pub(crate) fn is_expression(text: &str) -> Result<(), InvalidRegex> {
    crate::regex::Regex::new(text, crate::regex::Case::Folded).map(drop)
}
