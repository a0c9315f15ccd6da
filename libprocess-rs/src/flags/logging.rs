//! The flags that every program has for its log, and the logger they ask for.

use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::path::PathBuf;

use slog::{Drain, Duplicate, Fuse, Logger};

use crate::logging::Verbosity;

/// Flags for the log; put them into a program's flags with `#[command(flatten)]`.
#[derive(clap::Args, Debug, Clone, PartialEq, Eq)]
#[command(rename_all = "snake_case", next_help_heading = "Logging")]
pub struct Logging {
    /// Least severity that is logged: INFO, WARNING or ERROR (also DEBUG and TRACE)
    #[arg(long, value_name = "LEVEL", value_parser = level, default_value = "INFO")]
    pub logging_level: slog::Level,
    /// Log nothing to standard error
    #[arg(long)]
    pub quiet: bool,
    /// Directory of a log file that is named after the program
    #[arg(long)]
    pub log_dir: Option<PathBuf>,
    /// File that others keep this program's log in, for operators to read where that is shown; nothing
    /// is written to it
    #[arg(long)]
    pub external_log_file: Option<PathBuf>,
    /// Accepted: seconds that lines may wait to be written; they never do
    #[arg(long, default_value_t = 0)]
    pub logbufsecs: i64,
    /// Accepted: whether drivers set logging up; they are given a log
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    pub initialize_driver_logging: bool,
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            logging_level: slog::Level::Info,
            quiet: false,
            log_dir: None,
            external_log_file: None,
            logbufsecs: 0,
            initialize_driver_logging: true,
        }
    }
}

/// The log file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the log file {path}: {source}")]
pub struct LogError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub source: std::io::Error,
}

fn level(text: &str) -> Result<slog::Level, String> {
    match text.to_ascii_uppercase().as_str() {
        "TRACE" => Ok(slog::Level::Trace),
        "DEBUG" => Ok(slog::Level::Debug),
        "INFO" => Ok(slog::Level::Info),
        "WARNING" => Ok(slog::Level::Warning),
        "ERROR" => Ok(slog::Level::Error),
        _ => Err("expected INFO, WARNING or ERROR".to_owned()),
    }
}

/// Writes what is still on its way to the log when it is dropped.
pub struct LogGuard {
    _writer: slog_async::AsyncGuard,
    verbosity: Verbosity,
}

impl LogGuard {
    /// How much the log takes: for [`crate::NodeConfig::verbosity`], so that `/logging/toggle`
    /// changes it.
    pub fn verbosity(&self) -> Verbosity {
        self.verbosity.clone()
    }
}

type Plain<W> = Fuse<slog_term::FullFormat<slog_term::PlainDecorator<BufWriter<W>>>>;

/// Each line is written in one call, when its record is flushed: others, and the program itself, may
/// write to the same place.
fn plain<W: std::io::Write>(to: W) -> Plain<W> {
    let decorator = slog_term::PlainDecorator::new(BufWriter::new(to));
    slog_term::FullFormat::new(decorator).use_utc_timestamp().build().fuse()
}

impl Logging {
    /// The logger of `program`; lines are written by a thread of their own. It says which flags have
    /// no effect.
    ///
    /// # Errors
    /// [`LogError`] when the file in `log_dir` cannot be made.
    pub fn logger(&self, program: &str) -> Result<(Logger, LogGuard), LogError> {
        let (log, guard) = self.logger_of_shown(program)?;
        if self.external_log_file.is_some() {
            slog::warn!(log, "flag 'external_log_file' has no effect here");
        }
        Ok((log, guard))
    }

    /// As [`Logging::logger`], for programs that show the file of [`Logging::file`] to operators.
    ///
    /// # Errors
    /// As [`Logging::logger`].
    pub fn logger_of_shown(&self, program: &str) -> Result<(Logger, LogGuard), LogError> {
        let (log, guard) = self.start(program)?;
        if self.logbufsecs != 0 {
            slog::warn!(log, "flag 'logbufsecs' has no effect: lines are written at once");
        }
        if !self.initialize_driver_logging {
            slog::warn!(log, "flag 'initialize_driver_logging' has no effect");
        }
        Ok((log, guard))
    }

    /// The file that operators find the log of `program` in, if there is any.
    pub fn file(&self, program: &str) -> Option<PathBuf> {
        let own = self.log_dir.as_ref().map(|directory| directory.join(format!("{program}.log")));
        self.external_log_file.clone().or(own)
    }

