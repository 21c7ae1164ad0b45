//! The manifests keep to the walls, and each version is written once.

use super::repository::{File, assert_found, assert_none, file, files};
use super::walls::{matches, wall};

/// A line of a manifest that names a dependency.
#[derive(Debug)]
struct Dependency<'a> {
    line: usize,
    name: &'a str,
    is_for_tests: bool,
    is_optional: bool,
    is_of_workspace: bool,
}

/// The folders of the workspace's members.
pub fn members(files: &[File]) -> Vec<&str> {
    folders(files, "members")
}

/// The folders in a list of the workspace's manifest.
fn folders<'a>(files: &'a [File], list: &str) -> Vec<&'a str> {
    let manifest = &file(files, "Cargo.toml").text;
    let start = format!("\n{list} = [");
    let folders = manifest.split_once(&start).and_then(|(_, rest)| rest.split_once(']')).unwrap().0;
    folders.split('"').skip(1).step_by(2).collect()
}

/// The `key = value` lines of a manifest's section; a value that spans lines has its first alone.
pub fn entries<'a>(text: &'a str, section: &str) -> Vec<(usize, &'a str, &'a str)> {
    let mut is_inside = false;
    let mut entries = Vec::new();
    for (text, line) in text.lines().zip(1..) {
        if let Some(header) = text.strip_prefix('[') {
            is_inside = header.trim_end_matches(']') == section;
        } else if let Some((key, value)) = text.split_once('=')
            && is_inside
            && !key.starts_with(['#', ' '])
        {
            entries.push((line, key.trim(), value.trim()));
        }
    }
    entries
}

fn dependencies(manifest: &str) -> Vec<Dependency<'_>> {
    let sections = manifest.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
    let sections = sections.filter(|section| section.ends_with("dependencies"));
    let dependencies = sections.flat_map(|section| {
        entries(manifest, section).into_iter().map(move |(line, key, value)| Dependency {
            line,
            name: key.split('.').next().unwrap_or(key),
            is_for_tests: section.ends_with("dev-dependencies"),
            is_optional: value.contains("optional = true"),
            is_of_workspace: key.ends_with(".workspace") || value.contains("workspace = true"),
        })
    });
    dependencies.collect()
}

fn broken_walls(members: &[&str], files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    for member in members {
        let path = format!("{member}/Cargo.toml");
        let Some(wall) = wall(member) else {
            findings
                .push(format!("{path}:1: no wall is known: add a row to tests/tests/architecture/walls.rs"));
            continue;
        };
        let manifest = &file(files, &path).text;
        for Dependency { line, name, is_optional, .. } in
            dependencies(manifest).into_iter().filter(|dependency| !dependency.is_for_tests)
        {
            let allowed = name
                .strip_prefix("equilibrium-")
                .map_or_else(|| wall.allows_foreign(name), |ours| wall.allows(ours, is_optional));
            let of_a_feature = member.starts_with("functions/") && matches("aws-*", name);
            if !allowed || of_a_feature && !is_optional {
                let advice = "pass the value in, or put a port between (ARCHITECTURE, \"Crates and walls\")";
                findings.push(format!("{path}:{line}: {member} may not depend on {name}: {advice}"));
            }
        }
        for (line, _, value) in entries(manifest, "features").iter().filter(|(_, name, _)| *name == "default")
        {
            if value.contains('"') {
                findings.push(format!("{path}:{line}: features are chosen by the dependents: no default"));
            }
        }
    }
    findings
}

fn versions_outside_the_workspace(members: &[&str], files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    for member in members {
        let path = format!("{member}/Cargo.toml");
        for Dependency { line, name, .. } in
            dependencies(&file(files, &path).text).iter().filter(|dependency| !dependency.is_of_workspace)
        {
            let advice = "write it into [workspace.dependencies], and `workspace = true` here";
            findings.push(format!("{path}:{line}: {name} has a version of its own: {advice}"));
        }
    }
    findings
}

fn unused_versions(members: &[&str], files: &[File]) -> Vec<String> {
    let manifests: Vec<&str> =
        members.iter().map(|it| &*file(files, &format!("{it}/Cargo.toml")).text).collect();
    let used: Vec<&str> = manifests.iter().flat_map(|it| dependencies(it)).map(|it| it.name).collect();
    let listed = entries(&file(files, "Cargo.toml").text, "workspace.dependencies");
    let unused = listed.into_iter().filter(|(_, name, _)| !used.contains(name));
    let describe = unused.map(|(line, name, _)| {
        // A function that the local host does not serve yet.
        let advice = if name.starts_with("equilibrium-") {
            "add it to functions/local/Cargo.toml, or remove it"
        } else {
            "remove it"
        };
        format!("Cargo.toml:{line}: no crate uses {name}: {advice}")
    });
    describe.collect()
}

/// Members of `functions/` that a build in the root leaves out, and others that it includes.
fn wrong_default_members(files: &[File]) -> Vec<String> {
    let (members, defaults) = (members(files), folders(files, "default-members"));
    let is_function = |folder: &&&str| folder.starts_with("functions/");
    let missing = members.iter().filter(is_function).filter(|folder| !defaults.contains(folder));
    let missing = missing.map(|folder| format!("Cargo.toml: add \"{folder}\" to default-members"));
    let others = defaults.iter().filter(|folder| !is_function(folder) || !members.contains(folder));
    let others = others.map(|folder| {
        format!("Cargo.toml: remove \"{folder}\" from default-members: these are the members of functions/")
    });
    missing.chain(others).collect()
}

