//! Serves files under virtual paths: `/files/browse`, `/files/read`, `/files/download`,
//! `/files/debug`, each also with `.json`.
//!
//! Only what was attached can be seen, and nothing outside it: a path is resolved with all links
//! followed and must lie below the root it was attached with.

mod attached;
mod render;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::disk::{Disk, DiskError};
use crate::http::{Answer, Body, Request, Response};
use crate::{Ctx, Help, Process, Routes};
use attached::{Attached, Unresolved};

pub use attached::normalise;

/// Where the node asks for it, only principals may see files.
const READ_ONLY: &str = "readonly";

/// Most bytes that one read returns: 16 pages.
const MAX_READ_BYTES: usize = 16 * 4096;

/// Files up to this size are downloaded in one piece, whose length is announced.
const WHOLE_BYTES: u64 = 1024 * 1024;
/// Larger ones in pieces, so that they are never in memory as a whole.
const PIECE_BYTES: usize = 256 * 1024;

const BROWSE: Help = Help::new("Lists a directory", "`path`: the virtual path. Answers an array.");
const READ: Help = Help::new(
    "Reads a part of a file",
    "`path`; `offset` (-1 or absent asks for the size); `length` (-1 or absent: as much as possible).",
);
const DOWNLOAD: Help = Help::new("Downloads a file", "`path`: the virtual path.");
const DEBUG: Help = Help::new("Virtual paths and what they stand for", "");

/// The process `files`.
#[derive(Default)]
pub struct Files {
    attached: Attached,
}

impl Process for Files {
    fn routes(r: &mut Routes<Self>) {
        r.any("/browse", BROWSE, Self::browse).realm(READ_ONLY);
        r.any("/browse.json", BROWSE, Self::browse).realm(READ_ONLY);
        r.any("/read", READ, Self::read).realm(READ_ONLY);
        r.any("/read.json", READ, Self::read).realm(READ_ONLY);
        r.any("/download", DOWNLOAD, Self::download).realm(READ_ONLY);
        r.any("/download.json", DOWNLOAD, Self::download).realm(READ_ONLY);
        r.any("/debug", DEBUG, Self::debug).realm(READ_ONLY);
        r.any("/debug.json", DEBUG, Self::debug).realm(READ_ONLY);
    }
}

/// The first `size` bytes of a file, piece by piece; fewer when it was cut meanwhile.
fn stream(
    disk: Arc<dyn Disk>,
    path: PathBuf,
    size: u64,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    futures::stream::try_unfold(0, move |offset: u64| {
        let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let piece = disk.read_at(&path, offset, left.min(PIECE_BYTES));
        async move {
            let piece = piece.await.map_err(|error| error.source)?;
            let next = offset + piece.len() as u64;
            Ok(if piece.is_empty() { None } else { Some((piece, next)) })
        }
    })
}

type Found = BoxFuture<'static, Result<PathBuf, Response>>;

impl Files {
    /// Shows `real` and all below it under the virtual path `name`.
    pub fn attach(&mut self, name: &str, real: PathBuf) {
        self.attached.attach(name, real);
    }

    /// Shows these under virtual paths below `name`, and of what was attached there nothing else; what
    /// `name` itself stands for stays.
    pub fn attach_below(&mut self, name: &str, below: &BTreeMap<String, PathBuf>) {
        self.attached.detach_below(name);
        for (path, real) in below {
            self.attached.attach(&format!("{name}/{path}"), real.clone());
        }
    }

    /// Hides a virtual path again.
    pub fn detach(&mut self, name: &str) {
        self.attached.detach(name);
    }

