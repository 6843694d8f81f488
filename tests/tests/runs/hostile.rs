//! Hostile code, through the API: the attacks of the threat model's list for runs, against the sandboxes that runs get. Each attack
//! says `held`, or what it reached. The sandbox's own tests have them with each defence removed.

use serde_json::{Value, json};
use skylift_tests::{Platform, Request, skip, wait};

use crate::run;

async fn python(platform: &Platform, source: &str, more: Value) -> Value {
    let mut request = json!({ "language": "python", "source": source });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = run(platform, &request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn held(run: &Value) {
    assert!(run["stdout"].as_str().unwrap().starts_with("held") && run["status"] == "ok", "{run:#}");
}

#[tokio::test]
async fn nothing_of_the_host_is_reached() {
    reaches_nothing_of_the_host(&Platform::start().await).await;
}

async fn reaches_nothing_of_the_host(platform: &Platform) {
    // Ports of the host that surely listen: the platform's, and one of ours.
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let ports = [platform.port(), listener.local_addr().unwrap().port()].map(|port| port.to_string());
    // The first is forked or cold, the others of the pool.
    for _ in 0..2 {
        held(&python(platform, include_str!("hostile/files.py"), json!({})).await);
        held(&python(platform, include_str!("hostile/kernel.py"), json!({})).await);
        held(&python(platform, include_str!("hostile/network.py"), json!({ "args": ports })).await);
        held(&python(platform, include_str!("hostile/shared.py"), json!({})).await);
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "somebody came");
}

#[tokio::test]
async fn nothing_of_a_run_is_found_by_another_and_chance_differs() {
    finds_nothing_of_another(&Platform::start().await).await;
}

async fn finds_nothing_of_another(platform: &Platform) {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..6 {
        let left = python(platform, include_str!("hostile/leave.py"), json!({ "env": { "OWN": "secret" } })).await;
        assert_eq!(left["stdout"], "left\n", "{left}");
        let found = python(platform, include_str!("hostile/find.py"), json!({})).await;
        held(&found);
        assert!(seen.insert(found["stdout"].as_str().unwrap().to_owned()), "the same chance twice: {found}");
    }
}

#[tokio::test]
async fn what_is_left_is_read_through_no_link_and_as_it_is_named() {
    leaves_nothing_but_files(&Platform::start().await).await;
}

async fn leaves_nothing_but_files(platform: &Platform) {
    let outputs = json!({ "outputs": ["out/**"] });
    for _ in 0..3 {
        let run = python(platform, include_str!("hostile/artefacts.py"), outputs.clone()).await;
        held(&run);
        let files = run["files"].as_array().unwrap();
        let name = |file: &Value| file["name"].as_str().unwrap().to_owned();
        let all: Vec<String> = files.iter().map(name).collect();
        for file in files {
            let content = file["content"].as_str().unwrap();
            assert!(["real", "own", "dash", "unicode"].contains(&content), "{file}");
        }
        assert!(all.contains(&"out/real/file.txt".to_owned()) && all.contains(&"out/-rf".to_owned()), "{all:?}");
        assert!(!all.iter().any(|name| name.contains("shadow") || name.contains("linked-dir")), "{all:?}");
    }
}

#[tokio::test]
async fn limits_end_what_takes_too_much_and_nothing_else() {
    let platform = Platform::start().await;
    let small = json!({ "limits": { "wall_ms": 1500, "memory_bytes": 64 << 20, "pids": 20, "disk_bytes": 1 << 20, "output_bytes": 1000 } });
    for (what, source, statuses) in [
        ("memory", "x = bytearray(200 << 20)", &["memory_limit"][..]),
        ("anonymous files", "import os\nwhile True: os.write(os.memfd_create('x'), bytes(1 << 20))", &["memory_limit"]),
        ("files", "open('/box/x', 'wb').write(bytes(2 << 20))", &["exit_nonzero"]),
        ("many files", "import os\nfor n in range(100000): os.mknod(f'/box/{n}')", &["exit_nonzero"]),
        ("a sparse file", "open('/box/x', 'wb').truncate(1 << 40)", &["exit_nonzero", "signal"]),
        ("forks", "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", &["time_limit", "cpu_limit"]),
        (
            "threads",
            "import threading, time\nfor n in range(100): threading.Thread(target=time.sleep, args=(9,)).start()",
            &["exit_nonzero", "time_limit"],
        ),
        (
            "signals",
            "import signal, time\nfor n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n    except OSError: pass\nwhile True: time.sleep(1)",
            &["time_limit"],
        ),
        (
            "everybody killed",
            "import os, signal\nif os.fork() == 0: os.kill(-1, signal.SIGKILL)\nimport time; time.sleep(9)",
            &["time_limit", "signal"],
        ),
        ("output", "import os\nwhile True: os.write(1, b'x')", &["output_limit"]),
        ("closed streams", "import os\nos.close(0); os.close(1); os.close(2)", &["ok"]),
        (
            "other descriptors",
            "import os\nfor fd in range(3, 1024):\n    try: os.write(fd, b'{\"exit\":0}')\n    except OSError: pass\nos._exit(5)",
            &["exit_nonzero"],
        ),
        (
            "a large hole in memory",
            "import mmap\nm = mmap.mmap(-1, 1 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)\nm[0] = 1",
            &["ok"],
        ),
    ] {
        let run = python(&platform, source, small.clone()).await;
        let status = run["status"].as_str().unwrap();
        assert!(statuses.contains(&status), "{what}: {run:#}");
        held(&python(&platform, "print('held')", json!({})).await);
    }
}

/// The whole platform as an ordinary user, who has no control groups: memory and processors are not limited then, and that is said.
#[tokio::test]
async fn an_ordinary_users_platform_holds_and_says_what_it_does_not_limit() {
    let test = "an_ordinary_users_platform_holds_and_says_what_it_does_not_limit";
    if !skip::unless_root(test) || !skip::unless_own_stores(test) {
        return;
    }
    let platform = Platform::of_nobody("").await;
    reaches_nothing_of_the_host(&platform).await;
    finds_nothing_of_another(&platform).await;
    leaves_nothing_but_files(&platform).await;
    let closed = "import os\nos.mkdir('out'); os.chmod('out', 0); os.chmod('/box', 0); print('held')";
    held(&python(&platform, closed, json!({ "outputs": ["**"] })).await);
    let small = |wall_ms: u64| json!({ "limits": { "wall_ms": wall_ms, "pids": 20, "disk_bytes": 1 << 20, "output_bytes": 1000 } });
    for (source, status) in [
        ("import time; time.sleep(9)", "time_limit"),
        ("import os\nfor n in range(1000): os.write(1, bytes(100))", "output_limit"),
        ("open('/box/x', 'wb').write(bytes(2 << 20))", "exit_nonzero"),
        (
            "import os, time\nfor n in range(100):\n    try:\n        if os.fork() == 0: time.sleep(9)\n    except OSError: os._exit(3)",
            "exit_nonzero",
        ),
        (
            "import os, signal\nif os.fork() == 0: os.setsid()\nos.kill(-1, signal.SIGSTOP)\nwhile True: pass",
            "time_limit",
        ),
    ] {
        // Others' time is not what they meet, however busy the machine is.
        let wall_ms = if status == "time_limit" { 500 } else { 8000 };
        let run = wait::until("nothing is left of the run before", async || {
            let run = python(&platform, source, small(wall_ms)).await;
            // Processes are counted for the user, and those of a run that has been told are only then ended.
            let is_left = status != "exit_nonzero" && run["stderr"].as_str()?.contains("BlockingIOError");
            (!is_left).then_some(run)
        });
        let run = run.await;
        assert_eq!(run["status"], status, "{source}: {run:#}");
    }
    let cpp = json!({ "language": "c++", "source": "#include \"/etc/shadow\"\nint main() {}" });
    assert_eq!(run(&platform, &cpp).await.json()["status"], "compile_error");
    let node = json!({ "language": "node", "source": "try { require('fs').readFileSync('/etc/shadow') } catch { console.log('held') }" });
    held(&run(&platform, &node).await.json());
    // Where this user had groups of its own, nothing would be missing.
    let health = platform.api(Request::get("/healthz")).await.text();
    assert!(health.starts_with("ok\n") && health.contains("reduced: ") && health.contains("memory"), "{health}");
}

#[tokio::test]
async fn ends_are_told_exactly_and_words_are_words() {
    let platform = Platform::start().await;
    for code in [0, 1, 2, 42, 126, 127, 128, 137, 254, 255] {
        let run = python(&platform, &format!("import os; os._exit({code})"), json!({})).await;
        let status = if code == 0 { "ok" } else { "exit_nonzero" };
        assert_eq!(
            (&run["exit_code"], &run["signal"], run["status"].as_str()),
            (&json!(code), &Value::Null, Some(status))
        );
    }
    for signal in [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 31] {
        let source = format!(
            "import os, signal\nsignal.signal({signal}, signal.SIG_DFL) if {signal} != 9 else 0\nos.kill(os.getpid(), {signal})"
        );
        let run = python(&platform, &source, json!({})).await;
        assert_eq!((&run["signal"], run["status"].as_str()), (&json!(signal), Some("signal")), "{run}");
    }
    let args = json!(["-c", "--help", "$(id)", "; rm -rf /", "`id`", "a b", "", "'", "\"", "\\", "ü", "*"]);
    let run = python(&platform, "import sys, json; print(json.dumps(sys.argv[1:]))", json!({ "args": args })).await;
    assert_eq!(serde_json::from_str::<Value>(run["stdout"].as_str().unwrap()).unwrap(), args);
    let bytes = "import sys; sys.stdout.buffer.write(b'a\\xff\\x00\\x1b[31m')";
    let run = python(&platform, bytes, json!({ "encoding": "hex" })).await;
    assert_eq!(run["stdout"], "61ff001b5b33316d");
    for wrong in [
        json!({ "args": ["a\u{0}b"] }),
        json!({ "files": [{ "name": "../x.py", "content": "" }] }),
        json!({ "files": [{ "name": "/etc/x.py", "content": "" }] }),
        json!({ "files": [{ "name": "a", "content": "" }, { "name": "a/b", "content": "" }] }),
        json!({ "files": [{ "name": "a\u{0}", "content": "" }] }),
        json!({ "source": "", "env": { "LD_PRELOAD=x": "" } }),
        json!({ "source": "", "env": { "A": "b\u{0}" } }),
        json!({ "source": "", "network": "all" }),
    ] {
        let mut request = wrong.clone();
        request["language"] = json!("python");
        if request.get("files").is_none() {
            request["source"] = json!("");
        }
        let answer = platform.api(Request::post("/run").json(&request)).await;
        assert!((400..500).contains(&answer.status), "{wrong}: {}", answer.text());
    }
}
