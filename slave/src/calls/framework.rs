//! What is known of a framework changes.

use std::collections::VecDeque;

use libprocess::Pid;
use protos::ids::FrameworkId;
use protos::mesos;
use protos::mesos::internal::UpdateFrameworkMessage;

use crate::checkpoint;
use crate::effects::{Effect, Effects};
use crate::paths;
use crate::state::{Framework, State};

/// Notes a framework, new or changed, and writes down what changed if it checkpoints.
pub(crate) fn learn(
    state: &mut State,
    id: &FrameworkId,
    info: &mesos::FrameworkInfo,
    pid: Option<Pid>,
    fx: &mut Effects,
) {
    let pid = pid.filter(Pid::is_complete);
    let directory = paths::meta_framework(&state.config.work_dir, &state.id(), id);
    let new = !state.frameworks.contains_key(id);
    if new {
        let all = paths::all_of_framework(&state.config.work_dir, &state.id(), id);
        fx.push(Effect::Keep(all.to_vec()));
    }
    let past = if new { state.past_of(id) } else { VecDeque::new() };
    let framework = state.frameworks.entry(id.clone()).or_insert_with(|| Framework {
        completed: past,
        ..Framework::new(id.clone(), info.clone(), pid.clone())
    });
    let (other_info, other_pid) = (framework.info != *info, framework.pid != pid);
    framework.info = info.clone();
    framework.pid = pid;
    if framework.checkpoints() && (new || other_info) {
        fx.push(Effect::Write(directory.join("framework.info"), checkpoint::encode(info)));
    }
    if framework.checkpoints() && (new || other_pid) {
        let pid = framework.pid.clone().unwrap_or_default().to_string();
        fx.push(Effect::Write(directory.join("framework.pid"), pid.into()));
    }
}

/// The framework has failed over or changed what it tells of itself. True when it is known here.
pub(crate) fn update(
    state: &mut State,
    message: &UpdateFrameworkMessage,
    fx: &mut Effects,
) -> bool {
    let id = FrameworkId::from(&message.framework_id);
    let Some(framework) = state.frameworks.get(&id) else { return false };
    let info = message.framework_info.clone().unwrap_or_else(|| framework.info.clone());
    let pid = message.pid.as_deref().and_then(|pid| pid.parse().ok());
    learn(state, &id, &info, pid, fx);
    true
}
