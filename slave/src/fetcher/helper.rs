//! What the binary `mesos-fetcher` does: transfers in a process of their own, as the task's user.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use protos::mesos::command_info::Uri;
use protos::mesos::fetcher::FetcherInfo;
use protos::mesos::fetcher::fetcher_info::Item;
use protos::mesos::fetcher::fetcher_info::item::Action;

use super::archive::{ArchiveError, extract};
use super::budget::Budget;
use super::cache::basename;
use super::curl::curl;
use super::download::{Bounds, download};
use super::hadoop::hadoop;
use super::room;

/// A transfer that stands still for so long has failed, unless the slave says otherwise.
const DEFAULT_STALL: Duration = Duration::from_secs(60);

/// One item cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchItemError {
    /// The URI has a scheme that is not served.
    #[error("cannot fetch '{0}': its scheme is not served")]
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

/// Fetches everything in `MESOS_FETCHER_INFO`, or makes room in the cache; exits with 1 at the first
/// failure.
pub fn main() -> ExitCode {
    if let Ok(order) = std::env::var(room::VARIABLE) {
        return room::carry_out(&order).map_or_else(|reason| fail(&reason), |()| ExitCode::SUCCESS);
    }
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
    let stall = info.stall_timeout.as_ref().and_then(|it| u64::try_from(it.nanoseconds).ok());
    let stall = stall.map_or(DEFAULT_STALL, Duration::from_nanos);
    let cache = info.cache_directory.as_deref().map(Path::new);
    let budgets = Budgets::of(&sandbox, cache);
    let fetcher = ItemFetcher {
        home: info.frameworks_home.as_deref(),
        cache,
        stall,
        budgets: &budgets,
        sandbox: &sandbox,
    };
    for item in &info.items {
        if let Err(error) = fetcher.fetch_item(item) {
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

/// What all items of one fetch may write together.
struct Budgets {
    sandbox: Budget,
    /// That of the sandbox, if both lie on one disk.
    cache: Budget,
}

impl Budgets {
    fn of(sandbox: &Path, cache: Option<&Path>) -> Self {
        let budget = Budget::of(sandbox);
        let disk = |path: &Path| fs::metadata(path).map(|info| info.dev()).ok();
        let other = cache.filter(|cache| disk(cache) != disk(sandbox));
        Self { cache: other.map_or_else(|| budget.clone(), Budget::of), sandbox: budget }
    }
}

/// Where things come from and go to, and how much of them.
struct ItemFetcher<'a> {
    home: Option<&'a str>,
    cache: Option<&'a Path>,
    sandbox: &'a Path,
    stall: Duration,
    budgets: &'a Budgets,
}

impl ItemFetcher<'_> {
    /// Fetches one URI into the sandbox, through the cache if it is to be; extracts it if it is an
    /// archive, marks it executable if asked.
    fn fetch_item(&self, item: &Item) -> Result<(), FetchItemError> {
        let uri = &item.uri;
        let cached = match (item.action(), self.cache, &item.cache_filename) {
            (Action::BypassCache, ..) | (_, None, _) | (_, _, None) => None,
            (action, Some(cache), Some(name)) => Some((action, cache.join(name))),
        };
        let name = uri.output_file.clone().unwrap_or_else(|| basename(&uri.value));
        let inside = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || !inside {
            return Err(FetchItemError::OutputFile(name));
        }
        let transfer = |source| FetchItemError::Transfer { uri: uri.value.clone(), source };
        let target = self.sandbox.join(&name);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(transfer)?;
        }
        match &cached {
            None => self.get(uri, &target, &self.budgets.sandbox)?,
            Some((action, file)) => {
                if *action == Action::DownloadAndCache {
                    // Whole or not at all: what has its name is complete.
                    let part = file.with_extension("part");
                    self.get(uri, &part, &self.budgets.cache).inspect_err(|_| {
                        // Nobody asks for it any more.
                        let _ = fs::remove_file(&part);
                    })?;
                    fs::rename(&part, file).map_err(transfer)?;
                }
                copy(file, &target, &self.budgets.sandbox).map_err(transfer)?;
            }
        }
        self.finish(uri, &target, cached.is_some())
    }

    fn get(&self, uri: &Uri, to: &Path, budget: &Budget) -> Result<(), FetchItemError> {
        let bounds = Bounds { stall: self.stall, budget: budget.clone() };
        let transfer = |source| FetchItemError::Transfer { uri: uri.value.clone(), source };
        match source(&uri.value, self.home)? {
            Source::File(path) => copy(&path, to, budget),
            Source::Http(url) => download(&url, to, &bounds),
            Source::Curl(url) => curl(&url, to, &bounds),
            Source::Hdfs(url) => hadoop(&url, to, &bounds),
        }
        .map_err(transfer)
    }

    fn finish(&self, uri: &Uri, target: &Path, cached: bool) -> Result<(), FetchItemError> {
        let transfer = |source| FetchItemError::Transfer { uri: uri.value.clone(), source };
        let executable = uri.executable.unwrap_or(false);
        let extracted = uri.extract.unwrap_or(true)
            && !executable
            && extract(target, self.sandbox, &self.budgets.sandbox)?;
        if extracted && cached {
            // The archive itself stays in the cache.
            let bytes = target.symlink_metadata().map_err(transfer)?.len();
            fs::remove_file(target).map_err(transfer)?;
            self.budgets.sandbox.give_back(bytes);
        }
        if executable {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(target).map_err(transfer)?.permissions().mode();
            let executable = fs::Permissions::from_mode(mode | 0o111);
            fs::set_permissions(target, executable).map_err(transfer)?;
        }
        Ok(())
    }
}

