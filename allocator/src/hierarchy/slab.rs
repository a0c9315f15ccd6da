//! Things that have a key for the outside and a small number inside.

use std::collections::BTreeMap;

/// Numbers are used again after a removal.
#[derive(Debug)]
pub(super) struct Slab<K, V> {
    items: Vec<Option<V>>,
    by_key: BTreeMap<K, usize>,
    free: Vec<usize>,
}

impl<K, V> Default for Slab<K, V> {
    fn default() -> Self {
        Self { items: Vec::new(), by_key: BTreeMap::new(), free: Vec::new() }
    }
}

impl<K: Ord + Clone, V> Slab<K, V> {
    /// Adds or replaces.
    pub(super) fn insert(&mut self, key: K, value: V) -> usize {
        if let Some(ix) = self.find(&key) {
            self.items[ix] = Some(value);
            return ix;
        }
        let ix = self.free.pop().unwrap_or(self.items.len());
        if ix == self.items.len() {
            self.items.push(None);
        }
        self.items[ix] = Some(value);
        self.by_key.insert(key, ix);
        ix
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let ix = self.by_key.remove(key)?;
        self.free.push(ix);
        self.items[ix].take()
    }

    pub(super) fn find(&self, key: &K) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    pub(super) fn get(&self, ix: usize) -> Option<&V> {
        self.items.get(ix)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, ix: usize) -> Option<&mut V> {
        self.items.get_mut(ix)?.as_mut()
    }

    pub(super) fn by_key_mut(&mut self, key: &K) -> Option<&mut V> {
        self.find(key).and_then(|ix| self.get_mut(ix))
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Keys with numbers, by key.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&K, usize)> {
        self.by_key.iter().map(|(key, ix)| (key, *ix))
    }

    /// Numbers with values, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &V)> {
        self.items.iter().enumerate().filter_map(|(ix, item)| Some((ix, item.as_ref()?)))
    }

    /// Numbers with values, by number.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut V)> {
        self.items.iter_mut().enumerate().filter_map(|(ix, item)| Some((ix, item.as_mut()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slab_numbers_are_stable_and_used_again() {
        let mut slab = Slab::default();
        assert_eq!((slab.insert("b", 1), slab.insert("a", 2), slab.insert("b", 3)), (0, 1, 0));
        assert_eq!(slab.keys().collect::<Vec<_>>(), [(&"a", 1), (&"b", 0)]);
        assert_eq!((slab.remove(&"b"), slab.remove(&"b"), slab.len()), (Some(3), None, 1));
        assert_eq!(slab.insert("c", 4), 0);
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(0, &4), (1, &2)]);
    }
}
