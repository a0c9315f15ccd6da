//! Isolators that decide once, when a container is prepared: what they ask for is done by the
//! launcher.

use std::collections::BTreeSet;
use std::sync::Arc;

use libprocess::{Ctx, Process, Routes};
use protos::ids::ContainerId;

use crate::front::{IsolatorProcess, Later, now};
use crate::launch::LaunchInfo;
use crate::setup::{ContainerSetup, Recovered};

/// A decision for each container, without memory.
pub trait Preparer: Send + 'static {
    /// The name in the flag `isolation`.
    const NAME: &'static str;

    /// What is to be done inside the container.
    ///
    /// # Errors
    /// Why the container cannot have what it asks for.
    fn launch(&self, id: &ContainerId, setup: &ContainerSetup) -> Result<LaunchInfo, String>;

    /// Removes what was made for a container.
    ///
    /// # Errors
    /// Why something is left.
    fn cleanup(&self, id: &ContainerId) -> Result<(), String> {
        let _ = id;
        Ok(())
    }
}

/// The actor that hosts one.
pub struct Prepared<P> {
    preparer: P,
    containers: BTreeSet<ContainerId>,
}

impl<P> Prepared<P> {
    /// Hosts a preparer.
    pub fn new(preparer: P) -> Self {
        Self { preparer, containers: BTreeSet::new() }
    }
}

impl<P: Preparer> Process for Prepared<P> {
    fn routes(_: &mut Routes<Self>) {}
}

impl<P: Preparer> IsolatorProcess for Prepared<P> {
    const NAME: &'static str = P::NAME;

    fn recover(&mut self, container: &Recovered, _: &mut Ctx<Self>) -> Result<(), String> {
        self.containers.insert(container.id.clone());
        Ok(())
    }

    fn prepare(
        &mut self,
        container: &ContainerId,
        setup: &Arc<ContainerSetup>,
        _: &mut Ctx<Self>,
    ) -> Later<LaunchInfo> {
        if !self.containers.insert(container.clone()) {
            return now(Err("it is prepared already".to_owned()));
        }
        now(self.preparer.launch(container, setup))
    }

    fn cleanup(&mut self, container: &ContainerId, _: &mut Ctx<Self>) -> Later<()> {
        let was_known = self.containers.remove(container);
        now(if was_known { self.preparer.cleanup(container) } else { Ok(()) })
    }
}
