//! What a container asks for that no isolator of this slave serves: it is refused rather than run without.

use isolators::ContainerSetup;
use protos::mesos::environment::variable::Type as VariableType;
use protos::mesos::volume::source::Type as SourceType;
use protos::mesos::{CommandInfo, Volume};

/// Why a container with that setup cannot be served; `has` knows the isolators by their names.
pub(super) fn objection(setup: &ContainerSetup, has: impl Fn(&str) -> bool) -> Option<String> {
    let volume = setup.volumes().iter().find_map(|volume| {
        let (kind, isolators) = servers(volume);
        let served = isolators.iter().any(|isolator| has(isolator));
        let path = &volume.container_path;
        (!served).then(|| lacks(&format!("volume '{path}', {kind},"), isolators))
    });
    let commands = [Some(&setup.command), setup.task_command.as_ref()];
    let secret = commands.into_iter().flatten().any(asks_for_secrets);
    let isolators = ["environment_secret"];
    let unserved = secret && !has(isolators[0]);
    volume.or_else(|| unserved.then(|| lacks("a secret in its environment", &isolators)))
}

fn lacks(what: &str, isolators: &[&str]) -> String {
    match isolators {
        [] => format!("{what} cannot be served"),
        some => format!("{what} needs the isolator '{}' (flag isolation)", some.join("' or '")),
    }
}

/// True when a variable of the environment is a secret.
pub(super) fn asks_for_secrets(command: &CommandInfo) -> bool {
    let variables = command.environment.iter().flat_map(|it| &it.variables);
    variables.into_iter().any(|variable| variable.r#type() == VariableType::Secret)
}

/// What a volume is, and who can serve it.
fn servers(volume: &Volume) -> (&'static str, &'static [&'static str]) {
    if let Some(source) = &volume.source {
        return match source.r#type() {
            SourceType::HostPath => ("a host path", &["volume/host_path"]),
            SourceType::SandboxPath => ("a path of a sandbox", &["volume/sandbox_path"]),
            SourceType::Secret => ("a secret", &["volume/secret"]),
            SourceType::DockerVolume => ("a volume of docker", &[]),
            SourceType::CsiVolume => ("a CSI volume", &[]),
            SourceType::Unknown => ("of an unknown kind", &[]),
        };
    }
    match (&volume.host_path, &volume.image) {
        (Some(path), _) if path.starts_with('/') => {
            ("a host path", &["volume/host_path", "filesystem/shared"])
        }
        (Some(_), _) => ("a path of a sandbox", &["volume/sandbox_path", "filesystem/shared"]),
        (None, Some(_)) => ("an image", &["volume/image"]),
        (None, None) => ("which has no source", &[]),
    }
}

#[cfg(test)]
mod tests {
    use protos::mesos::{ContainerInfo, Environment, environment, volume};

    use super::*;

    fn with(volume: Volume) -> ContainerSetup {
        let info = ContainerInfo { volumes: vec![volume], ..Default::default() };
        ContainerSetup { container_info: Some(info), ..Default::default() }
    }

    #[test]
    fn volume_without_an_isolator_is_refused_by_the_name_of_who_would_serve_it() {
        let path = |path: &str| Volume {
            container_path: "data".to_owned(),
            host_path: Some(path.to_owned()),
            ..Default::default()
        };
        let none = |_: &str| false;
        let said = objection(&with(path("/data")), none).unwrap();
        assert!(said.contains("'data'") && said.contains("volume/host_path"), "{said}");
        assert_eq!(objection(&with(path("/data")), |name| name == "volume/host_path"), None);
        assert_eq!(objection(&with(path("own")), |name| name == "volume/sandbox_path"), None);
        assert!(objection(&with(path("own")), |name| name == "volume/host_path").is_some());
        let kind = SourceType::DockerVolume as i32;
        let source = volume::Source { r#type: Some(kind), ..Default::default() };
        let docker = Volume { source: Some(source), ..path("/data") };
        assert!(objection(&with(docker), |_| true).unwrap().contains("docker"));
        assert_eq!(objection(&ContainerSetup::default(), none), None);
    }

    #[test]
    fn secret_of_a_task_is_refused_without_the_isolator() {
        let variable = environment::Variable {
            name: "KEY".to_owned(),
            r#type: Some(VariableType::Secret as i32),
            ..Default::default()
        };
        let environment = Some(Environment { variables: vec![variable] });
        let command = CommandInfo { environment, ..Default::default() };
        let setup = ContainerSetup { task_command: Some(command), ..Default::default() };
        assert!(objection(&setup, |_| false).unwrap().contains("environment_secret"));
        assert_eq!(objection(&setup, |name| name == "environment_secret"), None);
    }
}
