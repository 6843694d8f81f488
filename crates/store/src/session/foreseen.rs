//! Answers that were asked for ahead of their questions. Each is given once, to the same question.

use tokio_postgres::Row;

use super::{Cell, Value};

#[derive(Default)]
pub(crate) struct Foreseen(Vec<Answer>);

struct Answer {
    sql: String,
    parameters: Vec<Cell>,
    rows: Vec<Row>,
}

impl Foreseen {
    /// Keeps the answers, which are in the order of their questions.
    pub(crate) fn put(&mut self, questions: &[(&str, &[Value<'_>])], answers: Vec<Vec<Row>>) {
        self.0.extend(questions.iter().zip(answers).map(|((sql, parameters), rows)| Answer {
            sql: (*sql).to_owned(),
            parameters: parameters.iter().copied().map(Cell::from).collect(),
            rows,
        }));
    }

    /// The answer to a question, if it was foreseen.
    pub(crate) fn take(&mut self, sql: &str, parameters: &[Value<'_>]) -> Option<Vec<Row>> {
        let is_it = |answer: &Answer| {
            answer.sql == sql && answer.parameters.iter().map(Value::from).eq(parameters.iter().copied())
        };
        let at = self.0.iter().position(is_it)?;
        Some(self.0.swap_remove(at).rows)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
