//! Archives, folders and clones against the threats of intake: each attack has its refusal, and where a defence could
//! be imagined away, a control shows that the attack works without it.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what is skipped is skipped aloud; seeds are told")]

mod intake {
    mod archives;
    mod bombs;
    mod clones;
    mod differential;
    mod folders;
    mod hostile_repos;
    mod hostile_tar;
    mod hostile_zip;
    mod mutations;
    mod received;
    mod remotes;
    mod repository;
    mod stream;
    mod tarball;
    mod zipball;
}
