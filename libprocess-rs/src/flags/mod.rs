//! Command-line flags and their environment variables: how every binary reads its settings.
//!
//! Callers derive [`clap::Parser`] for a struct of flags; [`Loader`] puts the rules of the command
//! line around it:
//! - `--name=value`; `--name` and `--no-name` for booleans; names in any case; a bare `--` ends the
//!   flags; words without `--` are skipped; a value after a blank is not accepted;
//! - the environment variable prefix + NAME (upper or lower case) stands in for a missing flag;
//! - an unknown flag and a flag given twice are errors; hidden aliases load with a warning;
//! - a value `file://path` is replaced by the file's content, except where the flag is a path;
//! - booleans are `true`, `1`, `false`, `0`; the empty text is true.
//!
//! Two value names have a meaning: `SECRET` keeps a value out of [`Loaded::effective`], and `JSON`
//! accepts an absolute path to a file with the value (with a warning).
//!
//! ```
//! use libprocess::flags::Loader;
//!
//! #[derive(clap::Parser)]
//! #[command(rename_all = "snake_case")]
//! struct Flags {
//!     /// Where to listen
//!     #[arg(long, default_value_t = 5050)]
//!     port: u16,
//!     /// Say more
//!     #[arg(long)]
//!     verbose: bool,
//! }
//!
//! let loaded = Loader::new("acme")
//!     .environment("ACME_", [("ACME_PORT".to_owned(), "1".to_owned())])
//!     .load::<Flags>(["--verbose"])?;
//! assert_eq!((loaded.flags.port, loaded.flags.verbose), (1, true));
//! # Ok::<(), libprocess::flags::FlagError>(())
//! ```

mod given;
mod help;
mod logging;
mod spec;

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use given::Given;
pub use logging::{LogError, LogGuard, Logging};
use spec::{Kind, Spec};

/// Prints the text of a value in its normal form; None for text that is no such value.
pub type Normalise = fn(&str) -> Option<String>;

