//! Frames outgoing messages.

use bytes::{BufMut, BytesMut};

use crate::{Envelope, MessageName, Pid};

/// Frames messages of one connection. Consecutive messages often have the same head, which is
/// made once then.
#[derive(Default)]
pub(crate) struct Framer {
    last: Option<Last>,
}

struct Last {
    from: Pid,
    to: Pid,
    name: MessageName,
    head: Vec<u8>,
}

impl Framer {
    /// Appends the framing of one message: header order, one chunk, nothing for an empty body.
    pub(crate) fn frame(&mut self, envelope: &Envelope, out: &mut BytesMut) {
        let Envelope { from, to, name, body } = envelope;
        let known = self.last.as_ref().filter(|last| {
            last.name.is_same(name) && last.to.is_same(to) && last.from.is_same(from)
        });
        let head = match known {
            Some(last) => &last.head,
            None => {
                let (from, to, name) = (from.clone(), to.clone(), name.clone());
                let head = head(&from, &to, &name);
                &self.last.insert(Last { from, to, name, head }).head
            }
        };
        out.reserve(head.len() + body.len() + 64);
        out.put_slice(head);
        if body.is_empty() {
            out.put_slice(b"\r\n");
        } else {
            out.put_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            put_hexadecimal(out, body.len());
            out.put_slice(b"\r\n");
            out.put_slice(body);
            out.put_slice(b"\r\n0\r\n\r\n");
        }
    }
}

fn head(from: &Pid, to: &Pid, name: &str) -> Vec<u8> {
    let slash = if to.id().is_empty() { "" } else { "/" };
    format!(
        "POST {slash}{id}/{name} HTTP/1.1\r\nUser-Agent: libprocess/{from}\r\n\
         Libprocess-From: {from}\r\nConnection: Keep-Alive\r\nHost: {host}\r\n",
        id = to.id(),
        host = to.address(),
    )
    .into_bytes()
}

fn put_hexadecimal(out: &mut BytesMut, number: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - number.max(1).leading_zeros()).div_ceil(4);
    for digit in (0..digits).rev() {
        out.put_u8(DIGITS[number >> (digit * 4) & 15]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn framed(to: &str, body: &'static str) -> String {
        let mut out = BytesMut::new();
        let envelope = Envelope {
            from: "a(1)@1.2.3.4:5".parse().unwrap(),
            to: to.parse().unwrap(),
            name: "x.Ping".into(),
            body: Bytes::from_static(body.as_bytes()),
        };
        let mut framer = Framer::default();
        framer.frame(&envelope, &mut out);
        let first = out.split();
        framer.frame(&envelope, &mut out);
        assert_eq!(first, out, "the remembered head is the same");
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn framing_with_body_is_one_lower_case_hex_chunk() {
        let expected = "POST /b(2)/x.Ping HTTP/1.1\r\nUser-Agent: libprocess/a(1)@1.2.3.4:5\r\n\
            Libprocess-From: a(1)@1.2.3.4:5\r\nConnection: Keep-Alive\r\nHost: 9.8.7.6:80\r\n\
            Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n";
        assert_eq!(framed("b(2)@9.8.7.6:80", "hello world"), expected);
    }

    #[test]
    fn framing_without_body_has_no_body_headers() {
        let expected = "POST /b/x.Ping HTTP/1.1\r\nUser-Agent: libprocess/a(1)@1.2.3.4:5\r\n\
            Libprocess-From: a(1)@1.2.3.4:5\r\nConnection: Keep-Alive\r\nHost: 9.8.7.6:80\r\n\r\n";
        assert_eq!(framed("b@9.8.7.6:80", ""), expected);
    }

    #[test]
    fn framing_to_an_empty_id_leaves_the_segment_out() {
        assert!(framed("@9.8.7.6:80", "").starts_with("POST /x.Ping HTTP/1.1\r\n"));
    }

    #[test]
    fn framing_sizes_are_written_without_leading_zeros() {
        for (number, text) in [(0, "0"), (9, "9"), (16, "10"), (255, "ff"), (4096, "1000")] {
            let mut out = BytesMut::new();
            put_hexadecimal(&mut out, number);
            assert_eq!(&out[..], text.as_bytes());
        }
    }
}
