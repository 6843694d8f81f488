//! What Git's complaints mean, in words for the person who deploys.

use super::reference::GitRef;
use crate::frames::{Refusal, RefusalCode};

/// What a failed command of Git's should be taken for, by what it printed. The first that fits counts.
pub(super) fn explain(words: &str, reference: Option<&str>, stall_seconds: u64) -> Refusal {
    let has = |needles: &[&str]| needles.iter().any(|needle| words.contains(needle));
    let refusal = |code, message: &str, hint: &str| Refusal::new(code, message, hint);
    // The proxy of the sandbox says so itself where it is asked without a tunnel.
    if has(&["403 from proxy", "tunnel failed, response 403", "remote: refused: "]) {
        return refusal(
            RefusalCode::GitForbidden,
            "the Git server's address, or one that it points to, may not be reached from here",
            "private addresses must be allowed by the owner: [build.egress] allow",
        );
    }
    if has(&["mismatched algorithms", "unknown hash algorithm"]) {
        return refusal(
            RefusalCode::GitFormat,
            "the repository names its objects in a way that the Git of this server does not know",
            "bring Git up to date on the server",
        );
    }
    if has(&["couldn't find remote ref", "Remote branch", "not our ref", "unadvertised object", "invalid refspec"]) {
        return not_there(words, reference);
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
    if has(&["Operation too slow"]) {
        let message = format!("the Git server sent next to nothing for {stall_seconds} s");
        return Refusal::new(
            RefusalCode::GitTimedOut,
            message,
            "try again; the owner can raise [build.git] stall_seconds",
        );
    }
    if has(&["timed out", "Connection timed out"]) {
        return refusal(RefusalCode::GitTimedOut, "the Git server took too long to answer", "try again");
    }
    if has(FSCK) {
        return refusal(
            RefusalCode::GitRefused,
            "the repository holds objects that Git refuses",
            "run `git fsck` on it",
        );
    }
    if has(OUT_OF_MEMORY) {
        return refusal(
            RefusalCode::GitRefused,
            "memory limit: the repository, or what its server says of it, is too large",
            "the owner can raise [build] memory_bytes",
        );
    }
    if has(BROKE_OFF) {
        return refusal(
            RefusalCode::GitUnreachable,
            "the Git server cannot be reached, or broke off",
            "check the address, or try again",
        );
    }
    let last = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    Refusal::new(RefusalCode::GitFailed, format!("Git failed: {}", last.trim()), "see the log")
}

/// What Git says of objects that it does not take.
const FSCK: &[&str] = &["fsck error", "fatal: bad object", "hasDotgit", "gitmodules", "fsck: error"];

/// What Git says where it gets no more memory.
const OUT_OF_MEMORY: &[&str] = &["Out of memory", "out of memory", "signal 9"];

/// What Git and curl say of servers that are away, have trouble, or leave in the middle.
const BROKE_OFF: &[&str] = &[
    "Could not resolve host",
    "Failed to connect",
    "Connection refused",
    "unable to connect",
    "Empty reply",
    "CONNECT tunnel failed",
    "Proxy CONNECT aborted",
    "Could not read from remote repository",
    "error: 500",
    "error: 502",
    "error: 503",
    "error: 504",
    "early EOF",
    "unexpected disconnect",
    "hung up unexpectedly",
    "transfer closed",
    "Recv failure",
];

/// The name or commit that was asked for is not in the repository, or is no longer.
fn not_there(words: &str, reference: Option<&str>) -> Refusal {
    let hash = reference.filter(|name| name.parse::<GitRef>().is_ok_and(|name| name.is_hash()));
    if let Some(hash) = hash {
        return Refusal::new(
            RefusalCode::GitRef,
            format!("the commit `{hash}` is gone from the repository, or was never in it"),
            "its branch may have been deleted or overwritten; name a branch or another commit with --branch",
        );
    }
    if words.contains("not our ref") || words.contains("unadvertised object") {
        return Refusal::new(RefusalCode::GitMoved, "the branch was overwritten while it was cloned", "deploy again");
    }
    let message = match reference {
        Some(name) => format!("the repository has no branch, tag or commit `{name}`"),
        None => "the repository has no default branch; is it empty?".to_owned(),
    };
    Refusal::new(RefusalCode::GitRef, message, "name another one with --branch")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789012345678901234567890123456789";

    #[test]
    fn gits_words_are_told_apart() {
        for (words, code) in [
            ("fatal: couldn't find remote ref nope", RefusalCode::GitRef),
            ("fatal: Authentication failed for 'https://h/x'", RefusalCode::GitAuth),
            ("git@h: Permission denied (publickey).", RefusalCode::GitAuth),
            ("fatal: repository 'https://h/x' not found", RefusalCode::GitNotFound),
            ("fatal: unable to access: Received HTTP code 403 from proxy after CONNECT", RefusalCode::GitForbidden),
            ("remote: refused: h:80 is private\nfatal: unable to access: error: 403", RefusalCode::GitForbidden),
            ("fatal: unable to connect to h: Connection refused", RefusalCode::GitUnreachable),
            ("fatal: unable to access: The requested URL returned error: 502", RefusalCode::GitUnreachable),
            ("fatal: early EOF\nfatal: fetch-pack: invalid index-pack output", RefusalCode::GitUnreachable),
            ("fatal: Operation too slow. Less than 1000 bytes/sec", RefusalCode::GitTimedOut),
            ("fatal: mismatched algorithms: client sha1; server sha256", RefusalCode::GitFormat),
            (
                "error: object 502502: hasDotgit: contains '.git'\nfatal: fsck error in packed object",
                RefusalCode::GitRefused,
            ),
            ("fatal: Out of memory, calloc failed", RefusalCode::GitRefused),
            ("error: remote unpack failed at object 502504", RefusalCode::GitFailed),
            ("anything else", RefusalCode::GitFailed),
        ] {
            assert_eq!(explain(words, None, 30).code, code, "{words}");
        }
    }

    #[test]
    fn a_commit_that_is_gone_is_told_from_a_branch_that_moves() {
        let words = format!("fatal: remote error: upload-pack: not our ref {HASH}");
        let gone = explain(&words, Some(HASH), 30);
        assert!(gone.code == RefusalCode::GitRef && gone.message.contains("is gone"), "{gone}");
        assert_eq!(explain(&words, Some("main"), 30).code, RefusalCode::GitMoved);
        assert_eq!(explain(&words, None, 30).code, RefusalCode::GitMoved);
    }
}
