//! Who imports whom, in the coordinator and in the app: files that import each other in a circle can only be read, tested and changed
//! together. A Rust module may share names with its own children, since they are one module in several files. In the app
//! the folders, too, are free of circles: what several pages need stands where all of them find it.

use std::collections::{BTreeMap, BTreeSet};

use super::{all_files, code_of, has_extension, shown};

/// Which file imports which.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// What a file imports, directly or not.
fn reached<'a>(imports: &'a Imports, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = imports[from].iter().map(String::as_str).collect();
    while let Some(next) = open.pop() {
        if reached.insert(next) {
            open.extend(imports.get(next).into_iter().flatten().map(String::as_str));
        }
    }
    reached
}

/// The sets of files that import each other, each as large as it gets.
fn circles(imports: &Imports) -> BTreeSet<BTreeSet<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = imports.keys().map(|file| (file.as_str(), reached(imports, file))).collect();
    let circle_of = |file: &str| -> BTreeSet<&str> {
        reached[file].iter().copied().filter(|other| reached.get(other).is_some_and(|back| back.contains(file))).collect()
    };
    imports.keys().map(|file| circle_of(file)).filter(|circle| circle.len() > 1).collect()
}

/// Words with `::` between them, and what follows in braces as paths of their own.
fn paths(code: &str) -> Vec<Vec<&str>> {
    let mut paths = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("::") {
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let begin = rest[..at].rfind(|letter| !is_word(letter)).map_or(0, |before| before + 1);
        let end = rest[at..].find(|letter| !is_word(letter) && letter != ':').map_or(rest.len(), |after| at + after);
        let path: Vec<&str> = rest[begin..end].split("::").filter(|word| !word.is_empty()).collect();
        match rest[end..].strip_prefix('{').and_then(|braces| braces.split('}').next()) {
            Some(names) => paths.extend(names.split(',').map(|name| {
                let name = name.trim().split(' ').next().unwrap_or_default();
                path.iter().copied().chain(name.split("::")).collect()
            })),
            None => paths.push(path),
        }
        rest = &rest[end..];
    }
    paths
}

/// Which module imports which, of the files of one crate; each by its path below `src/`, and with its text.
fn rust_imports(files: &BTreeMap<String, String>) -> Imports {
    let module = |file: &str| -> Vec<String> {
        let path = file.trim_end_matches(".rs");
        let path = if path == "lib" { "" } else { path.strip_suffix("/mod").unwrap_or(path) };
        path.split('/').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let modules: BTreeMap<Vec<String>, &String> = files.keys().map(|file| (module(file), file)).collect();
    let imported = |own: &[String], path: &[&str]| -> Option<&String> {
        let ups = path.iter().take_while(|word| **word == "super").count();
        let (start, rest) = match path[0] {
            "crate" => (&own[..0], &path[1..]),
            "super" => (&own[..own.len() - ups], &path[ups..]),
            "self" => (own, &path[1..]),
            child if modules.contains_key(&[own, &[child.to_owned()]].concat()) => (own, path),
            _ => return None,
        };
        let full: Vec<String> = start.iter().cloned().chain(rest.iter().map(|word| (*word).to_owned())).collect();
        (0..=full.len()).rev().find_map(|length| modules.get(&full[..length]).copied())
    };
    let of = |file: &String, text: &String| {
        let own = module(file);
        let code: String = text.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n").collect();
        let found = paths(&code).iter().filter_map(|path| imported(&own, path)).filter(|other| *other != file).cloned().collect();
        (file.clone(), found)
    };
    files.iter().map(|(file, text)| of(file, text)).collect()
}

/// Whether these are a module and children of it.
fn is_one_module(circle: &BTreeSet<&str>) -> bool {
    circle.iter().any(|parent| {
        let folder = parent.strip_suffix("mod.rs").map_or_else(|| parent.replace(".rs", "/"), str::to_owned);
        circle
            .iter()
            .filter(|file| *file != parent)
            .all(|file| file.strip_prefix(&folder).is_some_and(|name| !name.trim_end_matches("/mod.rs").contains('/')))
    })
}

/// Which file of the app imports which; each by its path below `src/`, and with its text.
fn app_imports(files: &BTreeMap<String, String>) -> Imports {
    let of = |file: &String, text: &String| {
        let mut found = BTreeSet::new();
        for start in ["from \"", "import(\"", "import \""] {
            let named = text.split(start).skip(1).filter_map(|rest| rest.split('"').next());
            for name in named.filter(|name| name.starts_with('.')) {
                let mut path: Vec<&str> = file.split('/').collect();
                path.pop();
                for word in name.split('/') {
                    match word {
                        "." => {}
                        ".." => drop(path.pop()),
                        word => path.push(word),
                    }
                }
                found.insert(path.join("/"));
            }
        }
        (file.clone(), found)
    };
    files.iter().map(|(file, text)| of(file, text)).collect()
}

/// The same between folders; a file that is in none stands for itself.
fn between_folders(imports: &Imports) -> Imports {
    let folder = |file: &String| file.split('/').next().unwrap_or_default().to_owned();
    let mut folders = Imports::new();
    for (file, others) in imports {
        let from = folder(file);
        let others = others.iter().map(folder).filter(|to| *to != from).collect::<Vec<_>>();
        folders.entry(from).or_default().extend(others);
    }
    folders
}

/// The files below a folder of ours with one of these extensions, and their code.
fn sources(folder: &str, extensions: &[&str]) -> BTreeMap<String, String> {
    let code = all_files().into_iter().filter(|path| has_extension(path, extensions)).filter_map(|path| {
        let name = shown(&path).strip_prefix(folder)?.to_owned();
        (!name.contains(".test.")).then(|| (name, code_of(&path)))
    });
    code.collect()
}

#[test]
fn no_files_of_the_coordinator_import_each_other_in_a_circle() {
    let imports = rust_imports(&sources("coordinator/src/", &["rs"]));
    assert!(imports["tweets/routes.rs"].contains("caller/mod.rs"), "imports are found");
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 300, "most imports are found");
    let wrong: Vec<_> = circles(&imports).into_iter().filter(|circle| !is_one_module(circle)).collect();
    assert!(wrong.is_empty(), "these import each other: {wrong:#?}");
}

