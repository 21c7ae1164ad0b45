//! Sibling files of a crate do not import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::repository::{File, assert_found, assert_none, files, with_extension};
use super::rust_source::{OnLine, Source, is_test};

/// Which sibling uses which, and where first.
type Graph = BTreeMap<String, BTreeMap<String, String>>;

/// One circle for each folder that has one, with the line of each import in it.
fn circles(files: &[File]) -> Vec<String> {
    let graphs = graphs(files);
    graphs.iter().filter_map(|(folder, graph)| Some(describe(folder, graph, &circle(graph)?))).collect()
}

fn describe(folder: &str, graph: &Graph, circle: &[&str]) -> String {
    let imports =
        circle.windows(2).map(|pair| format!("\n    {}: uses {}", graph[pair[0]][pair[1]], pair[1]));
    let advice = "move what they share to a file of its own, or into the one that the others use";
    format!("{folder}: {} is a circle; {advice}{}", circle.join(" → "), imports.collect::<String>())
}

/// The shortest circle through the first sibling that is part of one; it ends where it begins.
fn circle(graph: &Graph) -> Option<Vec<&str>> {
    graph.keys().find_map(|start| {
        let mut paths = vec![vec![start.as_str()]];
        let mut reached = BTreeSet::new();
        while !paths.is_empty() {
            let mut longer = Vec::new();
            for path in &paths {
                for next in graph.get(path[path.len() - 1]).into_iter().flat_map(BTreeMap::keys) {
                    if reached.insert(next.as_str()) {
                        longer.push([path.as_slice(), &[next.as_str()]].concat());
                    }
                }
            }
            if let Some(closed) = longer.iter().find(|path| path[path.len() - 1] == start) {
                return Some(closed.clone());
            }
            paths = longer;
        }
        None
    })
}

/// A graph for each folder: `a/src/b` holds the imports between the modules directly below `crate::b`.
fn graphs(files: &[File]) -> BTreeMap<String, Graph> {
    let mut graphs: BTreeMap<String, Graph> = BTreeMap::new();
    let modules: BTreeSet<(&str, Vec<&str>)> = files.iter().filter_map(|file| module(&file.path)).collect();
    for file in files {
        let Some((root, own)) = module(&file.path) else { continue };
        let source = Source::read(&file.text).without_tests();
        for (line, used) in imports(&own, &source) {
            let is_module = |length: &usize| modules.contains(&(root, used[..*length].to_vec()));
            let used = &used[..(0..=used.len()).rev().find(is_module).unwrap_or(0)];
            let shared = own.iter().zip(used).take_while(|(one, other)| one == other).count();
            if shared < own.len() && shared < used.len() {
                let folder = [&[root], &own[..shared]].concat().join("/");
                let edges = graphs.entry(folder).or_default().entry(own[shared].into()).or_default();
                edges.entry(used[shared].into()).or_insert_with(|| format!("{}:{line}", file.path));
            }
        }
    }
    graphs
}

/// The paths that a module uses, from the root of its crate.
fn imports<'a>(own: &[&'a str], source: &'a Source) -> Vec<OnLine<Vec<&'a str>>> {
    let absolute = source.paths("crate").into_iter().map(|(line, path)| (line, path[1..].to_vec()));
    let relative = source.paths("super").into_iter().filter_map(|(line, path)| {
        let up = path.iter().take_while(|&&part| part == "super").count();
        let parent = &own[..own.len().checked_sub(up)?];
        Some((line, [parent, &path[up..]].concat()))
    });
    absolute.chain(relative).collect()
}

/// The source folder of a file's crate, and the path of its module within the crate.
fn module(path: &str) -> Option<(&str, Vec<&str>)> {
    let in_crate = path.find("/src/")? + "/src".len();
    let is_library = !path.contains("/src/bin/") && !path.ends_with("/src/main.rs");
    let is_product = !is_test(path) || path.starts_with("tests/src/");
    let module = path[in_crate + 1..].strip_suffix(".rs")?;
    let module = if module == "lib" { "" } else { module.strip_suffix("/mod").unwrap_or(module) };
    let parts = module.split('/').filter(|part| !part.is_empty()).collect();
    (is_library && is_product).then_some((&path[..in_crate], parts))
}

#[test]
fn no_sibling_files_import_each_other_in_a_circle() {
    let rust: Vec<File> =
        with_extension(files(), "rs").map(|file| File::new(&*file.path, &*file.text)).collect();
    assert_none(&circles(&rust));
}

#[test]
fn a_circle_of_three_is_reported_with_its_lines() {
    let sample = [
        File::new("shared/x/src/lib.rs", "pub mod a;"),
        File::new("shared/x/src/a.rs", "use crate::{b::c::Item, d};"),
        File::new("shared/x/src/b.rs", "pub mod c;\n\nuse crate::d::Thing;"),
        File::new("shared/x/src/b/c.rs", "pub struct Item;"),
        File::new("shared/x/src/d.rs", "\nfn call() { super::a::call() }"),
    ];
    let found = circles(&sample);
    assert_found(&found, &["shared/x/src: a → d → a is a circle; "]);
    assert!(
        found[0].contains("shared/x/src/a.rs:1: uses d") && found[0].contains("shared/x/src/d.rs:2: uses a")
    );
}

#[test]
fn parents_children_and_tests_make_no_circle() {
    let sample = [
        File::new(
            "shared/x/src/a.rs",
            "pub mod b;\nuse crate::a::b::Item;\n#[cfg(test)]\nmod tests { use crate::c; }",
        ),
        File::new("shared/x/src/a/b.rs", "use super::Parent; // crate::c"),
        File::new("shared/x/src/a/tests.rs", "use crate::c;"),
        File::new("shared/x/src/c.rs", "use crate::a::b::Item;"),
    ];
    assert_none(&circles(&sample));
}