#[test]
fn each_crate_depends_on_what_its_wall_allows() {
    assert_none(&broken_walls(&members(files()), files()));
}

#[test]
fn each_version_is_in_the_manifest_of_the_workspace() {
    assert_none(&versions_outside_the_workspace(&members(files()), files()));
}

#[test]
fn each_version_in_the_manifest_of_the_workspace_is_used() {
    assert_none(&unused_versions(&members(files()), files()));
}

#[test]
fn the_default_members_are_the_functions() {
    assert_none(&wrong_default_members(files()));
}

/// The findings in a manifest with these lines under `[dependencies]`.
fn findings_in(member: &str, lines: &str) -> Vec<String> {
    let text =
        format!("[package]\n\n[dependencies]\n{lines}\n\n[dev-dependencies]\ntokio.workspace = true\n");
    broken_walls(&[member], &[File::new(format!("{member}/Cargo.toml"), text)])
}

#[test]
fn each_wall_can_break() {
    for (member, lines, expected) in [
        ("shared/domain", "jiff.workspace = true\ntokio.workspace = true", "shared/domain/Cargo.toml:5: "),
        ("shared/domain", "equilibrium-app.workspace = true", "shared/domain/Cargo.toml:4: "),
        ("shared/http", "equilibrium-domain.workspace = true", "shared/http/Cargo.toml:4: "),
        ("shared/lambda", "equilibrium-app.workspace = true", "shared/lambda/Cargo.toml:4: "),
        ("shared/lambda", "lambda_runtime.workspace = true", "shared/lambda/Cargo.toml:4: "),
        ("shared/app", "equilibrium-lambda.workspace = true", "shared/app/Cargo.toml:4: "),
        ("shared/app", "hyper-util = { workspace = true, optional = true }", "shared/app/Cargo.toml:4: "),
        (
            "shared/event_source",
            "equilibrium-embedded.workspace = true",
            "shared/event_source/Cargo.toml:4: ",
        ),
        ("shared/event_source", "equilibrium-http.workspace = true", "shared/event_source/Cargo.toml:4: "),
        ("shared/embedded", "equilibrium-aws.workspace = true", "shared/embedded/Cargo.toml:4: "),
        ("shared/aws", "equilibrium-embedded.workspace = true", "shared/aws/Cargo.toml:4: "),
        ("shared/aws", "equilibrium-count.workspace = true", "shared/aws/Cargo.toml:4: "),
        ("shared/simulator", "equilibrium-app.workspace = true", "shared/simulator/Cargo.toml:4: "),
        ("functions/price", "equilibrium-surge.workspace = true", "functions/price/Cargo.toml:4: "),
        ("functions/price", "equilibrium-aws.workspace = true", "functions/price/Cargo.toml:4: "),
        ("functions/local", "equilibrium-aws.workspace = true", "functions/local/Cargo.toml:4: "),
        ("functions/local", "aws-config.workspace = true", "functions/local/Cargo.toml:4: "),
        ("shared/new", "libm.workspace = true", "shared/new/Cargo.toml:1: "),
    ] {
        assert_found(&findings_in(member, lines), &[expected]);
    }
    assert_none(&findings_in("functions/price", "equilibrium-aws = { workspace = true, optional = true }"));
    let default = [File::new("functions/local/Cargo.toml", "[features]\ndefault = [\"aws\"]\naws = []\n")];
    assert_found(&broken_walls(&["functions/local"], &default), &["functions/local/Cargo.toml:2: "]);
}

#[test]
fn a_version_outside_of_the_workspace_is_found() {
    let manifest =
        "[dependencies]\nlibm = \"0.2\"\n[target.'cfg(unix)'.dev-dependencies]\nrand = { version = \"1\" }\n";
    let sample = [
        File::new(
            "Cargo.toml",
            "\nmembers = [\n    \"a\",\n]\n[workspace.dependencies]\nlibm = \"0.2\"\nserde = \"1\"\n",
        ),
        File::new("a/Cargo.toml", manifest),
    ];
    let members = members(&sample);
    let found = versions_outside_the_workspace(&members, &sample);
    assert_found(&found, &["a/Cargo.toml:2: libm", "a/Cargo.toml:4: rand"]);
    assert_found(&unused_versions(&members, &sample), &["Cargo.toml:7: no crate uses serde: remove it"]);
}

#[test]
fn an_unused_crate_of_the_workspace_is_found() {
    let manifest =
        "\nmembers = [\n    \"a\",\n]\n[workspace.dependencies]\nequilibrium-a = { path = \"a\" }\n";
    let sample = [File::new("Cargo.toml", manifest), File::new("a/Cargo.toml", "")];
    let expected =
        "Cargo.toml:6: no crate uses equilibrium-a: add it to functions/local/Cargo.toml, or remove it";
    assert_found(&unused_versions(&members(&sample), &sample), &[expected]);
}

#[test]
fn a_wrong_default_member_is_found() {
    let sample = |defaults: &str| {
        let members = "\nmembers = [\"functions/a\", \"functions/b\", \"shared/c\"]\n";
        [File::new("Cargo.toml", format!("{members}default-members = [{defaults}]\n"))]
    };
    assert_none(&wrong_default_members(&sample("\"functions/a\", \"functions/b\"")));
    let found = wrong_default_members(&sample("\"functions/b\", \"functions/d\", \"shared/c\""));
    let expected = ["add \"functions/a\"", "remove \"functions/d\"", "remove \"shared/c\""];
    assert_found(&found, &expected.map(|finding| format!("Cargo.toml: {finding}")));
}
