//! What kind of project a source is, and the plan for it.
