//! Images on disk: layers by what is in them, images by name. Whatever has its name is whole.
//!
//! ```text
//! <docker_store_dir>/layers/<digest>/rootfs      as the copy backend wants it
//!                                   /rootfs.overlay  as overlay does
//!                    images/<digest of the name>/image.json
//!                    staging/
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::digest::{self, Digesting};
use super::reference::{Reference, is_digest};
use super::{Backend, PRIVATE, layer};
use crate::fetcher::{Budget, ours};

/// An image that is on disk.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    /// Digests of its layers, lowest first.
    pub(super) layers: Vec<String>,
    /// Its configuration, as it came.
    pub(super) config: String,
}

impl Stored {
    pub(super) fn to_json(&self) -> Value {
        json!({"layers": self.layers, "config": self.config})
    }

    pub(super) fn from_json(value: &Value) -> Option<Self> {
        let layers = value.get("layers")?.as_array()?.iter();
        let layers: Option<Vec<String>> = layers.map(|it| it.as_str().map(str::to_owned)).collect();
        let layers =
            layers?.into_iter().map(|it| is_digest(&it).then_some(it)).collect::<Option<_>>();
        Some(Self { layers: layers?, config: value.get("config")?.as_str()?.to_owned() })
    }
}

/// The directory of all images.
pub(super) struct Store {
    root: PathBuf,
    backend: Backend,
    /// Makes all that lies on a directory's disk durable.
    sync: fn(&Path) -> io::Result<()>,
}

/// A layer has many files: the whole disk at once is faster than one after the other.
fn sync_all(directory: &Path) -> io::Result<()> {
    nix::unistd::syncfs(File::open(directory)?).map_err(io::Error::from)
}

impl Store {
    /// Opens a store; it is made if need be.
    pub(super) fn open(root: &Path, backend: Backend) -> io::Result<Self> {
        ours::make(root, PRIVATE).map_err(io::Error::other)?;
        for name in ["layers", "images", "staging"] {
            fs::create_dir_all(root.join(name))?;
        }
        Ok(Self { root: root.to_owned(), backend, sync: sync_all })
    }

    /// Where it lies.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where unfinished things are put.
    pub(super) fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// The directory that a layer is.
    pub(super) fn layer(&self, digest: &str) -> PathBuf {
        let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
        self.root.join("layers").join(hex).join(self.backend.layer_name())
    }

    fn image(&self, reference: &Reference) -> PathBuf {
        let name = digest::of(reference.to_string().as_bytes());
        let name = name.split_once(':').map_or("", |(_, hex)| hex).to_owned();
        self.root.join("images").join(name).join("image.json")
    }

    /// An image, if it is there with all its layers.
    pub(super) fn find(&self, reference: &Reference) -> Option<Stored> {
        let text = fs::read_to_string(self.image(reference)).ok()?;
        let stored = Stored::from_json(&serde_json::from_str(&text).ok()?)?;
        stored.layers.iter().all(|digest| self.layer(digest).is_dir()).then_some(stored)
    }

    /// Remembers an image whose layers are there.
    pub(super) fn put(&self, reference: &Reference, stored: &Stored) -> io::Result<()> {
        let path = self.image(reference);
        fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
        let mut document = stored.to_json();
        document["name"] = reference.to_string().into();
        let mut file = tempfile::NamedTempFile::new_in(self.staging())?;
        file.write_all(document.to_string().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    }

    /// Puts a layer there, of its archive. Its digest, which must be `wanted` if that is given.
    pub(super) fn add_layer(
        &self,
        from: impl Read,
        wanted: Option<&str>,
        budget: &Budget,
    ) -> io::Result<String> {
        let staged = tempfile::tempdir_in(self.staging())?;
        let root = staged.path().join("rootfs");
        fs::create_dir(&root)?;
        let mut from = Digesting::new(from);
        layer::extract(&mut from, &root, self.backend, budget)?;
        let digest = from.finish()?;
        if let Some(wanted) = wanted.filter(|wanted| *wanted != digest) {
            let told = format!("layer {wanted} was asked for and {digest} was sent");
            return Err(io::Error::new(io::ErrorKind::InvalidData, told));
        }
        let target = self.layer(&digest);
        fs::create_dir_all(target.parent().unwrap_or(&self.root))?;
        // After a loss of power it would have its name, and files without content.
        (self.sync)(&root)?;
        match fs::rename(&root, &target) {
            // Somebody else was faster with the same layer.
            Err(_) if target.is_dir() => {}
            done => done?,
        }
        File::open(target.parent().unwrap_or(&self.root))?.sync_all()?;
        File::open(self.root.join("layers"))?.sync_all()?;
        Ok(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn budget() -> Budget {
        Budget::new(1000, 10)
    }

    #[test]
    fn store_is_for_its_owner_alone() {
        let all = tempfile::tempdir().unwrap();
        let root = all.path().join("store");
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        Store::open(&root, Backend::Copy).unwrap();
        assert_eq!(root.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
        // Another's, behind a link that anybody could have made.
        fs::set_permissions(all.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        symlink("/etc", all.path().join("link")).unwrap();
        let refused = Store::open(&all.path().join("link"), Backend::Copy).err().unwrap();
        assert!(refused.to_string().contains("link is a link"), "{refused}");
    }

    #[test]
    fn layer_that_is_not_durable_yet_has_not_its_name() {
        let root = tempfile::tempdir().unwrap();
        let mut store = Store::open(root.path(), Backend::Copy).unwrap();
        store.sync = |directory| {
            assert!(directory.is_dir());
            Err(io::Error::other("no power"))
        };
        let empty = tar::Builder::new(Vec::new()).into_inner().unwrap();
        assert!(store.add_layer(empty.as_slice(), None, &budget()).is_err());
        assert!(!store.layer(&digest::of(&empty)).exists());
        store.sync = sync_all;
        store.add_layer(empty.as_slice(), None, &budget()).unwrap();
        assert!(store.layer(&digest::of(&empty)).exists());
    }

    #[test]
    fn image_is_found_while_its_layers_are_there() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), Backend::Copy).unwrap();
        let reference: Reference = "a:1".parse().unwrap();
        assert_eq!(store.find(&reference), None);
        let empty = tar::Builder::new(Vec::new()).into_inner().unwrap();
        let layer = store.add_layer(empty.as_slice(), None, &budget()).unwrap();
        assert_eq!(store.add_layer(empty.as_slice(), Some(&layer), &budget()).unwrap(), layer);
        let stored = Stored { layers: vec![layer.clone()], config: "{}".to_owned() };
        store.put(&reference, &stored).unwrap();
        assert_eq!(store.find(&reference), Some(stored));
        assert_eq!(store.find(&"a:2".parse().unwrap()), None);
        fs::remove_dir_all(store.layer(&layer)).unwrap();
        assert_eq!(store.find(&reference), None);
        assert_eq!(fs::read_dir(store.staging()).unwrap().count(), 0);
    }

    #[test]
    fn layer_of_another_digest_is_not_taken() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), Backend::Copy).unwrap();
        let wanted = format!("sha256:{}", "0".repeat(64));
        let empty = tar::Builder::new(Vec::new()).into_inner().unwrap();
        assert!(store.add_layer(empty.as_slice(), Some(&wanted), &budget()).is_err());
        assert_eq!(fs::read_dir(root.path().join("layers")).unwrap().count(), 0);
    }
}
