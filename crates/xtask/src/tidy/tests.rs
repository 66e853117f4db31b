//! Each rule passes what is good and finds what is bad.

use super::source::Source;
use super::*;

fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

/// Compares findings by path, line and what; how to fix it is prose.
#[track_caller]
fn check_findings(findings: impl IntoIterator<Item = Finding>, wanted: &[&str]) {
    let told: Vec<String> = findings
        .into_iter()
        .map(|finding| format!("{}:{}: {}", finding.path, finding.line, finding.what))
        .collect();
    assert_eq!(told, wanted);
}

#[track_caller]
fn check_rust(path: &str, text: &str, wanted: &[&str]) {
    check_findings(rust::check(&file(path, text)), wanted);
}

#[test]
fn code_comments_and_literals_are_told_apart() {
    for (text, code, comments) in [
        ("a // b\nc", "a     \nc", "  // b\n "),
        ("a /* b /* c */ d */ e", "a                   e", "  /* b /* c */ d */  "),
        ("f(\"x // y\", 'z')", "f(\"      \", ' ')", ""),
        (r#"f("a\"b")"#, r#"f("    ")"#, ""),
        (r##"r#"a"b"# + r#type"##, r##"r#"   "# + r#type"##, ""),
        (r"b'\'' '\u{41}' &'static str", r"b'  ' '      ' &'static str", ""),
        ("'\"' // \"", "' '     ", "    // \""),
    ] {
        let source = Source::read(text);
        assert_eq!(source.code, code, "{text}");
        assert_eq!(source.comments.trim_end(), comments.trim_end(), "{text}");
    }
    // What is not closed ends with the file.
    for text in ["\"a", "r#\"a\"", "/* a", "'\\", "b", ""] {
        assert_eq!(Source::read(text).code.len(), text.len(), "{text}");
    }
}

#[test]
fn test_items_are_found_whole() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    #[cfg(test)]\n    fn b() { \"}\"; }\n}\nfn c() {}\n\
                #[cfg(test)]\nmod more;\n#[cfg(test)]\n#[path = \"x\"]\nfn d(a: [u8; 2])\n{\n}\nfn e() {}\n";
    assert_eq!(Source::read(text).test_items(), [2..=6, 8..=9, 10..=14]);
}

#[test]
fn large_files_are_found() {
    let lines = |count: usize| "fn a() {}\n".repeat(count);
    let path = "crates/store/src/kv.rs";
    check_rust(path, &lines(500), &[]);
    check_rust(
        path,
        &lines(501),
        &["crates/store/src/kv.rs:1: the file has 501 lines without tests, 500 are allowed"],
    );
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(100));
    check_rust(path, &format!("{}{tests}", lines(500)), &[]);
    check_rust(
        path,
        &format!("{}{tests}", lines(502)),
        &["crates/store/src/kv.rs:1: the file has 502 lines without tests, 500 are allowed"],
    );
    for exempt in [
        "crates/store/src/kv/tests.rs",
        "crates/store/src/kv_tests.rs",
        "crates/store/tests/it/kv.rs",
        "crates/store/examples/kv_rates.rs",
    ] {
        check_rust(exempt, &lines(501), &[]);
    }
    let generated = format!("{}{}", crate::codegen::HEADER, lines(501));
    check_rust("crates/model/src/pinpoint/apps.rs", &generated, &[]);
    check_rust(
        "crates/domain/src/apps.rs",
        &generated,
        &["crates/domain/src/apps.rs:1: the file has 502 lines without tests, 500 are allowed"],
    );
}

#[test]
fn long_functions_are_found() {
    let function =
        |name: &str, lines: usize| format!("pub fn {name}() {{\n{}}}\n", "    a(\"}\");\n".repeat(lines - 2));
    let path = "crates/store/src/kv.rs";
    check_rust(path, &format!("{}{}", function("a", 90), function("b", 90)), &[]);
    let long = format!("{}{}", function("a", 10), function("b", 91));
    check_rust(path, &long, &["crates/store/src/kv.rs:11: the function has 91 lines, 90 are allowed"]);
    check_rust(path, &format!("#[cfg(test)]\nmod tests {{\n{long}}}\n"), &[]);
    check_rust("crates/store/src/tests.rs", &long, &[]);
    check_rust(path, "type A = fn(u8) -> u8;\ntrait B { fn c(); }\n", &[]);
}

