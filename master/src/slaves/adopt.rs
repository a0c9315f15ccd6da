//! Takes over what a slave runs and the master does not have in its books.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use libprocess::{Pid, Time};
use protos::ids::{ExecutorId, FrameworkId, SlaveId, TaskId};
use protos::mesos;
use protos::mesos::internal::ReregisterSlaveMessage;
use protos::task_state::is_terminal;

use crate::effects::{AllocatorCall, Effects};
use crate::state::{Framework, State};

/// What a slave brought along.
#[derive(Default)]
pub(super) struct Adopted {
    /// Something that this master did not have in its books.
    pub(super) news: bool,
    /// Tasks that were unreachable.
    pub(super) reachable: Vec<(FrameworkId, TaskId)>,
    /// Tasks whose end the framework has been told of already.
    pub(super) kill: Vec<(FrameworkId, TaskId)>,
}

/// Enters what the slave runs and the master does not know; `tasks` are the message's.
pub(super) fn adopt(
    state: &mut State,
    id: &SlaveId,
    message: &ReregisterSlaveMessage,
    tasks: Vec<mesos::Task>,
    now: Time,
    fx: &mut Effects,
) -> Adopted {
    for info in &message.frameworks {
        adopt_framework(state, info, now, fx);
    }
    let mut adopted = Adopted::default();
    for task in tasks {
        let owner = FrameworkId::from(&task.framework_id);
        if let Some(framework) = state.frameworks.get_mut(&owner) {
            adopt_task(framework, id, task, &mut adopted, fx);
        }
    }
    for executor in &message.executor_infos {
        let owner = executor.framework_id.as_ref().map(FrameworkId::from);
        if let Some(framework) = owner.and_then(|id| state.frameworks.get_mut(&id)) {
            let mut executor = executor.clone();
            allocate(&mut executor.resources, framework);
            let executors = framework.executors.entry(id.clone()).or_default();
            let entry = executors.entry(ExecutorId::from(&executor.executor_id));
            adopted.news |= matches!(entry, Entry::Vacant(_));
            entry.or_insert(executor);
        }
    }
    adopted
}

fn adopt_task(
    framework: &mut Framework,
    id: &SlaveId,
    mut task: mesos::Task,
    adopted: &mut Adopted,
    fx: &mut Effects,
) {
    let task_id = TaskId::from(&task.task_id);
    if framework.tasks.get(&task_id).is_some() {
        return;
    }
    if framework.tasks.unreachable().contains_key(&task_id) {
        adopted.reachable.push((framework.id.clone(), task_id.clone()));
    } else if framework.tasks.has_ended(&task_id, id) {
        // The framework was told that it has ended (invariant I3): it must not live again.
        if !is_terminal(task.state()) {
            let owner = &framework.id;
            fx.refuse(format!("task {task_id} of framework {owner} runs, but was told ended"));
            adopted.kill.push((framework.id.clone(), task_id));
        }
        return;
    }
    task.slave_id = id.wire();
    allocate(&mut task.resources, framework);
    adopted.news = true;
    framework.tasks.add(task_id, task);
}

/// Resources of slaves that know no allocations belong to the framework's first role.
fn allocate(resources: &mut [mesos::Resource], framework: &Framework) {
    let bare = resources.iter_mut().filter(|resource| resource.allocation_info.is_none());
    for resource in bare {
        let role = framework.roles().into_iter().next();
        resource.allocation_info = Some(mesos::resource::AllocationInfo { role });
    }
}

/// A framework that only slaves have told of yet: it waits, inactive, for its scheduler.
fn adopt_framework(state: &mut State, info: &mesos::FrameworkInfo, now: Time, fx: &mut Effects) {
    let Some(id) = info.id.as_ref().map(FrameworkId::from) else { return };
    if state.frameworks.get(&id).is_some() || state.frameworks.is_completed(&id) {
        return;
    }
    let mut framework = Framework::new(id.clone(), info.clone(), Pid::empty(), now);
    (framework.connected, framework.active, framework.recovered) = (false, false, true);
    let spec = framework.spec();
    state.frameworks.add(framework);
    let used = BTreeMap::new();
    fx.allocator(AllocatorCall::AddFramework { id, spec, active: false, used });
}
