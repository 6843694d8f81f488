//! An index of packages on this machine's loopback, made on the spot.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Makes a wheel, and a package that has to be built, whose code says what it saw.
const MAKE: &str = r#"
import hashlib, io, os, sys, tarfile, zipfile
root = sys.argv[1]

def wheel(name, files):
    info = name + '-1.0.dist-info/'
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as archive:
        for path, text in files.items(): archive.writestr(path, text)
        archive.writestr(info + 'METADATA', 'Metadata-Version: 2.1\nName: %s\nVersion: 1.0\n' % name)
        archive.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
        archive.writestr(info + 'RECORD', '')
    return out.getvalue()

def put(name, file, data):
    os.makedirs(root + '/simple/' + name, exist_ok=True)
    with open(root + '/simple/' + name + '/' + file, 'wb') as out: out.write(data)
    link = '<a href="%s#sha256=%s">%s</a>' % (file, hashlib.sha256(data).hexdigest(), file)
    with open(root + '/simple/' + name + '/index.html', 'w') as out: out.write('<!DOCTYPE html><html><body>' + link + '</body></html>')

put('said', 'said-1.0-py3-none-any.whl', wheel('said', {'said.py': 'VALUE = 42\n'}))

BACKEND = '''
import os, zipfile
def build_wheel(folder, *_):
    name = 'brings-1.0-py3-none-any.whl'
    saw = (os.getuid(), os.path.exists(%r), os.path.exists('/root/.ssh') or os.path.exists('/proc/1/environ') and bool(open('/proc/1/environ').read()))
    with zipfile.ZipFile(os.path.join(folder, name), 'w') as archive:
        archive.writestr('brings.py', 'SAW = ' + repr(saw))
        archive.writestr('brings-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: brings\\nVersion: 1.0\\n')
        archive.writestr('brings-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
        archive.writestr('brings-1.0.dist-info/RECORD', '')
    return name
''' % os.path.dirname(root)
files = {
    'pyproject.toml': '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n[project]\nname = "brings"\nversion = "1.0"\n',
    'backend.py': BACKEND,
    'PKG-INFO': 'Metadata-Version: 2.1\nName: brings\nVersion: 1.0\n',
}
out = io.BytesIO()
with tarfile.open(fileobj=out, mode='w:gz') as archive:
    for path, text in files.items():
        entry = tarfile.TarInfo('brings-1.0/' + path)
        entry.size = len(text.encode())
        archive.addfile(entry, io.BytesIO(text.encode()))
put('brings', 'brings-1.0.tar.gz', out.getvalue())
"#;

/// Serves it, until it is dropped.
pub(crate) struct Index {
    /// Host and port.
    pub(crate) address: String,
    server: Child,
    _folder: TempDir,
}

impl Index {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("index");
        std::fs::create_dir(&made).unwrap();
        let done = Command::new("/usr/bin/python3").args(["-c", MAKE]).arg(&made).status().unwrap();
        assert!(done.success());
        let mut server = Command::new("/usr/bin/python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
            .arg(&made)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split("port ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        Self { address: format!("127.0.0.1:{port}"), server, _folder: folder }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