    fn start(&self, program: &str) -> Result<(Logger, LogGuard), LogError> {
        let file = self.log_dir.as_ref().map(|directory| {
            let path = directory.join(format!("{program}.log"));
            self.open(&path).map_err(|source| LogError { path, source })
        });
        let verbosity = Verbosity::new(self.logging_level);
        let (drain, writer) = match (file.transpose()?, self.quiet) {
            (None, true) => {
                return Ok((discard(), LogGuard { _writer: idle(), verbosity }));
            }
            (None, false) => background(plain(std::io::stderr())),
            (Some(file), true) => background(plain(file)),
            (Some(file), false) => {
                background(Duplicate::new(plain(file), plain(std::io::stderr())).fuse())
            }
        };
        let drain = verbosity.filter(drain).fuse();
        Ok((Logger::root(drain, slog::o!()), LogGuard { _writer: writer, verbosity }))
    }

    fn open(&self, path: &std::path::Path) -> std::io::Result<File> {
        if let Some(directory) = &self.log_dir {
            std::fs::create_dir_all(directory)?;
        }
        OpenOptions::new().create(true).append(true).open(path)
    }
}

fn discard() -> Logger {
    Logger::root(slog::Discard, slog::o!())
}

fn idle() -> slog_async::AsyncGuard {
    slog_async::Async::new(slog::Discard).build_with_guard().1
}

fn background<D>(drain: D) -> (Fuse<slog_async::Async>, slog_async::AsyncGuard)
where
    D: Drain<Err = slog::Never, Ok = ()> + Send + 'static,
{
    let (drain, guard) = slog_async::Async::new(drain).chan_size(4096).build_with_guard();
    (drain.fuse(), guard)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What was written, one entry for each call.
    #[derive(Clone, Default)]
    struct Calls(Arc<Mutex<Vec<String>>>);

    impl std::io::Write for Calls {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().push(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn line_of_the_log_is_written_in_one_piece() {
        let calls = Calls::default();
        let (drain, writer) = background(plain(calls.clone()));
        let log = Logger::root(drain.fuse(), slog::o!("pid" => "a@b"));
        slog::info!(log, "something happened"; "reason" => "none");
        slog::warn!(log, "again");
        // Its end waits for what is on its way.
        drop(writer);
        let calls = calls.0.lock().unwrap();
        assert_eq!(calls.len(), 2, "{calls:?}");
        assert!(calls.iter().all(|line| line.ends_with('\n')), "{calls:?}");
    }

    #[test]
    fn log_file_gets_lines_of_the_level_and_above() {
        let directory = std::env::temp_dir().join(format!("log-{}", uuid::Uuid::new_v4()));
        let logging = Logging {
            logging_level: slog::Level::Warning,
            quiet: true,
            log_dir: Some(directory.clone()),
            ..Logging::default()
        };
        assert_eq!(logging.file("prog"), Some(directory.join("prog.log")));
        let (log, guard) = logging.logger("prog").unwrap();
        slog::info!(log, "below");
        slog::warn!(log, "above"; "key" => 1);
        guard.verbosity().set(1);
        slog::debug!(log, "toggled");
        drop((log, guard));
        let text = std::fs::read_to_string(directory.join("prog.log")).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(
            text.contains("above")
                && text.contains("key")
                && text.contains("toggled")
                && !text.contains("below"),
            "{text}"
        );
    }

    #[test]
    fn log_says_which_of_its_flags_have_no_effect() {
        let directory = std::env::temp_dir().join(format!("log-{}", uuid::Uuid::new_v4()));
        let plain = Logging { quiet: true, log_dir: Some(directory.clone()), ..Logging::default() };
        let said = |logging: &Logging, program: &str, shown: bool| {
            let started =
                if shown { logging.logger_of_shown(program) } else { logging.logger(program) };
            drop(started.unwrap());
            let text = std::fs::read_to_string(directory.join(format!("{program}.log"))).unwrap();
            text.lines().filter(|line| line.contains("has no effect")).count()
        };
        let all = Logging {
            external_log_file: Some("/elsewhere".into()),
            logbufsecs: 30,
            initialize_driver_logging: false,
            ..plain.clone()
        };
        assert_eq!(said(&plain, "plain", false), 0);
        assert_eq!(said(&all, "all", false), 3);
        assert_eq!(said(&all, "shown", true), 2);
        assert_eq!(all.file("shown"), Some("/elsewhere".into()));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn level_names_are_read_in_any_case() {
        assert_eq!(level("warning"), Ok(slog::Level::Warning));
        assert!(level("LOUD").is_err());
    }
}
