use serde_json::json;
use skylift_model::run::LIMITS;

use super::super::runtimes::tests::language;
use super::*;

fn runtimes() -> Vec<Runtime> {
    vec![Runtime::of(&language("python", "3.11.2", false)), Runtime::of(&language("c++", "12.2.0", true))]
}

fn ask(asked: &Value) -> Result<Wanted, String> {
    wanted(asked, runtimes(), &LIMITS, &PistonSettings::default())
}

/// What is asked for, with something else in it.
fn with(name: &str, value: Value) -> Value {
    let mut asked = json!({"language": "python", "version": "3.x", "files": [{"content": "print(1)"}]});
    asked[name] = value;
    asked
}

#[test]
fn what_a_client_sends_is_a_run_with_pistons_limits() {
    let asked = json!({
        "language": "js", "version": "*", "files": [], "stdin": "", "args": ["1", "2"],
        "compile_timeout": 10000, "run_timeout": 3000, "compile_memory_limit": -1, "run_memory_limit": -1
    });
    assert_eq!(ask(&asked).unwrap_err(), "js-* runtime is unknown");
    let wanted = ask(&json!({
        "language": "cpp", "version": "12.x", "files": [
            {"name": "data.bin", "content": "_-8", "encoding": "base64"},
            {"name": "./a.cc", "content": "int main() {}"}, {"content": "ff", "encoding": "hex"}, {"content": ""}],
        "stdin": "in", "args": ["a", 1, true],
        "run_timeout": 500, "run_cpu_time": null, "compile_timeout": 9999.5, "run_memory_limit": 100_000_000, "compile_memory_limit": -1
    }))
    .unwrap();
    assert_eq!((wanted.request.language.as_str(), wanted.request.entry.as_deref()), ("c++", Some("a.cc")));
    let names: Vec<_> = wanted.request.files.iter().filter_map(|file| file.name.as_deref()).collect();
    assert_eq!(names, ["data.bin", "a.cc", "file2.code", "file3.code"]);
    assert_eq!(Encoding::Base64.decode(wanted.request.files[0].content.clone()), Some(vec![0xff, 0xef]));
    assert_eq!(wanted.request.args, ["a", "1", "true"]);
    let limits = LIMITS.resolve(&wanted.request.limits).unwrap();
    let told = (limits.wall_ms, limits.cpu_ms, limits.memory_bytes, limits.output_bytes);
    assert_eq!(told, (500, 3000, 100_000_000, 1024));
    let compile = wanted.compile_limits;
    assert_eq!((compile.wall_ms, compile.cpu_ms, compile.memory_bytes), (9999, 10_000, LIMITS.compile.memory_bytes));
}

#[test]
fn what_has_no_name_is_called_as_the_language_calls_it() {
    let wanted = ask(&with("stdin", Value::Null)).unwrap();
    assert_eq!((wanted.request.entry.as_deref(), wanted.request.stdin), (Some("main.python"), None));
    let files = json!([{"content": "import x"}, {"name": "main.python", "content": ""}]);
    assert_eq!(ask(&with("files", files)).unwrap().request.entry.as_deref(), Some("file0.code"));
}

#[test]
fn what_is_wrong_is_told_in_pistons_words() {
    for (name, value, told) in [
        ("language", json!(""), "language is required as a string"),
        ("language", json!(1), "language is required as a string"),
        ("version", Value::Null, "version is required as a string"),
        ("version", json!("2.x"), "python-2.x runtime is unknown; here is 3.11.2, and `*` takes any"),
        ("version", json!("x.y"), "python-x.y runtime is unknown; here is 3.11.2, and `*` takes any"),
        ("files", json!("x"), "files is required as an array"),
        ("files", json!([{"content": "a"}, {"name": "b"}]), "files[1].content is required as a string"),
        ("files", json!([1]), "files[0].content is required as a string"),
        ("files", json!([]), "files must include at least one utf8 encoded file"),
        ("files", json!([{"content": "", "encoding": "hex"}]), "files must include at least one utf8 encoded file"),
        ("run_timeout", json!(3001), "run_timeout cannot exceed the configured limit of 3000"),
        ("compile_cpu_time", json!(1e12), "compile_cpu_time cannot exceed the configured limit of 10000"),
        ("run_memory_limit", json!(1_u64 << 40), "run_memory_limit cannot exceed the configured limit of 1073741824"),
        ("run_timeout", json!("100"), "If specified, run_timeout must be a number"),
        ("run_timeout", json!(-1), "run_timeout must be non-negative"),
        ("args", json!("a"), "If specified, args must be an array"),
        ("stdin", json!(1), "If specified, stdin must be a string"),
    ] {
        assert_eq!(ask(&with(name, value)).unwrap_err(), told);
    }
    assert_eq!(ask(&json!([])).unwrap_err(), "language is required as a string");
}

#[test]
fn where_memory_is_configured_it_is_bounded() {
    let settings = PistonSettings { run_memory_limit: Some(64 << 20), ..PistonSettings::default() };
    let memory = |asked: Value| {
        let wanted = wanted(&with("run_memory_limit", asked), runtimes(), &LIMITS, &settings);
        wanted.map(|wanted| wanted.request.limits.memory_bytes)
    };
    assert_eq!(memory(Value::Null), Ok(Some(64 << 20)));
    assert_eq!(memory(json!(1)), Ok(Some(MEMORY_BYTES_MIN)));
    assert_eq!(memory(json!(-1)), Err("run_memory_limit must be non-negative".to_owned()));
    assert!(memory(json!(128 << 20)).is_err());
}
