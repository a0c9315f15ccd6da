//! Changes of what resources are: reservations put on and taken off, what a host must remember.

use super::{Entry, Resources};
use crate::mesos;
use crate::mesos::resource::reservation_info::Type as ReservationType;

impl Resources {
    /// The same with one more reservation on each.
    #[must_use]
    pub fn push_reservation(&self, reservation: &mesos::resource::ReservationInfo) -> Resources {
        self.map(|resource| resource.reservations.push(reservation.clone()))
    }

    /// The same without the innermost reservation of each; unreserved ones stay as they are.
    #[must_use]
    pub fn pop_reservation(&self) -> Resources {
        self.map(|resource| drop(resource.reservations.pop()))
    }

    /// What a slave must remember across restarts: dynamic reservations and persistent volumes.
    pub fn checkpointed(&self) -> Resources {
        self.filter(|resource| {
            let dynamic = |r: &mesos::resource::ReservationInfo| {
                r.r#type == Some(ReservationType::Dynamic.into())
            };
            resource.reservations.last().is_some_and(dynamic) || is_volume(resource)
        })
    }

    /// Persistent volumes.
    pub fn volumes(&self) -> Resources {
        self.filter(is_volume)
    }

    /// Volumes that several tasks may hold at once.
    pub fn shared(&self) -> Resources {
        self.filter(|resource| resource.shared.is_some())
    }

    /// What only one task may hold at once.
    pub fn non_shared(&self) -> Resources {
        self.filter(|resource| resource.shared.is_none())
    }

    /// The same with each shared volume once, allocated to nobody: what several holders hold of a
    /// slave altogether.
    #[must_use]
    pub fn once_each(&self) -> Resources {
        let mut once = Resources::new();
        for entry in &self.unallocated().entries {
            let count = if entry.is_shared() { 1 } else { entry.count };
            once.add_entry(Entry { count, ..entry.clone() });
        }
        once
    }

    /// True when there is something with a refined reservation: more than one on a stack.
    pub fn has_refined(&self) -> bool {
        self.entries.iter().any(|entry| entry.template.reservations.len() > 1)
    }

    /// The messages without amounts, reservations as stacks: for rules on what resources are.
    pub fn kinds(&self) -> impl Iterator<Item = &mesos::Resource> {
        self.entries.iter().map(|entry| &entry.template.message)
    }
}

/// True for a persistent volume.
pub fn is_volume(resource: &mesos::Resource) -> bool {
    resource.disk.as_ref().is_some_and(|disk| disk.persistence.is_some())
}

impl Resources {
    /// The disk that volumes are made of: without persistence and mount, not shared; its source stays.
    #[must_use]
    pub fn without_volumes(&self) -> Resources {
        self.map(|resource| {
            if is_volume(resource) {
                let source = resource.disk.take().and_then(|disk| disk.source);
                resource.disk = source.map(|source| {
                    Box::new(mesos::resource::DiskInfo {
                        source: Some(source),
                        ..Default::default()
                    })
                });
                resource.shared = None;
            }
        })
    }

    /// A host's resources after what it remembers: those of `checkpointed` take the place of the
    /// plain ones that they were made of. None when these are not all here.
    pub fn with_checkpointed(&self, checkpointed: &Resources) -> Option<Resources> {
        let dynamic = Some(ReservationType::Dynamic.into());
        let origin = checkpointed.once_each().without_volumes().map(|resource| {
            while resource.reservations.last().is_some_and(|last| last.r#type == dynamic) {
                resource.reservations.pop();
            }
        });
        Some(self.checked_sub(&origin)?.plus(&checkpointed.once_each()))
    }
}
