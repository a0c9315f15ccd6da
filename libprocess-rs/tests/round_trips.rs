//! What is written reads back as the same, whatever it is; what cannot be read is refused, never a
//! panic.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use bytes::Bytes;
use libprocess::Pid;
use libprocess::http::{Request, decode_component, parse_query};
use libprocess::recordio::{Decoder, RecordError, encode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Ids may hold anything but the mark that ends them; blanks around them are not theirs.
fn id() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.replace('@', "").trim().to_owned())
}

/// Text that has much of what queries and PIDs are made of.
fn nearly_legal() -> impl Strategy<Value = String> {
    vec(prop_oneof!["[a-z0-9]", "[@:.%&;=+/?() ]", "%[0-9a-fA-F]{2}", "\\PC"], 0..40)
        .prop_map(|pieces| pieces.concat())
}

/// All records of a stream that comes in pieces of these sizes, over and over.
fn read(stream: &[u8], cuts: &[usize], limit: usize) -> Result<(Vec<Bytes>, bool), RecordError> {
    let (mut decoder, mut records, mut rest) = (Decoder::new(limit), Vec::new(), stream);
    for cut in cuts.iter().cycle() {
        let (piece, left) = rest.split_at((*cut).min(rest.len()));
        decoder.push(piece);
        while let Some(record) = decoder.next()? {
            records.push(record);
        }
        if left.is_empty() {
            break;
        }
        rest = left;
    }
    Ok((records, decoder.is_complete()))
}

proptest! {
    #[test]
    fn pid_printed_reads_back(id in id(), ip in any::<[u8; 4]>(), port in any::<u16>()) {
        let pid = Pid::new(id, SocketAddrV4::new(Ipv4Addr::from(ip), port));
        prop_assert_eq!(pid.to_string().parse::<Pid>().unwrap(), pid);
    }

    #[test]
    fn pid_read_from_anything_prints_in_a_form_that_reads_back(text in nearly_legal()) {
        if let Ok(pid) = format!("x@1.2.3.4:{text}").parse::<Pid>() {
            prop_assert_eq!(pid.to_string().parse::<Pid>().unwrap(), pid);
        }
        if let Ok(pid) = text.parse::<Pid>() {
            prop_assert_eq!(pid.to_string().parse::<Pid>().unwrap(), pid);
        }
    }

    #[test]
    fn percent_encoded_text_decodes_to_itself(text in any::<String>()) {
        prop_assert_eq!(decode_component(&escaped(&text)).unwrap(), text.clone());
        // Blanks have a second spelling.
        let plus = escaped(&text).replace("%20", "+");
        prop_assert_eq!(decode_component(&plus).unwrap(), text);
    }

    #[test]
    fn percent_decoding_refuses_bad_escapes_alone(text in nearly_legal()) {
        let is_bad = text
            .split('%')
            .skip(1)
            .any(|rest| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() < 2);
        prop_assert_eq!(decode_component(&text).is_err(), is_bad);
    }

    #[test]
    fn query_written_out_parses_back(
        parameters in btree_map(any::<String>(), any::<String>(), 0..8),
        separator in prop_oneof![Just("&"), Just(";"), Just("&&"), Just(";&")],
    ) {
        let pairs = parameters.iter().map(|(key, value)| [escaped(key), escaped(value)].join("="));
        let query = pairs.collect::<Vec<_>>().join(separator);
        prop_assert_eq!(&parse_query(&query).unwrap(), &parameters);
        let request = Request::new("GET", &format!("/id/name?{query}")).unwrap();
        prop_assert_eq!(request.query, parameters);
    }

    #[test]
    fn query_of_anything_is_parsed_or_refused(text in nearly_legal()) {
        let parsed = parse_query(&text);
        let request = Request::new("GET", &format!("/a%28b/{}?{text}", text.replace('?', "")));
        prop_assert_eq!(request.is_ok(), parsed.is_ok());
        if let Ok(request) = request {
            prop_assert_eq!(request.receiver().unwrap(), "a(b");
            let _: BTreeMap<String, String> = request.query;
        }
    }

    #[test]
    fn records_come_out_as_they_went_in_however_the_stream_is_cut(
        records in vec(vec(any::<u8>(), 0..50), 0..20),
        cuts in vec(1..70_usize, 1..10),
    ) {
        let stream: Vec<u8> = records.iter().flat_map(|record| encode(record)).collect();
        let (read, complete) = read(&stream, &cuts, 50).unwrap();
        prop_assert_eq!(read, records);
        prop_assert!(complete);
    }

    #[test]
    fn records_in_any_stream_do_not_depend_on_its_cuts(
        stream in "[0-9\n]{0,60}",
        cuts in vec(1..20_usize, 1..5),
    ) {
        let whole = read(stream.as_bytes(), &[stream.len().max(1)], 20);
        prop_assert_eq!(read(stream.as_bytes(), &cuts, 20), whole);
    }
}

proptest::proptest! {
    #[test]
    fn requests_come_out_the_same_however_their_bytes_are_cut(
        parts in proptest::collection::vec(0..8_usize, 1..12),
        size in 1..40_usize,
    ) {
        const PARTS: [&str; 8] = [
            "POST /a/x.Y HTTP/1.1\r\nLibprocess-From: b@1.2.3.4:5\r\n\r\n",
            "POST /a/x.Y HTTP/1.1\r\nLibprocess-From: b@1.2.3.4:5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "GET /x?y=z HTTP/1.1\r\nHost: h\r\n\r\n",
            "POST /p HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
            "POST /%zz/n HTTP/1.1\r\nLibprocess-From: b\r\n\r\n",
            "\r\n",
            "junk",
        ];
        let bytes: String = parts.iter().map(|part| PARTS[*part]).collect();
        let whole = libprocess::real::fuzzing::requests(bytes.as_bytes(), usize::MAX);
        let pieces = libprocess::real::fuzzing::requests(bytes.as_bytes(), size);
        proptest::prop_assert_eq!(whole, pieces);
    }
}
