//! Who is who, and who may do what.

mod authenticator;
mod authorizer;
#[cfg(test)]
mod matrix;
mod operations;
mod tokens;

pub(crate) use authenticator::{Attempt, Session};
pub use authorizer::{Action, allowed};
pub(crate) use operations::may_operate;
pub use tokens::TokenKey;
pub(crate) use tokens::Tokens;

pub use protos::credentials::{Credentials, CredentialsError};
use protos::mesos;

use crate::state::State;

impl State {
    /// May a principal do that with an object?
    pub(crate) fn allows(
        &self,
        action: Action,
        principal: Option<&str>,
        object: Option<&str>,
    ) -> bool {
        allowed(self.config.acls.as_ref(), action, principal, object)
    }
}

/// The user that a task runs as: its command's, its executor's, else its framework's.
pub(crate) fn user_of<'a>(
    task: &'a mesos::TaskInfo,
    framework: &'a mesos::FrameworkInfo,
) -> &'a str {
    let executor = task.executor.as_ref().and_then(|executor| executor.command.as_ref());
    let command = task.command.as_ref().or(executor);
    command.and_then(|command| command.user.as_deref()).unwrap_or(&framework.user)
}