#[test]
fn what_is_not_left_in_code_is_found() {
    let path = "crates/store/src/kv.rs";
    let bad = "fn a() {\n    todo!(\"later\")\n}\nfn b() { unimplemented!() }\nfn c() { dbg!(1) }\n#[allow(dead_code)]\nfn d() {}\n\
               // TODO: e\n/* FIXME */\n#![allow(unused)]\n";
    let wanted = [
        "crates/store/src/kv.rs:2: todo! in code",
        "crates/store/src/kv.rs:4: unimplemented! in code",
        "crates/store/src/kv.rs:5: dbg! in code",
        "crates/store/src/kv.rs:6: #[allow( in code",
        "crates/store/src/kv.rs:10: #![allow( in code",
        "crates/store/src/kv.rs:8: TODO in a comment",
        "crates/store/src/kv.rs:9: FIXME in a comment",
    ];
    check_rust(path, bad, &wanted);
    let examples = wanted.map(|finding| finding.replace(path, "crates/store/examples/kv.rs"));
    check_rust("crates/store/examples/kv.rs", bad, &examples.each_ref().map(String::as_str));
    // In tests, in a string, in the wrong kind of text, or within a word.
    check_rust("crates/store/src/kv/tests.rs", bad, &[]);
    check_rust(path, &format!("#[cfg(test)]\nmod tests {{\n{bad}}}\n"), &[]);
    check_rust(path, "/// Not `todo!()`.\nfn my_todo!() { \"TODO todo!( dbg!(\"; TODOS }\n// TODOS\n", &[]);
}

#[test]
fn ignored_tests_are_found_everywhere() {
    for path in ["crates/store/tests/it/kv.rs", "crates/store/src/kv.rs"] {
        let text = "#[cfg(test)]\nmod tests {\n    #[test]\n    #[ignore = \"slow\"]\n    fn a() {}\n}\n// #[ignore]\n";
        check_rust(path, text, &[&format!("{path}:4: an ignored test")]);
    }
}

#[test]
fn expectations_carry_a_reason() {
    let path = "crates/store/src/kv/tests.rs";
    check_rust(
        path,
        "#![expect(a, reason = \"b\")]\n#[expect(\n    a,\n    reason = \"b\"\n)]\nfn c() {}\n",
        &[],
    );
    let bad = "#![expect(unreasonable)]\nfn a() {}\n#[expect(\n    b,\n)]\nfn c(reason: u8) {}\n";
    let wanted = ["3", "1"].map(|line| format!("{path}:{line}: an #[expect] without a reason"));
    check_rust(path, bad, &wanted.each_ref().map(String::as_str));
}

#[test]
fn roots_begin_with_documentation() {
    for path in ["crates/store/src/lib.rs", "crates/store/tests/it/main.rs"] {
        check_rust(path, "//! The store.\n", &[]);
        for bad in ["mod kv;\n//! The store.\n", "/// The store.\n", ""] {
            check_rust(path, bad, &[&format!("{path}:1: no documentation at the beginning")]);
        }
    }
    check_rust("crates/store/src/kv.rs", "mod kv;\n", &[]);
}

#[test]
fn members_have_the_lints_of_the_workspace() {
    let check = |text: &str, wanted: &[&str]| {
        let manifest = file("crates/store/Cargo.toml", text);
        assert!(manifests::is_of_member(&manifest));
        check_findings(manifests::lints(&manifest), wanted);
    };
    check("[package]\nname = \"store\"\n\n[lints]\nworkspace = true\n\n[dependencies]\n", &[]);
    for bad in ["[package]\nname = \"store\"\n", "[lints]\n[dependencies]\nworkspace = true\n", "# [lints]\n"]
    {
        check(bad, &["crates/store/Cargo.toml:1: the lints of the workspace are not in force"]);
    }
    assert!(!manifests::is_of_member(&file("Cargo.toml", "")));
    assert!(!manifests::is_of_member(&file("crates/store/fuzz/Cargo.toml", "")));
}

/// Packages whose ids are their names; an arrow is `from>to`, with `:dev` or `:build` where it is not a normal one.
fn metadata(members: &[&str], others: &[&str], arrows: &[&str]) -> Metadata {
    let packages: Vec<serde_json::Value> =
        members.iter().chain(others).map(|name| serde_json::json!({"id": name, "name": name})).collect();
    let mut nodes = Vec::new();
    for name in members.iter().chain(others) {
        let mut dependencies = Vec::new();
        for arrow in arrows {
            let (from, rest) = arrow.split_once('>').unwrap();
            let (to, kind) = rest.split_once(':').map_or((rest, None), |(to, kind)| (to, Some(kind)));
            if from == *name {
                dependencies.push(serde_json::json!({"pkg": to, "dep_kinds": [{"kind": kind}]}));
            }
        }
        nodes.push(serde_json::json!({"id": name, "deps": dependencies}));
    }
    serde_json::from_value(serde_json::json!({
        "packages": packages,
        "workspace_members": members,
        "resolve": {"nodes": nodes},
        "target_directory": "target",
    }))
    .unwrap()
}

