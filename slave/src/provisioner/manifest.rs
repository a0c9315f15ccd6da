//! What manifests say: which layers an image has, lowest first, and how it wants to be run.

use protos::docker::spec::v1::image_manifest::Config;
use serde_json::Value;

use super::reference::is_digest;

/// Most layers that an image may have.
const MAX_LAYERS: usize = 256;

/// Something cannot be understood as a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed manifest: {0}")]
pub(super) struct ManifestError(pub(super) String);

fn bad(what: &str) -> ManifestError {
    ManifestError(what.to_owned())
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

/// What a registry answers for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Several images, one for each platform: the digest of ours.
    Index(String),
    /// One image: digests of its configuration and of its layers, lowest first.
    Image {
        /// Of the configuration.
        config: String,
        /// Of the layers.
        layers: Vec<String>,
    },
}

/// Reads a manifest (schema 2, or OCI's), or an index of manifests.
pub(super) fn answer(bytes: &[u8]) -> Result<Answer, ManifestError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| bad(&error.to_string()))?;
    if let Some(manifests) = value.get("manifests").and_then(Value::as_array) {
        let is_ours = |entry: &&Value| {
            let platform = entry.get("platform");
            let says = |key: &str| platform.and_then(|it| text(it, key));
            says("os").as_deref() == Some("linux")
                && says("architecture").as_deref() == Some(ARCHITECTURE)
        };
        let ours = manifests.iter().find(is_ours).and_then(|entry| text(entry, "digest"));
        let ours = ours.filter(|digest| is_digest(digest));
        return ours.map(Answer::Index).ok_or_else(|| bad("there is no image for this platform"));
    }
    let digest = |entry: &Value| text(entry, "digest").filter(|digest| is_digest(digest));
    let config = value.get("config").and_then(digest);
    let layers = value.get("layers").and_then(Value::as_array);
    let (Some(config), Some(layers)) = (config, layers) else {
        return Err(bad("it is neither of schema 2 nor an index"));
    };
    let layers: Option<Vec<String>> = layers.iter().map(digest).collect();
    let layers = layers.ok_or_else(|| bad("a layer has no digest"))?;
    (layers.len() <= MAX_LAYERS)
        .then_some(Answer::Image { config, layers })
        .ok_or_else(|| bad("it has too many layers"))
}

/// As registries name the machine.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// One image of a `docker save` archive: its names, and paths in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Saved {
    /// Such as `busybox:latest`.
    pub(super) names: Vec<String>,
    /// Path of the configuration.
    pub(super) config: String,
    /// Paths of the layers, lowest first.
    pub(super) layers: Vec<String>,
}

/// Reads `manifest.json` of such an archive.
pub(super) fn saved(bytes: &[u8]) -> Result<Vec<Saved>, ManifestError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| bad(&error.to_string()))?;
    let images = value.as_array().ok_or_else(|| bad("it is no list"))?;
    let texts = |image: &Value, key: &str| -> Option<Vec<String>> {
        let list = image.get(key)?.as_array()?;
        list.iter().map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let read = |image: &Value| {
        let config = text(image, "Config").ok_or_else(|| bad("an image has no configuration"))?;
        let layers = texts(image, "Layers").ok_or_else(|| bad("an image has no layers"))?;
        let names = texts(image, "RepoTags").unwrap_or_default();
        Ok(Saved { names, config, layers })
    };
    let images: Result<Vec<Saved>, ManifestError> = images.iter().map(read).collect();
    images.and_then(|images| match images.iter().all(|image| image.layers.len() <= MAX_LAYERS) {
        true => Ok(images),
        false => Err(bad("it has too many layers")),
    })
}

/// How an image wants to be run, of its configuration file.
pub(super) fn config(bytes: &[u8]) -> Result<Config, ManifestError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| bad(&error.to_string()))?;
    let Some(config) = value.get("config").filter(|config| config.is_object()) else {
        return Ok(Config::default());
    };
    let texts = |key: &str| -> Vec<String> {
        let list = config.get(key).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|it| it.as_str().map(str::to_owned)).collect()
    };
    let filled = |key: &str| text(config, key).filter(|text| !text.is_empty());
    Ok(Config {
        entrypoint: texts("Entrypoint"),
        cmd: texts("Cmd"),
        env: texts("Env"),
        user: filled("User"),
        working_dir: filled("WorkingDir"),
        ..Config::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn digest(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    #[test]
    fn manifest_of_an_image_names_its_layers_in_order() {
        let manifest = json!({"schemaVersion": 2, "config": {"digest": digest('c')},
            "layers": [{"digest": digest('1')}, {"digest": digest('2'),
                "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd"}]});
        let expected =
            Answer::Image { config: digest('c'), layers: vec![digest('1'), digest('2')] };
        assert_eq!(answer(manifest.to_string().as_bytes()), Ok(expected));
    }

    #[test]
    fn manifest_index_leads_to_this_platform() {
        let entry = |architecture: &str, digit| json!({"digest": digest(digit), "platform": {"os": "linux", "architecture": architecture}});
        let index = json!({"manifests": [entry("s390x", '1'), entry(ARCHITECTURE, '2')]});
        assert_eq!(answer(index.to_string().as_bytes()), Ok(Answer::Index(digest('2'))));
        let index = json!({"manifests": [entry("s390x", '1')]});
        assert!(answer(index.to_string().as_bytes()).is_err());
    }

    #[test]
    fn manifest_malformed_is_refused() {
        for bad in ["", "[]", "{}", r#"{"config":{"digest":"x"},"layers":[]}"#] {
            assert!(answer(bad.as_bytes()).is_err(), "{bad}");
        }
        let many: Vec<_> = (0..1000).map(|_| json!({"digest": digest('1')})).collect();
        let many = json!({"config": {"digest": digest('c')}, "layers": many});
        assert!(answer(many.to_string().as_bytes()).is_err());
        for bad in ["{}", r#"[{"Layers":[]}]"#, r#"[{"Config":"c"}]"#] {
            assert!(saved(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn config_says_how_to_run() {
        let told = json!({"config": {"Entrypoint": ["/e"], "Cmd": null, "Env": ["A=1"], "User": "",
            "WorkingDir": "/w"}});
        let config = config(told.to_string().as_bytes()).unwrap();
        assert_eq!((config.entrypoint, config.cmd), (vec!["/e".to_owned()], Vec::new()));
        assert_eq!((config.env, config.user), (vec!["A=1".to_owned()], None));
        assert_eq!(config.working_dir.as_deref(), Some("/w"));
    }
}
