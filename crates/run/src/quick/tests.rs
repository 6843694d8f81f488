//! The quick way beside the plain one, by the machine's own compiler.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::*;
use crate::headers::names_before_anything;
use crate::language::Language;

fn quick_of(name: &str) -> Quick {
    Language::all().find(|language| language.name == name).unwrap().quick.unwrap()
}

fn step(status: RunStatus, stderr: &str) -> Step {
    Step { status, stderr: stderr.into(), ..Step::exited(0) }
}

#[test]
fn only_what_was_well_and_silent_counts() {
    use RunStatus::{CpuLimit, ExitNonzero, MemoryLimit, Ok, OutputLimit, Signal, TimeLimit};
    for status in [Ok, TimeLimit, CpuLimit] {
        assert_eq!(judge(&step(status, ""), true), Quickly::Done);
        assert_eq!(judge(&step(status, "warning"), true), Quickly::Unclear);
    }
    assert_eq!(judge(&step(Ok, "warning"), false), Quickly::Unclear);
    for status in [ExitNonzero, Signal, MemoryLimit, OutputLimit] {
        assert_eq!(judge(&step(status, ""), true), Quickly::Unclear);
        assert_eq!(judge(&step(status, "main.cpp:1: error"), false), Quickly::Done);
        assert_eq!(judge(&step(status, "collect2: error: ld returned 1"), false), Quickly::Unclear);
        let cut = Step { stderr_truncated: true, ..step(status, "main.cpp:1: error") };
        assert_eq!(judge(&cut, false), Quickly::Unclear);
    }
}

#[test]
fn the_words_are_the_plain_ones_and_some_more() {
    let quick = quick_of("c++");
    let plain = ["/usr/bin/g++", "-O2", "-o", "x", "/box/a.cpp"].map(str::to_owned);
    let words = Quick::words(&plain, Some("mold"), Some("/opt/headers/0/set.h".into()));
    assert_eq!(words.join(" "), "/usr/bin/g++ -fuse-ld=mold -include /opt/headers/0/set.h -O2 -o x /box/a.cpp");
    assert!(quick.fits(&["-O3".into()]) && !quick.fits(&["-O3".into(), "-g".into()]));
    let set = quick.precompile(&["-std=c++20".into(), "-lm".into()]).unwrap().join(" ");
    assert_eq!(set, "/usr/bin/g++ -O2 -x c++-header -o /box/.built/set.h.gch -std=c++20 /box/set.h");
    assert_eq!(quick_of("c").precompile(&[]), None);
}

#[test]
fn a_program_that_wants_its_stack_executable_is_known() {
    let home = tempfile::tempdir().unwrap();
    let built = |option: &str| {
        let (from, to) = (home.path().join("main.c"), home.path().join("main"));
        fs::write(&from, "int main() { return 0; }").unwrap();
        let status = Command::new("/usr/bin/gcc").args(["-w", option, "-o"]).arg(&to).arg(&from).status().unwrap();
        assert!(status.success());
        fs::read(to).unwrap()
    };
    assert!(!wants_executable_stack(&built("-Wl,-z,noexecstack")));
    let program = built("-Wl,-z,execstack");
    assert!(wants_executable_stack(&program));
    assert!(wants_executable_stack(&program[..100]) && wants_executable_stack(b""), "nobody knows");
}

/// Programs by what is peculiar in them, and the options that they are compiled with.
const PROGRAMS: &[(&str, &str, &[&str])] = &[
    ("hello", "#include <iostream>\nint main() { std::cout << 42 << std::endl; }", &[]),
    ("another optimization", "#include <iostream>\nint main() { std::cout << 42 << std::endl; }", &["-O0", "-Wall"]),
    (
        "options",
        "#include <iostream>\nint main() { std::cout << __cplusplus << _REENTRANT; }",
        &["-std=c++20", "-pthread", "-lm"],
    ),
    (
        "several headers",
        "// many\n#include <iostream>\n#include <vector>\n#include <map>\nusing namespace std;\nint main() { vector<int> v{3, 1, 2}; map<int, int> m; for (int x : v) m[x]++; cout << m.size(); }",
        &[],
    ),
    (
        "where it is",
        "#include <iostream>\n\nint main() { std::cout << __FILE__ << __LINE__ << __COUNTER__ << __INCLUDE_LEVEL__ << __func__; }",
        &[],
    ),
    (
        "a macro between",
        "#include <iostream>\n#define NDEBUG\n#include <cassert>\nint main() { assert(false); std::cout << 1; }",
        &[],
    ),
    (
        "the same header again",
        "#include <cassert>\n#define NDEBUG\n#include <cassert>\nint main() { assert(false); }",
        &[],
    ),
    (
        "names of a header that was not read",
        "#include <iostream>\nstruct vector {}; int sort = 1; int main() { std::cout << sort; }",
        &[],
    ),
    (
        "static objects",
        "#include <iostream>\n#include <string>\nstatic std::string s(99, 'x'); namespace { struct T { ~T() { std::cout << s; } } t; }\nint main() {}",
        &[],
    ),
    (
        "templates and exceptions",
        "#include <iostream>\ntemplate<class... T> auto sum(T... t) { return (t + ...); }\nint main() { try { throw sum(1, 2.5); } catch (double e) { std::cout << e; } }",
        &[],
    ),
    (
        "functions of C",
        "#include <stdio.h>\n#include <stdlib.h>\nint main() { printf(\"%d\", atoi(\"7\")); }",
        &["-O3"],
    ),
    ("other ends of lines", "#include <iostream>\r\nint main() {\r\n std::cout << 1;\r\n}\r\n", &[]),
    ("a pragma", "#include <iostream>\n#pragma GCC poison printf\nint main() { std::cout << 1; }", &[]),
    ("a warning", "#include <iostream>\nint main() { int unused; std::cout << 1; }", &["-O0", "-Wall"]),
    ("a mistake", "#include <iostream>\nint main() { std::cout << x; }", &[]),
    (
        "a mistake in a template",
        "#include <cassert>\ntemplate<class T> T f(T t) { return t.x; }\nint main() { f(1); }",
        &[],
    ),
    ("a header that is missing", "#include <iostream>\nint main() { std::vector<int> v; }", &[]),
    ("a macro before", "#define NDEBUG\n#include <cassert>\nint main() { assert(false); }", &[]),
];

