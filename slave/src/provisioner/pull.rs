//! Brings an image into the store: from a directory of `docker save` archives, or from a registry.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::manifest::{self, Saved};
use super::reference::Reference;
use super::registry::{MAX_DOCUMENT, Registry};
use super::store::{Store, Stored};
use super::{Backend, layer};
use crate::fetcher::Budget;

/// What is to be pulled, from where.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pull {
    pub(super) image: String,
    pub(super) store: PathBuf,
    pub(super) backend: Backend,
    /// The flag `docker_registry`.
    pub(super) registry: Option<String>,
    /// The flag `docker_config`, or what the image brings instead.
    pub(super) config: Option<Value>,
    /// A transfer that stands still for so long has failed.
    pub(super) stall: Duration,
    /// What is there already will do.
    pub(super) cached: bool,
    /// Others who ask for that name may have it, too.
    pub(super) shared: bool,
}

/// The directory of archives, if the flag `docker_registry` names one.
fn directory(registry: Option<&str>) -> Option<PathBuf> {
    let registry = registry?;
    let path = registry.strip_prefix("file://").unwrap_or(registry);
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// Pulls; an image that is there is not pulled again if that will do.
///
/// # Errors
/// Text with the image and why it cannot be had.
pub(super) fn pull(pull: &Pull) -> Result<Stored, String> {
    let reference: Reference = pull.image.parse().map_err(|error| format!("{error}"))?;
    let failed = |error: io::Error| format!("cannot pull image '{reference}': {error}");
    let store = Store::open(&pull.store, pull.backend).map_err(failed)?;
    if let Some(stored) = store.find(&reference).filter(|_| pull.cached) {
        return Ok(stored);
    }
    // One for all layers.
    let budget = Budget::of(store.root());
    let local = directory(pull.registry.as_deref());
    // A name with a registry of its own comes from there.
    let stored = match local.filter(|_| reference.registry.is_none()) {
        Some(directory) => from_archive(&store, &directory, &reference, &budget),
        None => from_registry(&store, pull, &reference, &budget),
    };
    let stored = stored.map_err(failed)?;
    // Layers that nobody knows by name are nobody's who does not know their digests.
    if pull.shared {
        store.put(&reference, &stored).map_err(failed)?;
    }
    Ok(stored)
}

/// Where the archive of an image may lie.
fn archive(directory: &Path, reference: &Reference) -> io::Result<PathBuf> {
    let short = reference.short();
    let mut names = vec![format!("{short}.tar")];
    if reference.tag.as_deref() == Some("latest") {
        names.push(format!("{}.tar", reference.repository));
    }
    let paths: Vec<PathBuf> = names.iter().map(|name| directory.join(name)).collect();
    let found = paths.iter().find(|path| path.is_file()).cloned();
    let missing = || {
        let told = format!("there is no {} in {}", names.join(" or "), directory.display());
        io::Error::new(io::ErrorKind::NotFound, told)
    };
    found.ok_or_else(missing)
}

fn from_archive(
    store: &Store,
    directory: &Path,
    reference: &Reference,
    budget: &Budget,
) -> io::Result<Stored> {
    let archive = archive(directory, reference)?;
    let bytes = layer::read_one(&archive, "manifest.json", MAX_DOCUMENT)?;
    let mut images = manifest::saved(&bytes).map_err(io::Error::other)?;
    let short = reference.short();
    let named = images.iter().position(|image| image.names.contains(&short));
    let chosen = match (named, images.len()) {
        (Some(index), _) => images.swap_remove(index),
        // One that was renamed after it was saved.
        (None, 1) => images.swap_remove(0),
        (None, _) => return Err(io::Error::other(format!("it holds no '{short}'"))),
    };
    let Saved { config, layers, .. } = chosen;
    let config = text(layer::read_one(&archive, &config, MAX_DOCUMENT)?)?;
    let mut digests = Vec::new();
    for name in layers {
        let mut digest = String::new();
        layer::one(&archive, &name, |from| {
            digest = store.add_layer(from, None, budget)?;
            Ok(())
        })?;
        digests.push(digest);
    }
    Ok(Stored { layers: digests, config })
}

fn from_registry(
    store: &Store,
    pull: &Pull,
    name: &Reference,
    budget: &Budget,
) -> io::Result<Stored> {
    let (default, config) = (pull.registry.as_deref(), pull.config.as_ref());
    let default = default.filter(|default| directory(Some(default)).is_none());
    let mut registry = Registry::new(name, default, config, pull.stall, &store.staging());
    let (config, layers) = registry.manifest(name.version())?;
    let config = text(registry.small(&config)?)?;
    for digest in &layers {
        if !store.layer(digest).is_dir() {
            let path = format!("blobs/{digest}");
            registry.get(&path, budget.left(), |from| {
                store.add_layer(from, Some(digest), budget).map(drop)
            })?;
        }
    }
    Ok(Stored { layers, config })
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    let text = String::from_utf8(bytes).map_err(io::Error::other)?;
    manifest::config(text.as_bytes()).map_err(io::Error::other)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_that_is_a_directory_is_told_from_one_of_the_web() {
        assert_eq!(directory(Some("/a/b")), Some("/a/b".into()));
        assert_eq!(directory(Some("file:///a")), Some("/a".into()));
        assert_eq!(directory(Some("https://r.io")), None);
        assert_eq!(directory(None), None);
    }

    fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            tar.append_data(&mut header, name, *bytes).unwrap();
        }
        tar.into_inner().unwrap()
    }

    /// A directory with an archive of the image `a:1` of two layers, of which one is packed by zstd.
    fn saved() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let (low, high) = (tar_of(&[("low", &[1; 3000])]), tar_of(&[("high", &[2; 3000])]));
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let high = ruzstd::encoding::compress_to_vec(high.as_slice(), level);
        let manifest = br#"[{"Config": "c", "RepoTags": ["a:1"], "Layers": ["0", "1"]}]"#;
        let all = tar_of(&[("manifest.json", manifest), ("c", b"{}"), ("0", &low), ("1", &high)]);
        std::fs::write(directory.path().join("a:1.tar"), all).unwrap();
        directory
    }

    fn wanted(directory: &Path, cached: bool, shared: bool) -> Pull {
        Pull {
            image: "a:1".to_owned(),
            store: directory.join("store"),
            backend: Backend::Copy,
            registry: Some(directory.display().to_string()),
            config: None,
            stall: Duration::from_secs(1),
            cached,
            shared,
        }
    }

    #[test]
    fn image_that_is_not_shared_is_not_found_by_its_name_later() {
        let directory = saved();
        let directory = directory.path();
        let own = pull(&wanted(directory, false, false)).unwrap();
        let store = Store::open(&directory.join("store"), Backend::Copy).unwrap();
        for (layer, file) in own.layers.iter().zip(["low", "high"]) {
            assert_eq!(std::fs::metadata(store.layer(layer).join(file)).unwrap().len(), 3000);
        }
        assert_eq!(store.find(&"a:1".parse().unwrap()), None);
        assert_eq!(pull(&wanted(directory, true, true)).unwrap(), own);
        assert_eq!(store.find(&"a:1".parse().unwrap()), Some(own));
    }

    #[test]
    fn layers_of_one_image_share_what_may_be_written() {
        let directory = saved();
        let store = Store::open(&directory.path().join("store"), Backend::Copy).unwrap();
        let image = "a:1".parse().unwrap();
        let pulled = |budget| from_archive(&store, directory.path(), &image, &budget);
        // Each fits, and so do both with a budget for both.
        let refused = pulled(Budget::new(5000, 10)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
        assert!(pulled(Budget::new(6000, 1)).is_err());
        pulled(Budget::new(6000, 2)).unwrap();
    }
}
