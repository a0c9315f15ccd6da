//! What the log is for: a register that is written and read, the same on every server.

use std::collections::BTreeMap;

use super::messages::{Answer, Command};

/// The register, and for each client its last answer, so that a wish that stands in the log twice is
/// carried out once.
#[derive(Debug, Default)]
pub struct Register {
    value: u64,
    last: BTreeMap<String, Answer>,
}

impl Register {
    /// The value now; 0 at first.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// Carries a command out. None when its client has gone on to a later one meanwhile.
    pub fn apply(&mut self, command: &Command) -> Option<Answer> {
        let last = self.last.get(&command.client);
        match last {
            Some(last) if last.serial == command.serial => return Some(last.clone()),
            Some(last) if last.serial > command.serial => return None,
            _ => {}
        }
        if let Some(value) = command.write {
            self.value = value;
        }
        let answer = Answer { serial: command.serial, value: self.value };
        self.last.insert(command.client.clone(), answer.clone());
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn register_carries_a_repeated_write_out_once() {
        let mut register = Register::default();
        let command =
            |client: &str, serial, write| Command { client: client.into(), serial, write };
        let first = register.apply(&command("a", 1, Some(10)));
        register.apply(&command("b", 1, Some(20)));
        assert_eq!(register.apply(&command("a", 1, Some(10))), first);
        assert_eq!(register.value(), 20);
        register.apply(&command("a", 2, None));
        assert_eq!(register.apply(&command("a", 1, Some(10))), None);
    }
}
