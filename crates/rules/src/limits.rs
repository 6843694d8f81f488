//! How much of each file is read. Beyond these, lines are rejected, and the build's log says so.

/// The longest file, in bytes.
pub const FILE_BYTES_MAX: usize = 8 << 20;
/// The longest path or target of a rule, in bytes.
pub const RULE_BYTES_MAX: usize = 2048;
/// The most redirects.
pub const RULES_MAX: usize = 100_000;
/// The most redirects with placeholders or `*`.
pub const PATTERNS_MAX: usize = 5_000;
/// The most of these that can match any path, such as `/:lang/*`.
pub const WILDCARDS_MAX: usize = 500;
/// The most blocks of headers.
pub const HEADER_BLOCKS_MAX: usize = 1_000;
/// The most fields in one block.
pub const HEADER_FIELDS_MAX: usize = 64;
/// The most bytes that one field's value may have.
pub const HEADER_BYTES_MAX: usize = 8 << 10;
/// The most entries in each list of `vercel.json`; Vercel's own limit.
pub const VERCEL_ENTRIES_MAX: usize = 2048;
/// How many instructions all expressions of one `vercel.json` may come to; a usual entry has 30.
pub const VERCEL_INSTRUCTIONS_MAX: usize = 500_000;
/// The longest text in an entry of `vercel.json`, in bytes; Vercel's own limit.
pub const VERCEL_TEXT_BYTES_MAX: usize = 4096;
