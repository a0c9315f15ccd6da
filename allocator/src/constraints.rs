//! Offer constraints: which slaves a framework wants to see at all, by their attributes.

use std::collections::BTreeMap;

use protos::mesos;
use protos::mesos::scheduler::attribute_constraint::predicate::Predicate as Wire;
use protos::mesos::scheduler::attribute_constraint::selector::{
    PseudoattributeType, Selector as WireSelector,
};
use protos::mesos::scheduler::{AttributeConstraint, OfferConstraints as WireConstraints};
use regex::{Regex, RegexBuilder};

use crate::SlaveSpec;

/// The most that a compiled expression may take, in bytes.
const EXPRESSION_LIMIT: usize = 256 * 1024;
/// The longest expression, in bytes.
const EXPRESSION_LENGTH: usize = 4096;

/// Constraints are not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// A role or a group has nothing in it.
    #[error("offer constraints of role '{0}': an empty list of {1}")]
    Empty(String, &'static str),
    /// A part is missing.
    #[error("offer constraints of role '{0}': a constraint without {1}")]
    Missing(String, &'static str),
    /// An expression cannot be read, or is too large.
    #[error("offer constraints of role '{role}': expression '{expression}': {problem}")]
    Expression {
        /// Whose constraints.
        role: String,
        /// The expression.
        expression: String,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Debug, Clone)]
enum Selector {
    Hostname,
    Region,
    Zone,
    Attribute(String),
}

#[derive(Debug, Clone)]
enum Predicate {
    Exists(bool),
    Equals(String, bool),
    Matches(Regex, bool),
}

#[derive(Debug, Clone)]
struct Constraint {
    selector: Selector,
    predicate: Predicate,
}

/// Compiled constraints of a framework. A role without constraints admits every slave; else one of
/// its groups must hold, all constraints of it.
#[derive(Debug, Clone, Default)]
pub struct OfferConstraints {
    by_role: BTreeMap<String, Vec<Vec<Constraint>>>,
    wire: WireConstraints,
}

impl PartialEq for OfferConstraints {
    fn eq(&self, other: &Self) -> bool {
        self.wire == other.wire
    }
}

/// What a selector finds on a slave.
enum Found<'a> {
    Nothing,
    Text(&'a str),
    /// An attribute that is no text.
    Other,
}

impl OfferConstraints {
    /// Compiles what a framework sent.
    ///
    /// # Errors
    /// [`ConstraintError`] with the first thing wrong.
    pub fn new(wire: &WireConstraints) -> Result<Self, ConstraintError> {
        let mut by_role = BTreeMap::new();
        for (role, constraints) in &wire.role_constraints {
            if constraints.groups.is_empty() {
                return Err(ConstraintError::Empty(role.clone(), "groups"));
            }
            let mut groups = Vec::new();
            for group in &constraints.groups {
                if group.attribute_constraints.is_empty() {
                    return Err(ConstraintError::Empty(role.clone(), "constraints"));
                }
                let compiled = group.attribute_constraints.iter().map(|c| compile(role, c));
                groups.push(compiled.collect::<Result<_, _>>()?);
            }
            by_role.insert(role.clone(), groups);
        }
        Ok(Self { by_role, wire: wire.clone() })
    }

    /// As they were sent.
    pub fn wire(&self) -> &WireConstraints {
        &self.wire
    }

    /// True when there are none for the role.
    pub fn is_free(&self, role: &str) -> bool {
        !self.by_role.contains_key(role)
    }

    /// True when the role wants to see the slave.
    pub fn admits(&self, role: &str, slave: &SlaveSpec) -> bool {
        let holds =
            |group: &Vec<Constraint>| group.iter().all(|constraint| constraint.holds(slave));
        self.by_role.get(role).is_none_or(|groups| groups.iter().any(holds))
    }
}

fn compile(role: &str, wire: &AttributeConstraint) -> Result<Constraint, ConstraintError> {
    let missing = |what| ConstraintError::Missing(role.to_owned(), what);
    let selector = match wire.selector.selector.as_ref() {
        Some(WireSelector::AttributeName(name)) => Selector::Attribute(name.clone()),
        Some(WireSelector::PseudoattributeType(kind)) => match PseudoattributeType::try_from(*kind)
        {
            Ok(PseudoattributeType::Hostname) => Selector::Hostname,
            Ok(PseudoattributeType::Region) => Selector::Region,
            Ok(PseudoattributeType::Zone) => Selector::Zone,
            _ => return Err(missing("a known pseudoattribute")),
        },
        None => return Err(missing("a selector")),
    };
    let expression = |text: &str| expression(role, text);
    let predicate = match wire.predicate.predicate.as_ref() {
        Some(Wire::Exists(_)) => Predicate::Exists(true),
        Some(Wire::NotExists(_)) => Predicate::Exists(false),
        Some(Wire::TextEquals(p)) => Predicate::Equals(p.value.clone(), true),
        Some(Wire::TextNotEquals(p)) => Predicate::Equals(p.value.clone(), false),
        Some(Wire::TextMatches(p)) => Predicate::Matches(expression(&p.regex)?, true),
        Some(Wire::TextNotMatches(p)) => Predicate::Matches(expression(&p.regex)?, false),
        None => return Err(missing("a predicate")),
    };
    Ok(Constraint { selector, predicate })
}

/// The whole text must match.
fn expression(role: &str, text: &str) -> Result<Regex, ConstraintError> {
    let bad = |problem: String| ConstraintError::Expression {
        role: role.to_owned(),
        expression: text.chars().take(100).collect(),
        problem,
    };
    if text.len() > EXPRESSION_LENGTH {
        return Err(bad(format!("is longer than {EXPRESSION_LENGTH} bytes")));
    }
    // Read alone first, so that a stray bracket cannot close the group around it.
    let limited = |text: &str| RegexBuilder::new(text).size_limit(EXPRESSION_LIMIT).build();
    limited(text).map_err(|error| bad(error.to_string()))?;
    limited(&format!("^(?:{text})$")).map_err(|error| bad(error.to_string()))
}

impl Constraint {
    /// Predicates on texts hold for an attribute that is no text: the framework judges it itself.
    fn holds(&self, slave: &SlaveSpec) -> bool {
        match (&self.predicate, self.selector.find(slave)) {
            (Predicate::Exists(wanted), found) => !matches!(found, Found::Nothing) == *wanted,
            (_, Found::Other) => true,
            (Predicate::Equals(_, wanted) | Predicate::Matches(_, wanted), Found::Nothing) => {
                !wanted
            }
            (Predicate::Equals(value, wanted), Found::Text(text)) => (value == text) == *wanted,
            (Predicate::Matches(regex, wanted), Found::Text(text)) => {
                regex.is_match(text) == *wanted
            }
        }
    }
}

impl Selector {
    fn find<'a>(&self, slave: &'a SlaveSpec) -> Found<'a> {
        let text = |text: Option<&'a str>| text.map_or(Found::Nothing, Found::Text);
        let domain = slave.domain.as_ref();
        match self {
            Self::Hostname => Found::Text(&slave.hostname),
            Self::Region => text(domain.map(|domain| domain.region.as_str())),
            Self::Zone => text(domain.map(|domain| domain.zone.as_str())),
            Self::Attribute(name) => {
                let named = |attribute: &&mesos::Attribute| attribute.name == *name;
                match slave.attributes.iter().find(named) {
                    None => Found::Nothing,
                    Some(found) => found
                        .text
                        .as_ref()
                        .map_or(Found::Other, |text| Found::Text(text.value.as_str())),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
