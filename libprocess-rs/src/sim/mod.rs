//! The simulator: virtual time, one ordered queue, seeded randomness, faults as rules.
