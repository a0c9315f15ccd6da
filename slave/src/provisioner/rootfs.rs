//! The root of one container, made of layers, and what becomes of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use isolators::filesystem::mounts;
use nix::mount::{MsFlags, mount};

use super::store::Store;
use super::{Backend, PRIVATE, copy};
use crate::fetcher::ours;

/// Makes a root of layers, lowest first, below `container`, a directory of all containers' in that of
/// all roots.
///
/// # Errors
/// When it cannot be made.
pub(super) fn make(
    store: &Store,
    layers: &[String],
    backend: Backend,
    container: &Path,
    id: &str,
) -> io::Result<PathBuf> {
    // Somebody may have removed what the slave made at its start.
    if let Some(roots) = container.parent().and_then(Path::parent) {
        ours::make_last(roots, PRIVATE, None).map_err(io::Error::other)?;
    }
    let base = container.join("backends").join(backend.name());
    let root = base.join("rootfses").join(id);
    fs::create_dir_all(&root)?;
    match backend {
        Backend::Copy => {
            for layer in layers {
                copy::apply(&store.layer(layer), &root)?;
            }
        }
        Backend::Overlay => {
            let scratch = base.join("scratch").join(id);
            overlay(store, layers, &scratch, &root)?;
        }
    }
    Ok(root)
}

/// Paths of many layers would not fit into what the kernel takes: links with short names do.
fn overlay(store: &Store, layers: &[String], scratch: &Path, root: &Path) -> io::Result<()> {
    let links = scratch.join("l");
    let (upper, work) = (scratch.join("u"), scratch.join("w"));
    for directory in [&links, &upper, &work] {
        fs::create_dir_all(directory)?;
    }
    for (number, layer) in layers.iter().enumerate() {
        std::os::unix::fs::symlink(store.layer(layer), links.join(number.to_string()))?;
    }
    // The highest comes first.
    let lower: Vec<String> = (0..layers.len()).rev().map(|it| format!("l/{it}")).collect();
    std::env::set_current_dir(scratch)?;
    let options = format!("lowerdir={},upperdir=u,workdir=w", lower.join(":"));
    let done =
        mount(Some("overlay"), root, Some("overlay"), MsFlags::empty(), Some(options.as_str()));
    done.map_err(|error| io::Error::other(format!("cannot mount its layers: {error}")))
}

/// Takes away everything that was made for a container.
///
/// # Errors
/// When something stays.
pub(super) fn remove(container: &Path) -> io::Result<()> {
    if !container.exists() {
        return Ok(());
    }
    // The kernel tells of mounts by their real paths.
    let real = container.canonicalize()?;
    for point in mounts::below(&real)? {
        mounts::detach(&point)?;
    }
    fs::remove_dir_all(real)
}
