//! Why somebody was, or was not, offered something: the answers and their JSON.

use std::fmt;
use std::time::Duration;

use libprocess::Time;
use protos::ids::{FrameworkId, SlaveId};
use protos::resources::Resources;
use serde_json::{Map, Value, json};

use crate::amounts::Quantities;

/// About whom to explain: a framework, or all frameworks of a role; on one slave, or on all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Question {
    /// Only this framework.
    pub framework: Option<FrameworkId>,
    /// Only this role.
    pub role: Option<String>,
    /// Only this slave.
    pub slave: Option<SlaveId>,
}

/// Why a framework was or was not offered a slave's resources for a role.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// It was, in the last cycle that looked at the slave.
    Offered(Resources),
    /// It would be in a cycle now: nothing stands in the way.
    Next(Resources),
    /// Nothing is offered to anybody until slaves or time enough have passed since the failover.
    Paused {
        /// So many slaves must come back.
        waiting_for: usize,
    },
    /// No such framework.
    UnknownFramework,
    /// No such slave.
    UnknownSlave,
    /// The framework is disconnected or deactivated.
    FrameworkInactive,
    /// The framework is not subscribed to the role.
    NotSubscribed,
    /// The framework suppressed offers for the role.
    Suppressed,
    /// The slave is disconnected, drained or deactivated.
    SlaveInactive,
    /// The whitelist does not have the slave's host.
    NotWhitelisted,
    /// The slave has GPUs, the framework lacks GPU_RESOURCES.
    NeedsGpus,
    /// The slave is in another region, the framework lacks REGION_AWARE.
    NeedsRegionAware,
    /// The slave lacks what the framework or its role needs (MULTI_ROLE, HIERARCHICAL_ROLE).
    SlaveLacks(&'static str),
    /// The framework's offer constraints exclude the slave.
    Constraint,
    /// All of the slave is held.
    NothingLeft,
    /// What is left is reserved to other roles, revocable, shared or refined, and not for this one.
    NotForRole(Resources),
    /// What is left for it is less than an offer must have.
    TooLittle {
        /// What is left.
        left: Resources,
        /// What it must have.
        minimum: String,
    },
    /// It refused the slave for no time: the next periodic cycle may offer it again.
    Returned,
    /// It refused what is left.
    Filtered {
        /// For so long yet.
        left: Duration,
    },
    /// A role has all that its quota allows.
    Limit {
        /// The role, or one above it.
        role: String,
        /// Of what.
        resource: String,
        /// In thousandths.
        limit: i64,
        /// In thousandths.
        consumed: i64,
    },
    /// What is left in the cluster is kept for other roles' guarantees.
    KeptForGuarantees {
        /// Of what.
        resource: String,
    },
}

impl Reason {
    /// The name that stands in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Offered(_) => "offered",
            Self::Next(_) => "next",
            Self::Paused { .. } => "paused",
            Self::UnknownFramework => "unknown_framework",
            Self::UnknownSlave => "unknown_slave",
            Self::FrameworkInactive => "framework_inactive",
            Self::NotSubscribed => "role",
            Self::Suppressed => "suppressed",
            Self::SlaveInactive => "unavailable",
            Self::NotWhitelisted => "whitelist",
            Self::NeedsGpus | Self::NeedsRegionAware | Self::SlaveLacks(_) => "capability",
            Self::Constraint => "constraint",
            Self::NothingLeft => "nothing_left",
            Self::NotForRole(_) => "not_for_role",
            Self::TooLittle { .. } => "too_little",
            Self::Returned => "returned",
            Self::Filtered { .. } => "filter",
            Self::Limit { .. } => "quota_limit",
            Self::KeptForGuarantees { .. } => "quota_guarantee_of_others",
        }
    }

    fn details(&self, entry: &mut Map<String, Value>) {
        let mut put = |key: &str, value: Value| {
            entry.insert(key.to_owned(), value);
        };
        match self {
            Self::Offered(resources) | Self::Next(resources) | Self::NotForRole(resources) => {
                put("resources", resources.to_string().into());
            }
            Self::TooLittle { left, minimum } => {
                put("resources", left.to_string().into());
                put("minimum", minimum.clone().into());
            }
            Self::Filtered { left } => put("seconds_left", left.as_secs_f64().into()),
            Self::Limit { role, resource, limit, consumed } => {
                put("limiting_role", role.clone().into());
                put("resource", resource.clone().into());
                put("limit", units(*limit));
                put("consumed", units(*consumed));
            }
            Self::KeptForGuarantees { resource } => put("resource", resource.clone().into()),
            Self::Paused { waiting_for } => put("slaves_missing", (*waiting_for).into()),
            _ => {}
        }
    }
}

