//! Several containerizers behind one front: containers of docker's kind go to docker's, all others to
//! ours (flag `containerizers`).

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use isolators::Allocation;
use protos::ids::ContainerId;
use protos::mesos::{self, container_info};

use super::{
    ContainerConfig, ContainerError, ContainerFuture, Containerizer, RecoveredContainer,
    Termination,
};

/// The front.
pub struct Composing {
    mesos: Option<Arc<dyn Containerizer>>,
    docker: Option<Arc<dyn Containerizer>>,
    dockers: Arc<Mutex<Dockers>>,
}

/// Ended containers whose kind is still known to who asks late.
const MAX_ENDED: usize = 1024;

/// Containers of docker's kind.
#[derive(Default)]
struct Dockers {
    known: BTreeSet<ContainerId>,
    /// Those of them that have ended, oldest first.
    ended: VecDeque<ContainerId>,
}

impl Dockers {
    /// One has ended: in time it is forgotten.
    fn end(&mut self, id: &ContainerId) {
        if !self.known.contains(id) || self.ended.contains(id) {
            return;
        }
        self.ended.push_back(id.clone());
        if self.ended.len() > MAX_ENDED
            && let Some(oldest) = self.ended.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl Composing {
    /// Puts containerizers behind one front.
    pub fn new(
        mesos: Option<Arc<dyn Containerizer>>,
        docker: Option<Arc<dyn Containerizer>>,
    ) -> Self {
        Self { mesos, docker, dockers: Arc::default() }
    }

    fn of_kind(&self, docker: bool) -> Option<&Arc<dyn Containerizer>> {
        if docker { self.docker.as_ref() } else { self.mesos.as_ref() }
    }

    fn owner(&self, id: &ContainerId) -> Option<&Arc<dyn Containerizer>> {
        let dockers = self.dockers.lock().unwrap_or_else(PoisonError::into_inner);
        self.of_kind(dockers.known.contains(id))
    }

    fn note(&self, id: &ContainerId) {
        self.dockers.lock().unwrap_or_else(PoisonError::into_inner).known.insert(id.clone());
    }

    fn ask<T: Send + 'static>(
        &self,
        id: &ContainerId,
        ask: impl FnOnce(&Arc<dyn Containerizer>) -> ContainerFuture<T>,
    ) -> ContainerFuture<T> {
        match self.owner(id) {
            Some(owner) => ask(owner),
            None => ready(Err(ContainerError::Unknown(id.clone()))).boxed(),
        }
    }
}

fn is_docker(container: Option<&mesos::ContainerInfo>) -> bool {
    container.is_some_and(|info| info.r#type() == container_info::Type::Docker)
}

impl Containerizer for Composing {
    fn launch(&self, id: &ContainerId, config: ContainerConfig) -> ContainerFuture<()> {
        let asked = match &config.task_info {
            Some(task) => task.container.as_deref(),
            None => config.executor_info.container.as_deref(),
        };
        let docker = is_docker(asked);
        if docker {
            self.note(id);
        }
        match self.of_kind(docker) {
            Some(owner) => owner.launch(id, config),
            None => {
                let kind = if docker { "DOCKER" } else { "MESOS" };
                let reason = format!(
                    "no containerizer runs containers of kind {kind} (flag containerizers)"
                );
                ready(Err(ContainerError::Launch { id: id.clone(), reason })).boxed()
            }
        }
    }

    fn update(&self, id: &ContainerId, allocation: Allocation) -> ContainerFuture<()> {
        self.ask(id, |owner| owner.update(id, allocation))
    }

    fn usage(&self, id: &ContainerId) -> ContainerFuture<mesos::ResourceStatistics> {
        self.ask(id, |owner| owner.usage(id))
    }

    fn status(&self, id: &ContainerId) -> ContainerFuture<mesos::ContainerStatus> {
        self.ask(id, |owner| owner.status(id))
    }

    fn wait(&self, id: &ContainerId) -> BoxFuture<'static, Option<Termination>> {
        let Some(owner) = self.owner(id) else { return ready(None).boxed() };
        let (dockers, id) = (self.dockers.clone(), id.clone());
        let over = owner.wait(&id);
        let note = move |termination| {
            dockers.lock().unwrap_or_else(PoisonError::into_inner).end(&id);
            termination
        };
        over.map(note).boxed()
    }

    fn destroy(&self, id: &ContainerId) -> ContainerFuture<()> {
        self.ask(id, |owner| owner.destroy(id))
    }

    fn recover(&self, known: Vec<RecoveredContainer>) -> ContainerFuture<()> {
        let is_docker =
            |found: &RecoveredContainer| is_docker(found.executor_info.container.as_deref());
        let (dockers, others): (Vec<_>, Vec<_>) = known.into_iter().partition(is_docker);
        dockers.iter().for_each(|found| self.note(&found.id));
        let recover = |owner: Option<&Arc<dyn Containerizer>>, known| match owner {
            Some(owner) => owner.recover(known),
            None => ready(Ok(())).boxed(),
        };
        let both = [recover(self.mesos.as_ref(), others), recover(self.docker.as_ref(), dockers)];
        futures::future::try_join_all(both).map(|done| done.map(drop)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_that_ended_long_ago_are_forgotten_and_others_are_not() {
        let mut dockers = Dockers::default();
        dockers.known.insert(ContainerId::new("runs"));
        for number in 0..MAX_ENDED + 10 {
            let id = ContainerId::new(format!("c{number}"));
            dockers.known.insert(id.clone());
            dockers.end(&id);
            dockers.end(&id);
        }
        dockers.end(&ContainerId::new("stranger"));
        assert_eq!((dockers.known.len(), dockers.ended.len()), (MAX_ENDED + 1, MAX_ENDED));
        assert!(dockers.known.contains(&ContainerId::new("runs")));
        assert!(!dockers.known.contains(&ContainerId::new("c9")));
    }
}
