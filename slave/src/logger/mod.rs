//! Containers' output, kept within bounds: a program reads it from a pipe and rotates the files.
//!
//! The program outlives the slave, so that output goes on while the slave is restarted; it ends when
//! nobody can write any more.

mod main;
mod rotating;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;

use protos::size::ByteSize;

pub use main::main;
pub use rotating::RotatingFile;

/// The module that the protocol family knows for this.
pub const NAME: &str = "org_apache_mesos_LogrotateContainerLogger";

/// What variables of a container's own wishes begin with, unless a parameter says otherwise.
pub const PREFIX: &str = "CONTAINER_LOGGER_";

/// What the logger is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggerOptions {
    /// Program and leading arguments of `mesos-logrotate-logger`.
    pub program: Vec<String>,
    /// What variables in a container's environment begin with that say how its own files are kept.
    pub prefix: String,
    /// How `stdout` is kept.
    pub stdout: Rotation,
    /// How `stderr` is kept.
    pub stderr: Rotation,
}

/// How a file is kept within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// A file that has grown beyond that is put aside.
    pub max_bytes: u64,
    /// How many of those are kept.
    pub keep: usize,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { max_bytes: 10 * 1024 * 1024, keep: 9 }
    }
}

impl Rotation {
    /// As parameters say: a size such as `10MB`, options such as `rotate 9`.
    ///
    /// # Errors
    /// Which of them cannot be used.
    pub fn read(size: Option<&str>, options: Option<&str>) -> Result<Self, String> {
        Self::default().changed(size, options)
    }

    /// The same but for what parameters say otherwise.
    fn changed(self, size: Option<&str>, options: Option<&str>) -> Result<Self, String> {
        let mut rotation = self;
        if let Some(size) = size {
            let size = size.parse::<ByteSize>().map_err(|error| error.to_string())?;
            // One page, as there would be a file for each line.
            rotation.max_bytes = size.0.max(4096);
        }
        let words: Vec<&str> = options.unwrap_or_default().split_whitespace().collect();
        for pair in words.windows(2).filter(|pair| pair[0] == "rotate") {
            let number = pair[1].parse().map_err(|_| format!("'{}' is no number", pair[1]))?;
            rotation.keep = number;
        }
        Ok(rotation)
    }
}

impl LoggerOptions {
    /// As the container's own environment says, else as the slave's flags do.
    fn rotation(&self, name: &str, environment: &BTreeMap<String, String>) -> Rotation {
        let upper = name.to_uppercase();
        let get = |name: String| environment.get(&name).map(String::as_str);
        let size = get(format!("{}MAX_{upper}_SIZE", self.prefix));
        let options = get(format!("{}LOGROTATE_{upper}_OPTIONS", self.prefix));
        let default = if name == "stdout" { self.stdout } else { self.stderr };
        // What a framework writes there is no reason to fail its task.
        default.changed(size, options).unwrap_or(default)
    }

    /// Starts the program for one file of a sandbox; what is written to the answer gets there.
    ///
    /// # Errors
    /// When there is no pipe or process to be had.
    pub(crate) fn start(
        &self,
        file: &Path,
        environment: &BTreeMap<String, String>,
        user: Option<(u32, u32)>,
    ) -> std::io::Result<OwnedFd> {
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let rotation = self.rotation(&name, environment);
        let (program, leading) = self.program.split_first().ok_or(std::io::ErrorKind::NotFound)?;
        let mut command = tokio::process::Command::new(program);
        command
            .args(leading)
            .arg(format!("--log_filename={}", file.display()))
            .arg(format!("--max_size={}B", rotation.max_bytes))
            .arg(format!("--logrotate_options=rotate {}", rotation.keep))
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::from(read))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some((uid, gid)) = user {
            command.gid(gid).uid(uid);
        }
        // It is reaped when it ends, whoever still has an eye on it.
        command.spawn()?;
        Ok(write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_is_read_from_parameters() {
        let read = |size, options| Rotation::read(size, options);
        assert_eq!(read(None, None), Ok(Rotation::default()));
        let rotation = Rotation { max_bytes: 2 << 20, keep: 3 };
        assert_eq!(read(Some("2MB"), Some("copytruncate\nrotate 3")), Ok(rotation));
        assert_eq!(read(Some("1B"), None).unwrap().max_bytes, 4096);
        assert!(read(Some("much"), None).is_err());
        assert!(read(None, Some("rotate often")).is_err());
    }

    #[test]
    fn rotation_of_a_container_is_its_own_if_it_says_so() {
        let options = LoggerOptions {
            program: Vec::new(),
            prefix: PREFIX.to_owned(),
            stdout: Rotation { max_bytes: 5000, keep: 1 },
            stderr: Rotation::default(),
        };
        let own = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let size = own("CONTAINER_LOGGER_MAX_STDOUT_SIZE", "1MB");
        // What it does not speak of stays as the slave's flags have it.
        let expected = Rotation { max_bytes: 1 << 20, keep: 1 };
        assert_eq!(options.rotation("stdout", &size), expected);
        let kept = own("CONTAINER_LOGGER_LOGROTATE_STDOUT_OPTIONS", "rotate 4");
        let expected = Rotation { max_bytes: 5000, keep: 4 };
        assert_eq!(options.rotation("stdout", &kept), expected);
        let other = LoggerOptions { prefix: "MINE_".to_owned(), ..options.clone() };
        assert_eq!(other.rotation("stdout", &size), options.stdout);
        let size = own("MINE_MAX_STDOUT_SIZE", "1MB");
        assert_eq!(other.rotation("stdout", &size).max_bytes, 1 << 20);
        assert_eq!(options.rotation("stderr", &size), Rotation::default());
        let bad = own("CONTAINER_LOGGER_MAX_STDOUT_SIZE", "much");
        assert_eq!(options.rotation("stdout", &bad), options.stdout);
    }
}
