//! What is compiled for runs: kept for whom it was compiled, compiled quickly where that comes to the same, and no way out or in.

use serde_json::{Value, json};
use skylift_tests::{Platform, Request, wait};

use crate::{children, key, kill, run, with_key};

fn cpp(source: &str) -> Value {
    json!({ "language": "c++", "source": source })
}

fn is_cached(answer: &Value) -> bool {
    answer["compile"]["cached"].as_bool().unwrap_or_else(|| panic!("{answer:#}"))
}

#[tokio::test]
async fn what_was_compiled_is_kept_for_whom_it_was_compiled_and_as_it_was() {
    let platform = Platform::start().await;
    // It writes another program in its own place, and is that one from then on.
    let source = r#"
        #include <cstdio>
        #include <unistd.h>
        int main(int count, char **words) {
            puts("honest"); fflush(stdout);
            unlink(words[0]);
            FILE *own = fopen(words[0], "w"); fputs("\#!/bin/sh\necho evil\n", own); fclose(own);
            chmod(words[0], 0755);
            execl(words[0], words[0], (char *)0);
            perror("exec"); return 1;
        }"#
    .replace("\\#", "#")
    .replace("#include <unistd.h>", "#include <unistd.h>\n#include <sys/stat.h>");
    let same = async || run(&platform, &cpp(&source)).await.json();
    let (one, other, third) = tokio::join!(same(), same(), same());
    for answer in [&one, &other, &third] {
        assert_eq!(answer["stdout"], "honest\nevil\n", "{answer:#}");
    }
    let compiled = [&one, &other, &third].into_iter().filter(|answer| !is_cached(answer)).count();
    assert_eq!(compiled, 1, "one compiles, the others wait for it");
    let again = same().await;
    assert!(is_cached(&again) && again["stdout"] == "honest\nevil\n", "{again:#}");

    // Another key is another: it is not even told by the time that takes.
    let (_, secret) = key(&platform, &json!({ "name": "judge", "scopes": ["runs"] })).await;
    let theirs = async || with_key(&platform, &secret, Request::post("/run").json(&cpp(&source))).await.json();
    assert!(!is_cached(&theirs().await));
    assert!(is_cached(&theirs().await));

    // What tells the time of its compiling is compiled each time, and what does not compile too.
    for source in ["int main() { return sizeof __TIME__ == 0; }", "int main() { return x; }"] {
        for _ in 0..2 {
            assert!(!is_cached(&run(&platform, &cpp(source)).await.json()), "{source}");
        }
    }
}

/// Sources, options, and whether they compile; each with something that a careless quick way would change.
const ALIKE: &[(&str, &str, bool)] = &[
    ("#include <iostream>\nint main() { std::cout << __FILE__ << __LINE__ << __COUNTER__; }", "-O1", true),
    ("#include <iostream>\nint main() { int unused; std::cout << 1; }", "-Wall", true),
    ("#include <iostream>\nint main() { std::cout << x; }", "-O1", false),
    ("#include <iostream>\nint main() { std::vector<int> v; }", "-O1", false),
    ("#include <iostream>\nint absent(); int main() { std::cout << absent(); }", "-O1", false),
    ("#include <iostream>\n#include <cstdio>\nint main() { char b[99]; std::cout << !tmpnam(b); }", "-O1", true),
    ("#define NDEBUG\n#include <cassert>\nint main() { assert(false); }", "-O1", true),
];

#[tokio::test]
async fn the_quick_way_tells_what_the_plain_way_tells() {
    let platform = Platform::start().await;
    let headers = platform.data().join("runs/headers");
    let sets = || std::fs::read_dir(&headers).map_or(0, Iterator::count);
    let compiled = async |source: &str, option: &str, note: &str| {
        let files = json!([{ "name": "main.cpp", "content": source }, { "name": "note", "content": note }]);
        let request = json!({ "language": "c++", "files": files, "compile_options": [option] });
        let answer = run(&platform, &request).await.json();
        assert!(!is_cached(&answer), "{answer:#}");
        // Names of what the compiler made for itself differ each time.
        let said = answer["compile"]["stderr"].as_str().unwrap().replace(" /**/", "");
        let said =
            said.lines().map(|line| line.replace(|c: char| c.is_ascii_alphanumeric() && line.contains("/tmp/cc"), ""));
        (answer["status"].clone(), answer["stdout"].clone(), said.collect::<Vec<_>>())
    };
    for option in ["-O1", "-Wall"] {
        let before = sets();
        // Who reads them may be busy with others, and is asked again by the next that is compiled.
        let mut asked = 0;
        wait::until("headers that were read", async || {
            asked += 1;
            compiled("#include <iostream>\nint main() {}", option, &format!("asked {asked}")).await;
            (sets() > before).then_some(())
        })
        .await;
    }
    for (source, option, compiles) in ALIKE {
        let quick = compiled(source, option, "").await;
        // With either, that is with neither the headers nor the linker, the plain way is taken.
        let plain = compiled(&source.replace("<iostream>", "<iostream> /**/"), option, "asm").await;
        assert_eq!(quick, plain, "{source}");
        assert_eq!(quick.0 != "compile_error", *compiles, "{source}: {quick:?}");
    }
}

