//! What the helper does: pulling and unpacking take long, and happen in a process of their own.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::pull::{Pull, pull};
use super::store::Store;
use super::{Backend, rootfs};

/// One order, as the slave writes it and the helper reads it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    /// Brings an image into the store; answers its layers and its configuration.
    Pull(Pull),
    /// Makes a root; answers its path.
    Make { store: PathBuf, backend: Backend, layers: Vec<String>, container: PathBuf, id: String },
    /// Removes a container's roots.
    Remove { container: PathBuf },
}

impl Order {
    pub(super) fn to_json(&self) -> Value {
        match self {
            Order::Pull(it) => json!({"order": "pull", "image": it.image, "store": it.store,
                "backend": it.backend.name(), "registry": it.registry, "config": it.config,
                "stall_secs": it.stall.as_secs(), "cached": it.cached, "shared": it.shared}),
            Order::Make { store, backend, layers, container, id } => json!({"order": "make",
                "store": store, "backend": backend.name(), "layers": layers,
                "container": container, "id": id}),
            Order::Remove { container } => json!({"order": "remove", "container": container}),
        }
    }

    pub(super) fn from_json(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
        let path = |key: &str| text(key).map(PathBuf::from);
        let backend = || text("backend")?.parse::<Backend>().ok();
        Some(match text("order")?.as_str() {
            "pull" => Order::Pull(Pull {
                image: text("image")?,
                store: path("store")?,
                backend: backend()?,
                registry: text("registry"),
                config: value.get("config").filter(|config| !config.is_null()).cloned(),
                stall: Duration::from_secs(value.get("stall_secs")?.as_u64()?),
                cached: value.get("cached")?.as_bool()?,
                shared: value.get("shared")?.as_bool()?,
            }),
            "make" => {
                let layers = value.get("layers")?.as_array()?.iter();
                Order::Make {
                    store: path("store")?,
                    backend: backend()?,
                    layers: layers
                        .map(|it| it.as_str().map(str::to_owned))
                        .collect::<Option<_>>()?,
                    container: path("container")?,
                    id: text("id")?,
                }
            }
            "remove" => Order::Remove { container: path("container")? },
            _ => return None,
        })
    }
}

/// Carries an order out; answers the document that the slave waits for.
///
/// # Errors
/// Text for the slave's log and the task's last message.
pub fn carry_out(order: &str) -> Result<String, String> {
    let order = serde_json::from_str(order).ok().and_then(|value| Order::from_json(&value));
    match order.ok_or("the order cannot be understood")? {
        Order::Pull(wanted) => pull(&wanted).map(|stored| stored.to_json().to_string()),
        Order::Make { store, backend, layers, container, id } => {
            let failed =
                |error: std::io::Error| format!("cannot make the root of an image: {error}");
            let store = Store::open(&store, backend).map_err(failed)?;
            let root = rootfs::make(&store, &layers, backend, &container, &id).map_err(failed)?;
            Ok(root.display().to_string())
        }
        Order::Remove { container } => rootfs::remove(&container)
            .map(|()| String::new())
            .map_err(|error| format!("cannot remove {}: {error}", container.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_were_written() {
        let orders = [
            Order::Pull(Pull {
                image: "a".to_owned(),
                store: "/s".into(),
                backend: Backend::Overlay,
                registry: None,
                config: Some(json!({"auths": {}})),
                stall: Duration::from_secs(3),
                cached: true,
                shared: false,
            }),
            Order::Make {
                store: "/s".into(),
                backend: Backend::Copy,
                layers: vec!["sha256:1".to_owned()],
                container: "/c".into(),
                id: "1".to_owned(),
            },
            Order::Remove { container: "/c".into() },
        ];
        for order in orders {
            assert_eq!(Order::from_json(&order.to_json()), Some(order));
        }
        assert!(carry_out("{}").is_err());
    }
}
