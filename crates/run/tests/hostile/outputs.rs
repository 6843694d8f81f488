//! What a run leaves, and who reads it: groups 3 to 6, and 108 and 111 of the threats. That a link is followed without the resolution that
//! keeps below is shown beside the code that reads (`src/folder/tests.rs`).

use skylift_model::run::{Job, RunStatus};

use crate::host::{Host, c, is_root, limited, python, said};

fn leaves(source: &str) -> Job {
    Job { outputs: vec!["**".to_owned()], ..python(source, &[]) }
}

#[tokio::test]
async fn what_is_left_in_any_way_is_no_fault_of_ours() {
    let host = Host::new();
    let own = |source: &str| format!("import os\nopen('own.txt', 'w').write('own')\n{source}\nprint('left')");
    for (what, source, found) in [
        ("nothing strange", "pass", &["main.py", "own.txt"][..]),
        (
            "links",
            "[os.symlink(to, f'link{n}') for n, to in enumerate(['/etc/passwd', '/', '..', '/proc/self/environ', 'own.txt', 'nowhere'])]",
            &["main.py", "own.txt"],
        ),
        (
            "no ordinary files",
            "import socket; os.mkfifo('pipe'); socket.socket(socket.AF_UNIX).bind('socket')",
            &["main.py", "own.txt"],
        ),
        (
            "a folder that nobody may enter",
            "os.mkdir('closed'); open('closed/x', 'w').close(); os.chmod('closed', 0)",
            &["main.py", "own.txt"],
        ),
        ("a file that nobody may read", "open('secret', 'w').close(); os.chmod('secret', 0)", &["main.py", "own.txt"]),
        (
            "names that are none",
            "[open(os.fsencode('n') + bytes([n]), 'w').close() for n in range(200, 230)]",
            &["main.py", "own.txt"],
        ),
        ("a deep folder", "for _ in range(200): os.mkdir('d'); os.chdir('d')", &["main.py", "own.txt"]),
        ("too many files", "[open(f'{n}', 'w').close() for n in range(65)]", &[]),
        ("too many names", "[os.mkdir(f'{n}') for n in range(10001)]", &[]),
        ("too much", "open('large', 'wb').truncate(9 << 20)", &["main.py", "own.txt"]),
        ("a hole", "open('large', 'wb').truncate(64 << 20)", &["main.py", "own.txt"]),
        ("no folder", "os.chmod('/box', 0)", &[]),
    ] {
        let ending = host.run(&leaves(&own(source))).await;
        let step = ending.steps.first().unwrap();
        assert_eq!((step.status, step.stdout.as_slice()), (RunStatus::Ok, &b"left\n"[..]), "{what}: {step:?}");
        let names: Vec<String> = ending.files.iter().map(|taken| taken.file.path.to_string()).collect();
        // Root reads what was closed to it. Of many, those that fit are there.
        let is_all_told = is_root() || what == "too many files";
        let is_ours = |name: &str| ["main.py", "own.txt"].contains(&name);
        let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| is_ours(name) || !is_all_told).collect();
        let found = if what == "no folder" && is_root() { &["main.py", "own.txt"] } else { found };
        assert_eq!(names, found, "{what}");
        let is_too_much = what.starts_with("too ") || ["a deep folder", "a hole"].contains(&what);
        assert_eq!(ending.files_truncated, is_too_much, "{what}");
    }
}

#[tokio::test]
async fn of_too_much_what_fits_is_told_by_name_for_all_inputs_together() {
    let host = Host::new();
    let source = "
import sys
for n in range(int(sys.stdin.read())): open(f'{n:03}', 'w').write('x')";
    let job = |counts: &[&str]| Job {
        outputs: vec!["[0-9]*".to_owned()],
        stdins: counts.iter().map(|count| count.as_bytes().to_vec()).collect(),
        ..python(source, &[])
    };
    for (counts, told) in [(&["64"][..], 64), (&["40", "24"], 64)] {
        let ending = host.run(&job(counts)).await;
        assert_eq!((ending.files.len(), ending.files_truncated), (told, false), "{counts:?}");
    }
    let ending = host.run(&job(&["40", "25"])).await;
    let told: Vec<_> = ending.files.iter().map(|taken| (taken.run, taken.file.path.to_string())).collect();
    let expected = (0..40).map(|n| (0, n)).chain((0..24).map(|n| (1, n)));
    assert_eq!(told, expected.map(|(run, n)| (run, format!("{n:03}"))).collect::<Vec<_>>());
    assert!(ending.files_truncated);
}

#[tokio::test]
async fn files_that_find_no_room_are_no_fault_of_ours() {
    let host = Host::new();
    let large = format!("print('ran') #{}", "x".repeat(10_000));
    let job = |disk_bytes| limited(&large, |limits| limits.disk_bytes = disk_bytes);
    let step = host.step(&job(4096)).await;
    assert_eq!((step.status, step.exit_code), (RunStatus::ExitNonzero, Some(126)));
    assert!(said(&step).contains("`disk_bytes`"), "{}", said(&step));
    assert_eq!(said(&host.step(&job(64 << 10)).await), "ran");
    let compiled = Job { compile_limits: Some(job(4096).limits), ..c(&"int main(void) { return 0; }\n".repeat(1000)) };
    let ending = host.run(&compiled).await;
    let compiling = ending.compile.unwrap().step;
    assert_eq!(compiling.status, RunStatus::CompileError, "{compiling:?}");
    assert!(said(&compiling).contains("`disk_bytes`") && ending.steps.is_empty(), "{}", said(&compiling));
}
