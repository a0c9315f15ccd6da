//! Who asks, and what they may see. What they may not see is left out silently.

use std::sync::Arc;

use libprocess::http::Request;
use protos::mesos;

use crate::Config;
use crate::security::{Action, allowed};

/// The principal that a request was authenticated as: the runtime checks who asks and notes it.
pub(super) fn principal(request: &Request) -> Option<String> {
    request.principal.as_ref()?.value.clone()
}

/// What somebody may see.
#[derive(Clone)]
pub(super) struct Viewer {
    config: Arc<Config>,
    principal: Option<String>,
}

impl Viewer {
    pub(super) fn new(config: &Arc<Config>, request: &Request) -> Self {
        Self { config: config.clone(), principal: principal(request) }
    }

    pub(super) fn may(&self, action: Action, object: Option<&str>) -> bool {
        allowed(self.config.acls.as_ref(), action, self.principal.as_deref(), object)
    }

    pub(super) fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    pub(super) fn role(&self, role: &str) -> bool {
        self.may(Action::ViewRole, Some(role))
    }

    pub(super) fn flags(&self) -> bool {
        self.may(Action::ViewFlags, None)
    }

    pub(super) fn framework(&self, info: &mesos::FrameworkInfo) -> bool {
        self.may(Action::ViewFramework, Some(&info.user))
    }

    /// No rule hides tasks from anybody.
    pub(super) fn sees_all_tasks(&self) -> bool {
        let acls = self.config.acls.as_ref();
        acls.is_none_or(|acls| acls.view_tasks.is_empty() && acls.permissive())
    }

    pub(super) fn task(&self, task: &mesos::Task, of: &mesos::FrameworkInfo) -> bool {
        self.may(Action::ViewTask, Some(task.user.as_deref().unwrap_or(&of.user)))
    }

    pub(super) fn executor(
        &self,
        executor: &mesos::ExecutorInfo,
        of: &mesos::FrameworkInfo,
    ) -> bool {
        let user = executor.command.as_ref().and_then(|command| command.user.as_deref());
        self.may(Action::ViewExecutor, Some(user.unwrap_or(&of.user)))
    }
}