fn units(thousandths: i64) -> Value {
    (thousandths as f64 / 1000.0).into()
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = match self {
            Self::Offered(resources) => return write!(f, "was offered {resources}"),
            Self::Next(resources) => return write!(f, "gets {resources} in the next cycle"),
            Self::Paused { waiting_for } => {
                return write!(f, "no offers until {waiting_for} more slaves are back");
            }
            Self::NotForRole(left) => {
                return write!(f, "what is left ({left}) is not for this role and framework");
            }
            Self::TooLittle { left, minimum } => {
                return write!(f, "what is left ({left}) is less than {minimum}");
            }
            Self::Filtered { left } => {
                return write!(f, "refused by the framework for {:.3} s yet", left.as_secs_f64());
            }
            Self::SlaveLacks(capability) => return write!(f, "the slave lacks {capability}"),
            Self::Limit { role, resource, .. } => {
                return write!(f, "role {role} has all the {resource} that its quota allows");
            }
            Self::KeptForGuarantees { resource } => {
                return write!(f, "the {resource} left are kept for guarantees of other roles");
            }
            Self::UnknownFramework => "no such framework",
            Self::UnknownSlave => "no such slave",
            Self::FrameworkInactive => "the framework is not connected or not active",
            Self::NotSubscribed => "the framework is not subscribed to the role",
            Self::Suppressed => "the framework suppressed offers for the role",
            Self::SlaveInactive => "the slave is disconnected, drained or deactivated",
            Self::NotWhitelisted => "the slave's host is not on the whitelist",
            Self::NeedsGpus => "the slave has GPUs and the framework lacks GPU_RESOURCES",
            Self::NeedsRegionAware => {
                "the slave is in another region and the framework lacks REGION_AWARE"
            }
            Self::Constraint => "the framework's offer constraints exclude the slave",
            Self::NothingLeft => "others hold all of the slave",
            Self::Returned => {
                "the framework refused it for no time: the next periodic cycle may offer it again"
            }
        };
        f.write_str(plain)
    }
}

/// A role on the way from the root to a framework's role.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// The role.
    pub role: String,
    /// Its dominant share, 0 to 1, with all below it.
    pub share: f64,
    /// Its weight.
    pub weight: f64,
    /// What its quota counts, in thousandths.
    pub consumed: Quantities,
}

/// Where a framework stands in a role.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The framework.
    pub framework: FrameworkId,
    /// The role.
    pub role: String,
    /// The framework's dominant share in the role, 0 to 1.
    pub share: f64,
    /// How many come before it; None when it takes no part.
    pub ahead: Option<usize>,
    /// The role and those above it, highest first.
    pub levels: Vec<Level>,
    /// Slave by slave.
    pub slaves: Vec<(SlaveId, Reason)>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Explanation {
    /// How many cycles there were.
    pub cycle: u64,
    /// When the last one was; the epoch when there was none.
    pub at: Time,
    /// By framework and role.
    pub standings: Vec<Standing>,
    /// Why there are no standings, if that was asked wrongly.
    pub problem: Option<Reason>,
}

impl Explanation {
    /// The JSON document. Of each standing, at most `limit` slaves are listed; all are counted.
    pub fn to_json(&self, limit: usize) -> Value {
        let standings: Vec<Value> = self.standings.iter().map(|s| s.to_json(limit)).collect();
        let mut document = Map::new();
        document.insert("cycle".to_owned(), self.cycle.into());
        document.insert("cycle_time".to_owned(), self.at.as_secs_f64().into());
        if let Some(problem) = &self.problem {
            document.insert("problem".to_owned(), problem.to_string().into());
        }
        document.insert("standings".to_owned(), standings.into());
        Value::Object(document)
    }
}

impl Standing {
    fn to_json(&self, limit: usize) -> Value {
        let mut counts = Map::new();
        for (_, reason) in &self.slaves {
            let count = counts.entry(reason.name()).or_insert_with(|| 0.into());
            *count = (count.as_u64().unwrap_or(0) + 1).into();
        }
        let slave = |(id, reason): &(SlaveId, Reason)| {
            let mut entry = Map::new();
            entry.insert("slave_id".to_owned(), id.as_str().into());
            entry.insert("reason".to_owned(), reason.name().into());
            entry.insert("text".to_owned(), reason.to_string().into());
            reason.details(&mut entry);
            Value::Object(entry)
        };
        let level = |level: &Level| {
            let consumed = level.consumed.iter().map(|(name, of)| (name.clone(), units(*of)));
            let consumed = Value::Object(consumed.collect());
            json!({ "role": level.role, "share": level.share, "weight": level.weight, "consumed": consumed })
        };
        json!({
            "framework_id": self.framework.as_str(),
            "role": self.role,
            "share": self.share,
            "ahead": self.ahead,
            "levels": self.levels.iter().map(level).collect::<Vec<_>>(),
            "reasons": counts,
            "slaves": self.slaves.iter().take(limit).map(slave).collect::<Vec<_>>(),
        })
    }
}
