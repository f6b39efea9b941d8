use std::{collections::HashSet, slice, sync::Arc};

/// Names that a rule is about, or any name, which must be written out.
///
/// ```
/// use tower_token_exchange::policy::Names;
///
/// let one: Names = "billing".into();
/// let some: Names = ["billing", "ledger"].into();
/// let any = Names::any();
/// # let _ = (one, some, any);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Names(List);

// Most lists hold one name, and most of those are names of many rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum List {
    Any,
    One(Arc<str>),
    Some(Arc<[Arc<str>]>),
}

impl Names {
    /// Any name.
    pub fn any() -> Self {
        Self(List::Any)
    }

    pub(super) fn of(names: impl Iterator<Item = Arc<str>>) -> Self {
        let names: Vec<Arc<str>> = names.collect();
        match <[Arc<str>; 1]>::try_from(names) {
            Ok([one]) => Self(List::One(one)),
            Err(some) => Self(List::Some(some.into())),
        }
    }

    /// The names, if not any will do.
    pub(crate) fn listed(&self) -> Option<&[Arc<str>]> {
        match &self.0 {
            List::Any => None,
            List::One(name) => Some(slice::from_ref(name)),
            List::Some(names) => Some(names),
        }
    }

    /// Whether every name that the other includes is one of these. Both lists must be in order.
    pub(super) fn cover(&self, other: &Self) -> bool {
        match (self.listed(), other.listed()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(_), Some(names)) => names.iter().all(|name| self.include(name)),
        }
    }

    pub(super) fn are_none(&self) -> bool {
        self.listed().is_some_and(<[_]>::is_empty)
    }

    /// Whether the name is one of them. The list must be in order.
    pub(super) fn include(&self, name: impl AsRef<str>) -> bool {
        let name = name.as_ref();
        match &self.0 {
            List::Any => true,
            List::One(own) => **own == *name,
            List::Some(names) => names.binary_search_by(|own| (**own).cmp(name)).is_ok(),
        }
    }

    /// Puts the list in order, without repetitions.
    pub(super) fn sort(&mut self) {
        let List::Some(names) = &self.0 else { return };
        if !names.is_sorted_by(|one, next| one < next) {
            let mut list = names.to_vec();
            list.sort_unstable();
            list.dedup();
            *self = Self::of(list.into_iter());
        }
    }
}

/// Names and lists that many rules have in common, each held once.
#[derive(Default)]
pub(super) struct Pool {
    names: HashSet<Arc<str>>,
    lists: HashSet<Arc<[Arc<str>]>>,
}

impl Pool {
    pub(super) fn share(&mut self, names: &mut Names) {
        match &mut names.0 {
            List::Any => {}
            List::One(name) => share(&mut self.names, name),
            List::Some(list) => share(&mut self.lists, list),
        }
    }

    pub(super) fn share_name(&mut self, name: &mut Arc<str>) {
        share(&mut self.names, name);
    }
}

fn share<T: ?Sized + Eq + std::hash::Hash>(known: &mut HashSet<Arc<T>>, one: &mut Arc<T>) {
    match known.get(one) {
        Some(known) => one.clone_from(known),
        None => _ = known.insert(Arc::clone(one)),
    }
}

impl From<&str> for Names {
    fn from(name: &str) -> Self {
        Self(List::One(name.into()))
    }
}

impl<const N: usize> From<[&str; N]> for Names {
    fn from(names: [&str; N]) -> Self {
        Self::of(names.into_iter().map(Arc::from))
    }
}

impl From<Vec<String>> for Names {
    fn from(names: Vec<String>) -> Self {
        Self::of(names.into_iter().map(Arc::from))
    }
}
