//! Query strings: what was parsed parses to the same again once it is written out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use libprocess::http::{Request, parse_query};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

fuzz_target!(|text: &str| {
    let parsed = parse_query(text);
    if let Ok(parameters) = &parsed {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs = parameters.iter().map(|(key, value)| [encode(key), encode(value)].join("="));
        let written = pairs.collect::<Vec<_>>().join("&");
        assert_eq!(parse_query(&written).as_ref(), Ok(parameters));
    }
    let request = Request::new("GET", &format!("/id/name?{text}"));
    assert_eq!(request.is_ok(), parsed.is_ok());
    if let Ok(request) = Request::new("GET", text) {
        let _ = (request.receiver(), request.endpoint());
    }
});