#[tokio::test]
async fn a_compiler_is_led_neither_to_the_host_nor_beyond_its_limits() {
    let platform = Platform::start().await;
    let said = |answer: &Value| answer["compile"]["stderr"].as_str().unwrap_or_default().to_owned();
    // The control: of what is there it says what is in it.
    let there = run(&platform, &cpp("#include \"/etc/passwd\"")).await.json();
    assert!(said(&there).contains("root:x:0:0"), "{there:#}");
    let headers = platform.data().join("runs/headers").display().to_string();
    for path in
        ["/etc/shadow", "/root/.bashrc", "/proc/1/environ", "/sys/kernel/notes", headers.as_str(), "/opt/headers"]
    {
        let answer = run(&platform, &cpp(&format!("#include \"{path}\"\nint main() {{}}"))).await.json();
        assert_eq!(answer["status"], "compile_error", "{path}: {answer:#}");
        let why = ["No such file", "Permission denied", "is a directory", "Is a directory"];
        assert!(why.iter().any(|why| said(&answer).contains(why)), "{path}: {answer:#}");
    }
    let carries = |path: &str| {
        cpp(&format!(
            "#include <cstdio>\nasm(\"a: .incbin \\\"{path}\\\"\\n.byte 0\");\nextern char a[] asm(\"a\");\nint main() {{ puts(a); }}"
        ))
    };
    let there = run(&platform, &carries("/etc/passwd")).await.json();
    assert!(there["stdout"].as_str().unwrap().contains("skylift:x:"), "{there:#}");
    let secret = run(&platform, &carries("/etc/shadow")).await.json();
    assert!(secret["status"] == "compile_error" && said(&secret).contains("/etc/shadow"), "{secret:#}");

    for option in ["-fplugin=/box/x.so", "-B/box", "@file", "-I/", "-include/etc/shadow", "-o/tmp/x", "-wrapper"] {
        let mut request = cpp("int main() {}");
        request["compile_options"] = json!([option]);
        run(&platform, &request).await.is_error(422, "invalid");
    }
    // What looks like an option is a file's name.
    let source = "#include <cstdio>\nint main() { puts(\"named\"); }";
    for name in ["@file.cpp", "-fplugin=x.cpp", "--help.cpp", "$(id).cpp"] {
        let named = json!({ "language": "c++", "files": [{ "name": name, "content": source }] });
        assert_eq!(run(&platform, &named).await.json()["stdout"], "named\n", "{name}");
    }
    for (bomb, ends) in [
        ("#include \"/dev/zero\"", ["memory_limit", "compile_error"]),
        ("char big[1UL << 33] = { 1 };\nint main() { return big[9]; }", ["compile_error", "memory_limit"]),
        ("template<int N> struct X : X<N + 1> {};\nint main() { X<0> x; }", ["compile_error", "compile_error"]),
    ] {
        let answer = run(&platform, &cpp(bomb)).await.json();
        assert!(ends.iter().any(|end| answer["status"] == *end), "{bomb}: {answer:#}");
        assert!(said(&answer).len() <= 64 << 10, "{bomb}");
    }
    // Nobody is worse off for it.
    assert_eq!(run(&platform, &cpp(source)).await.json()["stdout"], "named\n");
}

#[tokio::test]
async fn where_what_waits_is_killed_programs_are_compiled_and_run() {
    let platform = Platform::start().await;
    let mut count = 0;
    let mut hello = async || {
        count += 1;
        run(&platform, &cpp(&format!("#include <cstdio>\nint main() {{ puts(\"{count}\"); }}"))).await.json()
    };
    assert_eq!(hello().await["stdout"], "1\n");
    wait::until("a run of those that wait", async || (hello().await["usage"]["start"] == "pool").then_some(())).await;
    // One for programs, one for compilers.
    let nurseries = children(platform.pid(), "nursery");
    assert_eq!(nurseries.len(), 2);
    for nursery in nurseries {
        kill(nursery).await;
        for _ in 0..3 {
            let answer = hello().await;
            assert!(answer["status"] == "ok" && answer["stdout"] != "", "{answer:#}");
        }
    }
}