#[track_caller]
fn check_arrows(arrows: &[&str], wanted: &[&str]) {
    let members = ["model", "domain", "store", "deliver", "engine", "api", "counterpoint", "xtask"];
    let metadata = metadata(&members, &["serde", "tokio", "mio", "runtime"], arrows);
    let files = [
        file("crates/domain/Cargo.toml", "[dependencies]\nmodel.workspace = true\nstore.workspace = true\n"),
        file(
            "crates/engine/Cargo.toml",
            "[dependencies]\napi-x = \"1\"\n\n[dependencies.api]\nworkspace = true\n",
        ),
        file("crates/model/Cargo.toml", "[dependencies]\nruntime = { workspace = true }\n"),
    ];
    check_findings(arrows::check(&metadata, &files), wanted);
}

#[test]
fn arrows_go_one_way() {
    let allowed = [
        "model>serde",
        "domain>model",
        "store>domain",
        "deliver>domain",
        "engine>domain",
        "engine>store",
        "engine>deliver",
        "api>model",
        "api>domain",
        "api>store",
        "api>engine",
        "counterpoint>model",
        "counterpoint>api",
        "counterpoint>deliver",
        "store>tokio",
        "tokio>mio",
        "xtask>serde",
        "domain>tokio:dev",
        "domain>store:dev",
    ];
    check_arrows(&allowed, &[]);
    check_arrows(&["domain>store"], &["crates/domain/Cargo.toml:3: domain must not depend on store"]);
    check_arrows(&["domain>store:build"], &["crates/domain/Cargo.toml:3: domain must not depend on store"]);
    check_arrows(&["engine>api"], &["crates/engine/Cargo.toml:4: engine must not depend on api"]);
    for arrow in [
        "model>domain",
        "store>model",
        "deliver>store",
        "engine>model",
        "api>deliver",
        "api>counterpoint",
        "xtask>model",
    ] {
        let (from, to) = arrow.split_once('>').unwrap();
        check_arrows(&[arrow], &[&format!("crates/{from}/Cargo.toml:1: {from} must not depend on {to}")]);
    }
}

#[test]
fn pure_members_reach_nothing_impure() {
    check_arrows(
        &["model>runtime", "runtime>tokio", "tokio>mio", "runtime>model"],
        &[
            "crates/model/Cargo.toml:2: model must not reach tokio: runtime -> tokio",
            "crates/model/Cargo.toml:2: model must not reach mio: runtime -> tokio -> mio",
        ],
    );
    check_arrows(
        &["domain>model", "model>runtime", "runtime>tokio"],
        &[
            "crates/model/Cargo.toml:2: model must not reach tokio: runtime -> tokio",
            "crates/domain/Cargo.toml:2: domain must not reach tokio: model -> runtime -> tokio",
        ],
    );
    check_arrows(&["model>runtime", "runtime>tokio:dev"], &[]);
}

#[test]
fn a_new_member_is_decided_about() {
    let metadata = metadata(&["lake"], &[], &[]);
    check_findings(
        arrows::check(&metadata, &[]),
        &["crates/lake/Cargo.toml:1: nothing says what lake may depend on"],
    );
}

#[test]
fn decisions_are_numbered() {
    let check = |decisions: &[(&str, &str)], wanted: &[&str]| {
        let mut files: Vec<File> =
            decisions.iter().map(|(name, text)| file(&format!("docs/decisions/{name}"), text)).collect();
        files.push(file("docs/coverage.md", ""));
        check_findings(documents::decisions(&files), wanted);
    };
    check(&[("002-b.md", "# 002 B\n"), ("001-a.md", "# 001 A\n")], &[]);
    check(
        &[("001-a.md", "# 001 A\n"), ("003-b.md", "# 003 B\n")],
        &["docs/decisions/003-b.md:1: decision 2 is not named 002-title.md"],
    );
    check(
        &[("001-a.md", "# 001 A\n"), ("001-b.md", "# 001 B\n")],
        &["docs/decisions/001-b.md:1: decision 2 is not named 002-title.md"],
    );
    check(
        &[("001-a.md", "# 002 A\n"), ("notes.txt", "")],
        &[
            "docs/decisions/001-a.md:1: the first line does not begin with \"# 001 \"",
            "docs/decisions/notes.txt:1: decision 2 is not named 002-title.md",
        ],
    );
}

