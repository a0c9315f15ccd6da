//! The fetcher's program against those who mean ill: what it brings is bounded, stays in the sandbox,
//! and what goes wrong is one line. Needs root, for a small disk.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libprocess::real::{Config, run, start};
use protos::ids::ContainerId;
use protos::mesos::command_info::Uri;
use serde_json::json;
use slave::fetcher::{FetchError, FetchRequest, Fetcher, FetcherOptions};

/// A sandbox on a disk of 32 MB.
struct Sandbox {
    directory: tempfile::TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sandbox");
        fs::create_dir(&path).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=32m", "tmpfs"];
        assert!(Command::new("mount").args(mount).arg(&path).status().unwrap().success());
        Self { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("sandbox")
    }

    /// Fetches; the program's end and what it says.
    fn fetch(&self, uri: &serde_json::Value) -> (bool, String) {
        self.fetch_all(&[uri])
    }

    /// Fetches several in one go.
    fn fetch_all(&self, uris: &[&serde_json::Value]) -> (bool, String) {
        let items: Vec<_> =
            uris.iter().map(|uri| json!({"uri": uri, "action": "BYPASS_CACHE"})).collect();
        let info = json!({
            "sandbox_directory": self.path(),
            "stall_timeout": {"nanoseconds": 2_000_000_000_u64},
            "items": items,
        });
        let output: Output = Command::new(env!("CARGO_BIN_EXE_mesos-fetcher"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HADOOP_HOME", self.directory.path().join("hadoop"))
            .env("MESOS_FETCHER_INFO", info.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    }

    /// Fetches what must not work, and is told why in one line.
    fn refused(&self, uri: &serde_json::Value, why: &str) {
        self.all_refused(&[uri], why);
    }

    fn all_refused(&self, uris: &[&serde_json::Value], why: &str) {
        let (done, said) = self.fetch_all(uris);
        assert!(!done, "{uris:?} were fetched");
        let lines: Vec<&str> =
            said.lines().filter(|it| it.starts_with("mesos-fetcher: ")).collect();
        assert_eq!(lines.len(), 1, "{said}");
        assert!(lines[0].contains(why), "{said}");
    }

    /// Bytes that are free, of 32 MB.
    fn free(&self) -> u64 {
        let stat = nix::sys::statvfs::statvfs(&self.path()).unwrap();
        stat.blocks_available() * stat.fragment_size()
    }

    /// Puts a script where the Hadoop client is looked for; `$4` is where things are to go.
    fn hadoop(&self, script: &str) {
        let bin = self.directory.path().join("hadoop/bin");
        fs::create_dir_all(&bin).unwrap();
        let program = bin.join("hadoop");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        format!("file://{}", path.display())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// A tar with one entry, whatever its name is.
fn tar_of(name: &str, kind: tar::EntryType, link: &str, bytes: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    append(&mut tar, name, kind, link, bytes);
    tar.into_inner().unwrap()
}

fn append(
    tar: &mut tar::Builder<Vec<u8>>,
    name: &str,
    kind: tar::EntryType,
    link: &str,
    bytes: &[u8],
) {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    tar.append(&header, bytes).unwrap();
}

/// Runs a program that makes a file there.
fn made(directory: &Path, script: &str) {
    let status = Command::new("sh").args(["-c", script]).current_dir(directory).status().unwrap();
    assert!(status.success(), "{script}");
}

#[test]
fn bombs_are_stopped_before_they_fill_the_disk() {
    let sandbox = Sandbox::new();
    let directory = sandbox.directory.path();
    made(directory, "head -c 200000000 /dev/zero > zeros && tar -czf bomb.tar.gz zeros");
    made(directory, "tar -cJf bomb.tar.xz zeros && tar -cjf bomb.tar.bz2 zeros");
    made(directory, "zip -q bomb.zip zeros && gzip -c zeros > plain.gz && rm zeros");
    for name in ["bomb.tar.gz", "bomb.tar.xz", "bomb.tar.bz2", "bomb.zip", "plain.gz"] {
        let value = format!("file://{}", directory.join(name).display());
        sandbox.refused(&json!({"value": value}), "too large");
        let stat = nix::sys::statvfs::statvfs(&sandbox.path()).unwrap();
        assert!(stat.blocks_available() > 0, "{name} filled the disk");
        for entry in fs::read_dir(sandbox.path()).unwrap().flatten() {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

#[test]
fn archives_that_lead_out_of_the_sandbox_are_refused() {
    use tar::EntryType::{Regular, Symlink};
    let sandbox = Sandbox::new();
    let outside = sandbox.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let out = outside.display().to_string();
    let mut through = tar::Builder::new(Vec::new());
    append(&mut through, "link", Symlink, &out, b"");
    append(&mut through, "link/file", Regular, "", b"x");
    let archives = [
        ("up.tar", tar_of("../outside/file", Regular, "", b"x")),
        ("absolute.tar", tar_of(&format!("{out}/file"), Regular, "", b"x")),
        ("link.tar", tar_of("link", Symlink, &out, b"")),
        ("above.tar", tar_of("link", Symlink, "../outside", b"")),
        ("through.tar", through.into_inner().unwrap()),
    ];
    for (name, bytes) in archives {
        let value = sandbox.file(name, &bytes);
        sandbox.refused(&json!({"value": value}), "leads out of the sandbox");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{name}");
    }
    made(&outside, "mkdir -p a/b && echo x > a/file && cd a/b && zip -q ../../../up.zip ../file");
    made(&outside, "rm -r a && ln -s /etc l && zip -q -y ../link.zip l && rm l");
    for name in ["up.zip", "link.zip"] {
        let value = format!("file://{}", sandbox.directory.path().join(name).display());
        sandbox.refused(&json!({"value": value}), "leads out of the sandbox");
    }
    for file in ["../out", "/tmp/out", "a/../../out"] {
        let value = sandbox.file("plain", b"x");
        let uri = json!({"value": value, "output_file": file});
        sandbox.refused(&uri, "no file name within the sandbox");
    }
}

/// Serves one connection.
fn serve(answer: impl FnOnce(&mut dyn Write) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the test's process, if nobody comes.
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        answer(&mut stream);
    });
    address
}

#[test]
fn servers_without_end_or_manners_are_given_up() {
    let sandbox = Sandbox::new();
    let endless = serve(|to| {
        let _ = to.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while to.write_all(&[b'x'; 65536]).is_ok() {}
    });
    sandbox.refused(&json!({"value": format!("http://{endless}/f")}), "too large");
    let stat = nix::sys::statvfs::statvfs(&sandbox.path()).unwrap();
    assert!(stat.blocks_available() > 0);
    let chunked = serve(|to| {
        let _ = to.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while to.write_all(b"10000\r\n").and_then(|()| to.write_all(&[b'x'; 65536])).is_ok()
            && to.write_all(b"\r\n").is_ok()
        {}
    });
    sandbox.refused(&json!({"value": format!("http://{chunked}/f")}), "too large");
    let head = serve(|to| while to.write_all(b"X: y\r\n").is_ok() {});
    sandbox.refused(&json!({"value": format!("http://{head}/f")}), "malformed status line");
    let aside = serve(|to| {
        let _ = to.write_all(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n");
    });
    sandbox.refused(&json!({"value": format!("http://{aside}/f")}), "file:///etc/passwd");
    let silent = serve(|to| {
        let _ = to.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab");
        let _ = to.flush();
        // Until the other side has had enough: the thread ends with the test.
        std::thread::park();
    });
    sandbox.refused(&json!({"value": format!("http://{silent}/f")}), "cannot fetch");
    let passwd = sandbox.path().join("f");
    let got = fs::read_to_string(passwd).unwrap_or_default();
    assert!(!got.contains("root:"), "{got}");
}

#[test]
fn items_of_one_fetch_share_what_may_be_written() {
    let sandbox = Sandbox::new();
    // Each takes less than the half of what is free; all of them do not.
    let uris: Vec<_> = (0..4)
        .map(|number| json!({"value": sandbox.file(&format!("part{number}"), &[1; 6 << 20])}))
        .collect();
    let all: Vec<_> = uris.iter().collect();
    sandbox.all_refused(&all, "it is too large");
    assert!(sandbox.free() >= 15 << 20, "{}", sandbox.free());
    // Alone it is welcome, whole, and as executable as it was.
    let file = sandbox.directory.path().join("part0");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o750)).unwrap();
    fs::remove_file(sandbox.path().join("part1")).unwrap();
    assert!(sandbox.fetch(&uris[0]).0);
    let copied = fs::metadata(sandbox.path().join("part0")).unwrap();
    assert_eq!((copied.len(), copied.mode() & 0o777), (6 << 20, 0o750));
    let large = sandbox.file("large", &[1; 20 << 20]);
    sandbox.refused(&json!({"value": large}), "it is too large");
    assert!(sandbox.free() > 0);
}

#[test]
fn hadoop_client_without_end_or_progress_is_given_up() {
    let sandbox = Sandbox::new();
    let wanted = json!({"value": "hdfs://n/f"});
    sandbox.hadoop("test \"$1 $2 $3\" = 'fs -copyToLocal hdfs://n/f' && echo data > \"$4\"");
    let (done, said) = sandbox.fetch(&wanted);
    assert!(done, "{said}");
    assert_eq!(fs::read_to_string(sandbox.path().join("f")).unwrap(), "data\n");
    sandbox.hadoop("exit 3");
    sandbox.refused(&wanted, "hadoop failed: exit status: 3");
    sandbox.hadoop("exec cat /dev/zero > \"$4._COPYING_\"");
    sandbox.refused(&wanted, "it is too large");
    assert!(sandbox.free() >= 15 << 20, "{}", sandbox.free());
    fs::remove_file(sandbox.path().join("f._COPYING_")).unwrap();
    sandbox.hadoop("echo part > \"$4._COPYING_\"; sleep 1000");
    sandbox.refused(&wanted, "nothing comes any more");
    assert!(!sandbox.path().join("f._COPYING_").exists());
}

#[test]
fn xz_that_grows_a_thousandfold_is_stopped_in_little_memory() {
    let sandbox = Sandbox::new();
    let directory = sandbox.directory.path();
    // One block, through which a decoder that gathers its output would keep all of it.
    made(directory, "truncate -s 400M zeros && tar -cf - zeros | xz -0 -T1 > bomb.tar.xz");
    let value = format!("file://{}", directory.join("bomb.tar.xz").display());
    let info = json!({
        "sandbox_directory": sandbox.path(),
        "items": [{"uri": {"value": value}, "action": "BYPASS_CACHE"}],
    });
    let output = Command::new("sh")
        .args(["-c", "ulimit -v 131072; exec \"$0\"", env!("CARGO_BIN_EXE_mesos-fetcher")])
        .env("MESOS_FETCHER_INFO", info.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("too large when extracted"), "{said}");
}

/// A fetcher as the slave has it, asked by a user for something that is to be cached.
fn fetch_cached(root: &Path, all: &Path) -> Result<(), FetchError> {
    let (source, directory) = (all.join("data"), all.join("sandbox"));
    fs::write(&source, "data").unwrap();
    fs::create_dir_all(&directory).unwrap();
    chown(&directory, Some(STRANGER), Some(STRANGER)).unwrap();
    let uri = format!("file://{}", source.display());
    let request = FetchRequest {
        container: ContainerId::new("c"),
        directory,
        uris: vec![Uri { value: uri, cache: Some(true), ..Uri::default() }],
        user: Some((STRANGER, STRANGER)),
    };
    let options = FetcherOptions {
        helper: vec![env!("CARGO_BIN_EXE_mesos-fetcher").to_owned()],
        cache_dir: root.to_owned(),
        ..FetcherOptions::default()
    };
    run(async {
        let config = Config { ip: Ipv4Addr::LOCALHOST, ..Config::default() };
        let node = start(config).await.unwrap();
        let fetcher = node.spawn_numbered("fetcher", Fetcher::new(options));
        fetcher.ask_later(move |fetcher, cx| fetcher.fetch(request, cx)).await.unwrap()
    })
}

/// A user who is neither root nor us.
const STRANGER: u32 = 65534;

#[test]
fn cache_of_a_user_is_his_and_others_are_left_alone() {
    let all = tempfile::tempdir().unwrap();
    fs::set_permissions(all.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let root = all.path().join("mesos/fetch");
    fetch_cached(&root, all.path()).unwrap();
    assert_eq!(fs::read_to_string(all.path().join("sandbox/data")).unwrap(), "data");
    let of = |path: &Path| path.symlink_metadata().map(|it| (it.uid(), it.mode() & 0o7777));
    assert_eq!(of(&root.join(STRANGER.to_string())).unwrap(), (STRANGER, 0o700));
    assert_eq!(of(&root).unwrap().1, 0o711);
}

#[test]
fn cache_that_the_slave_has_made_is_not_removed_where_another_could_make_it() {
    let all = tempfile::tempdir().unwrap();
    let root = all.path().join("cache");
    for (cache_is_prepared, stays) in [(true, true), (false, false)] {
        slave::fetcher::prepare(&root).unwrap();
        let cache_dir = root.clone();
        let options = FetcherOptions { cache_dir, cache_is_prepared, ..FetcherOptions::default() };
        run(async {
            let config = Config { ip: Ipv4Addr::LOCALHOST, ..Config::default() };
            let node = start(config).await.unwrap();
            let fetcher = node.spawn_numbered("fetcher", Fetcher::new(options));
            fetcher.tell(Fetcher::clear);
            // The disk does one thing after the other.
            fetcher.ask_later(|_, cx| cx.disk().list(Path::new("/proc/self"))).await.unwrap()
        })
        .unwrap();
        assert_eq!(root.exists(), stays, "{cache_is_prepared}");
    }
}

#[test]
fn cache_that_a_task_has_made_first_does_not_lead_root_elsewhere() {
    let all = tempfile::tempdir().unwrap();
    fs::set_permissions(all.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let target = all.path().join("etc");
    fs::create_dir(&target).unwrap();
    let owner = target.metadata().unwrap().uid();
    // Made by a user's task, with a link where root will make that user's directory.
    let (mesos, root) = (all.path().join("mesos"), all.path().join("mesos/fetch"));
    fs::create_dir_all(&root).unwrap();
    symlink(&target, root.join(STRANGER.to_string())).unwrap();
    for directory in [&root, &mesos] {
        chown(directory, Some(STRANGER), Some(STRANGER)).unwrap();
    }
    let refused = fetch_cached(&root, all.path()).unwrap_err();
    assert!(refused.reason.contains("mesos belongs to user 65534"), "{refused}");
    // Nor does a link to a tree that is none of the user's.
    fs::remove_dir_all(&mesos).unwrap();
    symlink(&target, &mesos).unwrap();
    let refused = fetch_cached(&root, all.path()).unwrap_err();
    assert!(refused.reason.contains("mesos is a link"), "{refused}");
    assert_eq!(target.metadata().unwrap().uid(), owner);
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
}
