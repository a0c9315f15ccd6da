//! The process `mesos-provisioner(1)`: who waits for which image, and which containers have roots.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{BoxFuture, Shared, ready};
use isolators::images::{Images, Provisioned};
use libprocess::subprocess::{Command, Output};
use libprocess::{Ctx, Handle, Node, Process, Routes};
use protos::ids::ContainerId;
use protos::mesos::{self, image, secret};
use serde_json::Value;

use super::helper::Order;
use super::pull::Pull;
use super::store::Stored;
use super::{Backend, manifest, roots};

/// What the provisioner is told once.
#[derive(Debug, Clone)]
pub struct ProvisionerOptions {
    /// Program and leading arguments of `mesos-containerizer`.
    pub helper: Vec<String>,
    /// Where images are kept (flag `docker_store_dir`).
    pub store: PathBuf,
    /// Where images come from: a directory, or a registry's URL (flag `docker_registry`).
    pub registry: Option<String>,
    /// Credentials for registries, in docker's form (flag `docker_config`).
    pub config: Option<Value>,
    /// How layers become roots (flag `image_provisioner_backend`).
    pub backend: Backend,
    /// Roots are made below this.
    pub work_dir: PathBuf,
    /// A transfer that stands still for so long has failed (flag `fetcher_stall_timeout`).
    pub stall: Duration,
}

type Pulled = Result<Stored, String>;
type Busy = Shared<BoxFuture<'static, ()>>;

/// The actor.
pub struct Provisioner {
    options: ProvisionerOptions,
    /// Images under way, by name, with who waits for them.
    pulling: BTreeMap<String, Vec<oneshot::Sender<Pulled>>>,
    /// Containers with roots: what is being made for them, if anything.
    containers: BTreeMap<ContainerId, Busy>,
    /// Roots are numbered.
    next: u64,
}

impl Process for Provisioner {
    fn routes(_: &mut Routes<Self>) {}
}

/// Starts a provisioner on a node.
pub fn start(node: &Node, options: ProvisionerOptions) -> Front {
    let (pulling, containers) = (BTreeMap::new(), BTreeMap::new());
    let process = Provisioner { options, pulling, containers, next: 0 };
    Front(node.spawn_numbered("mesos-provisioner", process))
}

/// The actor, as containerizers and isolators see it.
#[derive(Clone)]
pub struct Front(Handle<Provisioner>);

impl Images for Front {
    fn provision(
        &self,
        container: &ContainerId,
        image: &mesos::Image,
    ) -> BoxFuture<'static, Result<Provisioned, String>> {
        let (container, image) = (container.clone(), image.clone());
        let asked = self.0.ask_later(move |this, cx| this.provision(container, &image, cx));
        Box::pin(async move { asked.await.unwrap_or_else(|gone| Err(gone.to_string())) })
    }
}

impl Front {
    /// Removes what was made for a container; one without roots is no error.
    pub fn destroy(&self, container: &ContainerId) -> BoxFuture<'static, Result<(), String>> {
        let container = container.clone();
        let asked = self.0.ask_later(move |this, cx| this.destroy(&container, cx));
        Box::pin(async move { asked.await.unwrap_or_else(|gone| Err(gone.to_string())) })
    }

    /// Takes over what an earlier slave made for these containers, and removes the rest.
    pub fn recover(&self, known: BTreeSet<ContainerId>) {
        self.0.tell(move |this, cx| this.recover(&known, cx));
    }
}

