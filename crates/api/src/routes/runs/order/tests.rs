use super::*;

fn told(error: ApiError) -> (String, String) {
    let body = error.body();
    (body.message.clone(), body.hint.clone())
}

fn refused(body: &'static str) -> (String, String) {
    told(parse(&Bytes::from_static(body.as_bytes())).unwrap_err())
}

fn refused_batch(body: &'static str) -> (String, String) {
    told(parse_batch(&Bytes::from_static(body.as_bytes())).unwrap_err())
}

#[test]
fn a_body_is_read_as_what_it_is_and_what_is_wrong_is_named_with_what_to_do() {
    let request = parse(&Bytes::from_static(br#"{"language":"python","source":"print(1)"}"#)).unwrap();
    assert_eq!(request.source.as_deref(), Some("print(1)"));
    for (body, message, hint) in [
        ("language=python", "the body is not JSON: expected value", "as in {"),
        (" ", "the body is empty", "as in {"),
        ("[]", "the body is a list", "/v1/runs/batch"),
        (r#"{"language":"python","code":""}"#, "`code`: there is no such field", "did you mean `source`?"),
        (r#"{"language":"python","wall_ms":1}"#, "`wall_ms`: there", "did you mean `limits.wall_ms`?"),
        (
            r#"{"language":"python","limits":{"wall_ms":"5"}}"#,
            "`limits.wall_ms`: expected an integer",
            "without quotes",
        ),
    ] {
        let (told, what_to_do) = refused(body);
        assert!(told.starts_with(message) && what_to_do.contains(hint), "{body}: {told}: {what_to_do}");
    }
}

#[test]
fn a_batch_may_be_the_list_by_itself_and_says_which_of_it_is_wrong() {
    let run = r#"{"language":"python","source":"1"}"#;
    for body in [format!("[{run},{run}]"), format!(" {{\"runs\":[{run},{run}]}}")] {
        assert_eq!(parse_batch(&Bytes::from(body.clone())).unwrap().runs.len(), 2, "{body}");
    }
    for (body, message, hint) in [
        (r#"{"runs":[{"language":"c"},{"language":1}]}"#, "`runs[1].language`: expected a string, got 1", "in quotes"),
        (r#"[{"language":"c"},{"language":1}]"#, "`runs[1].language`: expected a string, got 1", "in quotes"),
        (r#"[{"language":"c"},{}]"#, "`runs[1].language` is missing", "send"),
        (r#"[{"language":"c"},[]]"#, "`runs[1]", "openapi"),
        (r#"["python"]"#, "`runs[0]`: expected an object, got a string", "openapi"),
        (r#"{"language":"c"}"#, "`language`: there is no such field", "there is `runs` alone"),
        ("[", "the body is not JSON", r#"{"runs":[{"#),
        ("1", "expected an object, got 1", "openapi"),
    ] {
        let (told, what_to_do) = refused_batch(body);
        assert!(told.starts_with(message) && what_to_do.contains(hint), "{body}: {told}: {what_to_do}");
    }
}

#[test]
fn a_language_that_is_not_here_is_told_with_those_that_are_and_the_one_that_may_be_meant() {
    let language = |name: &str, aliases: &[&str]| Language {
        name: name.to_owned(),
        aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
        version: "1".to_owned(),
        file_name: "main".to_owned(),
        compiled: false,
        compile_options: Vec::new(),
        package_sets: Vec::new(),
        start: None,
    };
    let here = [language("python", &["py"]), language("node", &["javascript"]), language("c", &[])];
    assert_eq!(
        languages_there("Pyhton", &here),
        "did you mean `python`? There are `c`, `node`, `python`; `GET /v1/languages` tells their other names"
    );
    assert!(languages_there("javascipt", &here).starts_with("did you mean `node`?"));
    for name in ["ruby", "ts", "c#", ""] {
        assert!(languages_there(name, &here).starts_with("there are `c`"), "{name}");
    }
    let named = |name: &str| here.iter().find(|one| one.is_called(name)).map(|one| one.name.as_str());
    assert_eq!(
        [named("PYTHON"), named(" Py "), named("JavaScript"), named("C")],
        [Some("python"), Some("python"), Some("node"), Some("c")]
    );
    assert_eq!([named("pyt"), named("c++"), named("")], [None; 3]);
}
