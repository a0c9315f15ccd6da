//! HTTP over real sockets: streamed bodies, ranges, bounds, peers that misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

use futures::StreamExt;
use libprocess::http::{Answer, Request, Response};
use libprocess::real::{Config, Limits, run, start};
use libprocess::recordio;
use libprocess::{Ctx, Help, Node, Process, Routes};

const LIMIT: Duration = Duration::from_secs(20);
const HELP: Help = Help::new("", "");

/// Counts messages, echoes streams and serves files.
struct Server {
    files: std::path::PathBuf,
}

impl Process for Server {
    fn routes(routes: &mut Routes<Self>) {
        routes
            .post("/echo", HELP, Self::echo)
            .streaming()
            .post("/records", HELP, Self::records)
            .streaming()
            .post("/ignore", HELP, |_, _, _| Response::text(403, "not wanted"))
            .streaming()
            .post("/whole", HELP, |_, request, _| Response::ok("text/plain", request.body))
            .any("/file", HELP, |server, _, _| Response::file(server.files.join("file.txt")))
            .otherwise(|_, _, _| {});
    }
}

impl Server {
    /// Sends each piece back as soon as it is there.
    fn echo(&mut self, mut request: Request, _: &mut Ctx<Self>) -> Response {
        Response::stream("text/plain", request.chunks())
    }

    /// Answers with the number of records and of their bytes.
    fn records(&mut self, mut request: Request, _: &mut Ctx<Self>) -> Answer {
        Answer::later(async move {
            let mut chunks = request.chunks();
            let mut decoder = recordio::Decoder::new(1 << 20);
            let (mut records, mut bytes) = (0, 0);
            while let Some(chunk) = chunks.next().await {
                let Ok(chunk) = chunk else { return Response::bad_request("cut off") };
                decoder.push(&chunk);
                while let Ok(Some(record)) = decoder.next() {
                    records += 1;
                    bytes += record.len();
                }
            }
            Response::ok("text/plain", format!("{records} records, {bytes} bytes"))
        })
    }
}

async fn server(config: Config) -> Node {
    let config = Config { ip: Ipv4Addr::LOCALHOST, ..config };
    let node = start(config).await.unwrap();
    let files = std::env::temp_dir().join(format!("web-{}-{}", std::process::id(), node.address()));
    std::fs::create_dir_all(&files).unwrap();
    std::fs::write(files.join("file.txt"), "0123456789").unwrap();
    node.spawn("server", Server { files }).unwrap();
    node
}

fn connect(to: SocketAddrV4) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Reads until `enough`, or the peer hangs up.
fn read_until(stream: &mut TcpStream, enough: impl Fn(&str) -> bool) -> String {
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while !enough(&String::from_utf8_lossy(&seen)) {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(read) => seen.extend_from_slice(&buffer[..read]),
        }
    }
    String::from_utf8_lossy(&seen).into_owned()
}

/// Runs blocking code beside the node.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn exchange(to: SocketAddrV4, request: String, enough: &'static str) -> String {
    beside(move || {
        let mut stream = connect(to);
        stream.write_all(request.as_bytes()).unwrap();
        read_until(&mut stream, |seen| seen.contains(enough))
    })
    .await
}

#[test]
fn streamed_request_is_answered_piece_by_piece() {
    run(async {
        let to = server(Config::default()).await.address();
        beside(move || {
            let mut stream = connect(to);
            let head =
                "POST /server/echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            // The answer to the first piece comes before the second is sent.
            let seen = read_until(&mut stream, |seen| seen.contains("first"));
            assert!(seen.starts_with("HTTP/1.1 200"), "{seen}");
            stream.write_all(b"6\r\nsecond\r\n0\r\n\r\n").unwrap();
            let rest = read_until(&mut stream, |seen| seen.contains("0\r\n\r\n"));
            assert!(rest.contains("6\r\nsecond\r\n0\r\n\r\n"), "{rest}");
            // The connection goes on.
            stream.write_all(b"GET /server/file HTTP/1.1\r\n\r\n").unwrap();
            assert!(read_until(&mut stream, |seen| seen.contains("789")).contains("0123456789"));
        })
        .await;
    });
}

