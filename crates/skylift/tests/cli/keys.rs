//! `skylift keys`: made with an id, revoked by name or id.

use http::Method;

use crate::program::User;

#[test]
fn a_key_is_told_with_its_id_and_revoked_by_its_name_where_one_is_called_so() {
    let user = User::new();
    let create = |name: &str| {
        let made = user.run(&["keys", "create", name, "--scope", "runs"]);
        assert_eq!(made.result(), "skylift_key_x\n", "the key alone is the result");
        let id = made.stderr.split(' ').next().unwrap().to_owned();
        assert!(id.starts_with("t-") && made.stderr.contains(name), "{}", made.stderr);
        id
    };
    let (judge, twin, other) = (create("judge"), create("twin"), create("twin"));
    let typo = user.run(&["keys", "rm", "jugde"]);
    assert_eq!(typo.code, Some(3), "{typo:?}");
    assert!(typo.stderr.contains("did you mean `judge`?"), "{}", typo.stderr);
    let two = user.run(&["keys", "rm", "twin"]);
    assert_eq!(two.code, Some(5), "{two:?}");
    assert!(two.stderr.contains(&twin) && two.stderr.contains(&other), "{}", two.stderr);
    assert_eq!(user.fake.state().keys.len(), 3, "nothing was guessed");

    assert!(user.run(&["keys", "rm", "judge"]).stderr.contains(&judge));
    user.run(&["keys", "rm", &twin]).result();
    assert_eq!(user.fake.state().keys.len(), 1);
    user.run(&["keys", "rm", "twin"]).result();
    assert_eq!(user.fake.seen(Method::DELETE, "/v1/keys/*").len(), 3);
}
