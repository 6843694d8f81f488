//! A text with places for what the source and the conditions have captured.

use super::source::{Name, Token, parse};
use crate::reject::Reason;

/// Where destinations end a part, when they have placeholders without an expression.
const DELIMITERS: &str = "/#?";

/// What a place stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    /// The nth group of the source, from 1.
    Group(usize),
    /// What a condition has captured under this name.
    Condition(String),
}

/// The names that may be used, and what they stand for. Of groups with the same name, the last one counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// In the order in which they were first used.
    pub(crate) all: Vec<(String, Piece)>,
    /// The last group without a name.
    pub(crate) unnamed: Option<usize>,
}

impl Names {
    pub(crate) fn new(groups: &[Name], conditions: &[String]) -> Self {
        let mut names = Self::default();
        for (at, group) in groups.iter().enumerate() {
            match group {
                Name::Named(name) => names.set(name, Piece::Group(at + 1)),
                Name::Unnamed(_) | Name::None => names.unnamed = Some(at + 1),
            }
        }
        for name in conditions {
            names.set(name, Piece::Condition(name.clone()));
        }
        names
    }

    fn set(&mut self, name: &str, piece: Piece) {
        match self.all.iter_mut().find(|(other, _)| other == name) {
            Some((_, there)) => *there = piece,
            None => self.all.push((name.to_owned(), piece)),
        }
    }

    fn get(&self, name: &str) -> Option<&Piece> {
        self.all.iter().find(|(other, _)| other == name).map(|(_, piece)| piece)
    }
}

/// Reads a text with `:name` in it. Where it is no pattern, everything but the names stands for itself.
pub(crate) fn read(text: &str, names: &Names) -> Result<Vec<Piece>, Reason> {
    let direct = parse(text, DELIMITERS).and_then(|tokens| fill(&tokens, names));
    direct.or_else(|_| read_leniently(text, names))
}

/// The same for a text that is rather no pattern, such as the value of a header.
pub(crate) fn read_leniently(text: &str, names: &Names) -> Result<Vec<Piece>, Reason> {
    let mut escaped = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let named = rest.strip_prefix(':').and_then(|after| longest_name(after, names));
        if let Some(name) = named {
            escaped.push(':');
            escaped.push_str(name);
            rest = rest.get(1 + name.len()..).unwrap_or_default();
            if let Some(sign @ ('*' | '?' | '+')) = rest.chars().next() {
                escaped.push(sign);
                rest = rest.get(1..).unwrap_or_default();
            }
            continue;
        }
        if matches!(c, ':' | '*' | '?' | '+' | '(' | ')' | '{' | '}') {
            escaped.push('\\');
        }
        escaped.push(c);
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    let mut pieces = fill(&parse(&format!("/{escaped}"), DELIMITERS)?, names)?;
    if let Some(Piece::Text(first)) = pieces.first_mut() {
        first.remove(0);
    }
    Ok(pieces)
}

/// The name that a text begins with, where nothing that belongs to a name follows.
fn longest_name<'n>(text: &str, names: &'n Names) -> Option<&'n str> {
    names.all.iter().map(|(name, _)| name.as_str()).find(|name| {
        let after = text.strip_prefix(name).map(|after| after.chars().next());
        after.is_some_and(|next| !next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_'))
    })
}

fn fill(tokens: &[Token], names: &Names) -> Result<Vec<Piece>, Reason> {
    let mut pieces = Vec::new();
    for token in tokens {
        match token {
            Token::Text(text) => push(&mut pieces, text),
            Token::Key { name, prefix, suffix, modifier, .. } => {
                let piece = match name {
                    Name::Named(name) => names.get(name).cloned(),
                    Name::Unnamed(_) | Name::None => None,
                };
                match piece {
                    Some(piece) => {
                        push(&mut pieces, prefix);
                        pieces.push(piece);
                        push(&mut pieces, suffix);
                    }
                    None if modifier.is_optional() => {}
                    None => return Err(Reason::Pattern("a placeholder stands for nothing")),
                }
            }
        }
    }
    Ok(pieces)
}

/// Adds text; `$1` in it stands for a group, as it does where Vercel fills in.
pub(crate) fn push(pieces: &mut Vec<Piece>, text: &str) {
    for (at, part) in text.split('$').enumerate() {
        let mut part = part;
        if at > 0 {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let number = part.get(..digits).filter(|digits| !digits.starts_with('0'));
            match number.and_then(|number| number.parse().ok()) {
                Some(group) => {
                    pieces.push(Piece::Group(group));
                    part = part.get(digits..).unwrap_or_default();
                }
                None => push_plain(pieces, "$"),
            }
        }
        push_plain(pieces, part);
    }
}

fn push_plain(pieces: &mut Vec<Piece>, text: &str) {
    if text.is_empty() {
        return;
    }
    match pieces.last_mut() {
        Some(Piece::Text(last)) => last.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

/// Reads the value of a header: names are filled in where the source or the conditions have any.
pub(crate) fn value(text: &str, names: &Names) -> Result<Vec<Piece>, Reason> {
    if names.all.is_empty() || !text.contains(':') {
        let mut pieces = Vec::new();
        push(&mut pieces, text);
        return Ok(pieces);
    }
    read_leniently(text, names)
}
