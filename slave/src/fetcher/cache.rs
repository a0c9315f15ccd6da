//! What has been fetched before: decided without IO.

use std::collections::BTreeMap;
use std::path::PathBuf;

use protos::mesos::command_info::Uri;
use protos::mesos::fetcher::fetcher_info::item::Action;

/// An entry's name: who fetched what. Users do not share files.
pub type Key = (Option<String>, String);

/// What a fetch does about each of its URIs, with the name of the file in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Somebody else downloads one of them: ask again when he is done.
    Wait,
    /// To be done at once; [`Cache::over`] must follow.
    Go(Vec<(Action, Option<String>)>),
}

#[derive(Debug, Clone)]
struct Entry {
    file: String,
    /// None while it is being downloaded.
    size: Option<u64>,
    /// Fetches that use it now.
    users: usize,
    /// When it was last asked for: later is larger.
    used: u64,
}

/// The cache's books.
#[derive(Debug)]
pub struct Cache {
    limit: u64,
    serial: u64,
    clock: u64,
    entries: BTreeMap<Key, Entry>,
}

impl Cache {
    /// An empty cache for that many bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, serial: 0, clock: 0, entries: BTreeMap::new() }
    }

    /// Bytes that are in use.
    pub fn used(&self) -> u64 {
        self.entries.values().filter_map(|entry| entry.size).sum()
    }

    /// Bytes that there may be.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that could be had by throwing out what nobody uses now.
    pub fn room(&self) -> u64 {
        let busy = self.entries.values().filter(|entry| entry.users > 0);
        self.limit.saturating_sub(busy.filter_map(|entry| entry.size).sum())
    }

    /// Decides what a fetch does. Nothing is claimed when it has to wait, so that no two fetches
    /// wait for each other.
    pub fn plan(&mut self, user: Option<&str>, uris: &[Uri]) -> Plan {
        let key = |uri: &Uri| (user.map(str::to_owned), uri.value.clone());
        let cached = |uri: &&Uri| uri.cache.unwrap_or(false);
        let wanted = uris.iter().filter(cached).map(key);
        let busy = |key| self.entries.get(&key).is_some_and(|entry| entry.size.is_none());
        if wanted.clone().any(busy) {
            return Plan::Wait;
        }
        let actions = uris.iter().map(|uri| {
            if !cached(&uri) {
                return (Action::BypassCache, None);
            }
            self.clock += 1;
            let (clock, room) = (self.clock, self.room());
            match self.entries.get_mut(&key(uri)) {
                Some(entry) => {
                    entry.users += 1;
                    entry.used = clock;
                    // The same URI twice in one fetch is downloaded once.
                    (Action::RetrieveFromCache, Some(entry.file.clone()))
                }
                // Whatever is in the cache is in use.
                None if room == 0 => (Action::BypassCache, None),
                None => {
                    self.serial += 1;
                    let file = format!("c{}-{}", self.serial, basename(&uri.value));
                    let entry = Entry { file: file.clone(), size: None, users: 1, used: clock };
                    self.entries.insert(key(uri), entry);
                    (Action::DownloadAndCache, Some(file))
                }
            }
        });
        Plan::Go(actions.collect())
    }

    /// A fetch is over. `size` tells the size of a file that it has put into the cache; None when it
    /// is not there as a whole. Answers files that are to be removed, below their users'
    /// directories.
    pub fn over(
        &mut self,
        user: Option<&str>,
        uris: &[Uri],
        size: impl Fn(&str) -> Option<u64>,
    ) -> Vec<(Option<String>, PathBuf)> {
        let mut gone = Vec::new();
        for uri in uris.iter().filter(|uri| uri.cache.unwrap_or(false)) {
            let key = (user.map(str::to_owned), uri.value.clone());
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            entry.users = entry.users.saturating_sub(1);
            if entry.size.is_none() {
                entry.size = size(&entry.file);
                if entry.size.is_none() {
                    gone.push((key.0.clone(), PathBuf::from(&entry.file)));
                    self.entries.remove(&key);
                }
            }
        }
        gone.extend(self.evict());
        gone
    }

    /// Throws out what was not asked for the longest, until the rest fits.
    fn evict(&mut self) -> Vec<(Option<String>, PathBuf)> {
        let mut gone = Vec::new();
        while self.used() > self.limit {
            let idle = self.entries.iter().filter(|(_, it)| it.users == 0 && it.size.is_some());
            let Some(key) = idle.min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone())
            else {
                // The last one to use something will do it.
                break;
            };
            if let Some(entry) = self.entries.remove(&key) {
                gone.push((key.0, PathBuf::from(entry.file)));
            }
        }
        gone
    }
}

