//! [`HAPPENINGS`]: what can happen at `/mcp`, by name.

/// What can happen at `/mcp`, by the names under which it is counted.
pub const HAPPENINGS: [&str; 2] = ["one object", "stream"];