/// Why flags could not be loaded. The text is one line.
#[derive(Debug, thiserror::Error)]
pub enum FlagError {
    /// `--help` was given: no failure; the text is the usage.
    #[error("{0}")]
    Help(String),
    /// No flag has that name.
    #[error("unknown flag '--{name}'{hint}; --help lists the flags")]
    Unknown {
        /// The name as given, in lower case.
        name: String,
        /// A similar flag, or nothing.
        hint: String,
    },
    /// A flag came twice, possibly under an alias.
    #[error("flag '--{0}' is given more than once")]
    Duplicate(String),
    /// A flag that is no boolean came without `=value`.
    #[error("flag '--{0}' needs a value: write --{0}=value")]
    MissingValue(String),
    /// `--no-name` for a flag that is no boolean.
    #[error("flag '--{0}' is not a boolean: --no-{0} means nothing")]
    NotBoolean(String),
    /// `--no-name=value`.
    #[error("flag '--no-{0}' takes no value")]
    NegatedValue(String),
    /// Flags without which the program cannot run.
    #[error("missing required flag {0}")]
    Required(String),
    /// A value that the flag's type refuses.
    #[error("flag '--{name}' cannot be '{value}': {reason}")]
    Value {
        /// The flag.
        name: String,
        /// The text that was given, `***` for secrets.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file named by a `file://` value.
    #[error("flag '--{name}': cannot read {path}: {source}")]
    File {
        /// The flag.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// An argument that is not UTF-8.
    #[error("argument {0:?} is not UTF-8")]
    NotUtf8(OsString),
    /// Another complaint of the parser.
    #[error("{0}")]
    Other(String),
}

impl FlagError {
    /// Prints help to standard output, or the error to standard error after the program's name, and
    /// gives the exit code: 0 for help, else 1.
    pub fn report(&self, program: &str) -> ExitCode {
        if let Self::Help(text) = self {
            say(text);
            return ExitCode::SUCCESS;
        }
        eprintln!("{program}: {self}");
        ExitCode::FAILURE
    }
}

/// Prints a line to standard output. A reader that has stopped reading, such as `head`, is no failure.
pub fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Flags that were read.
#[derive(Debug, Clone)]
pub struct Loaded<F> {
    /// The caller's struct.
    pub flags: F,
    /// Every flag that is set or has a default, as text in normal form, under the name it was
    /// loaded with (the alias if that was used). Secrets are `***`.
    pub effective: BTreeMap<String, String>,
    /// The names of those that were given, by the command line or the environment, as they were
    /// loaded.
    pub given: BTreeSet<String>,
    /// One line for each deprecated use; for the log.
    pub warnings: Vec<String>,
}

/// Reads flags for one program.
#[derive(Debug, Clone)]
pub struct Loader {
    program: String,
    prefix: Option<String>,
    environment: BTreeMap<String, String>,
    lenient: bool,
    normalise: Vec<(TypeId, Normalise)>,
}

impl Loader {
    /// A loader that reads no environment and refuses unknown flags.
    pub fn new(program: &str) -> Self {
        Self {
            program: program.to_owned(),
            prefix: None,
            environment: BTreeMap::new(),
            lenient: false,
            normalise: Vec::new(),
        }
    }

    /// Takes flags that the command line lacks from `variables` whose names start with `prefix`.
    #[must_use]
    pub fn environment(
        mut self,
        prefix: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        self.prefix = Some(prefix.to_owned());
        self.environment = variables.into_iter().collect();
        self
    }

    /// Ignores unknown flags instead of refusing them.
    #[must_use]
    pub fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Shows values of type `T` as `normalise` prints them, in help and in [`Loaded::effective`].
    #[must_use]
    pub fn normalise<T: 'static>(mut self, normalise: Normalise) -> Self {
        self.normalise.push((TypeId::of::<T>(), normalise));
        self
    }

    /// Reads `arguments`, which do not include the program's name.
    ///
    /// # Errors
    /// [`FlagError`]; its `Help` variant when `--help` was given.
    pub fn load<F: clap::Parser>(
        &self,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Loaded<F>, FlagError> {
        let command = F::command();
        let specs = Spec::all(&command, &self.normalise);
        let mut given = given::from_command_line(&specs, arguments, self.lenient)?;
        if given.help {
            return Err(FlagError::Help(help::render(
                command,
                &self.program,
                self.prefix.as_deref(),
                &specs,
            )));
        }
        if let Some(prefix) = &self.prefix {
            given::merge_environment(&specs, &mut given, prefix, &self.environment)?;
        }
        let mut warnings = Vec::new();
        for (spec, one) in given.flags(&specs) {
            if spec.is_deprecated(&one.name) {
                warnings
                    .push(format!("flag '--{}' is deprecated: use '--{}'", one.name, spec.name));
            }
            spec.read_file(one, &mut warnings)?;
        }
        let missing: Vec<String> = specs
            .iter()
            .filter(|spec| spec.required && !given.has(spec))
            .map(|spec| format!("--{}", spec.name))
            .collect();
        if !missing.is_empty() {
            return Err(FlagError::Required(missing.join(", ")));
        }
        let words = words(&self.program, &specs, &given)?;
        let flags = F::try_parse_from(words).map_err(|error| explain(&error, &specs))?;
        let effective = effective(&specs, &given);
        let given = given.flags(&specs).map(|(_, one)| one.name.clone()).collect();
        Ok(Loaded { flags, effective, given, warnings })
    }
}

/// Loads flags of `program` with the OS process's environment when there is a prefix.
///
/// # Errors
/// As [`Loader::load`].
pub fn load<F: clap::Parser>(
    program: &str,
    env_prefix: Option<&str>,
    arguments: impl IntoIterator<Item = impl Into<OsString>>,
) -> Result<Loaded<F>, FlagError> {
    let loader = Loader::new(program);
    match env_prefix {
        Some(prefix) => loader.environment(prefix, process_environment()),
        None => loader,
    }
    .load(arguments)
}

/// The OS process's environment without what is not UTF-8.
pub fn process_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The command line that the parser gets: only `--name` and `--name=value`, each flag once.
fn words(program: &str, specs: &[Spec], given: &Given) -> Result<Vec<String>, FlagError> {
    let mut words = vec![program.to_owned()];
    for spec in specs {
        let Some(value) = given.value(spec) else {
            continue;
        };
        match spec.kind {
            Kind::Switch => {
                if spec.boolean(value)? {
                    words.push(format!("--{}", spec.name));
                }
            }
            Kind::Boolean => words.push(format!("--{}={}", spec.name, spec.boolean(value)?)),
            Kind::Path | Kind::Other => words.push(format!("--{}={value}", spec.name)),
        }
    }
    Ok(words)
}

fn effective(specs: &[Spec], given: &Given) -> BTreeMap<String, String> {
    let mut shown = BTreeMap::new();
    for spec in specs {
        let (name, value) = match (given.get(spec), &spec.default) {
            (Some(one), _) => (one.name.clone(), Some(&one.value)),
            (None, default) => (spec.name.clone(), default.as_ref()),
        };
        if let Some(value) = value {
            shown.insert(name, spec.shown(value));
        }
    }
    shown
}

/// The parser's complaint in one line.
fn explain(error: &clap::Error, specs: &[Spec]) -> FlagError {
    use clap::error::{ContextKind, ContextValue};
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    let name: String = argument
        .trim_start_matches("--")
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        .collect();
    let reason = match (std::error::Error::source(error), error.get(ContextKind::ValidValue)) {
        (Some(source), _) => source.to_string(),
        (None, Some(ContextValue::Strings(valid))) => {
            format!("expected one of {}", valid.join(", "))
        }
        _ => "the value is not valid".to_owned(),
    };
    match (specs.iter().find(|spec| spec.name == name), text(ContextKind::InvalidValue)) {
        (Some(spec), Some(value)) => {
            FlagError::Value { value: if spec.secret { "***".into() } else { value }, name, reason }
        }
        _ => {
            let rendered = error.to_string();
            let line = rendered.lines().next().unwrap_or_default();
            FlagError::Other(line.trim_start_matches("error: ").to_owned())
        }
    }
}

#[cfg(test)]
mod tests;
