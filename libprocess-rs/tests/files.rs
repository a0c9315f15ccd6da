//! The process `files` over a real directory.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::time::Duration;

use futures::TryStreamExt;
use libprocess::files::Files;
use libprocess::http::{Body, Request, Response};
use libprocess::real::{Config, run, start};
use libprocess::{Handle, Node};
use serde_json::{Value, json};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

struct Stage {
    node: Node,
    files: Handle<Files>,
    directory: tempfile::TempDir,
}

/// Runs a test over a directory `seen`, attached as `/virtual`, beside one that is not to be seen.
fn with_files<F: Future<Output = ()>>(test: impl FnOnce(Stage) -> F) {
    run(async {
        let config = Config { ip: Ipv4Addr::LOCALHOST, ..Config::default() };
        let node = start(config).await.unwrap();
        let files = node.spawn("files", Files::default()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        for path in ["seen/sub", "hidden"] {
            fs::create_dir_all(directory.path().join(path)).unwrap();
        }
        fs::write(directory.path().join("hidden/secret"), "secret").unwrap();
        fs::write(directory.path().join("seen/a.txt"), "hello world").unwrap();
        let seen = directory.path().join("seen");
        files.tell(move |files, _| files.attach("/virtual/", seen));
        let stage = Stage { node, files, directory };
        tokio::time::timeout(LIMIT, test(stage)).await.expect("the test within its limit");
    });
}

impl Stage {
    fn seen(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join("seen").join(name)
    }

    async fn get(&self, target: &str) -> Response {
        self.node.http(Request::new("GET", target).unwrap()).await
    }

    async fn status(&self, target: &str) -> u16 {
        self.get(target).await.status
    }

    async fn json(&self, target: &str) -> Value {
        let response = self.get(target).await;
        assert_eq!(response.status, 200, "{target}: {:?}", response.bytes());
        serde_json::from_slice(&response.bytes()).unwrap()
    }
}

#[test]
fn browse_lists_what_is_there_in_order() {
    with_files(|stage| async move {
        for form in ["browse", "browse.json"] {
            let list = stage.json(&format!("/files/{form}?path=/virtual")).await;
            let paths: Vec<_> = list.as_array().unwrap().iter().map(|e| &e["path"]).collect();
            assert_eq!(paths, ["/virtual/a.txt", "/virtual/sub"]);
            let keys: Vec<_> = list[0].as_object().unwrap().keys().collect();
            assert_eq!(keys, ["gid", "mode", "mtime", "nlink", "path", "size", "uid"]);
            assert_eq!(list[0]["size"], 11);
            assert!(list[1]["mode"].as_str().unwrap().starts_with('d'));
        }
        assert_eq!(stage.json("/files/browse?path=/virtual/a.txt").await, json!([]));
        assert_eq!(stage.status("/files/browse?path=/virtual/none").await, 404);
        assert_eq!(stage.status("/files/browse?path=/elsewhere").await, 404);
        assert_eq!(stage.status("/files/browse").await, 400);
        let wrapped = stage.get("/files/browse?path=/virtual/a.txt&jsonp=f").await;
        assert_eq!(wrapped.bytes().as_ref(), b"f([])");
    });
}

#[test]
fn read_gives_parts_and_the_size_to_who_asks_without_offset() {
    with_files(|stage| async move {
        fs::write(stage.seen("long"), "x".repeat(200_000)).unwrap();
        fs::write(stage.seen("raw"), b"a\xffb").unwrap();
        let cases = [
            ("/virtual/a.txt", json!({"data": "", "offset": 11})),
            ("/virtual/a.txt&offset=-1", json!({"data": "", "offset": 11})),
            ("virtual//a.txt&offset=6", json!({"data": "world", "offset": 6})),
            ("/virtual/a.txt&offset=0&length=5", json!({"data": "hello", "offset": 0})),
            ("/virtual/a.txt&offset=99", json!({"data": "", "offset": 99})),
            ("/virtual/raw&offset=0", json!({"data": "a\u{fffd}b", "offset": 0})),
            ("/virtual/long&offset=1", json!({"data": "x".repeat(16 * 4096), "offset": 1})),
        ];
        for (query, expected) in cases {
            assert_eq!(stage.json(&format!("/files/read?path={query}")).await, expected, "{query}");
        }
        let bad = ["", "?path=", "?path=/virtual/sub&offset=0", "?path=/virtual/a.txt&offset=x"];
        let worse = ["?path=/virtual/a.txt&offset=-2", "?path=/virtual/a.txt&length=1.5"];
        for query in bad.into_iter().chain(worse) {
            assert_eq!(stage.status(&format!("/files/read.json{query}")).await, 400, "{query}");
        }
        assert_eq!(stage.status("/files/read?path=/virtual/a.txt/below&offset=0").await, 404);
    });
}

#[test]
fn file_that_is_attached_itself_is_read() {
    with_files(|stage| async move {
        let file = stage.seen("a.txt");
        stage.files.tell(move |files, _| files.attach("/own/log", file));
        let whole = stage.json("/files/read?path=/own/log&offset=0").await;
        assert_eq!(whole["data"], "hello world");
        assert_eq!(stage.json("/files/browse?path=/own/log/").await, json!([]));
        assert_eq!(stage.status("/files/download?path=own//log").await, 200);
        assert_eq!(stage.status("/files/read?path=/own/log/x&offset=0").await, 404);
    });
}

#[test]
fn path_that_leads_out_is_refused_everywhere() {
    with_files(|stage| async move {
        symlink("../hidden/secret", stage.seen("out")).unwrap();
        symlink("..", stage.seen("up")).unwrap();
        symlink("a.txt", stage.seen("in")).unwrap();
        let escapes = [
            ("/virtual/out", 400),
            ("/virtual/up/hidden/secret", 400),
            ("/virtual/../hidden/secret", 400),
            ("/virtual/sub/../../hidden/secret", 400),
            ("/hidden", 404),
        ];
        for endpoint in ["browse", "read", "download"] {
            for (path, status) in escapes {
                let target = format!("/files/{endpoint}?path={path}&offset=0");
                assert_eq!(stage.status(&target).await, status, "{target}");
            }
        }
        let inside = stage.json("/files/read?path=/virtual/in&offset=0").await;
        assert_eq!(inside["data"], "hello world");
    });
}

#[test]
fn pipe_in_a_directory_stops_nobody() {
    with_files(|stage| async move {
        let mode = nix::sys::stat::Mode::S_IRWXU;
        nix::unistd::mkfifo(&stage.seen("pipe"), mode).unwrap();
        for endpoint in ["read", "download"] {
            let target = format!("/files/{endpoint}?path=/virtual/pipe&offset=0");
            assert_eq!(stage.status(&target).await, 400, "{endpoint}");
        }
        // Even who does not look first is not kept waiting.
        let pipe = stage.seen("pipe");
        let read = stage.files.ask_later(move |_, cx| cx.disk().read(&pipe)).await.unwrap();
        assert!(read.is_err());
    });
}

#[test]
fn download_is_an_attachment_whole_or_in_pieces() {
    with_files(|stage| async move {
        let small = stage.get("/files/download?path=/virtual/a.txt").await;
        assert_eq!((small.status, small.bytes().as_ref()), (200, &b"hello world"[..]));
        let header = |response: &Response, wanted: &str| {
            let found = response.headers.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        assert_eq!(header(&small, "Content-Disposition"), "attachment; filename=\"a.txt\"");
        assert_eq!(header(&small, "Content-Type"), "text/plain");

        let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        fs::write(stage.seen("large"), &content).unwrap();
        let large = stage.get("/files/download.json?path=/virtual/large").await;
        assert_eq!(header(&large, "Content-Type"), "application/octet-stream");
        let Body::Stream(pieces) = large.body else { panic!("a large file in one piece") };
        let pieces: Vec<_> = pieces.try_collect().await.unwrap();
        assert!(pieces.len() > 1);
        assert_eq!(pieces.concat(), content);
        assert_eq!(stage.status("/files/download?path=/virtual/sub").await, 400);
        assert_eq!(stage.status("/files/download").await, 400);
    });
}

#[test]
fn detached_path_is_gone_and_debug_shows_what_is_left() {
    with_files(|stage| async move {
        let hidden = stage.directory.path().join("hidden");
        let real = stage.seen("");
        let shown = real.display().to_string();
        let shown = shown.trim_end_matches('/');
        let before = stage.json("/files/debug").await;
        assert_eq!(before["/virtual"].as_str().unwrap().trim_end_matches('/'), shown);
        stage.files.tell(move |files, _| {
            files.attach("/virtual/sub", hidden);
        });
        let longest = stage.json("/files/read?path=/virtual/sub/secret&offset=0").await;
        assert_eq!(longest["data"], "secret");
        stage.files.tell(|files, _| files.detach("/virtual/sub/"));
        assert_eq!(stage.status("/files/read?path=/virtual/sub/secret&offset=0").await, 404);
        assert_eq!(stage.json("/files/debug.json").await.as_object().unwrap().len(), 1);
    });
}
