//! The real driver: actix hosts processes, tokio drives sockets and timers.
