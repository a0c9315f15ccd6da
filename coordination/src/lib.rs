//! Leader election and detection, replicated log, state storage
