//! From the text of an expression to its tree.

use std::sync::Arc;

/// The deepest nesting of groups.
const DEPTH_MAX: usize = 40;
/// The most times a part may be asked to repeat.
const REPEAT_MAX: u32 = 1000;
/// The longest expression, in bytes.
const PATTERN_BYTES_MAX: usize = 4096;

/// A part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Empty,
    Char(char),
    /// Anything but the end of a line.
    Any,
    Class(Arc<Class>),
    Start,
    End,
    /// `\b`, or `\B` where it is not `true`.
    WordEdge(bool),
    Concat(Vec<Node>),
    Either(Vec<Node>),
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
        greedy: bool,
    },
    /// A capturing group; the first is 1.
    Group(usize, Box<Node>),
    Look {
        node: Box<Node>,
        negative: bool,
    },
}

/// A set of characters.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Class {
    pub(super) negative: bool,
    pub(super) ranges: Vec<(char, char)>,
}

pub(super) struct Parsed {
    pub(super) node: Node,
    pub(super) groups: Vec<Option<String>>,
}

/// Why a text is no expression we match.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRegex {
    #[error("the expression is longer than {PATTERN_BYTES_MAX} bytes")]
    TooLong,
    #[error("the expression is nested deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("the expression is too large when its repetitions are written out")]
    TooLarge,
    #[error("the expression has a `(` or `)` without its counterpart")]
    Unbalanced,
    #[error("the expression has a `[` without `]`, or a range in it that runs backwards")]
    Class,
    #[error("the expression repeats nothing, or from more times to fewer")]
    Repeat,
    #[error("the expression ends in `\\`, or its escape is none we know")]
    Escape,
    #[error("looking behind (`(?<=`, `(?<!`) is not supported")]
    LookBehind,
    #[error("references to groups (`\\1`, `\\k<name>`) are not supported")]
    Reference,
    #[error("a group begins with `(?` and something we do not know")]
    Group,
}

impl Node {
    /// The text that every match begins with; empty where the expression is not anchored.
    pub(super) fn literal_prefix(&self) -> String {
        let mut prefix = String::new();
        if let Self::Concat(nodes) = self
            && let [Self::Start, rest @ ..] = nodes.as_slice()
        {
            for node in rest {
                let Self::Char(c) = node else { break };
                prefix.push(*c);
            }
        }
        prefix
    }
}

