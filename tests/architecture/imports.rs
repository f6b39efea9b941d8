//! Which file of the library imports from which.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use syn::{
    Attribute, Item, ItemUse, UseTree, Visibility,
    visit::{self, Visit},
};

/// A path from the root of the library, such as `["policy", "table", "Rule"]`.
pub(crate) type Names = Vec<String>;

/// A file of the library, without its tests.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    /// The module that the file is.
    pub(crate) module: Names,
    /// The names that the file gives to items of other files.
    uses: Vec<Use>,
    /// The paths in the code that are not a `use`. Their first name is `crate`, `self`, `super`, a crate, or a name in use.
    paths: BTreeSet<Names>,
    /// The names in the code that are not part of a longer path.
    names: BTreeSet<String>,
}

struct Use {
    /// `*` for everything in `target`.
    name: String,
    target: Names,
    /// A `pub use` passes a name on. The file depends on the other only if the file uses the name as well.
    passes_on: bool,
}

impl File {
    /// The module at the root of the library that the file belongs to.
    pub(crate) fn top_module(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }

    /// The crates that the file names.
    pub(crate) fn crates(&self) -> BTreeSet<&str> {
        let used = self.uses.iter().map(|used| &used.target);
        used.chain(&self.paths)
            .filter_map(|path| path.first())
            .map(String::as_str)
            .filter(|name| *name != "crate")
            .collect()
    }

    /// The items inside the library that the file depends on, as paths from the root.
    fn internal(&self) -> impl Iterator<Item = Names> + '_ {
        let used = self.uses.iter().filter(|used| !used.passes_on || self.names.contains(&used.name)).map(|used| {
            let mut path = used.target.clone();
            if used.name == "*" {
                path.push("*".to_owned());
            }
            path
        });
        used.chain(self.paths.iter().cloned()).filter(|path| path[0] == "crate").map(|path| path[1..].to_vec())
    }
}

/// All files of the library by their module.
pub(crate) struct Library {
    pub(crate) files: BTreeMap<Names, File>,
}

impl Library {
    pub(crate) fn read(src: &Path) -> Self {
        let mut files = BTreeMap::new();
        read_file(&src.join("lib.rs"), Vec::new(), &mut files);
        Self { files }
    }

    /// For each module the modules of other files that it depends on.
    pub(crate) fn dependencies(&self) -> BTreeMap<&Names, BTreeSet<&Names>> {
        let of = |file: &File| {
            let targets = file.internal().filter_map(|path| self.home(path, 0));
            targets.filter(|target| **target != file.module).collect()
        };
        self.files.values().map(|file| (&file.module, of(file))).collect()
    }

    /// The module in whose file the item at a path is, where names that are passed on are followed.
    fn home(&self, path: Names, depth: usize) -> Option<&Names> {
        assert!(depth < 20, "{path:?} is passed on in a circle");
        let length = (0..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length]))?;
        let file = &self.files[&path[..length]];
        let Some(name) = path.get(length) else { return Some(&file.module) };
        let named = file.uses.iter().find(|used| used.name == *name);
        match named.filter(|used| used.target[0] == "crate") {
            Some(used) => {
                let mut target = used.target[1..].to_vec();
                target.extend_from_slice(&path[length + 1..]);
                self.home(target, depth + 1)
            }
            None => Some(&file.module),
        }
    }
}

fn read_file(path: &Path, module: Names, files: &mut BTreeMap<Names, File>) {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut items = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())).items;
    items.retain(|item| !attributes(item).iter().any(is_for_tests));
    let folder = match path.file_name().and_then(|name| name.to_str()) {
        Some("lib.rs" | "mod.rs") => path.with_file_name(""),
        _ => path.with_extension(""),
    };
    for item in &items {
        if let Item::Mod(inner) = item
            && inner.content.is_none()
        {
            let name = inner.ident.to_string();
            let inside = [module.clone(), vec![name.clone()]].concat();
            let file = folder.join(format!("{name}.rs"));
            let file = if file.exists() { file } else { folder.join(name).join("mod.rs") };
            read_file(&file, inside, files);
        }
    }
    let children = items.iter().filter_map(|item| match item {
        Item::Mod(child) => Some(child.ident.to_string()),
        _ => None,
    });
    let mut reader = Reader {
        module: &module,
        children: children.collect(),
        uses: Vec::new(),
        paths: BTreeSet::new(),
        names: BTreeSet::new(),
    };
    items.iter().for_each(|item| reader.visit_item(item));
    let Reader { uses, paths, names, .. } = reader;
    files.insert(module.clone(), File { path: path.to_owned(), module, uses, paths, names });
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether an attribute is `#[cfg(test)]`, or any other `cfg` that names `test`.
fn is_for_tests(attribute: &Attribute) -> bool {
    let Ok(list) = attribute.meta.require_list() else { return false };
    list.path.is_ident("cfg") && list.tokens.clone().into_iter().any(|token| names_test(&token))
}

fn names_test(token: &proc_macro2::TokenTree) -> bool {
    match token {
        proc_macro2::TokenTree::Ident(name) => name == "test",
        proc_macro2::TokenTree::Group(group) => group.stream().into_iter().any(|token| names_test(&token)),
        _ => false,
    }
}

struct Reader<'a> {
    module: &'a Names,
    children: BTreeSet<String>,
    uses: Vec<Use>,
    paths: BTreeSet<Names>,
    names: BTreeSet<String>,
}

impl Reader<'_> {
    /// The same path from the root, if the path is inside the library.
    fn absolute(&self, path: Names) -> Names {
        let supers = path.iter().take_while(|name| *name == "super").count();
        let own = usize::from(path[0] == "self");
        if supers + own == 0 {
            // Such as `read::Limits` beside `mod read`.
            let inside = self.children.contains(&path[0]);
            return if inside { [&["crate".to_owned()], self.module.as_slice(), &path].concat() } else { path };
        }
        let kept = self.module.len() - supers;
        [&["crate".to_owned()], &self.module[..kept], &path[supers + own..]].concat()
    }

    fn read_use(&mut self, tree: &UseTree, before: &Names, passes_on: bool) {
        let then = |name: &syn::Ident| [before.as_slice(), &[name.to_string()]].concat();
        let (name, target) = match tree {
            UseTree::Path(path) => return self.read_use(&path.tree, &then(&path.ident), passes_on),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.read_use(tree, before, passes_on));
            }
            UseTree::Name(name) if name.ident == "self" => (before[before.len() - 1].clone(), before.clone()),
            UseTree::Name(name) => (name.ident.to_string(), then(&name.ident)),
            UseTree::Rename(rename) if rename.ident == "self" => (rename.rename.to_string(), before.clone()),
            UseTree::Rename(rename) => (rename.rename.to_string(), then(&rename.ident)),
            UseTree::Glob(_) => ("*".to_owned(), before.clone()),
        };
        let target = self.absolute(target);
        self.uses.push(Use { name, target, passes_on });
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let passes_on = !matches!(item.vis, Visibility::Inherited);
        self.read_use(&item.tree, &Vec::new(), passes_on);
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {
        // The path in `pub(in …)` is not an import.
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            let names = self.absolute(names);
            self.paths.insert(names);
        }
        self.names.extend(path.segments.first().map(|segment| segment.ident.to_string()));
        visit::visit_path(self, path);
    }
}
