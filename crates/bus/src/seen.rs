//! What is seen of the load of an app, at one place, over a second or so. Nobody answers for its arrival: what is not heard
//! in time is not known.

use std::fmt::Display;
use std::str::FromStr;

/// What an edge sees of an app that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// How long it counted for, in milliseconds; 0 where it tells at once that somebody waits for an instance.
    pub over_ms: u64,
    /// Requests that came.
    pub arrived: u64,
    /// Requests that ended.
    pub ended: u64,
    /// How long those were at their instance, in all, in microseconds.
    pub busy_us: u64,
    /// Requests that wait for an instance.
    pub waiting: u64,
    /// How long instances had requests in that time, in all, in microseconds: those that they still have, too.
    pub held_us: u64,
}

/// What a node sees of an app's instances that answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// How many of them could be measured.
    pub reporting: u32,
    /// Their mean use of their own share of the processors, in hundredths of a percent.
    pub cpu: u32,
}

/// What an edge saw answered by one version of an app that is rolled out, over a second or so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Requests that ended in some way.
    pub answered: u64,
    /// Of them, those that ended in a server's error or none.
    pub failed: u64,
    /// The others by the time to the head of the answer: the nth counts those below 2ⁿ ms and not below the one before; the last
    /// has no end.
    pub took: [u64; Self::TOOK],
}

/// How many apps one message tells of at most.
pub const SEEN_MAX: usize = 100;

impl Load {
    pub(crate) fn to_text(self) -> String {
        let Self { over_ms, arrived, ended, busy_us, waiting, held_us } = self;
        format!("{over_ms},{arrived},{ended},{busy_us},{waiting},{held_us}")
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let [over_ms, arrived, ended, busy_us, waiting, held_us] = numbers(text)?;
        Some(Self { over_ms, arrived, ended, busy_us, waiting, held_us })
    }
}

impl Used {
    pub(crate) fn to_text(self) -> String {
        format!("{},{}", self.reporting, self.cpu)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let [reporting, cpu] = numbers(text)?;
        Some(Self { reporting, cpu })
    }
}

impl Answers {
    /// How many buckets of time there are.
    pub const TOOK: usize = 16;

    /// Counts others beside these.
    pub fn add(&mut self, other: &Self) {
        self.answered = self.answered.saturating_add(other.answered);
        self.failed = self.failed.saturating_add(other.failed);
        self.took.iter_mut().zip(other.took).for_each(|(sum, count)| *sum = sum.saturating_add(count));
    }

    pub(crate) fn to_text(&self) -> String {
        let took: String = self.took.iter().map(|count| format!(",{count}")).collect();
        format!("{},{}{took}", self.answered, self.failed)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let numbers: [u64; Self::TOOK + 2] = numbers(text)?;
        let [answered, failed, took @ ..] = numbers;
        Some(Self { answered, failed, took })
    }
}

/// What was seen of several apps or versions, each as a word.
pub(crate) fn to_words<N: Display, S>(seen: &[(N, S)], to_text: impl Fn(&S) -> String) -> String {
    seen.iter().map(|(name, seen)| format!(" {name}:{}", to_text(seen))).collect()
}

pub(crate) fn parse_words<'w, N: FromStr, S>(
    words: &mut impl Iterator<Item = &'w str>,
    parse: fn(&str) -> Option<S>,
) -> Option<Vec<(N, S)>> {
    words
        .map(|word| {
            let (name, seen) = word.split_once(':')?;
            Some((name.parse().ok()?, parse(seen)?))
        })
        .collect()
}

fn numbers<T: FromStr, const N: usize>(text: &str) -> Option<[T; N]> {
    let numbers: Option<Vec<T>> = text.split(',').map(|number| number.parse().ok()).collect();
    numbers?.try_into().ok()
}
