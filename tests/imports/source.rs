//! Finds the imports among the files of a crate. Leaves out tests, which may import anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use syn::{
    Attribute, Expr, File, Item, ItemUse, Macro, Token, UseTree, VisRestricted, Visibility,
    punctuated::Punctuated,
    visit::{self, Visit},
};

use super::circles::Graph;

/// A module's path from the crate's root. The root's own path is empty.
pub(crate) type Module = Vec<String>;

/// A crate's files by their modules.
pub(crate) type Files = BTreeMap<Module, File>;

/// Returns the module of a path with slashes.
pub(crate) fn module(path: &str) -> Module {
    path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Reads all files below a directory, except roots of programs and files of tests.
pub(crate) fn read(src: &Path) -> Files {
    let mut files = Files::new();
    let mut left = vec![src.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.strip_prefix(src).unwrap().with_extension("").to_str().unwrap().to_owned();
            let module = module(if name == "lib" { "" } else { &name });
            if module.iter().any(|part| part == "tests") || name == "main" {
                continue;
            }
            if entry.is_dir() {
                left.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&entry).unwrap();
                files.insert(module, syn::parse_file(&text).unwrap());
            }
        }
    }
    files
}

/// Returns the imports of each file. A name that a file passes on (`pub use`) counts as an import of the file that defines it.
pub(crate) fn imports(files: &Files) -> Graph {
    let paths: BTreeMap<&Module, Paths> = files
        .iter()
        .map(|(module, file)| {
            let mut paths = Paths { module, files, all: Vec::new(), passed_on: BTreeMap::new() };
            paths.visit_file(file);
            (module, paths)
        })
        .collect();
    let mut graph = Graph::new();
    for (module, own) in &paths {
        let targets = own.all.iter().filter_map(|path| defined_in(path, &paths, STEPS));
        let targets: BTreeSet<String> =
            targets.filter(|target| target != module).map(|target| target.join("/")).collect();
        graph.insert(module.join("/"), targets);
    }
    graph
}

/// Maximum number of files that pass a name on to each other. Such names may lead in a circle, so the number is limited.
const STEPS: usize = 8;

/// Returns the module of the file that defines the item at a path from the root; `None` if there is none. Follows a name through at most `steps`
/// files that pass it on.
fn defined_in<'f>(
    path: &[String],
    paths: &BTreeMap<&'f Module, Paths<'f>>,
    steps: usize,
) -> Option<&'f Module> {
    let (module, own) =
        (0..=path.len()).rev().find_map(|length| paths.get_key_value(&path[..length].to_vec()))?;
    let rest = &path[module.len()..];
    let further = rest.first().and_then(|name| own.passed_on.get(name));
    match further {
        Some(further) if steps > 0 && **further != *path => {
            let whole = [further.as_slice(), &rest[1..]].concat();
            defined_in(&whole, paths, steps - 1)
        }
        _ => Some(module),
    }
}

/// The paths within the crate that a file names.
struct Paths<'f> {
    module: &'f Module,
    files: &'f Files,
    /// Paths from the root that the file uses.
    all: Vec<Vec<String>>,
    /// Names that the file passes on, each with the path from the root that it stands for.
    passed_on: BTreeMap<String, Vec<String>>,
}

impl Paths<'_> {
    /// Returns the path from the crate's root; `None` for a path of another crate.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let first = path.first()?;
        let mut from = self.module.clone();
        match first.as_str() {
            "crate" => return Some(path[1..].to_vec()),
            "self" => {}
            "super" => {
                let up = path.iter().take_while(|part| *part == "super").count();
                from.truncate(from.len().checked_sub(up)?);
                return Some([from.as_slice(), &path[up..]].concat());
            }
            _ => {
                from.push(first.clone());
                return self.files.contains_key(&from).then(|| [from.as_slice(), &path[1..]].concat());
            }
        }
        Some([from.as_slice(), &path[1..]].concat())
    }

    /// Adds the paths of a `use`. `before` is the path up to the tree.
    fn tree(&mut self, before: &[String], tree: &UseTree, passes_on: bool) {
        let mut named = |name: &syn::Ident, called: &syn::Ident| {
            let mut path = before.to_vec();
            if name != "self" {
                path.push(name.to_string());
            }
            let Some(path) = self.absolute(&path) else { return };
            // A module that passes on a name of one of its own submodules does not import it.
            if passes_on && path.starts_with(self.module) && path.len() > self.module.len() {
                self.passed_on.insert(called.to_string(), path);
            } else {
                if passes_on {
                    self.passed_on.insert(called.to_string(), path.clone());
                }
                self.all.push(path);
            }
        };
        match tree {
            UseTree::Path(part) => {
                let path = [before, &[part.ident.to_string()]].concat();
                self.tree(&path, &part.tree, passes_on);
            }
            UseTree::Name(part) => named(&part.ident, &part.ident),
            UseTree::Rename(part) => named(&part.ident, &part.rename),
            UseTree::Glob(_) => self.all.extend(self.absolute(before)),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.tree(before, tree, passes_on));
            }
        }
    }
}

/// Whether an item is only compiled for tests.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.tree(&[], &item.tree, !matches!(item.vis, Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        // A single segment is a name of the file, or one that a `use` imports.
        if parts.len() > 1 {
            self.all.extend(self.absolute(&parts));
        }
        visit::visit_path(self, path);
    }

    /// A restricted visibility (`pub(in path)`) names a file, and imports nothing from it.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}

    /// The arguments of a macro are tokens. If they are expressions (`format!`, `vec!`, `assert!`), they can name files.
    fn visit_macro(&mut self, call: &'ast Macro) {
        let arguments = call.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        arguments.iter().flatten().for_each(|argument| self.visit_expr(argument));
        visit::visit_macro(self, call);
    }
}
