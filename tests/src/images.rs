//! Images made by tests: as archives of docker's, and as a registry that wants a token.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::dockerd::busybox_root;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// An image in parts: layers as archives, and its configuration.
pub struct Image {
    /// Lowest first.
    pub layers: Vec<PathBuf>,
    /// The configuration file.
    pub config: PathBuf,
}

fn tar(root: &Path, to: &Path) {
    let packed = Command::new("tar").arg("-C").arg(root).arg("-cf").arg(to).arg(".").status();
    assert!(packed.unwrap().success());
}

/// `sha256:` and the digest of a file.
pub fn digest(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    format!("sha256:{}", text.split(' ').next().unwrap())
}

/// An image of busybox, and a second layer that takes `/etc/gone` away and adds `/etc/added`.
pub fn image(directory: &Path) -> Image {
    let (low, high) = (directory.join("low"), directory.join("high"));
    busybox_root(&low);
    fs::write(low.join("etc/gone"), "x").unwrap();
    fs::create_dir_all(high.join("etc")).unwrap();
    fs::write(high.join("etc/.wh.gone"), "").unwrap();
    fs::write(high.join("etc/added"), "from the second layer\n").unwrap();
    let layers = [("low", low), ("high", high)].map(|(name, root)| {
        let archive = directory.join(format!("{name}.tar"));
        tar(&root, &archive);
        archive
    });
    let config = directory.join("config.json");
    let differences: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    let rootfs = json!({"type": "layers", "diff_ids": differences});
    let told = json!({"architecture": "amd64", "os": "linux", "rootfs": rootfs, "config": {
        "Entrypoint": ["/bin/sh", "-c"], "Cmd": ["echo from the image $WHO"],
        "Env": ["PATH=/bin", "WHO=itself"], "WorkingDir": "/etc"}});
    fs::write(&config, told.to_string()).unwrap();
    Image { layers: layers.to_vec(), config }
}

/// Puts an image into a directory as `docker save` would.
pub fn save(image: &Image, name: &str, directory: &Path) {
    let staging = directory.join("staging");
    let mut layers = Vec::new();
    for (number, layer) in image.layers.iter().enumerate() {
        let inside = format!("{number}/layer.tar");
        fs::create_dir_all(staging.join(number.to_string())).unwrap();
        fs::copy(layer, staging.join(&inside)).unwrap();
        layers.push(inside);
    }
    fs::copy(&image.config, staging.join("config.json")).unwrap();
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": layers}]);
    fs::write(staging.join("manifest.json"), manifest.to_string()).unwrap();
    tar(&staging, &directory.join(format!("{name}.tar")));
    fs::remove_dir_all(staging).unwrap();
}

/// A registry of one image; it wants a token that only `me:secret` gets.
pub struct Registry {
    /// Where it listens.
    pub address: SocketAddr,
    /// What was asked for.
    pub asked: Arc<Mutex<Vec<String>>>,
}

struct Served {
    address: SocketAddr,
    manifest: String,
    /// Of the manifest.
    digest: String,
    blobs: Vec<(String, PathBuf)>,
    spoilt: Option<String>,
}

impl Registry {
    /// Serves an image as `test/image:1`; the blob with the digest `spoilt` is another one.
    pub fn start(image: &Image, spoilt: Option<String>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let entry = |path: &PathBuf, kind: &str| {
            let kind = format!("application/vnd.docker.{kind}");
            let size = fs::metadata(path).unwrap().len();
            json!({"mediaType": kind, "digest": digest(path), "size": size})
        };
        let layer = |path| entry(path, "image.rootfs.diff.tar");
        let layers: Vec<Value> = image.layers.iter().map(layer).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
            "config": entry(&image.config, "container.image.v1+json")});
        let all = image.layers.iter().chain([&image.config]);
        let blobs = all.map(|path| (digest(path), path.clone())).collect();
        let manifest = manifest.to_string();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &manifest).unwrap();
        let served = Served { address, digest: digest(file.path()), manifest, blobs, spoilt };
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = served.serve(stream, &seen);
            }
        });
        Self { address, asked }
    }
}

impl Served {
    fn serve(&self, mut stream: TcpStream, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let (mut first, mut authorization) = (String::new(), String::new());
        reader.read_line(&mut first)?;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("authorization:") {
                let at = line.len() - value.len();
                authorization = line[at..].trim().to_owned();
            }
        }
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        asked.lock().unwrap().push(path.clone());
        let (status, head, body) = self.answer(&path, &authorization);
        let length = body.len();
        let body = if first.starts_with("HEAD ") { Vec::new() } else { body };
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{head}\r\n"
        )?;
        stream.write_all(&body)
    }

    fn answer(&self, path: &str, authorization: &str) -> (&str, String, Vec<u8>) {
        // `me:secret`.
        let known = "Basic bWU6c2VjcmV0";
        if path.starts_with("/token") {
            return match authorization {
                it if it == known => {
                    ("200 OK", String::new(), br#"{"token":"let-me-in"}"#.to_vec())
                }
                _ => ("401 No", String::new(), Vec::new()),
            };
        }
        if authorization != "Bearer let-me-in" {
            let challenge = format!(
                "WWW-Authenticate: Bearer realm=\"http://{}/token\",service=\"s\",scope=\"x\"\r\n",
                self.address
            );
            return ("401 No", challenge, Vec::new());
        }
        if path == "/v2/" {
            return ("200 OK", String::new(), Vec::new());
        }
        let manifest = path.strip_prefix("/v2/test/image/manifests/").unwrap_or_default();
        if manifest == "1" || manifest == self.digest {
            let (kind, digest) = (MANIFEST, &self.digest);
            let head = format!("Content-Type: {kind}\r\nDocker-Content-Digest: {digest}\r\n");
            return ("200 OK", head, self.manifest.clone().into_bytes());
        }
        let blob = path.strip_prefix("/v2/test/image/blobs/").unwrap_or_default();
        match self.blobs.iter().find(|(digest, _)| digest == blob) {
            // Layers lie elsewhere, as with real registries; tokens are not for there.
            Some((digest, path)) => {
                let mut bytes = fs::read(path).unwrap();
                if self.spoilt.as_ref() == Some(digest) {
                    bytes.extend([0; 512]);
                }
                ("200 OK", String::new(), bytes)
            }
            None => ("404 None", String::new(), Vec::new()),
        }
    }
}
