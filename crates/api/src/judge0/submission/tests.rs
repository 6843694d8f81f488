use serde_json::json;
use skylift_model::Timestamp;
use skylift_model::run::LIMITS;

use super::*;

fn language(compiled: bool) -> Language {
    Language {
        name: "c++".to_owned(),
        aliases: Vec::new(),
        version: "12.2.0".to_owned(),
        file_name: "main.cpp".to_owned(),
        compiled,
        compile_options: vec!["-O3".to_owned(), "-Wall".to_owned()],
        package_sets: Vec::new(),
        start: None,
    }
}

fn read_as(language: Option<&Language>, base64: bool, sent: &Value) -> Result<(Job, Note), Value> {
    let may_be_told = |url: &str| if url.contains("127.0.0.1") { Err("it is private".to_owned()) } else { Ok(()) };
    let reading = Reading { base64, known: &LIMITS, language, may_be_told: &may_be_told };
    let id = RunId::new(Timestamp::from_millis(0), 1);
    reading.read(sent.as_object().unwrap(), id).map_err(Value::Object)
}

fn read(sent: &Value) -> Result<(Job, Note), Value> {
    read_as(Some(&language(true)), false, sent)
}

#[test]
fn what_is_left_out_is_as_judge0_has_it() {
    let (job, note) = read(&json!({ "source_code": "int main() {}", "language_id": 54 })).unwrap();
    assert_eq!((job.files[0].path.as_str(), job.files[0].bytes.as_slice()), ("main.cpp", &b"int main() {}"[..]));
    let limits = job.limits;
    assert_eq!((limits.cpu_ms, limits.wall_ms, limits.memory_bytes), (6_000, 10_000, 128_000 * 1024));
    assert_eq!((limits.pids, limits.output_bytes), (60, 1 << 20));
    assert_eq!(job.stdins, [Vec::<u8>::new()]);
    assert_eq!((note.cpu_time_limit, note.has_stdin, note.expected()), (5.0, false, None));
    assert_eq!(Note::of(&job), Some(note));
}

#[test]
fn every_field_has_its_meaning() {
    let sent = json!({
        "source_code": encode(b"\xff"), "language_id": "54", "stdin": encode(b"in"), "expected_output": encode(b"out"),
        "compiler_options": " -O3  -Wall", "command_line_arguments": "a 'b c'", "cpu_time_limit": "2.5",
        "cpu_extra_time": 0.5, "wall_time_limit": 7, "memory_limit": 4096, "stack_limit": 1, "number_of_runs": 3,
        "max_processes_and_or_threads": 7, "max_file_size": 2, "redirect_stderr_to_stdout": true,
        "enable_network": false, "callback_url": "https://example.org/", "unknown": [],
    });
    let (job, note) = read_as(Some(&language(true)), true, &sent).unwrap();
    assert_eq!(job.files[0].bytes, [0xff]);
    assert_eq!(job.stdins, vec![b"in".to_vec(); 3]);
    assert_eq!(
        (job.args, job.compile_options),
        (vec!["a".to_owned(), "b c".into()], vec!["-O3".into(), "-Wall".into()])
    );
    let limits = job.limits;
    assert_eq!((limits.cpu_ms, limits.wall_ms, limits.memory_bytes), (3_000, 7_000, 8 << 20));
    assert_eq!((limits.pids, limits.output_bytes), (7, 2048));
    assert_eq!((note.expected(), note.redirect_stderr_to_stdout), (Some(b"out".to_vec()), true));
    assert_eq!((note.memory_limit, note.callback_url.as_deref()), (4096, Some("https://example.org/")));
    let unlimited = json!({ "source_code": "x", "language_id": 54, "cpu_time_limit": 0, "max_file_size": 0 });
    let (job, _) = read(&unlimited).unwrap();
    assert_eq!((job.limits.cpu_ms, job.limits.output_bytes), (LIMITS.most.cpu_ms, LIMITS.most.output_bytes));
}

#[test]
fn what_is_wrong_is_told_by_field_in_their_words_and_all_at_once() {
    let right = json!({ "source_code": "x", "language_id": 54 });
    for (field, value, why) in [
        ("source_code", json!(""), "can't be blank"),
        ("cpu_time_limit", json!(15.1), "must be less than or equal to 15.0"),
        ("cpu_time_limit", json!("x"), "is not a number"),
        ("cpu_time_limit", json!(-1), "must be greater than or equal to 0.0"),
        ("wall_time_limit", json!(0.5), "must be greater than or equal to 1.0"),
        ("memory_limit", json!(512_001), "must be less than or equal to 512000"),
        ("memory_limit", json!(2047), "must be greater than or equal to 2048"),
        ("number_of_runs", json!(21), "must be less than or equal to 20"),
        ("number_of_runs", json!(1e300), "must be less than or equal to 20"),
        ("max_file_size", json!([]), "is not a number"),
        ("compiler_options", json!("x".repeat(513)), "is too long (maximum is 512 characters)"),
        ("compiler_options", json!("-fplugin=x"), "c++ does not take the compiler's option `-fplugin=x`"),
        ("command_line_arguments", json!("a\0b"), "there is a NUL character in it"),
        ("enable_network", json!("true"), "enabling network is not allowed"),
        ("enable_per_process_and_thread_time_limit", json!(true), "this option cannot be enabled"),
        ("additional_files", json!("UEsDBA=="), "setting additional files is not allowed"),
        ("callback_url", json!("http://127.0.0.1/"), "it is private"),
    ] {
        let mut sent = right.clone();
        sent[field] = value;
        assert_eq!(read(&sent).unwrap_err(), json!({ field: [why] }));
    }
    let nothing = json!({ "language_id": 150, "memory_limit": 1 });
    let told = read_as(None, false, &nothing).unwrap_err();
    assert_eq!(told["language_id"], json!(["language with id 150 doesn't exist"]));
    assert!(told["source_code"].is_array() && told["memory_limit"].is_array());
    let options = json!({ "source_code": "x", "language_id": 71, "compiler_options": "-O3" });
    let told = read_as(Some(&language(false)), false, &options).unwrap_err();
    assert_eq!(told["compiler_options"][0], "setting compiler options is only allowed for compiled languages");
}
