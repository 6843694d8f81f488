use super::*;
use crate::Timestamp;
use crate::run::{LIMITS, LimitsAsked};

fn python() -> Language {
    Language {
        name: "python".into(),
        aliases: vec!["py".into()],
        version: "3.11.2".into(),
        file_name: "main.py".into(),
        compiled: false,
        compile_options: vec!["-O".into()],
        package_sets: Vec::new(),
        start: None,
    }
}

fn job(json: &str) -> Result<Job, InvalidRun> {
    let request: RunRequest = serde_json::from_str(json).unwrap();
    request.into_job(RunId::new(Timestamp::from_millis(1), 2), &python(), &LIMITS)
}

#[test]
fn one_source_is_one_file_with_the_usual_name() {
    let job = job(r#"{"language":"python","source":"print(1)"}"#).unwrap();
    assert_eq!(job.files, [File { path: "main.py".parse().unwrap(), bytes: b"print(1)".to_vec() }]);
    assert_eq!((job.entry.as_str(), job.stdins.as_slice()), ("main.py", [vec![]].as_slice()));
    assert_eq!(job.limits, LIMITS.usual);
}

#[test]
fn files_are_decoded_and_the_first_or_the_named_one_is_run() {
    let files = r#""files":[{"name":"a.py","content":"aGk=","encoding":"base64"},{"name":"b/c.py","content":"6869","encoding":"hex"}]"#;
    let both = job(&format!(r#"{{"language":"python",{files}}}"#)).unwrap();
    assert_eq!(both.files.iter().map(|file| file.bytes.as_slice()).collect::<Vec<_>>(), [b"hi", b"hi"]);
    assert_eq!(both.entry.as_str(), "a.py");
    let named = job(&format!(r#"{{"language":"python",{files},"entry":"b/c.py","stdins":["1","2"]}}"#)).unwrap();
    assert_eq!((named.entry.as_str(), named.stdins.len()), ("b/c.py", 2));
}

#[test]
fn what_is_not_allowed_is_named() {
    let long = "x".repeat(70_000);
    for (json, told) in [
        (r#"{"language":"python"}"#.to_owned(), "there is no code"),
        (r#"{"language":"python","source":"","files":[{"content":""}]}"#.to_owned(), "both `source` and `files`"),
        (r#"{"language":"python","source":"","stdin":"","stdins":[""]}"#.to_owned(), "both `stdin` and `stdins`"),
        (r#"{"language":"python","files":[{"name":"../x","content":""}]}"#.to_owned(), "`../x`: the path has"),
        (r#"{"language":"python","files":[{"name":"/etc/passwd","content":""}]}"#.to_owned(), "is absolute"),
        (
            r#"{"language":"python","files":[{"content":""},{"name":"main.py/x","content":""}]}"#.to_owned(),
            "`files[1].name`: the file `main.py/x` is there twice",
        ),
        (r#"{"language":"python","files":[{"name":".built","content":""}]}"#.to_owned(), "what was compiled lies"),
        (r#"{"language":"python","files":[{"name":".built/x","content":""}]}"#.to_owned(), "what was compiled lies"),
        (
            format!(r#"{{"language":"python","source":"","outputs":["{long}"]}}"#),
            "`outputs`: 70000 bytes in all are more than 4096",
        ),
        (
            r#"{"language":"python","source":"","outputs":["*","/box/out/*.png"]}"#.to_owned(),
            "`outputs[1]`: `/box/out/*.png` begins with `/`: write `out/*.png`",
        ),
        (r#"{"language":"python","source":"","outputs":["/tmp/x"]}"#.to_owned(), "`/`: only `/box` is looked at"),
        (r#"{"language":"python","source":"","outputs":["a/../../x"]}"#.to_owned(), "`a/../../x` has a part `..`"),
        (r#"{"language":"python","source":"","outputs":["/box/"]}"#.to_owned(), "`/`: only `/box` is looked at"),
        (
            r#"{"language":"python","files":[{"content":"%","encoding":"base64"}]}"#.to_owned(),
            "`files[0].content`: the file `main.py` is not what",
        ),
        (
            r#"{"language":"python","files":[{"content":"abc","encoding":"hex"}]}"#.to_owned(),
            "`files[0].content`: the file `main.py` is not what",
        ),
        (r#"{"language":"python","source":"","entry":"b.py"}"#.to_owned(), "`entry`: there is no file `b.py`"),
        (r#"{"language":"python","source":"","env":{"A-B":""}}"#.to_owned(), "`env.A-B`: the variable"),
        (r#"{"language":"python","source":"","env":{"A":"\u0000"}}"#.to_owned(), "`env.A`: there is a NUL"),
        (r#"{"language":"python","source":"","args":["\u0000"]}"#.to_owned(), "`args[0]`: there is a NUL"),
        (
            format!(r#"{{"language":"python","source":"","args":["{long}"]}}"#),
            "`args`: 70000 bytes in all are more than 65536",
        ),
        (
            r#"{"language":"python","source":"","version":"3.1"}"#.to_owned(),
            "version 3.1 of python is not here; 3.11.2 is",
        ),
        (
            r#"{"language":"python","source":"","compile_options":["-fplugin=x"]}"#.to_owned(),
            "`compile_options[0]`: python does not take",
        ),
        (r#"{"language":"python","source":"","limits":{"pids":100000}}"#.to_owned(), "`limits.pids`: 100000"),
    ] {
        let error = job(&json).unwrap_err();
        let said = format!("`{}`: {error}", error.field());
        assert!(said.contains(told), "{json}: {said}");
        assert!(!error.hint().is_empty());
    }
    for version in ["3", "3.11", "3.11.2", "*"] {
        assert!(job(&format!(r#"{{"language":"python","source":"","version":"{version}"}}"#)).is_ok(), "{version}");
    }
}

#[test]
fn a_word_that_no_run_has_is_refused_by_name() {
    let error = serde_json::from_str::<RunRequest>(r#"{"language":"python","code":"print(1)"}"#).unwrap_err();
    assert!(error.to_string().contains("unknown field `code`") && error.to_string().contains("`source`"), "{error}");
    assert!(serde_json::from_str::<LimitsAsked>(r#"{"time":1}"#).is_err());
}
