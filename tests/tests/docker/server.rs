//! The program in the images of these tests: a server of std alone, linked statically, so that an image needs nothing else.
//! Its first argument may be a step of a build.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

unsafe extern "C" {
    fn signal(signum: i32, handler: extern "C" fn(i32)) -> usize;
    fn _exit(code: i32) -> !;
}

extern "C" fn told_to_end(_: i32) {
    let _ = std::io::stdout().write_all(b"told to end\n");
    unsafe { _exit(0) }
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("fail") => {
            println!("about to fail");
            std::process::exit(4)
        }
        Some("sleep") => {
            println!("sleeping");
            std::thread::sleep(Duration::from_secs(600))
        }
        Some("connect") => println!("{}", connect(&std::env::args().nth(2).unwrap())),
        Some("chatter") => loop {
            println!("{}", "x".repeat(1000));
        },
        Some("end") => std::process::exit(7),
        Some("link") => std::os::unix::fs::symlink("/tmp", std::env::args().nth(2).unwrap()).unwrap(),
        Some("remove") => std::fs::remove_file(std::env::args().nth(2).unwrap()).unwrap(),
        Some("say") => println!("{}", std::env::args().nth(2).unwrap()),
        _ => serve(),
    }
}

fn serve() {
    if std::env::var_os("DEAF").is_none() {
        unsafe { signal(15, told_to_end) };
    } else {
        unsafe { signal(15, ignore) };
    }
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| "-".to_owned());
    let listener = TcpListener::bind(format!("{}:{}", variable("HOST"), variable("PORT"))).unwrap();
    println!("listening on {}", variable("PORT"));
    if let Ok(folder) = std::env::var("FILES_PATH") {
        std::thread::spawn(move || beat(&folder, &format!("beat-{}", variable("SKYLIFT_INSTANCE"))));
    }
    eprintln!("a word of complaint, and {}", variable("SECRET"));
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || answer(stream));
    }
}

extern "C" fn ignore(_: i32) {}

/// Writes a beat every few milliseconds, and leaves a note of any other that moves: a second writer.
fn beat(folder: &str, own: &str) {
    let mut seen = std::collections::HashMap::new();
    for count in 0_u64.. {
        let _ = std::fs::write(format!("{folder}/{own}"), count.to_string());
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with("beat-") || name == own {
                continue;
            }
            let now = std::fs::read_to_string(entry.path()).unwrap_or_default();
            if seen.insert(name.clone(), now.clone()).is_some_and(|before| before != now) {
                let _ = append(&format!("{folder}/second-writer"), &name);
            }
        }
        std::thread::sleep(Duration::from_millis(4));
    }
}

fn append(path: &str, word: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{word} ").as_bytes())
}

fn answer(mut stream: TcpStream) {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(length) => head.extend_from_slice(&piece[..length]),
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or("/").to_owned();
    let (path, argument) = target.split_once('?').unwrap_or((&target, ""));
    let said = say(path, argument);
    let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{said}", said.len());
}

fn say(path: &str, argument: &str) -> String {
    match path {
        "/env" => std::env::var(argument).unwrap_or_else(|_| "-".to_owned()),
        "/die" => std::process::exit(3),
        "/abort" => std::process::abort(),
        "/eat" => {
            let mut eaten = Vec::new();
            loop {
                eaten.push(vec![1_u8; 1 << 20]);
            }
        }
        "/threads" => {
            let live = || std::thread::Builder::new().stack_size(16384).spawn(|| std::thread::sleep(Duration::from_secs(5)));
            let count = (0..1000).take_while(|_| live().is_ok()).count();
            count.to_string()
        }
        // Piece by piece, since it has less memory than that.
        "/write" => match std::fs::File::create(argument)
            .and_then(|mut file| (0..100).try_for_each(|_| file.write_all(&[1_u8; 1 << 20])))
        {
            Ok(()) => "written".to_owned(),
            Err(error) => error.to_string(),
        },
        "/many" => {
            std::fs::create_dir(argument).unwrap();
            (0..20_000).for_each(|name| drop(std::fs::File::create(format!("{argument}/{name}"))));
            "made".to_owned()
        }
        "/hold" => {
            let mut file = std::fs::File::create(argument).unwrap();
            std::fs::remove_file(argument).unwrap();
            (0..100).for_each(|_| file.write_all(&[1_u8; 1 << 20]).unwrap());
            std::thread::sleep(Duration::from_secs(600));
            "held".to_owned()
        }
        "/append" => match append(argument.split(':').next().unwrap(), argument.split(':').nth(1).unwrap()) {
            Ok(()) => "appended".to_owned(),
            Err(error) => error.to_string(),
        },
        "/read" => std::fs::read_to_string(argument).unwrap_or_else(|error| error.to_string()),
        "/connect" => connect(argument),
        _ => option_env!("VERSION").unwrap_or("one").to_owned(),
    }
}

fn connect(to: &str) -> String {
    let address = match to.to_socket_addrs().map(|mut addresses| addresses.next()) {
        Ok(Some(address)) => address,
        other => return format!("not resolved: {other:?}"),
    };
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(3)) else {
        return "not connected".to_owned();
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(3)));
    let _ = write!(stream, "GET / HTTP/1.0\r\n\r\n");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    format!("read {} bytes: {answer}", answer.len())
}
