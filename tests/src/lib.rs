//! Tests of the whole, over the real executable.