impl Class {
    pub(super) fn holds(&self, c: char) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= c);
        let found = after.checked_sub(1).and_then(|at| self.ranges.get(at));
        found.is_some_and(|(_, last)| c <= *last) != self.negative
    }

    /// Sorts the ranges and joins those that touch, so that a class is no larger than what it says.
    fn merge(&mut self) {
        self.ranges.sort_unstable();
        let mut merged: Vec<(char, char)> = Vec::new();
        for (first, last) in self.ranges.drain(..) {
            match merged.last_mut() {
                Some((_, end)) if first <= *end || (*end..=char::MAX).nth(1) == Some(first) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        merged.shrink_to_fit();
        self.ranges = merged;
    }

    fn of(escape: char) -> Option<Self> {
        let negative = escape.is_ascii_uppercase();
        let ranges = match escape.to_ascii_lowercase() {
            'd' => vec![('0', '9')],
            'w' => vec![('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
            's' => SPACES.to_vec(),
            _ => return None,
        };
        Some(Self { negative, ranges })
    }

    fn add(&mut self, other: &Self) {
        if !other.negative {
            self.ranges.extend_from_slice(&other.ranges);
            return;
        }
        let mut sorted = other.ranges.clone();
        sorted.sort_unstable();
        let mut next = '\0';
        for (first, last) in sorted {
            if let Some(before) = (next..first).next_back() {
                self.ranges.push((next, before));
            }
            next = (last..=char::MAX).nth(1).unwrap_or(char::MAX);
        }
        self.ranges.push((next, char::MAX));
    }
}

/// What JavaScript takes for white space.
pub(super) const SPACES: &[(char, char)] = &[
    ('\t', '\r'),
    (' ', ' '),
    ('\u{a0}', '\u{a0}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{2000}', '\u{200a}'),
    ('\u{2028}', '\u{2029}'),
    ('\u{202f}', '\u{202f}'),
    ('\u{205f}', '\u{205f}'),
    ('\u{3000}', '\u{3000}'),
    ('\u{feff}', '\u{feff}'),
];

pub(super) fn parse(pattern: &str) -> Result<Parsed, InvalidRegex> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(InvalidRegex::TooLong);
    }
    let mut reader = Reader { rest: pattern, groups: Vec::new(), depth: 0 };
    let node = reader.either()?;
    if reader.rest.is_empty() { Ok(Parsed { node, groups: reader.groups }) } else { Err(InvalidRegex::Unbalanced) }
}

struct Reader<'p> {
    rest: &'p str,
    groups: Vec<Option<String>>,
    depth: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    fn takes(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn either(&mut self) -> Result<Node, InvalidRegex> {
        let mut options = vec![self.concat()?];
        while self.takes("|") {
            options.push(self.concat()?);
        }
        Ok(if options.len() == 1 { options.swap_remove(0) } else { Node::Either(options) })
    }

    fn concat(&mut self) -> Result<Node, InvalidRegex> {
        let mut nodes = Vec::new();
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            let node = self.atom()?;
            nodes.push(self.repeated(node)?);
        }
        Ok(if nodes.is_empty() { Node::Empty } else { Node::Concat(nodes) })
    }

    fn repeated(&mut self, node: Node) -> Result<Node, InvalidRegex> {
        let before = self.rest;
        let (min, max) = match self.next() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.counts() {
                Some(counts) => counts,
                None => {
                    self.rest = before;
                    return Ok(node);
                }
            },
            _ => {
                self.rest = before;
                return Ok(node);
            }
        };
        let repeatable = !matches!(node, Node::Start | Node::End | Node::WordEdge(_) | Node::Look { .. });
        if !repeatable || max.is_some_and(|max| max < min) {
            return Err(InvalidRegex::Repeat);
        }
        if min.max(max.unwrap_or(0)) > REPEAT_MAX {
            return Err(InvalidRegex::TooLarge);
        }
        let greedy = !self.takes("?");
        Ok(Node::Repeat { node: Box::new(node), min, max, greedy })
    }

    /// What follows `{` where it is a count; otherwise the brace stands for itself.
    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let (inside, after) = self.rest.split_once('}')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().unwrap_or(u32::MAX))
        };
        let counts = match inside.split_once(',') {
            None => (number(inside)?, Some(number(inside)?)),
            Some((min, "")) => (number(min)?, None),
            Some((min, max)) => (number(min)?, Some(number(max)?)),
        };
        self.rest = after;
        Some(counts)
    }

    fn atom(&mut self) -> Result<Node, InvalidRegex> {
        match self.next() {
            None => Ok(Node::Empty),
            Some('.') => Ok(Node::Any),
            Some('^') => Ok(Node::Start),
            Some('$') => Ok(Node::End),
            Some('*' | '+' | '?') => Err(InvalidRegex::Repeat),
            Some('(') => self.group(),
            Some('[') => self.class(),
            Some('\\') => self.escape(),
            Some(c) => Ok(Node::Char(c)),
        }
    }

    fn group(&mut self) -> Result<Node, InvalidRegex> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(InvalidRegex::TooDeep);
        }
        let node = if self.takes("?:") {
            self.either()?
        } else if self.takes("?=") {
            Node::Look { node: Box::new(self.either()?), negative: false }
        } else if self.takes("?!") {
            Node::Look { node: Box::new(self.either()?), negative: true }
        } else if self.rest.starts_with("?<=") || self.rest.starts_with("?<!") {
            return Err(InvalidRegex::LookBehind);
        } else {
            let name = if self.takes("?<") { Some(self.group_name()?) } else { None };
            if self.rest.starts_with('?') {
                return Err(InvalidRegex::Group);
            }
            self.groups.push(name);
            let number = self.groups.len();
            Node::Group(number, Box::new(self.either()?))
        };
        self.depth -= 1;
        if self.takes(")") { Ok(node) } else { Err(InvalidRegex::Unbalanced) }
    }

    fn group_name(&mut self) -> Result<String, InvalidRegex> {
        let (name, rest) = self.rest.split_once('>').ok_or(InvalidRegex::Group)?;
        let fits = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c == '_' || c == '$' || c.is_alphanumeric());
        let taken = self.groups.iter().flatten().any(|other| other == name);
        if !fits || taken {
            return Err(InvalidRegex::Group);
        }
        self.rest = rest;
        Ok(name.to_owned())
    }

    fn escape(&mut self) -> Result<Node, InvalidRegex> {
        let c = self.next().ok_or(InvalidRegex::Escape)?;
        if let Some(class) = Class::of(c) {
            return Ok(Node::Class(Arc::new(class)));
        }
        match c {
            'b' => Ok(Node::WordEdge(true)),
            'B' => Ok(Node::WordEdge(false)),
            '1'..='9' | 'k' => Err(InvalidRegex::Reference),
            _ => self.escaped_char(c).map(Node::Char),
        }
    }

    fn escaped_char(&mut self, c: char) -> Result<char, InvalidRegex> {
        match c {
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'f' => Ok('\u{c}'),
            'v' => Ok('\u{b}'),
            '0' if !self.rest.starts_with(|c: char| c.is_ascii_digit()) => Ok('\0'),
            'x' => self.hexadecimal(2),
            'u' => self.hexadecimal(4),
            _ if c.is_ascii_alphanumeric() => Err(InvalidRegex::Escape),
            _ => Ok(c),
        }
    }

    fn hexadecimal(&mut self, digits: usize) -> Result<char, InvalidRegex> {
        let text = self.rest.get(..digits).ok_or(InvalidRegex::Escape)?;
        let hexadecimal = text.bytes().all(|b| b.is_ascii_hexdigit());
        let code = u32::from_str_radix(text, 16).ok().filter(|_| hexadecimal);
        self.rest = self.rest.get(digits..).unwrap_or_default();
        code.and_then(char::from_u32).ok_or(InvalidRegex::Escape)
    }

    fn class(&mut self) -> Result<Node, InvalidRegex> {
        let mut class = Class { negative: self.takes("^"), ranges: Vec::new() };
        loop {
            if self.takes("]") {
                class.merge();
                return Ok(Node::Class(Arc::new(class)));
            }
            let Some(first) = self.class_member(&mut class)? else { continue };
            let before = self.rest;
            if self.takes("-") && !self.rest.starts_with(']') {
                match self.class_member(&mut class)? {
                    Some(last) if last < first => return Err(InvalidRegex::Class),
                    Some(last) => class.ranges.push((first, last)),
                    None => class.ranges.extend([(first, first), ('-', '-')]),
                }
            } else {
                self.rest = before;
                class.ranges.push((first, first));
            }
        }
    }

    /// One character of a class, or `None` for an escape that adds several.
    fn class_member(&mut self, class: &mut Class) -> Result<Option<char>, InvalidRegex> {
        match self.next().ok_or(InvalidRegex::Class)? {
            '\\' => {
                let c = self.next().ok_or(InvalidRegex::Escape)?;
                if let Some(more) = Class::of(c) {
                    class.add(&more);
                    return Ok(None);
                }
                match c {
                    'b' => Ok(Some('\u{8}')),
                    _ => self.escaped_char(c).map(Some),
                }
            }
            c => Ok(Some(c)),
        }
    }
}
