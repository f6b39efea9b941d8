use std::{collections::HashSet, hash::Hash, slice, sync::Arc};

/// A list of names that a rule applies to, or any name.
///
/// A rule must state [`Names::any`] explicitly. An empty list contains no name.
///
/// ```
/// use tower_token_exchange::policy::Names;
///
/// let one: Names = "billing".into();
/// let two: Names = ["billing", "ledger"].into();
/// let many: Names = ["billing", "ledger", "payroll"].into_iter().collect();
/// let any = Names::any();
/// # let _ = (one, two, many, any);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Names(List);

// Most lists have one name, which needs no list on the heap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum List {
    Any,
    One(Arc<str>),
    Several(Arc<[Arc<str>]>),
}

impl Names {
    /// Creates a list that contains every name.
    pub fn any() -> Self {
        Self(List::Any)
    }

    /// The names of the list. `None` for any name.
    pub(crate) fn listed(&self) -> Option<&[Arc<str>]> {
        match &self.0 {
            List::Any => None,
            List::One(name) => Some(slice::from_ref(name)),
            List::Several(names) => Some(names),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listed().is_some_and(<[_]>::is_empty)
    }

    /// Whether the list contains a name. The list must be normalized.
    pub(crate) fn contains(&self, name: impl AsRef<str>) -> bool {
        let name = name.as_ref();
        match &self.0 {
            List::Any => true,
            List::One(own) => **own == *name,
            List::Several(names) => names.binary_search_by(|own| (**own).cmp(name)).is_ok(),
        }
    }

    /// Whether this list contains every name of the other list. Both lists must be normalized.
    pub(super) fn contains_all(&self, other: &Self) -> bool {
        match (self.listed(), other.listed()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(_), Some(names)) => names.iter().all(|name| self.contains(name)),
        }
    }

    /// Sorts the list and removes duplicates.
    pub(super) fn normalize(&mut self) {
        let List::Several(names) = &self.0 else { return };
        if !names.is_sorted_by(|one, next| one < next) {
            let mut names = names.to_vec();
            names.sort_unstable();
            names.dedup();
            *self = names.into();
        }
    }
}

impl From<Vec<Arc<str>>> for Names {
    fn from(names: Vec<Arc<str>>) -> Self {
        match <[Arc<str>; 1]>::try_from(names) {
            Ok([one]) => Self(List::One(one)),
            Err(several) => Self(List::Several(several.into())),
        }
    }
}

impl From<&str> for Names {
    fn from(name: &str) -> Self {
        Self(List::One(name.into()))
    }
}

impl<const N: usize> From<[&str; N]> for Names {
    fn from(names: [&str; N]) -> Self {
        names.into_iter().collect()
    }
}

impl From<Vec<String>> for Names {
    fn from(names: Vec<String>) -> Self {
        names.into_iter().collect()
    }
}

impl<T: AsRef<str>> FromIterator<T> for Names {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        names.into_iter().map(|name| Arc::from(name.as_ref())).collect::<Vec<Arc<str>>>().into()
    }
}

/// The names and lists of a table. Rules that use the same name or list share its memory.
#[derive(Default)]
pub(super) struct SharedNames {
    names: HashSet<Arc<str>>,
    lists: HashSet<Arc<[Arc<str>]>>,
}

impl SharedNames {
    pub(super) fn share(&mut self, names: &mut Names) {
        match &mut names.0 {
            List::Any => {}
            List::One(name) => share(&mut self.names, name),
            List::Several(names) => share(&mut self.lists, names),
        }
    }

    pub(super) fn share_name(&mut self, name: &mut Arc<str>) {
        share(&mut self.names, name);
    }
}

fn share<T: ?Sized + Eq + Hash>(known: &mut HashSet<Arc<T>>, value: &mut Arc<T>) {
    match known.get(value) {
        Some(known) => value.clone_from(known),
        None => _ = known.insert(Arc::clone(value)),
    }
}