/// What the image is called, and the credentials that it brings.
fn named(image: &mesos::Image) -> Result<(String, Option<Value>), String> {
    let docker = match (image.r#type(), &image.docker) {
        (image::Type::Docker, Some(docker)) => docker,
        (image::Type::Docker, None) => return Err("the image has no name".to_owned()),
        (other, _) => {
            return Err(format!("images of kind {} are not provided", other.as_str_name()));
        }
    };
    let Some(config) = &docker.config else { return Ok((docker.name.clone(), None)) };
    let value = config.value.as_ref().filter(|_| config.r#type() == secret::Type::Value);
    let value = value.ok_or("the image's credentials are no plain secret")?;
    let parsed = serde_json::from_slice(&value.data);
    let parsed = parsed.map_err(|_| "the image's credentials are no JSON".to_owned())?;
    Ok((docker.name.clone(), Some(parsed)))
}

impl Provisioner {
    fn provision(
        &mut self,
        container: ContainerId,
        image: &mesos::Image,
        cx: &mut Ctx<Self>,
    ) -> BoxFuture<'static, Result<Provisioned, String>> {
        let (name, config) = match named(image) {
            Ok(named) => named,
            Err(reason) => return ready(Err(reason)).boxed(),
        };
        self.containers.entry(container.clone()).or_insert_with(|| ready(()).boxed().shared());
        let stored = self.pull(name, config, image.cached.unwrap_or(true), cx);
        let this = cx.handle();
        Box::pin(async move {
            let gone = |_| Err("the provisioner is gone".to_owned());
            let stored = stored.await.unwrap_or_else(gone)?;
            let config = manifest::config(stored.config.as_bytes());
            let config = config.map_err(|error| error.to_string())?;
            let made = this.ask_later(move |this, cx| this.make(&container, stored.layers, cx));
            let rootfs = made.await.unwrap_or_else(|gone| Err(gone.to_string()))?;
            Ok(Provisioned { rootfs, config })
        })
    }

    /// Who asks for an image that is under way waits for that.
    fn pull(
        &mut self,
        image: String,
        config: Option<Value>,
        cached: bool,
        cx: &mut Ctx<Self>,
    ) -> oneshot::Receiver<Pulled> {
        let (sender, receiver) = oneshot::channel();
        // What one may see with its credentials is not another's.
        let shared = config.is_none();
        if let Some(waiting) = self.pulling.get_mut(&image).filter(|_| shared) {
            waiting.push(sender);
            return receiver;
        }
        let key = if shared { image.clone() } else { format!("{image} {}", cx.uuid()) };
        self.pulling.insert(key.clone(), vec![sender]);
        let order = Order::Pull(Pull {
            image,
            store: self.options.store.clone(),
            backend: self.options.backend,
            registry: self.options.registry.clone(),
            cached: cached && shared,
            shared,
            config: config.or_else(|| self.options.config.clone()),
            stall: self.options.stall,
        });
        let helped = self.help(&order, cx);
        cx.defer(helped, move |this, told, _| {
            let stored = told.and_then(|told| {
                let value = serde_json::from_str(&told).ok();
                let stored = value.and_then(|value| Stored::from_json(&value));
                stored.ok_or_else(|| "the helper's answer cannot be understood".to_owned())
            });
            for waiting in this.pulling.remove(&key).unwrap_or_default() {
                // Who waited may have stopped.
                let _ = waiting.send(stored.clone());
            }
        });
        receiver
    }

    fn make(
        &mut self,
        container: &ContainerId,
        layers: Vec<String>,
        cx: &mut Ctx<Self>,
    ) -> BoxFuture<'static, Result<PathBuf, String>> {
        if !self.containers.contains_key(container) {
            return ready(Err("the container is gone".to_owned())).boxed();
        }
        self.next += 1;
        let order = Order::Make {
            store: self.options.store.clone(),
            backend: self.options.backend,
            layers,
            container: self.directory(container),
            id: self.next.to_string(),
        };
        let made = self.help(&order, cx).shared();
        let before = self.containers.get(container).cloned();
        let (waited, mine) = (before.unwrap_or_else(|| ready(()).boxed().shared()), made.clone());
        let busy = async move {
            waited.await;
            drop(mine.await);
        };
        self.containers.insert(container.clone(), busy.boxed().shared());
        made.map(|made| made.map(PathBuf::from)).boxed()
    }

    fn destroy(
        &mut self,
        container: &ContainerId,
        cx: &mut Ctx<Self>,
    ) -> BoxFuture<'static, Result<(), String>> {
        let Some(busy) = self.containers.remove(container) else { return ready(Ok(())).boxed() };
        let order = Order::Remove { container: self.directory(container) };
        let this = cx.handle();
        Box::pin(async move {
            busy.await;
            let removed = this.ask_later(move |this, cx| this.help(&order, cx)).await;
            removed.unwrap_or_else(|gone| Err(gone.to_string())).map(drop)
        })
    }

    fn recover(&mut self, known: &BTreeSet<ContainerId>, cx: &mut Ctx<Self>) {
        let listed = cx.disk().list(&roots(&self.options.work_dir).join("containers"));
        let known = known.clone();
        cx.defer(listed, move |this, found, cx| {
            for entry in found.unwrap_or_default() {
                let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
                let container = ContainerId::new(name.into_owned());
                this.containers.insert(container.clone(), ready(()).boxed().shared());
                if known.contains(&container) {
                    continue;
                }
                slog::info!(cx.log(), "removing an orphan's root"; "container" => %container);
                let removed = this.destroy(&container, cx);
                cx.defer(removed, |_, removed, cx| {
                    if let Err(reason) = removed {
                        slog::warn!(cx.log(), "an orphan's root is left"; "reason" => reason);
                    }
                });
            }
        });
    }

    fn directory(&self, container: &ContainerId) -> PathBuf {
        roots(&self.options.work_dir).join("containers").join(container.as_str())
    }

    /// Has the helper carry an order out; its answer, or why it failed.
    fn help(
        &self,
        order: &Order,
        cx: &mut Ctx<Self>,
    ) -> BoxFuture<'static, Result<String, String>> {
        let mut argv = self.options.helper.clone();
        argv.push("image".to_owned());
        let mut env: BTreeMap<String, String> = PASSED
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .collect();
        // Not among the arguments, which everybody sees: it may hold credentials.
        env.insert(super::ORDER.to_owned(), order.to_json().to_string());
        let command = Command {
            program: argv.first().cloned().unwrap_or_default(),
            argv,
            env,
            stdout: Output::Collect,
            stderr: Output::Collect,
            session: true,
            die_with_parent: true,
            ..Command::default()
        };
        let os: Arc<_> = cx.subprocesses();
        Box::pin(async move {
            let child = os.spawn(command).await.map_err(|error| error.to_string())?;
            let ended = child.ended.await;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
            match ended.status {
                Some(status) if status.success() => Ok(text(&ended.stdout)),
                _ => {
                    let told = text(&ended.stderr);
                    let last = told.lines().last().unwrap_or("the helper failed").to_owned();
                    Err(last.trim_start_matches("mesos-containerizer: ").to_owned())
                }
            }
        })
    }
}

/// Variables that the helper's programs need.
const PASSED: [&str; 6] =
    ["PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_that_is_none_of_dockers_is_refused() {
        let appc = mesos::Image { r#type: image::Type::Appc as i32, ..Default::default() };
        assert!(named(&appc).unwrap_err().contains("APPC"));
        let mut docker = mesos::Image { r#type: image::Type::Docker as i32, ..Default::default() };
        assert!(named(&docker).is_err());
        docker.docker = Some(image::Docker { name: "a".to_owned(), ..Default::default() });
        assert_eq!(named(&docker), Ok(("a".to_owned(), None)));
    }
}
