//! The guest's name server.

use super::guest::Setting;
use super::internet::Internet;
use crate::policy::Policy;

#[tokio::test]
async fn questions_reach_nobody_outside() {
    let internet = Internet::new();
    let guest = Setting::before(&internet).start();
    for piece in 0..200 {
        let (code, ip) = guest.look_up(&format!("s3cret-{piece}.tunnel.example")).await;
        assert_eq!((code, ip.is_some()), (0, true));
    }
    assert_eq!(internet.resolved.lock().unwrap().len(), 0);
    assert_eq!(internet.connected(), [""; 0]);
}

#[tokio::test]
async fn illegal_and_unlisted_names_do_not_exist() {
    let policy = Policy {
        platform_hosts: Some(vec!["*.example.org".parse().unwrap()]),
        owner_allowed: vec!["git.lan:3000".parse().unwrap()],
        ..Policy::default()
    };
    let guest = Setting::before(&Internet::new()).policy(policy).start();
    for name in ["example.org", "evil.example", "_srv.example.org", "127.0.0.1", "0x7f.1"] {
        assert_eq!(guest.look_up(name).await, (3, None), "{name}");
    }
    for name in ["a.example.org", "A.B.EXAMPLE.ORG", "git.lan"] {
        assert_eq!(guest.look_up(name).await.0, 0, "{name}");
    }
    assert_eq!(
        guest.said(),
        [
            "refused: example.org is not on the platform's list of allowed hosts",
            "refused: evil.example is not on the platform's list of allowed hosts"
        ]
    );
}
