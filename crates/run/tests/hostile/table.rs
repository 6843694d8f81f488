//! The table of attacks in `docs/attacks.md` names tests and switches that exist, and leaves out none of the attacks.

use std::collections::BTreeSet;
use std::path::Path;

use skylift_model::run::LIMITS;
use skylift_sandbox::Defence;

/// The attack groups of runs, and what of the threat model is about them.
fn all() -> BTreeSet<u32> {
    (1..=40).chain(63..=64).chain(81..=89).chain(107..=113).collect()
}

/// One attack.
struct Row<'a> {
    number: u32,
    tests: Vec<&'a str>,
    switch: &'a str,
    whose: &'a str,
}

fn rows(table: &str) -> Vec<Row<'_>> {
    table.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<Row<'_>> {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [number, _, tests, switch, whose] = cells.as_slice() else { return None };
    Some(Row { number: number.parse().ok()?, tests: quoted(tests), switch, whose })
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// All functions of the workspace that could be a test.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && name != "node_modules" {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let after = text.split("fn ").skip(1);
            found.extend(after.filter_map(|rest| Some(rest.split_once(['(', '<'])?.0.to_owned())));
        }
    }
}

fn is_switch(name: &str) -> bool {
    let limits = serde_json::to_value(LIMITS.usual).unwrap();
    let is_limit = |name: &str| name.strip_prefix("limits.").is_some_and(|name| limits.get(name).is_some());
    serde_json::from_value::<Defence>(name.into()).is_ok() || is_limit(name)
}

/// What is wrong with a table.
fn faults(table: &str, functions: &BTreeSet<String>) -> Vec<String> {
    let rows = rows(table);
    let mut faults = Vec::new();
    let there: Vec<u32> = rows.iter().map(|row| row.number).collect();
    if there.iter().copied().collect::<BTreeSet<_>>() != all() || there.len() != all().len() {
        faults.push(format!("other attacks than there are: {there:?}"));
    }
    for Row { number, tests, switch, whose } in rows {
        let strangers = tests.iter().filter(|test| !test.contains('/') && !functions.contains(**test));
        faults.extend(strangers.map(|test| format!("{number}: there is no test `{test}`")));
        if tests.is_empty() && switch != "none" {
            faults.push(format!("{number}: no test"));
        }
        let switches = quoted(switch);
        let is_told = ["in the test", "refused", "none"].contains(&switch) || !switches.is_empty();
        if !is_told || !switches.iter().all(|name| is_switch(name)) {
            faults.push(format!("{number}: no switch {switch}"));
        }
        if !["both", "root"].contains(&whose) {
            faults.push(format!("{number}: as {whose}"));
        }
    }
    faults
}

#[test]
fn the_table_of_attacks_names_what_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // The copy that runs as nobody may not read it, and it is the same.
    let Ok(table) = std::fs::read_to_string(root.join("docs/attacks.md")) else {
        assert!(!crate::host::is_root(), "docs/attacks.md is not there");
        return;
    };
    let mut known = BTreeSet::new();
    functions(&root.join("crates"), &mut known);
    functions(&root.join("tests"), &mut known);
    assert_eq!(faults(&table, &known), [""; 0]);
    // The controls: a test that was renamed, a switch that is gone, an attack that is left out.
    for (from, to) in [
        ("`a_host_that_is_killed_takes_its_runs_along`", "`a_host_that_is_killed`"),
        ("`Lifeline`", "`Deathline`"),
        ("`limits.wall_ms`", "`limits.wall`"),
        ("| 17 | ", "| 16 | "),
    ] {
        assert_ne!(faults(&table.replace(from, to), &known), [""; 0], "{from}");
    }
}

/// The control to `no_defence_can_be_left_out_of_the_executable`.
#[test]
fn a_switch_is_found_in_an_executable_that_has_it() {
    let bytes = std::fs::read("/proc/self/exe").unwrap();
    // Not as it would stand here.
    let word = ["Own", "Descriptors"].concat();
    assert!(bytes.windows(word.len()).any(|part| part == word.as_bytes()));
}
