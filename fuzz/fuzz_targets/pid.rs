//! PIDs: whatever is read is printed in a form that reads back as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use libprocess::Pid;

fuzz_target!(|text: &str| {
    if let Ok(pid) = text.parse::<Pid>() {
        let printed = pid.to_string();
        assert_eq!(printed.parse::<Pid>(), Ok(pid));
        assert!(printed.len() <= text.len() + 8, "{text:?} grew into {printed:?}");
    }
});
