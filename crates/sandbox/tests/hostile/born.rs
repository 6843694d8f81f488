//! What a zygote does where the host does not want to hear of who was born: its script, with this process's own namespaces as the sandbox.

use std::process::Command;

/// A host that has the library beside it, has the zygote fork a program, and closes all but what tells that program what it is.
const HOST: &str = "
import os, socket, sys
script = open(sys.argv[1]).read().replace('/run/zygote.so', sys.argv[2])
here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
(order_read, order), (said, stdout) = os.pipe(), os.pipe()
here.send(b'json')
zygote = os.fork()
if zygote == 0:
    os.dup2(there.fileno(), 1)
    os.closerange(3, 1000)
    exec(script)
there.close()
assert here.recv(100) == b'\"Prepared\"'
told, wants_nothing = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
wants_nothing.close()
with open('/proc/self/fd/0') as nothing:
    pidfd = os.pidfd_open(os.getpid())
    socket.send_fds(here, [b'0 0 0'], [pidfd, order_read, told.fileno(), nothing.fileno(), stdout, stdout])
for mine in (told, here): mine.close()
for mine in (order_read, stdout): os.close(mine)
program = sys.argv[3].encode()
os.write(order, b'1000000\\0' + b'64\\0' + b'\\0' + b'/\\0' + b'1\\0' + program + b'\\0')
os.close(order)
print(os.read(said, 100).decode().strip())
print('the zygote has ended', os.waitstatus_to_exitcode(os.waitpid(zygote, 0)[1]))";

#[test]
fn who_was_born_is_waited_for_though_the_host_has_gone() {
    if !rustix::process::geteuid().is_root() {
        return; // Nobody else may enter namespaces that are not new.
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program.py");
    std::fs::write(&program, "print('and the program has run')").unwrap();
    let at = |name: &str| format!("{}/interpreters/python/{name}", env!("CARGO_MANIFEST_DIR"));
    let library = skylift_sandbox::ZygoteSpec::python().unwrap().beside.remove("zygote.so").unwrap();
    let library_at = folder.path().join("zygote.so");
    std::fs::write(&library_at, library).unwrap();
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", HOST, &at("zygote.py")]).arg(library_at).arg(program).stdin(std::process::Stdio::null());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "and the program has run\nthe zygote has ended 0\n", "{told}");
}