#[test]
fn streamed_records_are_counted_also_when_compressed() {
    run(async {
        let to = server(Config::default()).await.address();
        let records: Vec<u8> = [b"a".to_vec(), vec![7; 5000], vec![]]
            .iter()
            .flat_map(|r| recordio::encode(r))
            .collect();
        let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zip.write_all(&records).unwrap();
        for (encoding, body) in [("identity", records), ("gzip", zip.finish().unwrap())] {
            let seen = beside(move || {
                let mut stream = connect(to);
                let head = format!(
                    "POST /server/records HTTP/1.1\r\nContent-Encoding: {encoding}\r\n\
                     Content-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).unwrap();
                body.chunks(7).for_each(|piece| stream.write_all(piece).unwrap());
                read_until(&mut stream, |seen| seen.contains("bytes"))
            })
            .await;
            assert!(seen.ends_with("3 records, 5001 bytes"), "{encoding}: {seen}");
        }
    });
}

#[test]
fn streamed_body_that_nobody_wants_is_skipped() {
    run(async {
        let to = server(Config::default()).await.address();
        let body = "x".repeat(300_000);
        let request = format!(
            "POST /server/ignore HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}\
             GET /server/file HTTP/1.1\r\n\r\n",
            body.len()
        );
        let seen = exchange(to, request, "0123456789").await;
        assert!(seen.contains("HTTP/1.1 403") && seen.contains("HTTP/1.1 200"), "{seen}");
    });
}

#[test]
fn client_that_expects_to_be_asked_is_asked_for_the_body() {
    run(async {
        let to = server(Config::default()).await.address();
        let head =
            "POST /server/echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        let seen = exchange(to, head.to_owned(), "100 Continue\r\n\r\n").await;
        assert!(seen.starts_with("HTTP/1.1 100 Continue\r\n\r\n"), "{seen}");
    });
}

#[test]
fn file_ranges_and_heads_are_answered() {
    run(async {
        let to = server(Config::default()).await.address();
        let get = |range: &str| format!("GET /server/file HTTP/1.1\r\nRange: {range}\r\n\r\n");
        let part = exchange(to, get("bytes=2-4"), "234").await;
        assert!(part.starts_with("HTTP/1.1 206 Partial Content"), "{part}");
        assert!(part.contains("Content-Range: bytes 2-4/10") && part.ends_with("\r\n\r\n234"));
        let none = exchange(to, get("bytes=20-"), "\r\n\r\n").await;
        assert!(none.starts_with("HTTP/1.1 416") && none.contains("bytes */10"), "{none}");
        // To a HEAD request comes no body: the next answer follows at once.
        let head = "HEAD /server/file HTTP/1.1\r\n\r\nGET /server/none HTTP/1.1\r\n\r\n";
        let heads = exchange(to, head.to_owned(), "404 Not Found.").await;
        assert!(heads.contains("Content-Length: 10\r\n\r\nHTTP/1.1 404"), "{heads}");
    });
}

#[test]
fn request_beyond_the_limits_closes_its_connection_alone() {
    run(async {
        let limits = Limits { head_bytes: 1000, body_bytes: 1000, ..Limits::default() };
        let node = server(Config { limits, ..Config::default() }).await;
        let to = node.address();
        let long_head = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(200_000));
        let chunk = "POST /server/whole HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n80000000\r\n";
        for request in [
            "POST /server/whole HTTP/1.1\r\nContent-Length: 2147483648\r\n\r\n".to_owned(),
            "POST /server/whole HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
                .to_owned(),
            chunk.to_owned(),
            long_head,
            "\x00\x01 no http at all\r\n\r\n".to_owned(),
        ] {
            let seen = beside(move || {
                let mut stream = connect(to);
                // The node may hang up before all is written.
                let _ = stream.write_all(request.as_bytes());
                read_until(&mut stream, |_| false)
            })
            .await;
            assert_eq!(seen, "", "closed without a reply");
        }
        let seen = exchange(to, "GET /server/file HTTP/1.1\r\n\r\n".to_owned(), "789").await;
        assert!(seen.starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn connections_beyond_the_limit_are_closed_until_others_end() {
    run(async {
        let limits = Limits { connections: 2, ..Limits::default() };
        let to = server(Config { limits, ..Config::default() }).await.address();
        beside(move || {
            let ask = |stream: &mut TcpStream| {
                let _ = stream.write_all(b"GET /server/file HTTP/1.1\r\n\r\n");
                read_until(stream, |seen| seen.contains("0123456789"))
            };
            let (mut first, mut second) = (connect(to), connect(to));
            assert!(ask(&mut first).contains("200") && ask(&mut second).contains("200"));
            assert_eq!(ask(&mut connect(to)), "");
            drop(first);
            // The node notices the end when it gets to read it.
            while !ask(&mut connect(to)).contains("200") {}
        })
        .await;
    });
}

#[test]
fn forged_sender_is_refused_where_addresses_must_match() {
    run(async {
        let node = server(Config { require_peer_match: true, ..Config::default() }).await;
        let message =
            |from: &str| format!("POST /server/x.Y HTTP/1.1\r\nLibprocess-From: {from}\r\n\r\n");
        for (from, status) in
            [("me@127.0.0.1:1", "202"), ("forged@10.0.0.1:5050", "400"), ("no pid", "400")]
        {
            let seen = exchange(node.address(), message(from), "\r\n\r\n").await;
            assert!(seen.starts_with(&format!("HTTP/1.1 {status}")), "{from}: {seen}");
        }
    });
}

#[test]
fn peers_that_drip_or_stop_half_way_delay_nobody() {
    run(async {
        let node = server(Config::default()).await;
        let to = node.address();
        beside(move || {
            let halves = [
                "POST /server/x.Y HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:1\r\n",
                "POST /server/whole HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf",
                "POST /server/echo HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf",
                "G",
                "",
            ];
            let mut held = Vec::new();
            for number in 0..500 {
                let mut stream = connect(to);
                stream.write_all(halves[number % halves.len()].as_bytes()).unwrap();
                held.push(stream);
            }
            let mut stream = connect(to);
            for _ in 0..20 {
                stream.write_all(b"GET /server/file HTTP/1.1\r\n\r\n").unwrap();
                let seen = read_until(&mut stream, |seen| seen.contains("0123456789"));
                assert!(seen.starts_with("HTTP/1.1 200"), "{seen}");
            }
        })
        .await;
    });
}