#[test]
fn what_is_stored_has_a_golden_file() {
    let text = "impl Stored for DueRow {\n    const FORMAT: u8 = 2;\n}\n// impl Stored for Text {\nimpl Stored for Run {\n    \
                const FORMAT: u8 = 1;\n}\n";
    let with = |golden: &[&str]| {
        let golden = golden.iter().map(|name| file(&format!("crates/store/tests/golden/{name}"), "00"));
        let source = ["crates/a/src/b.rs", "crates/a/src/tests.rs"].map(|path| file(path, text));
        source.into_iter().chain(golden).collect::<Vec<_>>()
    };
    check_findings(formats::check(&with(&["due_row_1.v2.hex", "run.v1.hex"])), &[]);
    check_findings(
        formats::check(&with(&["due_row.v1.hex", "runs.v1.hex"])),
        &[
            "crates/a/src/b.rs:1: crates/store/tests/golden/due_row.v2.hex is not there",
            "crates/a/src/b.rs:5: crates/store/tests/golden/run.v1.hex is not there",
        ],
    );
}

#[test]
fn documents_point_at_what_is_there() {
    let check = |path: &str, text: &str, wanted: &[&str]| {
        let document = file(path, text);
        assert!(documents::is_document(&document));
        let files = [file("crates/api/src/lib.rs", ""), file("docs/a.md", ""), file("README.md", "")];
        check_findings(documents::paths(&document, &files), wanted);
    };
    let good = "[a](docs/a.md) [b](docs/a.md#part \"t\") [c](https://example.com/x) [d](#part) [e](mailto:a@example.com)\n\
                `crates/api/src/lib.rs:7`, crates/api/, docs/*.md, crates/<name>, docs/decisions/NNN-title.md, docs/a.md.\n\
                https://example.com/docs/x CONTRIBUTING.md\n```\nx[1](y)\n```\n";
    check("ARCHITECTURE.md", good, &[]);
    check("docs/b.md", "[a](a.md) [b](../README.md) [c](../crates/api)\n", &[]);
    check(
        "README.md",
        "\n[a](CONTRIBUTING.md)\nsee docs/b.md, `crates/store`\n```\ncat docs/c.md\n```\n",
        &[
            "README.md:2: the link leads to CONTRIBUTING.md, which is not there",
            "README.md:3: docs/b.md is named, but not there",
            "README.md:3: crates/store is named, but not there",
            "README.md:5: docs/c.md is named, but not there",
        ],
    );
    check(
        "docs/b.md",
        "[a](../../a.md)\n",
        &["docs/b.md:1: the link leads to ../../a.md, which is not there"],
    );
    assert!(!documents::is_document(&file("docs/decisions/001-a.md", "")));
    assert!(!documents::is_document(&file("crates/api/notes.md", "")));
}

#[test]
fn paths_of_one_machine_are_found() {
    let [work, root] = ["work", "root"].map(|name| format!("/{name}/"));
    let text = format!("cd {work}main\nsee `{root}.cache`, file://{root}\n");
    check_findings(
        machine::paths(&file("docs/a.md", &text)),
        &["docs/a.md:1: a path of one machine, in /work", "docs/a.md:2: a path of one machine, in /root"],
    );
    let good =
        format!("src{work}a https://example.com{root}b /workspace/ /rooted/ {}", work.trim_end_matches('/'));
    check_findings(machine::paths(&file("docs/a.md", &good)), &[]);
}

#[test]
fn findings_are_told_in_the_order_of_the_files() {
    let files = [
        file("crates/store/src/lib.rs", "// TODO TODO\n"),
        file("README.md", "\n\n[a](b.md)\n"),
        file("crates/api/Cargo.toml", ""),
        file("docs/decisions/002-a.md", ""),
    ];
    let findings = check(&files, &metadata(&["lake"], &[], &[]));
    let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(told[0], "README.md:3: the link leads to b.md, which is not there; correct or remove it");
    let places: Vec<(&str, usize)> =
        findings.iter().map(|finding| (finding.path.as_str(), finding.line)).collect();
    assert_eq!(
        places,
        [
            ("README.md", 3),
            ("crates/api/Cargo.toml", 1),
            ("crates/lake/Cargo.toml", 1),
            ("crates/store/src/lib.rs", 1),
            ("crates/store/src/lib.rs", 1),
            ("docs/decisions/002-a.md", 1),
        ]
    );
}
