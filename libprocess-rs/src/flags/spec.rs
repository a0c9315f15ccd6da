//! What the loader knows of each flag, taken from the caller's derived command.

use std::any::TypeId;
use std::path::PathBuf;

use super::{FlagError, Normalise};
use crate::flags::given::One;

/// How a flag's text is treated before it is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A boolean that the parser knows as present or absent.
    Switch,
    /// A boolean with a value.
    Boolean,
    /// A path: `file://` is removed, not followed.
    Path,
    /// Anything else.
    Other,
}

/// One flag.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) name: String,
    /// All aliases.
    pub(super) aliases: Vec<String>,
    /// The aliases that are as good as the name.
    pub(super) welcome: Vec<String>,
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) secret: bool,
    pub(super) json: bool,
    pub(super) default: Option<String>,
    normalise: Option<Normalise>,
}

impl Spec {
    /// The flags of a command; short options and positional words are none.
    pub(super) fn all(command: &clap::Command, normalise: &[(TypeId, Normalise)]) -> Vec<Self> {
        command.get_arguments().filter_map(|argument| Self::of(argument, normalise)).collect()
    }

    fn of(argument: &clap::Arg, normalise: &[(TypeId, Normalise)]) -> Option<Self> {
        let name = argument.get_long()?.to_owned();
        let owned = |names: Option<Vec<&str>>| -> Vec<String> {
            names.unwrap_or_default().into_iter().map(str::to_owned).collect()
        };
        let parsed = argument.get_value_parser().type_id();
        let kind = match argument.get_action() {
            clap::ArgAction::SetTrue => Kind::Switch,
            _ if parsed == TypeId::of::<bool>() => Kind::Boolean,
            _ if parsed == TypeId::of::<PathBuf>() => Kind::Path,
            _ => Kind::Other,
        };
        let defaults: Vec<String> = argument
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy().into_owned())
            .collect();
        let value_name =
            argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
        let default = match (kind, defaults.is_empty()) {
            (Kind::Switch, _) => Some("false".to_owned()),
            (_, true) => None,
            (_, false) => Some(defaults.join(",")),
        };
        Some(Self {
            aliases: owned(argument.get_all_aliases()),
            welcome: owned(argument.get_visible_aliases()),
            required: argument.is_required_set(),
            secret: value_name.as_deref() == Some("SECRET"),
            json: value_name.as_deref() == Some("JSON"),
            normalise: normalise
                .iter()
                .find(|(of, _)| parsed == *of)
                .map(|(_, normalise)| *normalise),
            default,
            kind,
            name,
        })
    }

    pub(super) fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }

    pub(super) fn is_deprecated(&self, name: &str) -> bool {
        self.name != name && !self.welcome.iter().any(|alias| alias == name)
    }

    pub(super) fn is_boolean(&self) -> bool {
        matches!(self.kind, Kind::Switch | Kind::Boolean)
    }

    pub(super) fn boolean(&self, value: &str) -> Result<bool, FlagError> {
        match value {
            "" | "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(FlagError::Value {
                name: self.name.clone(),
                value: value.to_owned(),
                reason: "expected true, 1, false or 0".to_owned(),
            }),
        }
    }

    /// Replaces `file://path` by the file's content, or by the path where that is the value.
    pub(super) fn read_file(
        &self,
        one: &mut One,
        warnings: &mut Vec<String>,
    ) -> Result<(), FlagError> {
        let path = match one.value.strip_prefix("file://") {
            Some(path) if self.kind == Kind::Path => {
                one.value = path.to_owned();
                return Ok(());
            }
            Some(path) => PathBuf::from(path),
            None if self.json && one.value.starts_with('/') => {
                warnings.push(format!(
                    "flag '--{}': a bare path is deprecated: use file://{}",
                    one.name, one.value
                ));
                PathBuf::from(&one.value)
            }
            None => return Ok(()),
        };
        one.value = std::fs::read_to_string(&path).map_err(|source| FlagError::File {
            name: self.name.clone(),
            path,
            source,
        })?;
        Ok(())
    }

    /// A value as others may see it.
    pub(super) fn shown(&self, value: &str) -> String {
        if self.secret {
            return "***".to_owned();
        }
        if self.is_boolean() {
            return self
                .boolean(value)
                .map_or_else(|_| value.to_owned(), |value| value.to_string());
        }
        self.normalise.and_then(|normalise| normalise(value)).unwrap_or_else(|| value.to_owned())
    }
}
