//! What operators should know of the flags that they gave.

use std::collections::BTreeSet;

use super::{Flags, idle};
use crate::security;

impl Flags {
    /// One line for everything that was given and comes to nothing; `given` are the names of the flags
    /// that were.
    pub fn warnings(&self, given: &BTreeSet<String>) -> Vec<String> {
        let mut lines = idle::warnings(given);
        lines.extend(self.modules.iter().flat_map(crate::modules::Modules::warnings));
        let lists = self.security.acls.as_ref().map(security::idle).unwrap_or_default();
        if !lists.is_empty() {
            let lists = lists.join(", ");
            lines.push(format!("flag 'acls': nothing in a slave asks these lists: {lists}"));
        }
        lines
    }
}
