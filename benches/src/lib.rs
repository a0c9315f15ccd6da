//! One file per performance claim
