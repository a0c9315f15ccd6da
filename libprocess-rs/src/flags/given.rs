//! The flags that a command line and an environment hold, as text.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::FlagError;
use super::spec::Spec;

/// A flag that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct One {
    /// The name it was given under: its own or an alias.
    pub(super) name: String,
    pub(super) value: String,
}

/// All flags that were given, by their own names.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    by_name: BTreeMap<String, One>,
    /// `--help` was among them.
    pub(super) help: bool,
}

impl Given {
    pub(super) fn get(&self, spec: &Spec) -> Option<&One> {
        self.by_name.get(&spec.name)
    }

    pub(super) fn value(&self, spec: &Spec) -> Option<&str> {
        self.get(spec).map(|one| one.value.as_str())
    }

    pub(super) fn has(&self, spec: &Spec) -> bool {
        self.by_name.contains_key(&spec.name)
    }

    /// What was given, with what is known of it.
    pub(super) fn flags<'a>(
        &'a mut self,
        specs: &'a [Spec],
    ) -> impl Iterator<Item = (&'a Spec, &'a mut One)> {
        self.by_name.iter_mut().filter_map(|(name, one)| {
            let spec = specs.iter().find(|spec| spec.name == *name)?;
            Some((spec, one))
        })
    }

    fn add(&mut self, spec: &Spec, name: &str, value: String) -> Result<(), FlagError> {
        let one = One { name: name.to_owned(), value };
        match self.by_name.insert(spec.name.clone(), one) {
            None => Ok(()),
            Some(_) => Err(FlagError::Duplicate(spec.name.clone())),
        }
    }
}

pub(super) fn from_command_line(
    specs: &[Spec],
    arguments: impl IntoIterator<Item = impl Into<OsString>>,
    lenient: bool,
) -> Result<Given, FlagError> {
    let mut given = Given::default();
    for argument in arguments {
        let argument = argument.into().into_string().map_err(FlagError::NotUtf8)?;
        if argument == "--" {
            break;
        }
        let Some(flag) = argument.strip_prefix("--") else {
            continue;
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        let name = name.to_ascii_lowercase();
        if name == "help" {
            given.help = !matches!(value, Some("false" | "0"));
        } else if let Some(spec) = find(specs, &name) {
            let value = match value {
                Some(value) => value.to_owned(),
                None if spec.is_boolean() => "true".to_owned(),
                None => return Err(FlagError::MissingValue(name)),
            };
            given.add(spec, &name, value)?;
        } else if let Some(plain) = name.strip_prefix("no-")
            && let Some(spec) = find(specs, plain)
        {
            if !spec.is_boolean() {
                return Err(FlagError::NotBoolean(plain.to_owned()));
            }
            if value.is_some() {
                return Err(FlagError::NegatedValue(plain.to_owned()));
            }
            given.add(spec, plain, "false".to_owned())?;
        } else if !lenient {
            return Err(unknown(specs, name));
        }
    }
    Ok(given)
}

/// Adds what the environment has and the command line lacks.
pub(super) fn merge_environment(
    specs: &[Spec],
    given: &mut Given,
    prefix: &str,
    environment: &BTreeMap<String, String>,
) -> Result<(), FlagError> {
    for spec in specs.iter().filter(|spec| spec.name != "help") {
        if given.has(spec) {
            continue;
        }
        for name in std::iter::once(&spec.name).chain(&spec.aliases) {
            let upper = format!("{prefix}{}", name.to_ascii_uppercase());
            let lower = format!("{prefix}{}", name.to_ascii_lowercase());
            let found = environment.get(&upper).or_else(|| environment.get(&lower));
            if let Some(value) = found {
                given.add(spec, name, value.clone())?;
            }
        }
    }
    Ok(())
}

fn find<'a>(specs: &'a [Spec], name: &str) -> Option<&'a Spec> {
    specs.iter().find(|spec| spec.answers_to(name))
}

fn unknown(specs: &[Spec], name: String) -> FlagError {
    let underscored = name.replace('-', "_");
    let negated = underscored.strip_prefix("no_");
    let similar = specs.iter().find(|spec| {
        spec.answers_to(&underscored)
            || negated.is_some_and(|plain| spec.answers_to(plain))
            || (name.len() > 2 && spec.name.starts_with(&underscored))
    });
    FlagError::Unknown {
        hint: similar
            .map_or_else(String::new, |spec| format!(" (did you mean '--{}'?)", spec.name)),
        name,
    }
}
