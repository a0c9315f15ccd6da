//! Reserved resources and persistent volumes, as the master has them: the slave remembers them, since
//! masters do not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use isolators::volume::persistent::host_path;
use protos::mesos;
use protos::resources::Resources;

use crate::checkpoint;
use crate::effects::{Effect, Effects};
use crate::state::State;

/// What is to be done for resources to be as they are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceChange {
    /// The whole list, as it is written down.
    pub checkpoint: Bytes,
    /// Directories of volumes that are new.
    pub make: Vec<PathBuf>,
    /// Directories of volumes that are gone.
    pub remove: Vec<PathBuf>,
    /// Mounts that were volumes as a whole: what they hold goes, they stay.
    pub empty: Vec<PathBuf>,
}

/// One checkpoint of all.
fn encode(resources: &[mesos::Resource]) -> Bytes {
    let mut all = BytesMut::new();
    for resource in resources {
        all.extend_from_slice(&checkpoint::encode(resource));
    }
    all.freeze()
}

fn is_mount(resource: &mesos::Resource) -> bool {
    use mesos::resource::disk_info::source::Type;
    let source = resource.disk.as_ref().and_then(|disk| disk.source.as_ref());
    source.is_some_and(|source| source.r#type() == Type::Mount)
}

/// Directories of persistent volumes: those that are below a disk's root, and whole mounts.
fn volumes(work_dir: &Path, resources: &[mesos::Resource]) -> [BTreeSet<PathBuf>; 2] {
    let of = |mount: bool| {
        let wanted = resources.iter().filter(|resource| is_mount(resource) == mount);
        wanted.filter_map(|resource| host_path(work_dir, resource)).collect()
    };
    [of(false), of(true)]
}

/// The way from one list to another.
pub(crate) fn change(
    work_dir: &Path,
    from: &[mesos::Resource],
    to: &[mesos::Resource],
) -> ResourceChange {
    let [old, old_mounts] = volumes(work_dir, from);
    let [new, new_mounts] = volumes(work_dir, to);
    ResourceChange {
        checkpoint: encode(to),
        make: new.difference(&old).cloned().collect(),
        remove: old.difference(&new).cloned().collect(),
        empty: old_mounts.difference(&new_mounts).cloned().collect(),
    }
}

/// The master says what is reserved and which volumes there are.
pub(crate) fn checkpoint(state: &mut State, resources: &[mesos::Resource], fx: &mut Effects) {
    let told = match Resources::from_wire(resources) {
        Ok(told) => told,
        Err(error) => return fx.refuse(format!("checkpointed resources: {error}")),
    };
    let known = Resources::from_wire(&state.checkpointed).unwrap_or_default();
    if told == known {
        return;
    }
    // What is remembered then shows in `State::total`.
    if state.config.resources.with_checkpointed(&told.checkpointed()).is_none() {
        return fx.refuse(format!("checkpointed resources: {told} is more than there is here"));
    }
    let wire = told.to_wire();
    let change = change(&state.config.work_dir, &state.checkpointed, &wire);
    fx.note(format!("remembering resources: {told}"));
    state.checkpointed = wire;
    fx.push(Effect::Resources(change));
}

/// True when everything that a task needs to be remembered is: its master may be ahead of this slave.
pub(crate) fn knows(state: &State, task: &mesos::TaskInfo) -> bool {
    let executor = task.executor.iter().flat_map(|executor| &executor.resources);
    let wire: Vec<_> = task.resources.iter().chain(executor).cloned().collect();
    let needed = Resources::from_wire(&wire).unwrap_or_default().unallocated().checkpointed();
    let known = Resources::from_wire(&state.checkpointed).unwrap_or_default();
    // Several tasks may share a volume.
    known.contains(&needed.once_each())
}

#[cfg(test)]
mod tests {
    use super::*;
    use protos::mesos::resource::disk_info::Persistence;
    use protos::mesos::resource::{DiskInfo, ReservationInfo};

    fn disk(role: &str, volume: Option<&str>) -> mesos::Resource {
        let persistence = |id: &str| DiskInfo {
            persistence: Some(Persistence { id: id.to_owned(), principal: None }),
            volume: Some(mesos::Volume {
                container_path: "data".to_owned(),
                mode: mesos::volume::Mode::Rw as i32,
                ..mesos::Volume::default()
            }),
            ..DiskInfo::default()
        };
        mesos::Resource {
            name: "disk".to_owned(),
            r#type: mesos::value::Type::Scalar as i32,
            scalar: Some(mesos::value::Scalar { value: 64.0 }),
            reservations: vec![ReservationInfo {
                role: Some(role.to_owned()),
                r#type: Some(mesos::resource::reservation_info::Type::Dynamic as i32),
                ..ReservationInfo::default()
            }],
            disk: volume.map(persistence).map(Box::new),
            ..mesos::Resource::default()
        }
    }

    fn state() -> State {
        let config = crate::Config {
            work_dir: "/w".into(),
            resources: "cpus:4;disk:1024".parse().unwrap(),
            ..crate::Config::default()
        };
        State::new(config, libprocess::Pid::empty(), libprocess::Time::EPOCH)
    }

    fn changes(fx: &Effects) -> Vec<&ResourceChange> {
        fn change(effect: &Effect) -> Option<&ResourceChange> {
            match effect {
                Effect::Resources(change) => Some(change),
                _ => None,
            }
        }
        fx.0.iter().filter_map(change).collect()
    }

    #[test]
    fn volumes_come_and_go_with_what_the_master_says() {
        let mut state = state();
        let mut fx = Effects::default();
        checkpoint(&mut state, &[disk("web", Some("v"))], &mut fx);
        let [made] = changes(&fx)[..] else { panic!("{fx:?}") };
        assert_eq!(made.make, [Path::new("/w/volumes/roles/web/v")]);
        assert!(made.remove.is_empty());
        let records = checkpoint::decode_all::<mesos::Resource>(&made.checkpoint).unwrap().0;
        assert_eq!(records, state.checkpointed);
        // The same again changes nothing.
        let mut again = Effects::default();
        checkpoint(&mut state, &[disk("web", Some("v"))], &mut again);
        assert!(again.0.is_empty());
        let mut gone = Effects::default();
        checkpoint(&mut state, &[disk("web", None)], &mut gone);
        assert_eq!(changes(&gone)[0].remove, [Path::new("/w/volumes/roles/web/v")]);
    }

    #[test]
    fn volume_that_is_resized_keeps_what_it_holds() {
        let mut state = state();
        checkpoint(&mut state, &[disk("web", Some("v"))], &mut Effects::default());
        let mut grown = disk("web", Some("v"));
        grown.scalar = Some(mesos::value::Scalar { value: 128.0 });
        let mut fx = Effects::default();
        checkpoint(&mut state, &[grown], &mut fx);
        let [resized] = changes(&fx)[..] else { panic!("{fx:?}") };
        assert!(resized.make.is_empty() && resized.remove.is_empty(), "{resized:?}");
        assert_eq!(state.total().volumes().disk(), 128.0);
        assert_eq!(state.total().disk(), 1024.0);
    }

    #[test]
    fn tasks_with_volumes_that_are_not_known_are_told_apart() {
        let mut state = state();
        let task = mesos::TaskInfo {
            resources: vec![disk("web", Some("v"))],
            ..mesos::TaskInfo::default()
        };
        assert!(!knows(&state, &task));
        checkpoint(&mut state, &[disk("web", Some("v"))], &mut Effects::default());
        assert!(knows(&state, &task));
        assert!(knows(&state, &mesos::TaskInfo::default()));
    }

    #[test]
    fn more_than_there_is_here_is_refused() {
        let mut state = state();
        let mut huge = disk("web", None);
        huge.scalar = Some(mesos::value::Scalar { value: 1e6 });
        let mut fx = Effects::default();
        checkpoint(&mut state, &[huge], &mut fx);
        assert!(matches!(fx.0[..], [Effect::Refused(_)]), "{fx:?}");
        assert!(state.checkpointed.is_empty());
    }
}