    /// The real path that a request means, links followed, still below its root.
    fn find(&self, request: &Request, cx: &Ctx<Self>) -> Result<(String, Found), Response> {
        let Some(path) = request.param("path").filter(|path| !path.is_empty()) else {
            return Err(Response::bad_request("expecting 'path=value' in query"));
        };
        let leads_out = || Response::bad_request("path leads out of what may be seen");
        let (root, rest) = self.attached.resolve(path).map_err(|why| match why {
            Unresolved::GoesUp => leads_out(),
            Unresolved::Unknown => Response::text(404, ""),
        })?;
        let disk = cx.disk();
        // With nothing joined to it, as a slash at its end would make a directory of it.
        let wanted = if rest.is_empty() { root.clone() } else { root.join(rest) };
        let found = Box::pin(async move {
            let refuse = |error: DiskError| match error.source.kind() {
                // A file has nothing below it.
                ErrorKind::NotFound | ErrorKind::NotADirectory => Response::text(404, ""),
                _ => Response::text(500, error.to_string()),
            };
            let root = disk.canonicalize(&root).await.map_err(refuse)?;
            let real = disk.canonicalize(&wanted).await.map_err(refuse)?;
            if real.starts_with(&root) { Ok(real) } else { Err(leads_out()) }
        });
        Ok((path.to_owned(), found))
    }

    fn browse(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        let (path, found) = match self.find(&request, cx) {
            Ok(found) => found,
            Err(refusal) => return refusal.into(),
        };
        let disk = cx.disk();
        Answer::later(async move {
            let real = match found.await {
                Ok(real) => real,
                Err(refusal) => return refusal,
            };
            // A file has no entries.
            let entries = disk.list(&real).await.unwrap_or_default();
            let list = entries.iter().map(|entry| render::entry(&path, entry)).collect();
            Response::json(&Value::Array(list), request.param("jsonp"))
        })
    }

    fn read(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        let number = |name: &str| match request.param(name) {
            None => Ok(-1),
            Some(text) => match text.parse::<i64>() {
                Ok(number) if number >= -1 => Ok(number),
                _ => Err(Response::bad_request(format!("{name} '{text}' is not valid"))),
            },
        };
        let (offset, length) = match (number("offset"), number("length")) {
            (Ok(offset), Ok(length)) => (offset, length),
            (Err(refusal), _) | (_, Err(refusal)) => return refusal.into(),
        };
        let found = match self.find(&request, cx) {
            Ok((_, found)) => found,
            Err(refusal) => return refusal.into(),
        };
        let disk = cx.disk();
        Answer::later(async move {
            let real = match found.await {
                Ok(real) => real,
                Err(refusal) => return refusal,
            };
            let info = match disk.stat(&real).await {
                Ok(info) if info.is_dir() => return Response::bad_request("path is a directory"),
                Ok(info) if !info.is_file() => return Response::bad_request("path is no file"),
                Ok(info) => info,
                Err(error) => return Response::text(500, error.to_string()),
            };
            let Ok(from) = u64::try_from(offset) else {
                let probe = json!({"data": "", "offset": info.size});
                return Response::json(&probe, request.param("jsonp"));
            };
            let length = usize::try_from(length).map_or(MAX_READ_BYTES, |l| l.min(MAX_READ_BYTES));
            match disk.read_at(&real, from, length).await {
                Ok(bytes) => {
                    let data = String::from_utf8_lossy(&bytes);
                    let part = json!({"data": data, "offset": from});
                    Response::json(&part, request.param("jsonp"))
                }
                Err(error) => Response::text(500, error.to_string()),
            }
        })
    }

    fn download(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        let found = match self.find(&request, cx) {
            Ok((_, found)) => found,
            Err(refusal) => return refusal.into(),
        };
        let disk = cx.disk();
        Answer::later(async move {
            let real = match found.await {
                Ok(real) => real,
                Err(refusal) => return refusal,
            };
            let size = match disk.stat(&real).await {
                Ok(info) if info.is_dir() => return Response::bad_request("path is a directory"),
                Ok(info) if !info.is_file() => return Response::bad_request("path is no file"),
                Ok(info) => info.size,
                Err(error) => return Response::text(500, error.to_string()),
            };
            if size > WHOLE_BYTES {
                let body = Body::Stream(Box::pin(stream(disk, real.clone(), size)));
                return Response { body, ..render::download(&real, Bytes::new()) };
            }
            match disk.read(&real).await {
                Ok(bytes) => render::download(&real, bytes),
                Err(error) => Response::text(500, error.to_string()),
            }
        })
    }

    fn debug(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        Response::json(&self.attached.to_json(), request.param("jsonp"))
    }
}
