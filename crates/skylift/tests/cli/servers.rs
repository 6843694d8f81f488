//! Which server is spoken to, and with which token.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use http::Method;

use crate::fake::TOKEN;
use crate::program::{User, end};

#[test]
fn flags_come_before_the_environment() {
    let user = User::new();
    let mut command = user.lost(&["apps", "--url", &user.fake.url(), "--token", TOKEN]);
    let ended = end(command.env("SKYLIFT_URL", "http://127.0.0.1:1").env("SKYLIFT_TOKEN", "wrong").spawn().unwrap());
    ended.result();
}

#[test]
fn a_login_is_checked_remembered_and_private() {
    let user = User::new();
    user.write("wrong", "wrong\n");
    let refused = end(user.lost(&["login", &user.fake.url(), "--token-file", "wrong"]).spawn().unwrap());
    assert_eq!(refused.code, Some(4), "{refused:?}");
    let file = user.home.path().join(".config/skylift/login.toml");
    assert!(!file.exists());

    let mut child = user.lost(&["login", &user.fake.url()]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{TOKEN}\n").as_bytes()).unwrap();
    assert_eq!(end(child).result().trim(), user.fake.url());
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    end(user.lost(&["apps"]).spawn().unwrap()).result();
    let elsewhere = end(user.lost(&["apps", "--url", "http://127.0.0.1:1"]).spawn().unwrap());
    assert_eq!(elsewhere.code, Some(4), "a token for one server is not sent to another: {elsewhere:?}");
}

#[test]
fn a_data_folder_names_server_and_token() {
    let user = User::new();
    let nobody = end(user.lost(&["apps"]).spawn().unwrap());
    assert_eq!(nobody.code, Some(6));
    assert!(nobody.stderr.contains("skylift up"), "{}", nobody.stderr);

    for (folder, arguments) in [(".local/share/skylift", &["apps"][..]), ("other", &["apps", "--data", "other"][..])] {
        user.write(format!("{folder}/owner-token"), &format!("{TOKEN}\n"));
        user.write(format!("{folder}/listen"), &format!("{}\n", user.fake.url()));
        end(user.lost(arguments).spawn().unwrap()).result();
    }
    assert_eq!(user.fake.seen(Method::GET, "/v1/apps").len(), 2);

    let empty = end(user.lost(&["apps", "--data", "nowhere"]).spawn().unwrap());
    assert_eq!(empty.code, Some(3), "{empty:?}");
}
