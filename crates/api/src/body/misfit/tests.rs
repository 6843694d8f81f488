use serde::Deserialize;

use crate::body::parsed;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "what is read is not looked at")]
struct Sent {
    name: String,
    #[serde(default)]
    many: Vec<Below>,
    #[serde(default)]
    is_on: bool,
    #[serde(default)]
    kind: Kind,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Below {
    wall_ms: Option<u64>,
    pids: Option<u32>,
    offset: i32,
    share: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Sync,
    Stream,
}

fn told(body: &str) -> String {
    let misfit = parsed::<Sent>(body.as_bytes()).unwrap_err();
    format!("{} | {}", misfit.message, misfit.hint.unwrap_or_default())
}

#[test]
fn a_wrong_field_is_named_by_its_path_with_what_was_expected_and_what_to_do() {
    let numbers = "write it as a number, without quotes";
    for (fields, expected) in [
        (
            r#""many":[{},{"wall_ms":"5"}]"#,
            format!("`many[1].wall_ms`: expected an integer from 0 on, got a string | {numbers}"),
        ),
        (r#""many":[{"wall_ms":-5}]"#, "`many[0].wall_ms`: expected an integer from 0 on, got -5 | /v1".to_owned()),
        (r#""many":[{"wall_ms":1.5}]"#, "`many[0].wall_ms`: expected an integer from 0 on, got 1.5 | /v1".to_owned()),
        (
            r#""many":[{"pids":5000000000}]"#,
            "`many[0].pids`: expected an integer from 0 to 4294967295, got 5000000000 | ".to_owned(),
        ),
        (r#""many":[{"offset":"a"}]"#, format!("`many[0].offset`: expected an integer, got a string | {numbers}")),
        (r#""many":[{"share":true}]"#, "`many[0].share`: expected a number, got true | ".to_owned()),
        (r#""many":{}"#, "`many`: expected a list, got an object | ".to_owned()),
        (r#""many":[1]"#, "`many[0]`: expected an object, got 1 | ".to_owned()),
        (r#""is_on":"yes""#, "`is_on`: expected true or false, got a string | ".to_owned()),
        (r#""is_on":null"#, "`is_on`: expected true or false, got null | leave the field out".to_owned()),
        (
            r#""kind":"strem""#,
            "`kind`: there is no `strem` | did you mean `stream`? There are `sync`, `stream`".to_owned(),
        ),
        (r#""kind":"later""#, "`kind`: there is no `later` | there are `sync`, `stream`".to_owned()),
        (r#""kind":3"#, "`kind`: expected a string | write it in quotes".to_owned()),
        (
            r#""nmae":"a""#,
            "`nmae`: there is no such field | did you mean `name`? There are `name`, `many`, `is_on`, `kind`"
                .to_owned(),
        ),
        (r#""zzz":"a""#, "`zzz`: there is no such field | there are `name`, ".to_owned()),
        (
            r#""many":[{"timeout":1}]"#,
            "`many[0].timeout`: there is no such field | did you mean `many[0].wall_ms`?".to_owned(),
        ),
        (r#""name":"b""#, "`name` is there twice | send it once".to_owned()),
    ] {
        let body = format!(r#"{{"name":"a",{fields}}}"#);
        let told = told(&body);
        assert!(told.starts_with(&expected), "{body}: {told}");
    }
    assert!(told("{}").starts_with("`name` is missing | send `name`"), "{}", told("{}"));
    assert!(told(r#"{"name":1}"#).starts_with("`name`: expected a string, got 1 | write it in quotes"));
}

#[test]
fn what_is_no_json_is_told_with_its_place_and_nothing_is_told_back_at_length() {
    assert!(told("{").starts_with("the body is not JSON: EOF while parsing an object at line 1 column 1"));
    assert!(told(r#"{"name":"a"}{}"#).starts_with("the body is not JSON: trailing characters"));
    assert!(told("7").starts_with("expected an object, got 7"), "{}", told("7"));
    let long = "x".repeat(100_000);
    for body in [format!(r#"{{"{long}":1}}"#), format!(r#"{{"kind":"{long}"}}"#), format!(r#"{{"is_on":"{long}"}}"#)] {
        assert!(told(&body).len() < 600, "{}", told(&body).len());
    }
    assert!(!told("{\"\\u001b[31m\":1}").contains('\u{1b}'));
}