struct Compiler {
    home: tempfile::TempDir,
    quick: Quick,
    sets: HashMap<Vec<String>, PathBuf>,
}

impl Compiler {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), quick: quick_of("c++"), sets: HashMap::new() }
    }

    /// What is compiled to, as text, and what was said.
    fn compile(&self, set: Option<&Path>, options: &[String]) -> (Output, Option<Vec<u8>>) {
        let (source, made) = (self.home.path().join("main.cpp"), self.home.path().join("main.s"));
        let _ = fs::remove_file(&made);
        let plain = ["/usr/bin/g++".to_owned(), "-O2".to_owned(), "-S".to_owned()];
        let plain: Vec<String> = plain.into_iter().chain(options.iter().cloned()).collect();
        let words = Quick::words(&plain, None, set.map(|set| set.display().to_string()));
        let words = if set.is_some() { words } else { plain };
        let output = Command::new(&words[0]).args(&words[1..]).arg("-o").arg(&made).arg(source).output().unwrap();
        (output, fs::read(made).ok())
    }

    /// A set of these headers, made by the words that make one for users.
    fn set(&mut self, names: &[String], options: &[String]) -> PathBuf {
        let key: Vec<String> = names.iter().chain(options).cloned().collect();
        if let Some(set) = self.sets.get(&key) {
            return set.clone();
        }
        let folder = self.home.path().join(self.sets.len().to_string());
        fs::create_dir(&folder).unwrap();
        let set = folder.join(SET);
        fs::write(&set, names.iter().map(|name| format!("#include <{name}>\n")).collect::<String>()).unwrap();
        let here = |word: String| match word.as_str() {
            "/box/.built/set.h.gch" => folder.join("set.h.gch").display().to_string(),
            "/box/set.h" => set.display().to_string(),
            _ => word,
        };
        let words: Vec<String> = self.quick.precompile(options).unwrap().into_iter().map(here).collect();
        let output = Command::new(&words[0]).args(&words[1..]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        self.sets.insert(key, set.clone());
        set
    }
}

fn judged(output: &Output) -> Quickly {
    let status = if output.status.success() { RunStatus::Ok } else { RunStatus::ExitNonzero };
    judge(&step(status, &String::from_utf8_lossy(&output.stderr)), true)
}

#[test]
fn what_counts_is_to_the_letter_what_the_plain_way_makes() {
    let mut compiler = Compiler::new();
    let mut quickly = Vec::new();
    for (name, source, options) in PROGRAMS {
        fs::write(compiler.home.path().join("main.cpp"), source).unwrap();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let names = names_before_anything(source.as_bytes(), &compiler.quick.headers);
        if names.is_empty() {
            continue;
        }
        let set = compiler.set(&names, &options);
        let (quick, made) = compiler.compile(Some(&set), &options);
        let (plain, plainly) = compiler.compile(None, &options);
        if judged(&quick) == Quickly::Done {
            assert!(plain.status.success() && plain.stderr.is_empty(), "{name}: {plain:?}");
            assert!(made == plainly && made.is_some(), "{name}: another program");
            quickly.push(*name);
        } else {
            assert!(!plain.stderr.is_empty(), "{name}: only the quick way complains: {quick:?}");
        }
    }
    assert_eq!(quickly.len(), 13, "{quickly:?}");
}

#[test]
fn a_set_of_more_than_the_source_begins_with_would_be_noticed() {
    let mut compiler = Compiler::new();
    let source = "#include <cstdio>\nint main() { std::vector<int> v; }";
    fs::write(compiler.home.path().join("main.cpp"), source).unwrap();
    let names = names_before_anything(source.as_bytes(), &compiler.quick.headers);
    let too_much: Vec<String> = names.iter().cloned().chain(["vector".to_owned()]).collect();
    let (exact, more) = (compiler.set(&names, &[]), compiler.set(&too_much, &[]));
    assert_eq!(judged(&compiler.compile(Some(&exact), &[]).0), Quickly::Unclear);
    assert_eq!(judged(&compiler.compile(Some(&more), &[]).0), Quickly::Done);
    assert_eq!(judged(&compiler.compile(None, &[]).0), Quickly::Unclear);
}
