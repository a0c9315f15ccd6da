//! The registrar: what must be durable before the cluster sees it.
//!
//! It keeps the registry in memory; the state storages come behind the same actor. Operations are
//! applied in the order in which they arrive and answered once they are in.

use std::collections::BTreeMap;

use libprocess::http::{Request, Response};
use libprocess::{Ctx, Help, Process, Routes, Time};
use protos::ids::SlaveId;
use protos::mesos;
use serde_json::json;

const REGISTRY: Help = Help::new("The registry: what survives the master", "");

/// A change of the registry.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// A new slave.
    Admit(SlaveId, mesos::SlaveInfo),
    /// What a slave tells of itself changed.
    Update(SlaveId, mesos::SlaveInfo),
    /// A slave does not answer.
    MarkUnreachable(SlaveId, Time),
    /// A slave that was unreachable, or not known at all, is back.
    MarkReachable(SlaveId, mesos::SlaveInfo),
    /// A slave is gone.
    Remove(SlaveId),
}

/// What is stored.
#[derive(Debug, Clone, Default, PartialEq)]
struct Registry {
    slaves: BTreeMap<SlaveId, mesos::SlaveInfo>,
    unreachable: BTreeMap<SlaveId, Time>,
}

impl Registry {
    /// Applies an operation; false when it contradicts what is there.
    fn apply(&mut self, operation: Operation) -> bool {
        match operation {
            Operation::Admit(id, info) => {
                let fresh = !self.slaves.contains_key(&id);
                if fresh {
                    self.slaves.insert(id, info);
                }
                fresh
            }
            Operation::Update(id, info) => match self.slaves.get_mut(&id) {
                Some(known) => {
                    *known = info;
                    true
                }
                None => false,
            },
            Operation::MarkUnreachable(id, since) => {
                let known = self.slaves.remove(&id).is_some();
                if known {
                    self.unreachable.insert(id, since);
                }
                known
            }
            Operation::MarkReachable(id, info) => {
                self.unreachable.remove(&id);
                self.slaves.insert(id, info);
                true
            }
            Operation::Remove(id) => self.slaves.remove(&id).is_some(),
        }
    }
}

/// The process `registrar(1)`.
#[derive(Default)]
pub struct Registrar {
    registry: Registry,
}

impl Process for Registrar {
    fn routes(routes: &mut Routes<Self>) {
        routes.any("/registry", REGISTRY, Self::show);
    }
}

impl Registrar {
    /// Applies an operation and tells whether it took effect.
    pub fn apply(&mut self, operation: Operation) -> bool {
        // An operation that is refused leaves the registry as it was, so no copy is needed here.
        self.registry.apply(operation)
    }

    fn show(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        let slaves = self.registry.slaves.values();
        let slaves: Vec<_> =
            slaves.map(|info| json!({"info": protos::json::to_json(info)})).collect();
        let unreachable = self.registry.unreachable.iter().map(|(id, since)| {
            json!({
                "id": {"value": id.as_str()},
                "timestamp": {"nanoseconds": since.as_nanos()},
            })
        });
        let document = json!({
            "slaves": {"slaves": slaves},
            "unreachable": {"slaves": unreachable.collect::<Vec<_>>()},
        });
        Response::json(&document, request.param("jsonp"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registrar_contradicting_operations_change_nothing() {
        let mut registrar = Registrar::default();
        let (id, info) = (SlaveId::new("S0"), mesos::SlaveInfo::default());
        assert!(!registrar.apply(Operation::Remove(id.clone())));
        assert!(registrar.apply(Operation::Admit(id.clone(), info.clone())));
        assert!(!registrar.apply(Operation::Admit(id.clone(), info.clone())));
        assert!(registrar.apply(Operation::MarkUnreachable(id.clone(), Time::EPOCH)));
        assert!(!registrar.apply(Operation::Update(id.clone(), info.clone())));
        assert!(registrar.apply(Operation::MarkReachable(id.clone(), info)));
        assert!(registrar.apply(Operation::Remove(id)));
        assert_eq!(registrar.registry, Registry::default());
    }
}
