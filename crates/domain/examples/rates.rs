use std::time::Instant;
fn main() {
    let run = |name: &str, source: String| {
        let at = Instant::now();
        let result = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
            let t = handlebars::Template::compile(&source);
            match &t { Ok(t) => format!("ok {}", t.elements.len()), Err(e) => format!("err {}", e.reason()) }
        }).unwrap().join();
        println!("{name}: {result:?} in {:?}", at.elapsed());
    };
    for n in [50, 100, 1000, 100_000] {
        run(&format!("blocks {n}"), format!("{}x{}", "{{#if a}}".repeat(n), "{{/if}}".repeat(n)));
        run(&format!("open blocks {n}"), "{{#if a}}".repeat(n));
        run(&format!("parens {n}"), format!("{{{{a {}b c{}}}}}", "(a ".repeat(n), ")".repeat(n)));
        run(&format!("open parens {n}"), format!("{{{{a {}", "(a ".repeat(n)));
        run(&format!("arrays {n}"), format!("{{{{a {}{}}}}}", "[".repeat(n), "]".repeat(n)));
        run(&format!("objects {n}"), format!("{{{{a {}1{}}}}}", "{\"a\":".repeat(n), "}".repeat(n)));
    }
    for n in [100, 300, 1000, 5000] {
        run(&format!("else {n}"), format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if b}}x".repeat(n)));
    }
    for n in [1000, 5000] {
        run(&format!("tags {n}"), format!("{}{}", "x".repeat(500_000), "{{a}}".repeat(n)));
    }
    run("backslashes", "\\".repeat(50_000));
    run("escapes", "\\{{".repeat(50_000));
    run("text", "x".repeat(600_000));
}
