//! `environment_secret`: variables of the environment whose values are secrets.

use protos::ids::ContainerId;
use protos::mesos::Environment;
use protos::mesos::environment::{self, Variable};

use crate::launch::LaunchInfo;
use crate::preparer::Preparer;
use crate::secret;
use crate::setup::ContainerSetup;

/// The isolator.
#[derive(Debug, Default)]
pub struct EnvironmentSecret;

fn resolved(variable: &Variable) -> Result<Variable, String> {
    let name = &variable.name;
    let told = |reason| format!("variable {name} cannot be set: {reason}");
    let secret = variable.secret.as_ref().ok_or_else(|| told("it has no secret".to_owned()))?;
    let bytes = secret::resolve(secret).map_err(told)?;
    let text = String::from_utf8(bytes.to_vec());
    let text = text.map_err(|_| told("its secret is no text".to_owned()))?;
    if text.contains('\0') {
        return Err(told("its secret has a zero byte".to_owned()));
    }
    Ok(Variable {
        name: name.clone(),
        value: Some(text),
        r#type: Some(environment::variable::Type::Value as i32),
        secret: None,
    })
}

impl Preparer for EnvironmentSecret {
    const NAME: &'static str = "environment_secret";

    fn launch(&self, _: &ContainerId, setup: &ContainerSetup) -> Result<LaunchInfo, String> {
        let mut info = LaunchInfo::default();
        // A command task's variables are those of the task, not of the executor in front of it.
        let command =
            if setup.is_command_task { setup.task_command.as_ref() } else { Some(&setup.command) };
        let environment = command.and_then(|command| command.environment.as_ref());
        let Some(environment) = environment else { return Ok(info) };
        let secrets = environment.variables.iter();
        let secrets = secrets.filter(|it| it.r#type() == environment::variable::Type::Secret);
        let variables = secrets.map(resolved).collect::<Result<Vec<_>, _>>()?;
        if variables.is_empty() {
            return Ok(info);
        }
        let place =
            if setup.is_command_task { &mut info.task_environment } else { &mut info.environment };
        *place = Some(Environment { variables });
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protos::mesos::{Secret, secret as wire};

    use super::*;

    fn setup(data: &'static [u8]) -> ContainerSetup {
        let secret = Secret {
            r#type: Some(wire::Type::Value as i32),
            value: Some(wire::Value { data: Bytes::from_static(data) }),
            ..Secret::default()
        };
        let variable = |name: &str, kind: environment::variable::Type| Variable {
            name: name.to_owned(),
            r#type: Some(kind as i32),
            value: None,
            secret: Some(secret.clone()),
        };
        let mut setup = ContainerSetup::default();
        setup.command.environment = Some(Environment {
            variables: vec![
                variable("PLAIN", environment::variable::Type::Value),
                variable("KEY", environment::variable::Type::Secret),
            ],
        });
        setup
    }

    #[test]
    fn environment_secrets_become_plain_variables() {
        let id = ContainerId::new("c");
        let info = EnvironmentSecret.launch(&id, &setup(b"s3cret")).unwrap();
        let variables = info.environment.unwrap().variables;
        assert_eq!(variables.len(), 1);
        assert_eq!((variables[0].name.as_str(), variables[0].value()), ("KEY", "s3cret"));
        assert_eq!(variables[0].secret, None);
        let task_command = Some(setup(b"s3cret").command);
        let command_task =
            ContainerSetup { is_command_task: true, task_command, ..ContainerSetup::default() };
        let info = EnvironmentSecret.launch(&id, &command_task).unwrap();
        assert!(info.environment.is_none() && info.task_environment.is_some());
    }

    #[test]
    fn environment_secrets_that_are_no_text_are_refused() {
        let id = ContainerId::new("c");
        assert!(EnvironmentSecret.launch(&id, &setup(b"\xff")).unwrap_err().contains("KEY"));
        assert!(EnvironmentSecret.launch(&id, &setup(b"a\0b")).is_err());
        assert_eq!(
            EnvironmentSecret.launch(&id, &ContainerSetup::default()).unwrap(),
            LaunchInfo::default()
        );
    }
}
