//! What a zygote does where the host has gone in the middle of an entry: a step of its script, with nothing around it.

use std::process::Command;

/// The script without its last lines, which begin its life. `enter` does nothing, and the payload ends at once.
const GONE: &str = "
import sys
script = open(sys.argv[1]).read()
body, begins = script.rsplit('\\n\\n\\n', 1)
assert begins.strip() == 'zygote()', begins
exec(body)
enter = lambda descriptor, kinds: None
payload = lambda *_: os._exit(7)
here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
here.close()
born = bear(b'0 0 0', [os.open('/', os.O_RDONLY) for _ in range(2)] + [there.detach()], None)
print('nobody is known' if born is None else 'known')
if born:
    bury(*born)
try:
    os.waitpid(-1, os.WNOHANG)
    print('and not buried')
except ChildProcessError:
    print('and buried')";

#[test]
fn who_was_born_is_buried_though_the_host_has_gone() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/zygote/python.py");
    // The copy that runs as nobody may not read it, and it is the same.
    if std::fs::File::open(script).is_err() {
        return;
    }
    let output = Command::new("/usr/bin/python3").args(["-c", GONE, script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "known\nand buried\n", "{}", String::from_utf8_lossy(&output.stderr));
}
