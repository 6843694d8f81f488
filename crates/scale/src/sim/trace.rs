//! A recorded load as text: a line for a second, or `SECOND RATE` lines between which the rate stays.

/// How many arrived in each second.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Requests in each second.
    pub rates: Vec<f64>,
}

/// Why a trace cannot be read.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum TraceError {
    /// Not a rate, or not a second and a rate.
    #[error("line {line}: expected a rate, or a second and a rate, such as `60 12.5`; found `{text}`")]
    NotARate {
        /// Counted from 1.
        line: usize,
        /// What is there.
        text: String,
    },
    /// Seconds must go up.
    #[error("line {line}: second {second} is not later than the one before, or later than a week")]
    Order {
        /// Counted from 1.
        line: usize,
        /// What is there.
        second: u64,
    },
    /// Larger than can be simulated.
    #[error("line {line}: more than 100,000 a second, or 20 million in all")]
    TooLarge {
        /// Counted from 1.
        line: usize,
    },
    /// No line says anything.
    #[error("the trace has no lines")]
    Empty,
}

const SECONDS_MAX: u64 = 7 * 24 * 3600;
const RATE_MAX: f64 = 100_000.0;
const ARRIVALS_MAX: f64 = 20_000_000.0;

impl Trace {
    /// Reads a trace. Empty lines and those that begin with `#` say nothing; commas part as blanks do.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let mut rates: Vec<f64> = Vec::new();
        let mut total = 0.0;
        for (line, text) in text.lines().enumerate().map(|(line, text)| (line + 1, text.trim())) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (second, rate) =
                line_of(text).ok_or_else(|| TraceError::NotARate { line, text: text.chars().take(40).collect() })?;
            let second = second.unwrap_or(rates.len() as u64);
            if second < rates.len() as u64 || second > SECONDS_MAX {
                return Err(TraceError::Order { line, second });
            }
            let before = rates.last().copied().unwrap_or(0.0);
            total += rate + before * (second - rates.len() as u64) as f64;
            if rate > RATE_MAX || total > ARRIVALS_MAX {
                return Err(TraceError::TooLarge { line });
            }
            rates.resize(second as usize, before);
            rates.push(rate);
        }
        if rates.is_empty() { Err(TraceError::Empty) } else { Ok(Self { rates }) }
    }
}

fn line_of(text: &str) -> Option<(Option<u64>, f64)> {
    let mut words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    let (first, second) = (words.next()?, words.next());
    let rate: f64 = second.unwrap_or(first).parse().ok()?;
    let second = second.map(|_| first.parse()).transpose().ok()?;
    (words.next().is_none() && rate.is_finite() && rate >= 0.0).then_some((second, rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_stays_until_the_next_line() {
        assert_eq!(Trace::parse("# recorded\n0 1\n3, 2.5\n").unwrap().rates, [1.0, 1.0, 1.0, 2.5]);
        assert_eq!(Trace::parse("1\n2\n").unwrap().rates, [1.0, 2.0]);
    }

    #[test]
    fn what_is_no_trace_is_refused_with_its_line() {
        let error = |text| Trace::parse(text).unwrap_err();
        assert_eq!(error(""), TraceError::Empty);
        assert!(matches!(error("1\nx"), TraceError::NotARate { line: 2, .. }));
        assert!(matches!(error("NaN"), TraceError::NotARate { line: 1, .. }));
        assert!(matches!(error("5 1\n5 2"), TraceError::Order { line: 2, second: 5 }));
        assert!(matches!(error("99999999999 1"), TraceError::Order { line: 1, .. }));
        assert!(matches!(error("1e9"), TraceError::TooLarge { line: 1 }));
        assert!(matches!(error("0 90000\n600000 1"), TraceError::TooLarge { line: 2 }));
    }
}