#[test]
fn only_what_puts_the_surface_together_names_all_of_it() {
    let imports = rust_imports(&sources("coordinator/src/", &["rs"]));
    let importers = imports.iter().filter(|(_, others)| others.contains("app.rs")).map(|(file, _)| file.as_str());
    assert_eq!(importers.collect::<Vec<_>>(), ["http/api.rs", "http/mod.rs", "lib.rs"]);
}

#[test]
fn neither_files_nor_folders_of_the_app_import_each_other_in_a_circle() {
    let imports = app_imports(&sources("web/src/", &["ts", "tsx"]));
    assert!(imports["shell/routes.tsx"].contains("tweets/timeline-page.tsx"), "imports are found");
    let folders = between_folders(&imports);
    let (files, folders) = (circles(&imports), circles(&folders));
    assert!(files.is_empty() && folders.is_empty(), "these import each other: {files:#?} {folders:#?}");
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let files = |texts: &[(&str, &str)]| texts.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
    let first = ("a/mod.rs", "mod inner;\npub use inner::Inner;\n");
    for other in ["use crate::a::Inner;", "fn f() {\n    super::a::f();\n}", "use crate::a::{self, Inner};", "use super::{c, a};"]
    {
        let imports = rust_imports(&files(&[first, ("a/inner.rs", "use super::super::b::B;\n"), ("b.rs", other), ("c.rs", "")]));
        let found = circles(&imports);
        assert_eq!(found, BTreeSet::from([BTreeSet::from(["a/mod.rs", "a/inner.rs", "b.rs"])]), "{other}");
        assert!(!found.iter().any(is_one_module));
    }
    let within =
        rust_imports(&files(&[first, ("a/inner.rs", "use super::Outer; // crate::b::B\n"), ("b.rs", "use crate::a::Inner;")]));
    assert!(circles(&within).len() == 1 && circles(&within).iter().all(is_one_module));

    let app =
        files(&[("one/x.ts", "import { y } from \"../two/y.ts\";"), ("two/y.ts", ""), ("two/z.ts", "import(\"../one/w.ts\")")]);
    let app = app_imports(&app);
    assert!(circles(&app).is_empty());
    assert_eq!(circles(&between_folders(&app)), BTreeSet::from([BTreeSet::from(["one", "two"])]));
}
