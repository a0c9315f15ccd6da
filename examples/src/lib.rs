//! Small real frameworks and small real actors
