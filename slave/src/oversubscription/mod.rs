//! What is allocated but not used may be offered once more, to tasks that can be taken back.
//!
//! A [`ResourceEstimator`] says how much that is, a [`QosController`] which executors must yield. Both
//! are given what is known of the slave and decide without IO of their own; a new one is one file.

mod fixed;
mod load;
mod slack;

use libprocess::Time;
use protos::ids::{ExecutorId, FrameworkId};
use protos::mesos::ResourceStatistics;
use protos::resources::Resources;

pub use fixed::FixedEstimator;
pub use load::LoadQosController;
pub use slack::SlackEstimator;

/// One executor, with what it was given and what it uses.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutorUsage {
    /// Whose executor.
    pub framework: FrameworkId,
    /// Which one.
    pub executor: ExecutorId,
    /// What it and its tasks hold.
    pub allocated: Resources,
    /// What it uses; None when that could not be measured.
    pub statistics: Option<ResourceStatistics>,
}

/// A slave at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// When.
    pub at: Time,
    /// What the host has to offer.
    pub total: Resources,
    /// Executors that run.
    pub executors: Vec<ExecutorUsage>,
    /// Average load of the host over 1, 5 and 15 minutes, if it is known.
    pub load: Option<[f64; 3]>,
}

impl Usage {
    /// What of the allocated resources can be taken back.
    pub fn revocable(&self) -> Resources {
        self.executors.iter().map(|executor| executor.allocated.revocable()).sum()
    }
}

/// Says how much may be offered beyond what is allocated (flag `resource_estimator`).
pub trait ResourceEstimator: Send {
    /// Revocable resources that may be offered now, besides those that are allocated already.
    fn estimate(&mut self, usage: &Usage) -> Resources;
}

/// An executor that must go, for others to have what they were promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// Whose executor.
    pub framework: FrameworkId,
    /// Which one.
    pub executor: ExecutorId,
}

/// Says which executors must yield (flag `qos_controller`).
pub trait QosController: Send {
    /// Those that must go now.
    fn corrections(&mut self, usage: &Usage) -> Vec<Correction>;
}

/// Makes an estimator; a slave that is restarted gets another one.
pub type NewEstimator = std::sync::Arc<dyn Fn() -> Box<dyn ResourceEstimator> + Send + Sync>;

/// Makes a controller.
pub type NewController = std::sync::Arc<dyn Fn() -> Box<dyn QosController> + Send + Sync>;
