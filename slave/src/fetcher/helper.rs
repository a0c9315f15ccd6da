//! What the binary `mesos-fetcher` does: transfers in a process of their own, as the task's user.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use protos::mesos::command_info::Uri;
use protos::mesos::fetcher::FetcherInfo;

use super::archive::{ArchiveError, extract};
use super::download::download;

/// One item cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchItemError {
    /// The URI has a scheme that is not served.
    #[error("cannot fetch '{0}': only file:// and http:// and plain paths are served")]
    Scheme(String),
    /// The name to store it under would leave the sandbox, or is none.
    #[error("'{0}' is no file name within the sandbox")]
    OutputFile(String),
    /// The transfer failed.
    #[error("cannot fetch '{uri}': {source}")]
    Transfer {
        /// What was to be fetched.
        uri: String,
        /// Why it failed.
        source: io::Error,
    },
    /// It is an archive and cannot be extracted.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// Fetches everything in `MESOS_FETCHER_INFO`; exits with 1 at the first failure.
pub fn main() -> ExitCode {
    let Ok(text) = std::env::var("MESOS_FETCHER_INFO") else {
        return fail("environment variable MESOS_FETCHER_INFO is not set");
    };
    let value = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(value) => value,
        Err(error) => return fail(&format!("MESOS_FETCHER_INFO is no JSON: {error}")),
    };
    let info: FetcherInfo = match protos::json::from_json(&value) {
        Ok(info) => info,
        Err(error) => return fail(&format!("MESOS_FETCHER_INFO: {error}")),
    };
    let sandbox = PathBuf::from(&info.sandbox_directory);
    for item in &info.items {
        if let Err(error) = fetch(&item.uri, &sandbox, info.frameworks_home.as_deref()) {
            return fail(&error.to_string());
        }
        eprintln!("Fetched '{}'", item.uri.value);
    }
    ExitCode::SUCCESS
}

fn fail(reason: &str) -> ExitCode {
    eprintln!("mesos-fetcher: {reason}");
    ExitCode::FAILURE
}

/// Fetches one URI into the sandbox, extracts it if it is an archive, marks it executable if asked.
///
/// # Errors
/// [`FetchItemError`].
pub fn fetch(uri: &Uri, sandbox: &Path, home: Option<&str>) -> Result<(), FetchItemError> {
    let name = uri.output_file.clone().unwrap_or_else(|| basename(&uri.value));
    let inside = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || !inside {
        return Err(FetchItemError::OutputFile(name));
    }
    let transfer = |source| FetchItemError::Transfer { uri: uri.value.clone(), source };
    let target = sandbox.join(&name);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(transfer)?;
    }
    match source(&uri.value, home)? {
        Source::File(path) => {
            // A device or a pipe may have no end.
            if !fs::metadata(&path).map_err(transfer)?.is_file() {
                return Err(transfer(io::Error::other("not a regular file")));
            }
            fs::copy(path, &target).map_err(transfer)?;
        }
        Source::Http(url) => download(&url, &target).map_err(transfer)?,
    }
    let mut extracted = false;
    if uri.extract.unwrap_or(true) && !uri.executable.unwrap_or(false) {
        extracted = extract(&target, sandbox)?;
    }
    if uri.executable.unwrap_or(false) && !extracted {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&target).map_err(transfer)?.permissions().mode();
        let executable = fs::Permissions::from_mode(mode | 0o111);
        fs::set_permissions(&target, executable).map_err(transfer)?;
    }
    Ok(())
}

enum Source {
    File(PathBuf),
    Http(String),
}

fn source(uri: &str, home: Option<&str>) -> Result<Source, FetchItemError> {
    if uri.starts_with("http://") {
        return Ok(Source::Http(uri.to_owned()));
    }
    let path = uri.strip_prefix("file://").unwrap_or(uri);
    if path.contains("://") {
        return Err(FetchItemError::Scheme(uri.to_owned()));
    }
    match (Path::new(path).is_absolute(), home) {
        (true, _) => Ok(Source::File(PathBuf::from(path))),
        (false, Some(home)) => Ok(Source::File(Path::new(home).join(path))),
        (false, None) => Err(FetchItemError::Scheme(uri.to_owned())),
    }
}

/// The last component of a URI without query and fragment.
fn basename(uri: &str) -> String {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn uri(value: &str) -> Uri {
        Uri { value: value.to_owned(), ..Uri::default() }
    }

    #[test]
    fn fetch_file_is_copied_and_made_executable() {
        let root = tempfile::tempdir().unwrap();
        let source = root.path().join("tool");
        fs::write(&source, "#!/bin/sh\n").unwrap();
        let sandbox = root.path().join("sandbox");
        fs::create_dir(&sandbox).unwrap();
        let wanted = Uri {
            executable: Some(true),
            output_file: Some("bin/run".into()),
            ..uri(&format!("file://{}", source.display()))
        };
        fetch(&wanted, &sandbox, None).unwrap();
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(sandbox.join("bin/run")).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111);
    }

    #[test]
    fn fetch_bad_uris_are_refused() {
        let sandbox = tempfile::tempdir().unwrap();
        for bad in [
            "ftp://h/x",
            "relative",
            "file:///nowhere/x",
            "http://127.0.0.1:1/x",
            "file:///",
            "/dev/zero",
            "https://h/x",
        ] {
            assert!(fetch(&uri(bad), sandbox.path(), None).is_err(), "{bad}");
        }
        for escape in ["../x", "/etc/x", "a/../../x", ""] {
            let wanted = Uri { output_file: Some(escape.into()), ..uri("file:///etc/hostname") };
            assert!(fetch(&wanted, sandbox.path(), None).is_err(), "{escape}");
        }
    }

    #[test]
    fn fetch_http_follows_redirects_and_reads_chunks() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let answers = [
                "HTTP/1.1 302 Found\r\nLocation: /real/f.txt\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            ];
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let sandbox = tempfile::tempdir().unwrap();
        fetch(&uri(&format!("http://{address}/f.txt?x=1")), sandbox.path(), None).unwrap();
        assert_eq!(fs::read_to_string(sandbox.path().join("f.txt")).unwrap(), "abcde");
        server.join().unwrap();
    }
}
