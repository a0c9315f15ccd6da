use protos::mesos::scheduler::attribute_constraint::predicate as p;
use protos::mesos::scheduler::attribute_constraint::{Predicate, Selector as WireOfSelector};
use protos::mesos::scheduler::offer_constraints::RoleConstraints;
use protos::mesos::scheduler::offer_constraints::role_constraints::Group;

use super::*;
use crate::Domain;

fn slave() -> SlaveSpec {
    SlaveSpec {
        hostname: "node7.example".to_owned(),
        attributes: protos::attributes::parse("rack:r1;level:3").unwrap(),
        domain: Some(Domain { region: "eu".to_owned(), zone: "eu-1".to_owned() }),
        ..SlaveSpec::default()
    }
}

fn attribute(name: &str, predicate: Wire) -> AttributeConstraint {
    constraint(WireSelector::AttributeName(name.to_owned()), predicate)
}

fn constraint(selector: WireSelector, predicate: Wire) -> AttributeConstraint {
    AttributeConstraint {
        selector: WireOfSelector { selector: Some(selector) },
        predicate: Predicate { predicate: Some(predicate) },
    }
}

fn equals(value: &str) -> Wire {
    Wire::TextEquals(p::TextEquals { value: value.to_owned() })
}

fn differs(value: &str) -> Wire {
    Wire::TextNotEquals(p::TextNotEquals { value: value.to_owned() })
}

fn matches(regex: &str) -> Wire {
    Wire::TextMatches(p::TextMatches { regex: regex.to_owned() })
}

fn wire(groups: Vec<Vec<AttributeConstraint>>) -> WireConstraints {
    let group = |attribute_constraints| Group { attribute_constraints };
    let groups = groups.into_iter().map(group).collect();
    WireConstraints { role_constraints: [("web".to_owned(), RoleConstraints { groups })].into() }
}

#[test]
fn constraint_holds_by_selector_and_predicate() {
    let pseudo = |kind: PseudoattributeType| WireSelector::PseudoattributeType(kind.into());
    let cases = [
        (attribute("rack", Wire::Exists(p::Exists {})), true),
        (attribute("dock", Wire::Exists(p::Exists {})), false),
        (attribute("dock", Wire::NotExists(p::NotExists {})), true),
        (attribute("rack", equals("r1")), true),
        (attribute("rack", equals("r")), false),
        (attribute("rack", differs("r1")), false),
        (attribute("dock", differs("r1")), true),
        (attribute("dock", equals("r1")), false),
        (attribute("rack", matches("r[0-9]")), true),
        (attribute("rack", matches("[0-9]")), false),
        (attribute("rack", matches("a|r1|b")), true),
        (attribute("level", equals("nonsense")), true),
        (constraint(pseudo(PseudoattributeType::Hostname), matches("node.*")), true),
        (constraint(pseudo(PseudoattributeType::Region), equals("eu")), true),
        (constraint(pseudo(PseudoattributeType::Zone), equals("eu")), false),
    ];
    for (constraint, expected) in cases {
        let constraints = OfferConstraints::new(&wire(vec![vec![constraint.clone()]])).unwrap();
        assert_eq!(constraints.admits("web", &slave()), expected, "{constraint:?}");
    }
}

#[test]
fn constraints_one_group_must_hold_whole_and_other_roles_are_free() {
    let (yes, no) = (attribute("rack", equals("r1")), attribute("rack", equals("r2")));
    let admits = |groups| OfferConstraints::new(&wire(groups)).unwrap().admits("web", &slave());
    assert!(!admits(vec![vec![yes.clone(), no.clone()]]));
    assert!(admits(vec![vec![no.clone()], vec![yes]]));
    let strict = OfferConstraints::new(&wire(vec![vec![no]])).unwrap();
    assert!(strict.admits("db", &slave()) && strict.is_free("db") && !strict.is_free("web"));
}

#[test]
fn constraints_that_make_no_sense_are_refused() {
    let huge = "a{1000}{1000}";
    let bad = [
        wire(vec![]),
        wire(vec![vec![]]),
        wire(vec![vec![attribute("rack", matches("("))]]),
        wire(vec![vec![attribute("rack", matches("a)(b"))]]),
        wire(vec![vec![attribute("rack", matches(huge))]]),
        wire(vec![vec![AttributeConstraint::default()]]),
    ];
    for wire in bad {
        assert!(OfferConstraints::new(&wire).is_err(), "{wire:?}");
    }
}
