//! How files are shown.

use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::disk::FileInfo;
use crate::http::Response;

/// One entry of a directory; keys sorted.
pub(super) fn entry(directory: &str, info: &FileInfo) -> Value {
    let name = info.path.file_name().unwrap_or_default().to_string_lossy();
    json!({
        "gid": group(info.gid),
        "mode": mode(info.mode),
        "mtime": info.mtime_secs,
        "nlink": info.nlink,
        "path": format!("{}/{name}", directory.trim_end_matches('/')),
        "size": info.size,
        "uid": user(info.uid),
    })
}

fn user(uid: u32) -> String {
    let found = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
    found.map_or_else(|| uid.to_string(), |user| user.name)
}

fn group(gid: u32) -> String {
    let found = nix::unistd::Group::from_gid(nix::unistd::Gid::from_raw(gid)).ok().flatten();
    found.map_or_else(|| gid.to_string(), |group| group.name)
}

/// `drwxr-xr-x`.
fn mode(mode: u32) -> String {
    let kind = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o020_000 => 'c',
        0o060_000 => 'b',
        0o010_000 => 'p',
        0o140_000 => 's',
        _ => '-',
    };
    let bits = (0..9).map(|bit| {
        let letter = ['r', 'w', 'x'][bit % 3];
        if mode & (0o400 >> bit) != 0 { letter } else { '-' }
    });
    std::iter::once(kind).chain(bits).collect()
}

/// The file as an attachment; the content type follows from the name.
pub(super) fn download(path: &Path, bytes: Bytes) -> Response {
    let name = path.file_name().unwrap_or_default().to_string_lossy().replace(['"', '\\'], "_");
    let kind = match path.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "htm") => "text/html",
        Some("txt" | "log") => "text/plain",
        Some("json") => "application/json",
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("svg") => "image/svg+xml",
        Some("gz" | "tgz") => "application/gzip",
        Some("zip") => "application/zip",
        _ => "application/octet-stream",
    };
    Response::ok(kind, bytes)
        .header("Content-Disposition", &format!("attachment; filename=\"{name}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_is_shown_in_ten_letters() {
        assert_eq!(mode(0o040_755), "drwxr-xr-x");
        assert_eq!(mode(0o100_640), "-rw-r-----");
    }
}
