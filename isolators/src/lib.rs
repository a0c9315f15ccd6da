//! One actor per isolator
