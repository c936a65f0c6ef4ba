//! No files import each other in a circle: what a file takes from another is found by its paths, through re-exports.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

use super::none;
use super::source::{Text, texts};

type Path = Vec<String>;

/// One file: its module, what it names, and what it re-exports under which name.
#[derive(Default)]
struct Module {
    file: String,
    named: Vec<Path>,
    exported: BTreeMap<String, Path>,
}

/// Collects the paths of one file; test modules are not looked into.
struct Collector<'a> {
    own: &'a Path,
    module: Module,
}

impl Collector<'_> {
    /// The path from the root of the crate; `None` for another crate.
    fn absolute(&self, path: &[String]) -> Option<Path> {
        let ups = path.iter().take_while(|part| *part == "super").count();
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "super" => {
                let base = &self.own[..self.own.len().checked_sub(ups)?];
                Some([base, &path[ups..]].concat())
            }
            "self" => Some([self.own.as_slice(), &path[1..]].concat()),
            // A child of this module, or another crate: which one is known when all modules are.
            _ => Some([self.own.as_slice(), path].concat()),
        }
    }

    fn take_use(&mut self, item: &ItemUse) {
        let mut leaves = Vec::new();
        unfold(&item.tree, &mut Vec::new(), &mut leaves);
        let is_export = !matches!(item.vis, Visibility::Inherited);
        for (path, name) in leaves {
            let Some(path) = self.absolute(&path) else { continue };
            if is_export {
                self.module.exported.insert(name, path);
            } else {
                self.module.named.push(path);
            }
        }
    }
}

fn unfold(tree: &UseTree, before: &mut Path, leaves: &mut Vec<(Path, String)>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            unfold(&path.tree, before, leaves);
            before.pop();
        }
        UseTree::Name(name) if name.ident == "self" => leaves.push((before.clone(), String::new())),
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            leaves.push(([before.as_slice(), std::slice::from_ref(&name)].concat(), name));
        }
        UseTree::Rename(rename) => {
            let path = [before.as_slice(), &[rename.ident.to_string()]].concat();
            leaves.push((path, rename.rename.to_string()));
        }
        UseTree::Glob(_) => leaves.push((before.clone(), "*".to_owned())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| unfold(tree, before, leaves)),
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    let is_test = |a: &Attribute| a.parse_args::<syn::Ident>().is_ok_and(|word| word == "test");
    attributes.iter().any(|a| a.path().is_ident("cfg") && is_test(a))
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.take_use(item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item(&mut self, item: &'ast Item) {
        let is_test = matches!(item, Item::Fn(item) if is_for_tests(&item.attrs));
        if !is_test {
            visit::visit_item(self, item);
        }
    }

    /// `pub(in path)` takes nothing from there.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Path = path.segments.iter().map(|part| part.ident.to_string()).collect();
        if parts.len() > 1
            && let Some(path) = self.absolute(&parts)
        {
            self.module.named.push(path);
        }
        visit::visit_path(self, path);
    }
}

/// The modules of the library, by path.
fn modules(sources: &[Text]) -> BTreeMap<Path, Module> {
    let own = |text: &Text| -> Option<Path> {
        let path = text.path.strip_prefix("src/")?.strip_suffix(".rs")?;
        let path = path.strip_suffix("/mod").unwrap_or(path);
        Some(if path == "lib" { Path::new() } else { path.split('/').map(str::to_owned).collect() })
    };
    let read = |text: &Text| {
        let own = own(text)?;
        let file = syn::parse_file(&text.text).unwrap_or_else(|error| panic!("{}: {error}", text.path));
        let module = Module { file: text.path.clone(), ..Module::default() };
        let mut collector = Collector { own: &own, module };
        collector.visit_file(&file);
        let module = collector.module;
        Some((own, module))
    };
    sources.iter().filter(|text| !is_test_file(&text.path)).filter_map(read).collect()
}

fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("tests.rs")
}

/// The module in which a path ends, through re-exports.
fn resolve(modules: &BTreeMap<Path, Module>, path: &[String]) -> Option<Path> {
    let mut at = Path::new();
    for (done, part) in path.iter().enumerate() {
        let child = [at.as_slice(), std::slice::from_ref(part)].concat();
        if modules.contains_key(&child) {
            at = child;
            continue;
        }
        let exported = modules.get(&at).and_then(|module| module.exported.get(part));
        return match exported {
            Some(target) if *target != path[..=done] => {
                resolve(modules, &[target.as_slice(), &path[done + 1..]].concat())
            }
            _ => Some(at),
        };
    }
    Some(at)
}

/// The files that each file takes something from.
fn imports(modules: &BTreeMap<Path, Module>) -> BTreeMap<&str, BTreeSet<&str>> {
    let of = |module: &Module| {
        let found = module.named.iter().filter_map(|path| resolve(modules, path));
        let files = found.map(|path| modules[&path].file.as_str());
        files.filter(|file| *file != module.file && *file != "src/lib.rs").collect()
    };
    modules.values().map(|module| (module.file.as_str(), of(module))).collect()
}

/// All that can be reached from a file.
fn reached<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &'a str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        open.extend(imports.get(file).into_iter().flatten().filter(|next| found.insert(**next)));
    }
    found
}

/// The circles, each as its files in order.
fn circles<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<Vec<&'a str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|file| (*file, reached(imports, file))).collect();
    let circle = |file: &&'a str| -> Vec<&'a str> {
        let files = imports
            .keys()
            .filter(|other| reached[*file].contains(**other) && reached[**other].contains(*file));
        files.copied().collect()
    };
    imports.keys().map(circle).filter(|files| !files.is_empty()).collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let sources = texts("src");
    let modules = modules(&sources);
    let imports = imports(&modules);
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 300, "imports were not found");
    let circles = circles(&imports);
    let broken: Vec<String> = circles.iter().map(|files| files.join(" ")).collect();
    none("circles of files", &broken);
}

#[test]
fn a_circle_is_found_through_a_re_export() {
    let text = |path: &str, text: &str| Text { path: path.to_owned(), text: text.to_owned() };
    let sources = [
        text("src/lib.rs", "pub mod a; pub mod b;"),
        text("src/a/mod.rs", "mod c; pub use c::C; #[cfg(test)] mod tests { use crate::b::B; }"),
        text("src/a/c.rs", "pub struct C; fn f() -> crate::b::B { crate::b::B }"),
        text("src/b.rs", "use crate::a::C; pub struct B; fn g(_: C) {}"),
    ];
    let modules = modules(&sources);
    let found = circles(&imports(&modules)).into_iter().collect::<Vec<_>>();
    assert_eq!(found, [vec!["src/a/c.rs", "src/b.rs"]]);
}
