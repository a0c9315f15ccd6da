//! The whitelist: a file of host names that is read again and again.

use std::collections::BTreeSet;
use std::time::Duration;

use libprocess::Ctx;

use crate::Master;
use crate::config::Whitelist;

/// Time between readings of the file.
const INTERVAL: Duration = Duration::from_secs(5);

impl Master {
    pub(super) fn watch_whitelist(&mut self, cx: &mut Ctx<Self>) {
        let Whitelist::File(path) = self.state.config.whitelist.clone() else { return };
        let disk = cx.disk();
        let read = async move { (disk.read(&path).await, path) };
        cx.defer(read, |master, (read, path), cx| {
            match read {
                Ok(bytes) => master.whitelist_read(hosts(&String::from_utf8_lossy(&bytes))),
                Err(error) => slog::error!(cx.log(), "whitelist cannot be read";
                    "path" => %path.display(), "reason" => %error),
            }
            cx.after(INTERVAL, Self::watch_whitelist);
        });
    }

    fn whitelist_read(&mut self, hosts: BTreeSet<String>) {
        if self.whitelist.as_ref() != Some(&hosts) {
            self.whitelist = Some(hosts.clone());
            self.allocator.update_whitelist(Some(hosts));
        }
    }
}

/// One host a line; blank lines do not count.
fn hosts(text: &str) -> BTreeSet<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whitelist_has_a_host_a_line() {
        assert_eq!(hosts("b\n\n a \n"), ["a".to_owned(), "b".to_owned()].into());
        assert!(hosts("").is_empty());
    }
}
