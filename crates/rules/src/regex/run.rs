//! Matching: backtracking that visits no pair of instruction and position twice.

use super::compile::Inst;
use super::parse::Class;

/// How many steps all expressions of one request may take together: a few milliseconds.
const STEPS_MAX: u64 = 1_000_000;

/// The steps a request has left. Once it is spent, nothing matches any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// `None` once it is spent.
    left: Option<u64>,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(STEPS_MAX)
    }
}

impl Budget {
    /// So many steps.
    pub(crate) fn new(steps: u64) -> Self {
        Self { left: Some(steps) }
    }

    /// Whether a match was given up for want of steps.
    pub(crate) fn is_spent(&self) -> bool {
        self.left.is_none()
    }

    /// Takes so many steps, if there are so many left.
    pub(crate) fn take(&mut self, steps: u64) -> Option<()> {
        self.left = self.left?.checked_sub(steps);
        self.left.map(drop)
    }
}

/// Where groups matched.
#[derive(Clone, Debug)]
pub(crate) struct Captures {
    slots: Vec<Option<usize>>,
}

impl Captures {
    /// The text of a group; 0 is the whole match.
    pub(crate) fn get<'t>(&self, text: &'t str, group: usize) -> Option<&'t str> {
        let first = self.slots.get(2 * group).copied().flatten()?;
        let end = self.slots.get(2 * group + 1).copied().flatten()?;
        text.get(first..end)
    }
}

pub(super) fn run(program: &[Inst], groups: usize, text: &str, fold: bool, budget: &mut Budget) -> Option<Captures> {
    let mut runner = Runner { program, text, fold, slots: vec![None; 2 * (groups + 1)], budget };
    let found = runner.from(0, 0)?;
    found.then_some(Captures { slots: runner.slots })
}

struct Runner<'r> {
    program: &'r [Inst],
    text: &'r str,
    fold: bool,
    slots: Vec<Option<usize>>,
    budget: &'r mut Budget,
}

enum Job {
    Try(usize, usize),
    Restore(usize, Option<usize>),
}

impl Runner<'_> {
    /// Whether the program matches from `place` on at `position`; `None` where the budget is spent.
    fn from(&mut self, place: usize, position: usize) -> Option<bool> {
        let width = self.text.len() + 1 - position;
        let words = (self.program.len() * width).div_ceil(64);
        self.budget.take(words as u64 / 8)?;
        let mut visited = vec![0_u64; words];
        let mut jobs = vec![Job::Try(place, position)];
        while let Some(job) = jobs.pop() {
            let (mut place, mut at) = match job {
                Job::Try(place, at) => (place, at),
                Job::Restore(slot, old) => {
                    self.save(slot, old);
                    continue;
                }
            };
            loop {
                self.budget.take(1)?;
                let bit = place * width + (at - position);
                let word = visited.get_mut(bit / 64)?;
                if *word & (1 << (bit % 64)) != 0 {
                    break;
                }
                *word |= 1 << (bit % 64);
                match self.program.get(place)? {
                    Inst::Match => return Some(true),
                    Inst::Jump(to) => place = *to,
                    Inst::Split(first, second) => {
                        jobs.push(Job::Try(*second, at));
                        place = *first;
                    }
                    Inst::Save(slot) => {
                        let old = self.slots.get(*slot).copied().flatten();
                        jobs.push(Job::Restore(*slot, old));
                        self.save(*slot, Some(at));
                        place += 1;
                    }
                    Inst::Look { negative, then } => {
                        let before = self.slots.clone();
                        let found = self.from(place + 1, at)?;
                        if *negative || !found {
                            self.slots = before;
                        }
                        if found == *negative {
                            break;
                        }
                        place = *then;
                    }
                    inst => match self.step(inst, at) {
                        Some(next) => {
                            at = next;
                            place += 1;
                        }
                        None => break,
                    },
                }
            }
        }
        Some(false)
    }

    fn save(&mut self, slot: usize, value: Option<usize>) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = value;
        }
    }

    /// Where an instruction that looks at the text leads to.
    fn step(&self, inst: &Inst, at: usize) -> Option<usize> {
        let c = self.text.get(at..).and_then(|rest| rest.chars().next());
        let next = at + c.map_or(0, char::len_utf8);
        let taken = match inst {
            Inst::Char(wanted) => c == Some(*wanted) || self.fold && c.map(folded) == Some(folded(*wanted)),
            Inst::Any => !matches!(c, None | Some('\n' | '\r' | '\u{2028}' | '\u{2029}')),
            Inst::Class(class) => c.is_some_and(|c| self.holds(class, c)),
            Inst::Start => return (at == 0).then_some(at),
            Inst::End => return (at == self.text.len()).then_some(at),
            Inst::WordEdge(edge) => return (self.is_word_edge(at) == *edge).then_some(at),
            Inst::Split(..) | Inst::Jump(_) | Inst::Save(_) | Inst::Look { .. } | Inst::Match => false,
        };
        taken.then_some(next)
    }

    fn holds(&self, class: &Class, c: char) -> bool {
        class.holds(c)
            || self.fold
                && (class.holds(folded(c)) || class.holds(c.to_uppercase().next().unwrap_or(c))) != class.negative
                && !class.negative
    }

    fn is_word_edge(&self, at: usize) -> bool {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let before = self.text.get(..at).and_then(|text| text.chars().next_back()).is_some_and(is_word);
        let after = self.text.get(at..).and_then(|text| text.chars().next()).is_some_and(is_word);
        before != after
    }
}

/// One character's lower case; those that become several stay as they are.
pub(crate) fn folded(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => c,
    }
}
