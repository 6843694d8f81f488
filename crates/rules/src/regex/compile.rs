//! From the tree of an expression to a list of instructions.

use std::sync::Arc;

use super::parse::{Class, InvalidRegex, Node};

/// The most instructions of one expression.
const INSTRUCTIONS_MAX: usize = 2000;

/// One instruction; targets are places in the list.
#[derive(Clone, Debug)]
pub(super) enum Inst {
    Char(char),
    Any,
    Class(Arc<Class>),
    Start,
    End,
    WordEdge(bool),
    /// Go on at the first; where that fails, at the second.
    Split(usize, usize),
    Jump(usize),
    /// Note the position in a slot: 2n where group n begins, 2n + 1 where it ends.
    Save(usize),
    /// What follows up to `Match` has to match here, or must not; then go on at `then`.
    Look {
        negative: bool,
        then: usize,
    },
    Match,
}

pub(super) fn compile(node: &Node) -> Result<Vec<Inst>, InvalidRegex> {
    let mut program = Program { list: Vec::new() };
    program.push(Inst::Save(0))?;
    program.node(node)?;
    program.push(Inst::Save(1))?;
    program.push(Inst::Match)?;
    Ok(program.list)
}

struct Program {
    list: Vec<Inst>,
}

impl Program {
    fn push(&mut self, inst: Inst) -> Result<usize, InvalidRegex> {
        if self.list.len() >= INSTRUCTIONS_MAX {
            return Err(InvalidRegex::TooLarge);
        }
        self.list.push(inst);
        Ok(self.list.len() - 1)
    }

    fn set(&mut self, place: usize, inst: Inst) {
        if let Some(slot) = self.list.get_mut(place) {
            *slot = inst;
        }
    }

    fn node(&mut self, node: &Node) -> Result<(), InvalidRegex> {
        match node {
            Node::Empty => {}
            Node::Char(c) => drop(self.push(Inst::Char(*c))?),
            Node::Any => drop(self.push(Inst::Any)?),
            Node::Class(class) => drop(self.push(Inst::Class(class.clone()))?),
            Node::Start => drop(self.push(Inst::Start)?),
            Node::End => drop(self.push(Inst::End)?),
            Node::WordEdge(edge) => drop(self.push(Inst::WordEdge(*edge))?),
            Node::Concat(nodes) => nodes.iter().try_for_each(|node| self.node(node))?,
            Node::Either(options) => self.either(options)?,
            Node::Repeat { node, min, max, greedy } => self.repeat(node, *min, *max, *greedy)?,
            Node::Group(number, node) => {
                self.push(Inst::Save(2 * number))?;
                self.node(node)?;
                self.push(Inst::Save(2 * number + 1))?;
            }
            Node::Look { node, negative } => {
                let look = self.push(Inst::Match)?;
                self.node(node)?;
                self.push(Inst::Match)?;
                self.set(look, Inst::Look { negative: *negative, then: self.list.len() });
            }
        }
        Ok(())
    }

    fn either(&mut self, options: &[Node]) -> Result<(), InvalidRegex> {
        let mut jumps = Vec::new();
        let Some((last, others)) = options.split_last() else { return Ok(()) };
        for option in others {
            let split = self.push(Inst::Match)?;
            self.node(option)?;
            jumps.push(self.push(Inst::Match)?);
            self.set(split, Inst::Split(split + 1, self.list.len()));
        }
        self.node(last)?;
        for jump in jumps {
            self.set(jump, Inst::Jump(self.list.len()));
        }
        Ok(())
    }

    fn repeat(&mut self, node: &Node, min: u32, max: Option<u32>, greedy: bool) -> Result<(), InvalidRegex> {
        for _ in 0..min {
            let before = self.list.len();
            self.node(node)?;
            // What takes no instruction takes none again, however often: `(?:(?:){1000}){1000}`.
            if self.list.len() == before {
                break;
            }
        }
        let fork = |to_node, past| if greedy { Inst::Split(to_node, past) } else { Inst::Split(past, to_node) };
        let Some(max) = max else {
            let split = self.push(Inst::Match)?;
            self.node(node)?;
            self.push(Inst::Jump(split))?;
            self.set(split, fork(split + 1, self.list.len()));
            return Ok(());
        };
        let mut splits = Vec::new();
        for _ in min..max {
            splits.push(self.push(Inst::Match)?);
            self.node(node)?;
        }
        for split in splits {
            self.set(split, fork(split + 1, self.list.len()));
        }
        Ok(())
    }
}
