use skylift_model::run::File as JobFile;
use skylift_model::{RunId, Timestamp};

use super::*;

fn beginning_with(source: &str, words: &[&str]) -> Beginning {
    let known = ["iostream", "vector", "map"].map(str::to_owned).into();
    let path: FilePath = "main.cpp".parse().unwrap();
    let file = JobFile { path: path.clone(), bytes: source.into() };
    let job = Job::new(RunId::new(Timestamp::from_millis(0), 0), "c++", file);
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    Beginning::of(&job, &[path], (&known, &words))
}

fn beginning(source: &str) -> Beginning {
    beginning_with(source, &["-O2"])
}

fn open() -> (tempfile::TempDir, Arc<Headers>) {
    let home = tempfile::tempdir().unwrap();
    let headers = Arc::new(Headers::open(home.path()).unwrap());
    (home, headers)
}

fn make(home: &Path, making: Making, text: &str, made: &str) -> io::Result<()> {
    let from = home.join("from");
    fs::write(&from, made).unwrap();
    let result = making.there(text, File::open(&from).unwrap(), 10);
    fs::remove_file(from).unwrap();
    result
}

const TWO: &str = "#include <iostream>\n#include <vector>\n";

#[test]
fn the_first_header_is_made_at_once_and_a_list_that_comes_again() {
    let (home, headers) = open();
    let two = beginning(TWO);
    assert_eq!(headers.find(&two), None);
    let first = headers.ask(&two).unwrap();
    assert_eq!((first.count, two.text(1).as_str()), (1, "#include <iostream>\n"));
    make(home.path(), first, &two.text(1), "read").unwrap();
    let found = headers.find(&two).unwrap();
    assert_eq!(headers.find(&beginning("#include <iostream>\nint x;")).as_ref(), Some(&found));
    assert!(headers.ask(&two).is_none());
    let whole = headers.ask(&two).unwrap();
    assert_eq!(whole.count, 2);
    assert!(headers.ask(&two).is_none(), "it is being made");
    assert_eq!(headers.find(&two).as_ref(), Some(&found));
    make(home.path(), whole, &two.text(2), "read").unwrap();
    let longer = headers.find(&two).unwrap();
    assert_ne!(longer, found);
    let file = home.path().join(longer.strip_prefix("/opt/headers/").unwrap());
    assert_eq!(fs::read_to_string(&file).unwrap(), TWO);
    assert_eq!(fs::read_to_string(file.with_file_name("set.h.gch")).unwrap(), "read");
    assert_eq!(headers.find(&beginning("#include <vector>\n#include <iostream>\n")), None, "another order");
    assert_eq!(headers.find(&beginning_with(TWO, &["-O3"])), None, "other words");
    assert_eq!(headers.find(&beginning("int x;")), None);
    assert!(headers.ask(&beginning("int x;")).is_none());
}

#[test]
fn what_cannot_be_made_is_not_tried_again() {
    let (home, headers) = open();
    let one = beginning("#include <map>");
    drop(headers.ask(&one).unwrap());
    assert!(headers.ask(&one).is_none() && headers.find(&one).is_none());
    let other = beginning("#include <vector>");
    make(home.path(), headers.ask(&other).unwrap(), "", "more than ten bytes").unwrap_err();
    assert!(headers.find(&other).is_none() && headers.ask(&other).is_none());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing is left of it");
    let third = beginning("#include <iostream>");
    headers.ask(&third).unwrap().not_yet();
    assert!(headers.ask(&third).is_some());
}

#[test]
fn compilers_may_not_look_around_and_nothing_of_an_earlier_process_counts() {
    let (home, headers) = open();
    make(home.path(), headers.ask(&beginning("#include <map>")).unwrap(), "", "read").unwrap();
    let mode = fs::metadata(home.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o711);
    drop(headers);
    let again = Headers::open(home.path()).unwrap();
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    assert_eq!(again.find(&beginning("#include <map>")), None);
}

#[test]
fn what_was_used_longest_ago_makes_room() {
    let (home, headers) = open();
    let all = ["iostream", "vector", "map"].map(|name| beginning(&format!("#include <{name}>")));
    for one in &all {
        make(home.path(), headers.ask(one).unwrap(), "", "read").unwrap();
    }
    headers.find(&all[0]).unwrap();
    let mut kept = headers.kept();
    kept.bytes = BYTES_MAX + 1;
    headers.make_room(&mut kept);
    drop(kept);
    assert!(headers.find(&all[1]).is_none());
    assert!(headers.find(&all[0]).is_some() && headers.find(&all[2]).is_some());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
}