/// Copies a file of the host's, with its permissions.
fn copy(from: &Path, to: &Path, budget: &Budget) -> io::Result<()> {
    // A device or a pipe may have no end.
    if !fs::metadata(from)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let from = File::open(from)?;
    let permissions = from.metadata()?.permissions();
    let mut to = File::create(to)?;
    budget.copy(from, &mut to)?;
    to.set_permissions(permissions)
}

/// Fetches one URI into the sandbox, extracts it if it is an archive, marks it executable if asked.
///
/// # Errors
/// [`FetchItemError`].
pub fn fetch(uri: &Uri, sandbox: &Path, home: Option<&str>) -> Result<(), FetchItemError> {
    let budgets = &Budgets::of(sandbox, None);
    let fetcher = ItemFetcher { home, cache: None, sandbox, stall: DEFAULT_STALL, budgets };
    let item = Item { uri: uri.clone(), action: Action::BypassCache.into(), cache_filename: None };
    fetcher.fetch_item(&item)
}

/// Makes a source of a URI.
type Make = fn(String) -> Source;

/// Who serves which schemes.
const SCHEMES: [(&[&str], Make); 3] = [
    (&["http://", "https://"], Source::Http),
    (&["ftp://", "ftps://"], Source::Curl),
    (&["hdfs://", "hftp://", "s3://", "s3n://"], Source::Hdfs),
];

enum Source {
    File(PathBuf),
    Http(String),
    Curl(String),
    Hdfs(String),
}

fn source(uri: &str, home: Option<&str>) -> Result<Source, FetchItemError> {
    for (schemes, make) in SCHEMES {
        if schemes.iter().any(|scheme| uri.starts_with(scheme)) {
            return Ok(make(uri.to_owned()));
        }
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
        let cases = [
            ("relative", "scheme is not served"),
            ("gopher://h/x", "scheme is not served"),
            ("file:///nowhere/x", "No such file"),
            ("file:///", "is no file name"),
            ("file:///etc", "not a regular file"),
            ("/dev/zero", "not a regular file"),
            ("http://127.0.0.1:1/x", "Connection refused"),
            // 7: curl itself could not connect; one that is missing says something else.
            ("ftp://127.0.0.1:1/x", "curl failed: exit status: 7"),
            ("https://127.0.0.1:1/x", "curl failed: exit status: 7"),
        ];
        for (bad, why) in cases {
            let error = fetch(&uri(bad), sandbox.path(), None).unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
        for escape in ["../x", "/etc/x", "a/../../x", ""] {
            let wanted = Uri { output_file: Some(escape.into()), ..uri("file:///etc/hostname") };
            let error = fetch(&wanted, sandbox.path(), None).unwrap_err();
            assert!(matches!(error, FetchItemError::OutputFile(_)), "{escape}: {error}");
        }
    }

    #[test]
    fn fetch_redirected_to_a_file_is_refused() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            let answer = "HTTP/1.1 302 Found\r\nLocation: file:///etc/hostname\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let sandbox = tempfile::tempdir().unwrap();
        let error = fetch(&uri(&format!("http://{address}/x")), sandbox.path(), None).unwrap_err();
        assert!(error.to_string().contains("file:///etc/hostname"), "{error}");
        assert!(!sandbox.path().join("x").exists());
        server.join().unwrap();
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
