//! Flags that exclude one another.

use super::Flags;

impl Flags {
    /// Checks that no two flags say the same thing in different ways.
    ///
    /// # Errors
    /// Text naming both.
    pub fn check(&self) -> Result<(), String> {
        let pairs = [
            ("ip", self.ip.is_some(), "ip_discovery_command", self.ip_discovery_command.is_some()),
            (
                "ip6",
                self.idle.ip6.is_some(),
                "ip6_discovery_command",
                self.idle.ip6_discovery_command.is_some(),
            ),
            (
                "master",
                self.master.is_some(),
                "master_detector",
                self.idle.master_detector.is_some(),
            ),
            ("modules", self.modules.is_some(), "modules_dir", self.idle.modules_dir.is_some()),
        ];
        match pairs.into_iter().find(|(_, one, _, other)| *one && *other) {
            Some((one, _, other, _)) => {
                Err(format!("only one of the flags '{one}' and '{other}' may be given"))
            }
            None => Ok(()),
        }
    }
}
