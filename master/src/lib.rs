//! The master: offers a cluster's resources to frameworks
