//! Checkers of the protocol's promises, over what a master shows at `/state`.

use std::collections::BTreeMap;

use protos::mesos::TaskState;
use serde_json::Value;

/// Resource quantities by name, in thousandths; ranges count their values.
type Amounts = BTreeMap<String, i64>;

fn amounts(object: &Value) -> Amounts {
    let entries = object.as_object().into_iter().flatten();
    let amount = |value: &Value| match value {
        Value::Number(number) => number.as_f64().map(|number| (number * 1000.0).round() as i64),
        Value::String(text) => Some(members_of(text) * 1000),
        _ => None,
    };
    entries
        .filter_map(|(name, value)| Some((name.clone(), amount(value)?)))
        .filter(|(_, amount)| *amount != 0)
        .collect()
}

/// Values in `[1-5, 7-9]` or `{a, b}`.
fn members_of(text: &str) -> i64 {
    let inner = text.trim_matches(['[', ']', '{', '}']);
    let parts = inner.split(", ").filter(|part| !part.is_empty());
    parts
        .map(|part| match part.split_once('-') {
            Some((low, high)) => match (low.parse::<i64>(), high.parse::<i64>()) {
                (Ok(low), Ok(high)) => high - low + 1,
                _ => 1,
            },
            None => 1,
        })
        .sum()
}

fn add(to: &mut Amounts, what: &Amounts) {
    for (name, amount) in what {
        *to.entry(name.clone()).or_default() += amount;
    }
    to.retain(|_, amount| *amount != 0);
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_default()
}

fn is_over(state: &str) -> bool {
    let number = TaskState::from_str_name(state).map_or(-1, i32::from);
    protos::task_state::from_wire(number).is_some_and(protos::task_state::is_terminal)
}

/// Looks for broken promises within one `/state` document: for each slave, used plus offered is no
/// more than all; used is what its unfinished tasks and executors hold; offered is what its offers
/// hold; nothing belongs to a slave that is not there.
pub fn problems_of_state(state: &Value) -> Vec<String> {
    let mut used: BTreeMap<&str, Amounts> = BTreeMap::new();
    let mut offered: BTreeMap<&str, Amounts> = BTreeMap::new();
    for framework in list(state, "frameworks") {
        // Who has ended holds nothing, even while the news of it is not acknowledged.
        let tasks = list(framework, "tasks").iter().filter(|task| !is_over(text(task, "state")));
        for holder in tasks.chain(list(framework, "executors")) {
            add(used.entry(text(holder, "slave_id")).or_default(), &amounts(&holder["resources"]));
        }
        for offer in list(framework, "offers") {
            add(offered.entry(text(offer, "slave_id")).or_default(), &amounts(&offer["resources"]));
        }
    }
    let mut problems = Vec::new();
    for slave in list(state, "slaves") {
        let id = text(slave, "id");
        let total = amounts(&slave["resources"]);
        let (shown_used, shown_offered) =
            (amounts(&slave["used_resources"]), amounts(&slave["offered_resources"]));
        let mut taken = shown_used.clone();
        add(&mut taken, &shown_offered);
        for (name, amount) in &taken {
            if *amount > total.get(name).copied().unwrap_or(0) {
                problems.push(format!("{id} gave away {amount} of {name}, has {total:?}"));
            }
        }
        for (kind, shown, held) in [
            ("uses", shown_used, used.remove(id).unwrap_or_default()),
            ("offers", shown_offered, offered.remove(id).unwrap_or_default()),
        ] {
            if shown != held {
                problems.push(format!("{id} {kind} {shown:?} but its holders have {held:?}"));
            }
        }
    }
    for (id, held) in used.into_iter().chain(offered).filter(|(_, held)| !held.is_empty()) {
        problems.push(format!("{held:?} are held on slave {id}, which is not there"));
    }
    problems
}

/// Looks at one master's `/state` again and again: finished tasks stay as they are.
#[derive(Debug, Default)]
pub struct StateWatch {
    over: BTreeMap<(String, String), String>,
    /// Everything found so far.
    pub problems: Vec<String>,
}

impl StateWatch {
    /// Takes the next document.
    pub fn look(&mut self, state: &Value) {
        self.problems.extend(problems_of_state(state));
        for framework in list(state, "frameworks") {
            for task in list(framework, "completed_tasks") {
                self.completed(task);
            }
            for task in list(framework, "tasks") {
                self.present(task);
            }
        }
    }

    fn completed(&mut self, task: &Value) {
        let key = (text(task, "framework_id").to_owned(), text(task, "id").to_owned());
        let state = text(task, "state").to_owned();
        if let Some(before) = self.over.get(&key)
            && *before != state
        {
            self.problems.push(format!("{} went from {before} to {state}", key.1));
        }
        self.over.insert(key, state);
    }

    fn present(&mut self, task: &Value) {
        let key = (text(task, "framework_id").to_owned(), text(task, "id").to_owned());
        let state = text(task, "state");
        // A lost task may come back with its slave.
        let revived =
            self.over.get(&key).filter(|before| *before != "TASK_LOST" && *before != state);
        if let Some(before) = revived {
            self.problems.push(format!("{} was {before} and is {state} again", key.1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn state(used: f64, offered: f64, task: f64) -> Value {
        json!({
            "slaves": [{
                "id": "S0",
                "resources": {"cpus": 4.0, "ports": "[1-10]"},
                "used_resources": {"cpus": used},
                "offered_resources": {"cpus": offered, "ports": "[1-4, 6-6]"},
            }],
            "frameworks": [{
                "tasks": [{"slave_id": "S0", "resources": {"cpus": task}}],
                "offers": [{"slave_id": "S0", "resources": {"cpus": offered, "ports": "[1-4, 6]"}}],
            }],
        })
    }

    #[test]
    fn state_that_adds_up_has_no_problems() {
        assert_eq!(problems_of_state(&state(1.0, 3.0, 1.0)), Vec::<String>::new());
    }

    #[test]
    fn state_that_gives_more_than_there_is_or_forgets_a_holder_is_found() {
        assert_eq!(problems_of_state(&state(2.0, 3.0, 2.0)).len(), 1);
        assert_eq!(problems_of_state(&state(1.0, 3.0, 0.5)).len(), 1);
        let mut gone = state(1.0, 3.0, 1.0);
        gone["slaves"] = json!([]);
        assert_eq!(problems_of_state(&gone).len(), 2);
    }

    #[test]
    fn task_that_leaves_its_final_state_is_found() {
        let mut watch = StateWatch::default();
        let with = |list: &str, state: &str| json!({"frameworks": [{list: [{"id": "t", "framework_id": "f", "state": state}]}]});
        watch.look(&with("completed_tasks", "TASK_FINISHED"));
        watch.look(&with("completed_tasks", "TASK_FINISHED"));
        assert!(watch.problems.is_empty());
        watch.look(&with("tasks", "TASK_RUNNING"));
        watch.look(&with("completed_tasks", "TASK_LOST"));
        assert_eq!(watch.problems.len(), 2);
    }
}
