//! What a package manager printed, cut to what tells why it failed. Pure.

/// How many lines are told from the beginning, and from the end.
const LINES: usize = 3;
/// How many characters of a line are told from its beginning, and from its end: pip names every version that there is.
const HEAD_CHARACTERS: usize = 160;
const TAIL_CHARACTERS: usize = 80;
const ELSEWHERE: &str = "(all that was printed is in the log of the platform)";

/// The lines that speak of errors, where there are any; the first and the last of them, each with its beginning and its end.
pub(super) fn telling(said: &str) -> String {
    let all: Vec<&str> = said.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let speaks = |line: &&&str| {
        let line = line.to_ascii_lowercase();
        line.contains("error") || line.contains("err!")
    };
    let errors: Vec<&str> = all.iter().filter(speaks).copied().collect();
    let lines = if errors.is_empty() { &all } else { &errors };
    let mut told: Vec<String> = match lines.len() {
        count if count <= 2 * LINES => lines.iter().map(|line| short(line)).collect(),
        count => {
            let (first, last) = (lines.iter().take(LINES), lines.iter().skip(count - LINES));
            first.chain(last).map(|line| short(line)).collect()
        }
    };
    let is_all = told.len() == all.len() && told.iter().zip(&all).all(|(told, line)| told == line);
    if !is_all {
        told.push(ELSEWHERE.to_owned());
    }
    told.join("\n")
}

fn short(line: &str) -> String {
    let count = line.chars().count();
    if count <= HEAD_CHARACTERS + TAIL_CHARACTERS {
        return line.to_owned();
    }
    let head: String = line.chars().take(HEAD_CHARACTERS).collect();
    let tail: String = line.chars().skip(count - TAIL_CHARACTERS).collect();
    format!("{} … {}", head.trim_end(), tail.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_list_of_versions_the_first_and_the_last_are_told_and_where_the_rest_is() {
        let versions: Vec<String> = (0..5000).map(|n| format!("1.{n}.0")).collect();
        let said = format!(
            "Looking in indexes: http://index\nERROR: Could not find a version that satisfies the requirement nonsuch==9 (from versions: {})\nERROR: No matching distribution found for nonsuch==9\n",
            versions.join(", ")
        );
        let told = telling(&said);
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[0].starts_with(
            "ERROR: Could not find a version that satisfies the requirement nonsuch==9 (from versions: 1.0.0, 1.1.0,"
        ));
        assert!(lines[0].contains(" … ") && lines[0].ends_with("1.4999.0)"), "{told}");
        assert_eq!(lines[1..], ["ERROR: No matching distribution found for nonsuch==9", ELSEWHERE]);
        assert!(told.len() < 500, "{told}");
    }

    #[test]
    fn what_is_short_is_told_whole_and_of_many_lines_the_first_and_the_last() {
        assert_eq!(telling(""), "");
        assert_eq!(telling("one\n\n two é\n"), "one\n two é");
        let many: Vec<String> = (0..50).map(|n| format!("npm ERR! line {n}")).collect();
        let numbers: Vec<String> = [0, 1, 2, 47, 48, 49].iter().map(|n| format!("npm ERR! line {n}")).collect();
        assert_eq!(telling(&many.join("\n")), format!("{}\n{ELSEWHERE}", numbers.join("\n")));
        let plain: Vec<String> = (0..50).map(|n| format!("line {n}")).collect();
        assert!(telling(&plain.join("\n")).starts_with("line 0\nline 1\nline 2\nline 47\n"));
        assert!(telling(&"é".repeat(10_000)).starts_with("éé"));
    }
}
