//! Who asks, and what they may see. What they may not see is left out silently.

use libprocess::http::{Request, Response};
use protos::mesos;

use crate::Slave;
use crate::security::{Action, allowed};
use crate::state::{Executor, Framework};

/// What somebody may see.
#[derive(Clone, Copy)]
pub(super) struct Viewer<'a> {
    acls: Option<&'a mesos::AcLs>,
    /// The runtime checks who asks and notes it.
    principal: Option<&'a str>,
}

impl<'a> Viewer<'a> {
    pub(super) fn new(slave: &'a Slave, request: &'a Request) -> Self {
        let principal = request.principal.as_ref().and_then(|it| it.value.as_deref());
        Self { acls: slave.state.config.security.acls.as_ref(), principal }
    }

    fn may(self, action: Action, object: Option<&str>) -> bool {
        allowed(self.acls, action, self.principal, object)
    }

    pub(super) fn flags(self) -> bool {
        self.may(Action::ViewFlags, None)
    }

    pub(super) fn role(self, role: &str) -> bool {
        self.may(Action::ViewRole, Some(role))
    }

    pub(super) fn framework(self, framework: &Framework) -> bool {
        self.may(Action::ViewFramework, Some(&framework.info.user))
    }

    pub(super) fn executor(self, executor: &Executor, of: &Framework) -> bool {
        self.may(Action::ViewExecutor, Some(executor.user(of)))
    }

    pub(super) fn container(self, executor: &Executor, of: &Framework) -> bool {
        self.may(Action::ViewContainer, Some(executor.user(of)))
    }

    pub(super) fn task(self, task: &mesos::Task, of: &Framework) -> bool {
        self.may(Action::ViewTask, Some(task.user.as_deref().unwrap_or(&of.info.user)))
    }

    /// A task that waits for its executor.
    pub(super) fn queued(self, task: &mesos::TaskInfo, of: &Framework) -> bool {
        let executor = task.executor.as_ref().and_then(|executor| executor.command.as_ref());
        let command = task.command.as_ref().or(executor);
        let user = command.and_then(|command| command.user.as_deref());
        self.may(Action::ViewTask, Some(user.unwrap_or(&of.info.user)))
    }
}

impl Slave {
    /// The answer to whoever does more than read where lists are in force.
    pub(super) fn refuse_changes(&self, request: &Request) -> Option<Response> {
        let authorises = self.state.config.security.acls.is_some();
        let refused = authorises && request.method != "GET";
        refused.then(|| Response::method_not_allowed(&["GET"], &request.method))
    }
}
