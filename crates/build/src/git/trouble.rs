//! What Git's complaints mean, in words for the person who deploys.

use crate::frames::{Refusal, RefusalCode};

/// What a failed command of Git's should be taken for, by what it printed.
pub(super) fn explain(words: &str, reference: Option<&str>) -> Refusal {
    let has = |needles: &[&str]| needles.iter().any(|needle| words.contains(needle));
    let refusal = |code, message: &str, hint: &str| Refusal::new(code, message.to_owned(), hint.to_owned());
    if has(&["403 from proxy", "tunnel failed, response 403"]) {
        return refusal(
            RefusalCode::GitUnreachable,
            "the Git server's address may not be reached from here",
            "private addresses must be allowed by the owner: [build.egress] allow",
        );
    }
    if has(&["couldn't find remote ref", "Remote branch", "not our ref", "unadvertised object", "invalid refspec"]) {
        let message = match reference {
            Some(name) => format!("the repository has no branch, tag or commit `{name}`"),
            None => "the repository has no default branch; is it empty?".to_owned(),
        };
        return Refusal::new(RefusalCode::GitRef, message, "name another one with --branch");
    }
    if has(&["Authentication failed", "could not read Username", "Permission denied (", "error: 401", "error: 403"]) {
        return refusal(
            RefusalCode::GitAuth,
            "the Git server wants other credentials",
            "give a token (--git-token-file) for https, or a private key (--deploy-key) for ssh",
        );
    }
    if has(&["Host key verification failed"]) {
        return refusal(
            RefusalCode::GitAuth,
            "the Git server's host key is not a known one",
            "the owner lists known keys in the file named by [build.git] known_hosts",
        );
    }
    if has(&[
        "not found",
        "does not appear to be a git repository",
        "does not exist",
        "error: 404",
        "access denied or repository not exported",
    ]) {
        return refusal(
            RefusalCode::GitNotFound,
            "there is no such repository, or it is private",
            "check the address; private ones need a token or a deploy key",
        );
    }
    if has(&["Operation too slow", "timed out", "Connection timed out"]) {
        return refusal(RefusalCode::GitTimedOut, "the Git server took too long to answer", "try again");
    }
    if has(&[
        "Could not resolve host",
        "Failed to connect",
        "Connection refused",
        "unable to connect",
        "Empty reply",
        "CONNECT tunnel failed",
        "Proxy CONNECT aborted",
        "Could not read from remote repository",
        "502",
        "504",
    ]) {
        return refusal(
            RefusalCode::GitUnreachable,
            "the Git server cannot be reached",
            "check the address, or try again",
        );
    }
    if has(&["fsck error", "fatal: bad object", "hasDotgit", "gitmodules"]) {
        return refusal(
            RefusalCode::GitFailed,
            "the repository holds objects that Git refuses",
            "run `git fsck` on it",
        );
    }
    let last = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    Refusal::new(RefusalCode::GitFailed, format!("Git failed: {}", last.trim()), "see the log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gits_words_are_told_apart() {
        for (words, code) in [
            ("fatal: couldn't find remote ref nope", RefusalCode::GitRef),
            ("fatal: Authentication failed for 'https://h/x'", RefusalCode::GitAuth),
            ("git@h: Permission denied (publickey).", RefusalCode::GitAuth),
            ("fatal: repository 'https://h/x' not found", RefusalCode::GitNotFound),
            ("fatal: unable to access: Received HTTP code 403 from proxy after CONNECT", RefusalCode::GitUnreachable),
            ("fatal: unable to connect to h: Connection refused", RefusalCode::GitUnreachable),
            ("fatal: Operation too slow. Less than 1000 bytes/sec", RefusalCode::GitTimedOut),
            ("anything else", RefusalCode::GitFailed),
        ] {
            assert_eq!(explain(words, None).code, code, "{words}");
        }
    }
}
