//! What goes wrong with docker.

/// The daemon did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DockerError {
    /// There is no such container or image.
    #[error("docker: {0}")]
    NotFound(String),
    /// Anything else.
    #[error("docker: {0}")]
    Failed(String),
}

impl DockerError {
    /// Turns what is missing anyway into success.
    pub(crate) fn or_gone(self) -> Result<(), Self> {
        if matches!(self, Self::NotFound(_)) { Ok(()) } else { Err(self) }
    }
}

impl From<bollard::errors::Error> for DockerError {
    fn from(error: bollard::errors::Error) -> Self {
        match error {
            bollard::errors::Error::DockerResponseServerError { status_code: 404, message } => {
                Self::NotFound(message)
            }
            bollard::errors::Error::DockerResponseServerError { message, .. } => {
                Self::Failed(message)
            }
            other => Self::Failed(other.to_string()),
        }
    }
}