/// The last component of a URI without query and fragment; what it is called in a sandbox.
pub(super) fn basename(uri: &str) -> String {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::*;

    fn uri(value: &str) -> Uri {
        Uri { value: value.to_owned(), cache: Some(true), ..Uri::default() }
    }

    fn go(cache: &mut Cache, uris: &[Uri]) -> Vec<(Action, Option<String>)> {
        match cache.plan(None, uris) {
            Plan::Go(actions) => actions,
            Plan::Wait => panic!("it waits"),
        }
    }

    fn names(gone: &[(Option<String>, PathBuf)]) -> Vec<String> {
        gone.iter().map(|(_, file)| file.display().to_string()).collect()
    }

    #[test]
    fn uri_is_downloaded_once_for_all_who_want_it_at_once() {
        let mut cache = Cache::new(100);
        let (a, b) = ([uri("http://h/a.tgz?x=1")], [uri("http://h/b"), uri("http://h/a.tgz?x=1")]);
        let first = (DownloadAndCache, Some("c1-a.tgz".to_owned()));
        assert_eq!(go(&mut cache, &a), [first]);
        assert_eq!(cache.plan(None, &b), Plan::Wait);
        // Another user downloads for himself.
        assert!(matches!(cache.plan(Some("u"), &a), Plan::Go(_)));
        assert!(cache.over(None, &a, |_| Some(10)).is_empty());
        let actions: Vec<Action> =
            go(&mut cache, &b).into_iter().map(|(action, _)| action).collect();
        assert_eq!(actions, [DownloadAndCache, RetrieveFromCache]);
        assert_eq!(cache.used(), 10);
    }

    #[test]
    fn download_that_failed_is_forgotten_and_tried_again() {
        let mut cache = Cache::new(100);
        go(&mut cache, &[uri("a")]);
        assert_eq!(names(&cache.over(None, &[uri("a")], |_| None)), ["c1-a"]);
        assert_eq!(go(&mut cache, &[uri("a")])[0].0, DownloadAndCache);
    }

    #[test]
    fn entries_that_were_not_asked_for_the_longest_go_first_and_used_ones_stay() {
        let mut cache = Cache::new(25);
        for name in ["a", "b"] {
            go(&mut cache, &[uri(name)]);
            assert!(cache.over(None, &[uri(name)], |_| Some(10)).is_empty());
        }
        // A is used by a fetch that goes on; b is older.
        assert_eq!(go(&mut cache, &[uri("a")])[0].0, RetrieveFromCache);
        go(&mut cache, &[uri("c")]);
        assert_eq!(names(&cache.over(None, &[uri("c")], |_| Some(12))), ["c2-b"]);
        assert_eq!(cache.used(), 22);
        go(&mut cache, &[uri("d")]);
        // Neither fits with a, which is in use: they go.
        assert_eq!(names(&cache.over(None, &[uri("d")], |_| Some(20))), ["c3-c", "c4-d"]);
        assert_eq!(cache.room(), 15);
        cache.over(None, &[uri("a")], |_| None);
        assert_eq!((cache.used(), cache.room()), (10, 25));
    }

    #[test]
    fn uri_that_is_not_to_be_cached_is_not() {
        let mut cache = Cache::new(25);
        let plain = Uri { value: "a".to_owned(), ..Uri::default() };
        assert_eq!(go(&mut cache, &[plain]), [(BypassCache, None)]);
        let mut nothing = Cache::new(0);
        assert_eq!(go(&mut nothing, &[uri("a")]), [(BypassCache, None)]);
    }
}
