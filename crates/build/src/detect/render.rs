//! A plan as people read it.

use skylift_model::plan::Plan;

/// The decisions of a plan as a table: what was decided, what for, and from which file (and field).
pub fn render(plan: &Plan) -> String {
    let heading = ("what", "value", "from");
    let decisions = plan.decisions.iter().map(|decision| (&*decision.what, &*decision.value, &*decision.from));
    let rows: Vec<(&str, &str, &str)> = std::iter::once(heading).chain(decisions).collect();
    let what_width = rows.iter().map(|row| row.0.chars().count()).max().unwrap_or_default();
    let value_width = rows.iter().map(|row| row.1.chars().count()).max().unwrap_or_default();
    let mut table = String::new();
    for (what, value, from) in rows {
        table.push_str(&format!("{what:what_width$}  {value:value_width$}  {from}\n"));
    }
    table
}
