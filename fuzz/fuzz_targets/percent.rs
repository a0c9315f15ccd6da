//! Percent decoding: refuses bad escapes and nothing else, and undoes encoding.

#![no_main]

use libfuzzer_sys::fuzz_target;
use libprocess::http::decode_component;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

fn has_bad_escape(text: &str) -> bool {
    text.split('%').skip(1).any(|rest| {
        let hex = rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count();
        hex < 2
    })
}

fuzz_target!(|text: &str| {
    match decode_component(text) {
        Ok(decoded) => {
            assert!(!has_bad_escape(text));
            let encoded = utf8_percent_encode(&decoded, NON_ALPHANUMERIC).to_string();
            assert_eq!(decode_component(&encoded), Ok(decoded));
        }
        Err(_) => assert!(has_bad_escape(text)),
    }
});