/// Runs while Java compiles: starts what is to outlive the compiler, and leaves what is no file, or another's, among what was built.
const PROCESSOR: &str = r#"
import java.nio.file.*;
import java.util.*;
import javax.annotation.processing.*;
import javax.lang.model.element.TypeElement;
@SupportedAnnotationTypes("*")
public class Evil extends AbstractProcessor {
    static boolean done;
    static void run(String... words) throws Exception {
        new ProcessBuilder(words).redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
    }
    static String tried(String what, String... words) throws Exception {
        return what + " " + new ProcessBuilder(words).start().waitFor();
    }
    public boolean process(Set<? extends TypeElement> found, RoundEnvironment round) {
        if (done) return false;
        done = true;
        try {
            Path built = Path.of("/box/.built");
            Files.createSymbolicLink(built.resolve("link.class"), Path.of("/etc/passwd"));
            Files.createSymbolicLink(built.resolve("folder"), Path.of("/etc"));
            System.err.println(tried("fifo", "mkfifo", "/box/.built/fifo.class") + tried(" device", "mknod", "/box/.built/device", "c", "1", "3")
                + tried(" sets", "/bin/sh", "-c", "echo evil > /opt/headers/evil") + tried(" look", "ls", "/opt/headers"));
            run("/usr/bin/setsid", "/bin/sh", "-c", ": MARK; while :; do echo evil > /box/.built/late; sleep 0.01; done");
            while (!Files.exists(built.resolve("late"))) Thread.onSpinWait();
        } catch (Exception error) { System.err.println(error); }
        return false;
    }
    public static void main(String[] words) throws Exception {
        Files.copy(Path.of("/box/.built/Evil.class"), Path.of("/box/Evil.class"));
    }
}"#;

#[tokio::test]
async fn code_that_runs_while_something_is_compiled_leaves_files_and_nothing_else() {
    let platform = Platform::start().await;
    let languages = platform.api(Request::get("/v1/languages")).await.text();
    if !languages.contains("\"java\"") {
        eprintln!("SKIPPED java: it is not on this machine");
        return;
    }
    let java = |files: Value, outputs: &[&str]| json!({ "language": "java", "files": files, "outputs": outputs });
    let mark = format!("marked-{}", platform.pid());
    let source = PROCESSOR.replace("MARK", &mark);
    let compiles = java(json!([{ "name": "Evil.java", "content": source }]), &["Evil.class"]);
    let made = run(&platform, &compiles).await.json();
    let evil = made["files"][0]["content"].as_str().unwrap_or_else(|| panic!("{made:#}"));

    let looks = "public class Main { public static void main(String[] words) throws Exception {
        for (String name : new java.util.TreeSet<>(java.util.List.of(new java.io.File(\"/box/.built\").list()))) System.out.println(name); } }";
    let files = json!([
        { "name": "Main.java", "content": looks },
        { "name": "Evil.class", "content": evil, "encoding": "base64" },
        { "name": "META-INF/services/javax.annotation.processing.Processor", "content": "Evil" },
    ]);
    for cached in [false, true] {
        let answer = run(&platform, &java(files.clone(), &[])).await.json();
        let said = answer["compile"]["stderr"].as_str().unwrap();
        // It did run; what it made besides files was left out, and what is the platform's it could not touch.
        assert!(said.contains("fifo 0 device 1 sets 2 look 2"), "{answer:#}");
        assert_eq!(answer["stdout"], "Main.class\nlate\n", "{answer:#}");
        assert_eq!(is_cached(&answer), cached);
    }
    assert_eq!(std::fs::read_dir(platform.data().join("runs/headers")).unwrap().count(), 0);
    let words = |pid: std::fs::DirEntry| std::fs::read(pid.path().join("cmdline")).unwrap_or_default();
    let is_marked = |words: Vec<u8>| String::from_utf8_lossy(&words).contains(&mark);
    let lives = || std::fs::read_dir("/proc").unwrap().flatten().any(|pid| is_marked(words(pid)));
    wait::until("the end of what was started", async || (!lives()).then_some(())).await;
}

#[tokio::test]
async fn a_program_has_run_for_as_long_as_it_says() {
    let platform = Platform::start().await;
    let spin = "#include <ctime>\n#include <cstdio>\n
        static double now() { timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e3 + t.tv_nsec / 1e6; }
        int main() { double began = now(); while (now() < began + 5) {} puts(\"5 ms\"); }";
    let run = crate::run(&platform, &json!({ "language": "c++", "source": spin, "stdins": vec![""; 8] })).await.json();
    let walls: Vec<u64> =
        run["runs"].as_array().unwrap().iter().map(|run| run["usage"]["wall_us"].as_u64().unwrap()).collect();
    assert!(walls.len() == 8 && walls.iter().all(|wall| *wall >= 5_000), "{walls:?}");
}
