//! A folder inside the sandbox, read out as frames.
