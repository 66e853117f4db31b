//! The language: values, layers, escaping, blocks, partials, faults, limits. Helpers and properties have files of their own.

use serde_json::{Value, json};

use super::*;

mod helpers;
mod properties;

pub(super) const NOW: Timestamp = Timestamp(1_600_511_400_000); // 2020-09-19T10:30:00Z

pub(super) fn context() -> RenderContext {
    RenderContext { now: NOW, random: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef }
}

pub(super) fn endpoint() -> Value {
    json!({
        "Id": "e1",
        "Address": "+12065550100",
        "ChannelType": "SMS",
        "Attributes": {"Interests": ["Music", "Travel", "Tea"], "Plan": ["pro"], "a.b": ["dotted"], "Empty": []},
        "Demographic": {"Locale": "en_US", "Timezone": "America/New_York", "AppVersion": null},
        "Location": {"Country": "US", "Latitude": 47.6},
        "Metrics": {"Age": 17.0, "Balance": 5.25},
        "OptOut": "NONE",
        "RecommendationItems": ["r1", "r2"],
        "Recommendations": {"Title": ["Book", "Film"]},
        "User": {
            "UserId": "u1",
            "UserAttributes": {
                "FirstName": ["Jane"], "Last Name": ["O'Neil & <Sons>"], "Visits": ["17"], "Blank": [""],
                "Joined": ["2020-09-19"], "Vip": ["false"]
            }
        }
    })
}

pub(super) fn render_with(
    source: &str,
    escape: Escape,
    missing: Missing,
    values: Values<'_>,
) -> Result<String, String> {
    let template = Template::compile(source, escape).map_err(|fault| fault.to_string())?;
    template.render(&values, missing, &context()).map_err(|fault| fault.to_string())
}

pub(super) fn render(source: &str) -> Result<String, String> {
    render_with(source, Escape::None, Missing::Blank, Values::new(&endpoint()))
}

#[track_caller]
pub(super) fn check(cases: &[(&str, &str)]) {
    for (source, wanted) in cases {
        assert_eq!(render(source).as_deref(), Ok(*wanted), "{source}");
    }
}

/// Templates that do not render, with a part of the reason.
#[track_caller]
pub(super) fn check_faults(cases: &[(&str, &str)]) {
    for (source, wanted) in cases {
        let fault = render(source).expect_err(source);
        assert!(fault.contains(wanted), "{source}: {fault}");
    }
}

fn substitutions(entries: &[(&str, &[&str])]) -> Substitutions {
    let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    entries.iter().map(|(name, list)| ((*name).to_owned(), values(list))).collect()
}

#[test]
fn paths_read_the_endpoint() {
    check(&[
        ("Hi {{User.UserAttributes.FirstName}}!", "Hi Jane!"),
        ("{{ User.UserAttributes.FirstName.[0] }}", "Jane"),
        ("{{User.UserAttributes.[Last Name].[0]}}", "O'Neil & <Sons>"),
        ("{{User/UserAttributes/FirstName}}", "Jane"),
        ("{{Attributes.Interests}}", "Music,Travel,Tea"),
        ("{{Attributes.Interests.[1]}} {{Attributes.Interests.1}}", "Travel Travel"),
        ("{{Attributes.Interests.length}}", "3"),
        ("{{Attributes.a.b}}", "dotted"),
        ("{{Attributes.[a.b]}}", "dotted"),
        ("{{RecommendationItems.[1]}} {{Recommendations.Title.[0]}}", "r2 Book"),
        ("{{Metrics.Age}} {{Metrics.Balance}} {{Location.Latitude}}", "17 5.25 47.6"),
        ("{{Address}} {{ChannelType}} {{Id}} {{User.UserId}}", "+12065550100 SMS e1 u1"),
        ("[{{Nothing}}{{Demographic.AppVersion}}{{Attributes.Empty}}{{Attributes.Interests.[9]}}]", "[]"),
        ("[{{user.userattributes.firstname}}]", "[]"),
        ("{{@root.User.UserId}}", "u1"),
        ("no tags } }} { {a}", "no tags } }} { {a}"),
        (r"\{{Address}} \\{{Id}}", r"{{Address}} \e1"),
        ("a{{! gone }}b{{!-- {{Id}} -- }} --}}c", "abc"),
        ("a  {{~Id~}}  b", "ae1b"),
        ("", ""),
    ]);
}

#[test]
fn higher_layers_win() {
    let endpoint = endpoint();
    let defaults = parse_default_substitutions(
        r#"{"User.UserAttributes.FirstName":"friend","User.UserAttributes.City":"town",
            "User":{"UserAttributes":{"Street":"road"}},"Attributes.Empty":"filled","otp":"0","list":["a","b"]}"#,
    )
    .unwrap();
    let message =
        substitutions(&[("otp", &["1", "2"]), ("Address", &["m"]), ("User.UserAttributes.City", &["Rome"])]);
    let address = substitutions(&[("otp", &["9"]), ("none", &[])]);
    let all = Values::new(&endpoint).with_defaults(&defaults).with_message(&message).with_address(&address);
    for (values, source, wanted) in [
        (Values::new(&endpoint).with_defaults(&defaults), "{{User.UserAttributes.FirstName}}", "Jane"),
        (all, "{{User.UserAttributes.City}} {{User.UserAttributes.City.[0]}}", "Rome Rome"),
        (Values::default().with_defaults(&defaults), "{{User.UserAttributes.FirstName.[0]}}", "friend"),
        (Values::new(&endpoint).with_defaults(&defaults), "{{User.UserAttributes.Street}}", "road"),
        (Values::new(&endpoint).with_defaults(&defaults), "{{Attributes.Empty}}", "filled"),
        (Values::new(&endpoint).with_defaults(&defaults), "{{otp}} {{Address}}", "0 +12065550100"),
        (Values::new(&endpoint).with_message(&message), "{{otp}} {{Address}}", "1 m"),
        (Values::new(&endpoint).with_message(&message), "{{#each otp}}<{{this}}>{{/each}}", "<1><2>"),
        (all, "{{otp}} {{Address}} {{User.UserAttributes.FirstName}}", "9 m Jane"),
        (all, "[{{none}}]", "[]"),
        (all, "{{list}}", "a,b"),
    ] {
        assert_eq!(
            render_with(source, Escape::None, Missing::Blank, values).as_deref(),
            Ok(wanted),
            "{source}"
        );
    }
}

#[test]
fn only_html_is_escaped_and_three_braces_never_are() {
    let endpoint = endpoint();
    for (escape, source, wanted) in [
        (Escape::None, "{{User.UserAttributes.[Last Name]}}", "O'Neil & <Sons>"),
        (Escape::Html, "{{User.UserAttributes.[Last Name]}}", "O&#x27;Neil &amp; &lt;Sons&gt;"),
        (Escape::Html, "{{{User.UserAttributes.[Last Name]}}}", "O'Neil & <Sons>"),
        (Escape::Html, "{{&User.UserAttributes.[Last Name]}}", "O'Neil & <Sons>"),
        (Escape::Html, "{{~{User.UserAttributes.[Last Name]}~}} ", "O'Neil & <Sons>"),
        (Escape::Html, "<b>{{upper \"<a href='`'>\"}}</b>", "<b>&lt;A HREF&#x3D;&#x27;&#x60;&#x27;&gt;</b>"),
        (Escape::Html, "{{{upper \"<a>\"}}}", "<A>"),
        (Escape::Html, "{{upper (lower \"<\")}}", "&lt;"),
        (Escape::Html, "{{#each Attributes.Interests}}{{this}}&{{/each}}", "Music&Travel&Tea&"),
    ] {
        let rendered = render_with(source, escape, Missing::Blank, Values::new(&endpoint));
        assert_eq!(rendered.as_deref(), Ok(wanted), "{source}");
    }
}

#[test]
fn missing_values_are_blank_or_refused() {
    let endpoint = endpoint();
    let refuse = |source: &str| render_with(source, Escape::None, Missing::Refuse, Values::new(&endpoint));
    for (source, wanted) in [
        ("{{Nothing.here}}", Err("no value for Nothing.here")),
        ("{{upper Nothing}}", Err("no value for Nothing")),
        ("{{User.UserAttributes.[First Name].[0]}}", Err("no value for User.UserAttributes.First Name.0")),
        ("{{add Nothing 1}}", Err("no value for Nothing")),
        ("{{ljust Id size=Nothing}}", Err("no value for Nothing")),
        ("{{lookup Attributes.Interests 9}}", Err("no value for lookup")),
        ("{{#each Attributes.Interests}}{{@key}}{{/each}}", Err("no value for key")),
        // A blank value is a value.
        ("[{{User.UserAttributes.Blank}}]", Ok("[]")),
        // Conditions may ask for what is not there, also through helpers.
        ("{{#if Nothing}}y{{else}}n{{/if}}", Ok("n")),
        ("{{#unless Nothing}}n{{/unless}}", Ok("n")),
        ("{{#each Nothing}}y{{else}}n{{/each}}", Ok("n")),
        ("{{#with Nothing}}y{{else}}n{{/with}}", Ok("n")),
        ("{{#if (gt (add Nothing 1) 5)}}y{{else}}n{{/if}}", Ok("n")),
        ("{{#eq Nothing \"x\"}}y{{else}}n{{/eq}}", Ok("n")),
        ("{{eq Nothing \"x\" yes='y' no='n'}}", Ok("n")),
        ("{{yesno Nothing}}", Ok("maybe")),
        ("{{#if Id}}{{else}}{{Nothing}}{{/if}}", Ok("")),
    ] {
        assert_eq!(refuse(source).as_deref().map_err(String::as_str), wanted, "{source}");
    }
    // Blank: helpers on texts see an empty one; arithmetic cannot.
    check(&[("[{{upper Nothing}}{{join Nothing \",\"}}{{dateFormat Nothing}}]", "[]")]);
    check_faults(&[("{{add Nothing 1}}", "add: argument 1 is missing")]);
}

#[test]
fn blocks_and_scopes() {
    check(&[
        ("{{#if User.UserAttributes.FirstName}}yes{{else}}no{{/if}}", "yes"),
        ("{{#if User.UserAttributes.Blank}}yes{{else}}no{{/if}}", "no"),
        ("{{#if Nothing}}a{{else if Id}}b{{else}}c{{/if}}", "b"),
        ("{{#if Nothing}}a{{else if Nothing}}b{{else}}c{{/if}}", "c"),
        ("{{#if Nothing}}a{{else eq Id \"e1\"}}b{{/if}}d", "bd"),
        ("{{#if 0}}y{{^}}n{{/if}}{{#if 0.5}}y{{/if}}{{#if \"\"}}y{{/if}}{{#if \"0\"}}z{{/if}}", "nyz"),
        (
            "{{#each Attributes.Interests}}{{@index}}{{@first}}{{@last}}:{{this}} {{/each}}",
            "0truefalse:Music 1falsefalse:Travel 2falsetrue:Tea ",
        ),
        (
            "{{#each Attributes.Interests as |it at|}}{{at}}{{it}}{{User.UserId}}{{../Id}}{{/each}}",
            "0Musicu1e11Travelu1e12Teau1e1",
        ),
        ("{{#each Attributes.Interests}}{{.}}{{./this}}{{/each}}", "MusicTravelTea"),
        ("{{#each User}}{{@key}}{{else}}none{{/each}}", "UserAttributesUserId"),
        ("{{#each Attributes.Empty}}x{{else}}none{{/each}}", "none"),
        ("{{#each User.UserId}}<{{this}}>{{/each}}", "<u1>"),
        (
            "{{#each Attributes.Interests}}{{#each ../RecommendationItems}}{{@../index}}{{@index}} {{/each}}{{/each}}",
            "00 01 10 11 20 21 ",
        ),
        (
            "{{#with User}}{{UserId}} {{this.UserId}} {{Address}}[{{this.Address}}]{{/with}}",
            "u1 u1 +12065550100[]",
        ),
        ("{{#with User as |u|}}{{u.UserId}}{{/with}}", "u1"),
        (
            "{{#User}}{{UserId}}{{/User}}{{#Attributes.Interests}}{{this}}{{/Attributes.Interests}}",
            "u1MusicTravelTea",
        ),
        ("{{#Nothing}}a{{else}}b{{/Nothing}}{{^Nothing}}c{{/Nothing}}{{^Id}}d{{else}}e{{/Id}}", "bce"),
        ("{{lookup Attributes \"Plan\"}} {{lookup RecommendationItems 1}}", "pro r2"),
        ("{{#if (and Id (or Nothing Address))}}ok{{/if}}", "ok"),
    ]);
}

#[test]
fn lists_end_after_fifteen() {
    let endpoint = json!({"list": (0..20).collect::<Vec<_>>()});
    let rendered = render_with(
        "{{#each list}}{{this}}{{#unless @last}},{{/unless}}{{/each}}",
        Escape::None,
        Missing::Blank,
        Values::new(&endpoint),
    );
    assert_eq!(rendered.as_deref(), Ok("0,1,2,3,4,5,6,7,8,9,10,11,12,13,14"));
}

#[test]
fn tags_alone_on_a_line_take_the_line_with_them() {
    check(&[
        ("a\n  {{#if Id}}  \n b\n {{else}}\n c\n{{/if}}\nd", "a\n b\nd"),
        ("{{#if Id}}\r\nb\r\n{{/if}}\r\n", "b\r\n"),
        ("a {{#if Id}}\nb{{/if}}\nc", "a \nb\nc"),
        ("a\n{{! note }}\nb", "a\nb"),
        ("{{#*inline \"p\"}}\nP\n{{/inline}}\n  {{> p}}\nend", "  P\nend"),
        ("{{Id}}\n{{Id}}\n", "e1\ne1\n"),
    ]);
}

#[test]
fn inline_partials() {
    check(&[
        ("{{#* inline \"n\"}}Hi {{User.UserId}}{{/inline}}{{> n}}, {{>n}}", "Hi u1, Hi u1"),
        ("{{> n}}{{#*inline \"n\"}}late{{/inline}}", "late"),
        ("{{#*inline \"n\"}}{{greeting}} {{UserId}}{{/inline}}{{> n User greeting=\"Hi\"}}", "Hi u1"),
        ("{{#*inline \"n\"}}a{{/inline}}{{#if Id}}{{#*inline \"n\"}}b{{/inline}}{{> n}}{{/if}}{{> n}}", "ba"),
        ("{{#*inline \"e1\"}}dynamic{{/inline}}{{> (lower \"E1\")}}", "dynamic"),
        ("{{#*inline \"a\"}}{{> b}}{{/inline}}{{#*inline \"b\"}}B{{/inline}}{{> a}}", "B"),
        ("{{#*inline \"unused\"}}{{upper \"x\"}}{{/inline}}", ""),
    ]);
    check_faults(&[("{{> nobody}}", "no inline partial is named \"nobody\"")]);
}

#[test]
fn faults_are_found_when_a_template_is_written() {
    check_faults(&[
        ("a\n {{#if Id}}", "line 2, column 2: block if is not closed"),
        ("{{/if}}", "line 1, column 1: block if is not open"),
        ("{{#if a}}{{/each}}", "block if is open, but each is closed"),
        ("{{else}}", "'else' belongs to no open block"),
        ("{{#if a}}{{else}}{{else}}{{/if}}", "'else' belongs to no open block"),
        ("{{User.UserAttributes.Last Name}}", "expected the name of a helper"),
        ("{{uper Id}}", "there is no helper named \"uper\""),
        ("{{upper Id Id}}", "helper upper takes 1 arguments, not 2"),
        ("{{and Id}}", "helper and takes at least 2 arguments, not 1"),
        ("{{#and Id}}{{/and}}", "helper and takes at least 2 arguments, not 1"),
        ("{{if Id}}", "helper if has only a block form"),
        ("{{each Id}}", "helper each has only a block form"),
        ("{{upper (each Id)}}", "helper each has only a block form"),
        ("{{#upper Id}}{{/upper}}", "helper upper has no block form"),
        ("{{Id", "the template ends where"),
        ("{{Id}", "found '}' where"),
        ("{{upper \"x}}", "the text in quotes does not end"),
        ("{{a.[b}}", "'[' is not closed"),
        ("{{!-- open }}", "there is no \"--\" to end this"),
        ("{{#> layout}}{{/layout}}", "partials with a block are not supported"),
        ("{{upper (lower Id}}", "where ')' is expected"),
        ("{{Id as |x|}}", "only a block can name its elements"),
        ("{{#*inline n}}{{/inline}}", "expected an inline partial"),
        ("{{}}", "found '}' where an expression is expected"),
    ]);
    for text in ["[1]", "\"x\"", "{", "{\"a\":1} x"] {
        assert!(parse_default_substitutions(text).is_err(), "{text}");
    }
    assert_eq!(parse_default_substitutions(" ").unwrap(), json!({}));
}

#[test]
fn variables_are_listed_once() {
    let template = Template::compile(
        "{{b}} {{#if a.[x y]}}{{upper c}}{{/if}}{{#each d as |e|}}{{e.f}}{{this}}{{@index}}{{g}}{{/each}}{{b}}{{now}}\
         {{> p}}{{#*inline \"p\"}}{{h}}{{/inline}}{{#i}}{{/i}}{{ljust b size=j}}{{upper (lower upper)}}",
        Escape::None,
    )
    .unwrap();
    assert_eq!(template.variables(), ["a.x y", "b", "c", "d", "g", "h", "i", "j", "upper"]);
}

#[test]
fn a_template_tells_what_it_reads() {
    let source = "{{Id}}{{Attributes.a.b}}{{Attributes-z}}{{#with User}}{{UserId}}{{/with}}{{Metrics.1.2.3.4.5.6.7.8.9}}";
    let reads = Template::compile(source, Escape::None).unwrap().reads().clone();
    assert_eq!(reads.keys("Attributes").collect::<Vec<_>>(), ["a", "a.b"]);
    assert_eq!(
        reads.members().collect::<Vec<_>>(),
        ["Attributes", "Attributes-z", "Id", "Metrics", "User", "UserId"]
    );
    assert!(reads.includes_all("User") && !reads.includes_all("Attributes"));
    // What is deeper than anybody names things reads all.
    assert!(reads.includes_all("Metrics") && reads.keys("Metrics").next().is_none());
    let mut both = reads.clone();
    both.extend(Template::compile("{{Address}}{{Attributes.c}}", Escape::None).unwrap().reads());
    assert_eq!(both.keys("Attributes").collect::<Vec<_>>(), ["a", "a.b", "c"]);
    assert!(both.includes_all("Address") && both.includes_all("Id"));
}

#[test]
fn hostile_templates_end() {
    let endpoint = json!({"list": (0..15).collect::<Vec<_>>(), "long": "x".repeat(100_000)});
    let rendered = |source: &str| render_with(source, Escape::None, Missing::Blank, Values::new(&endpoint));
    let nested = |count| format!("{}{}", "{{#each list}}".repeat(count), "{{/each}}".repeat(count));
    for (source, wanted) in [
        (nested(50), "units of work"),
        (nested(BLOCKS_NESTED_MAX + 1), "nested more than 100 levels"),
        ("{{#if a}}".repeat(200_000), "nested more than 100 levels"),
        (
            format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if b}}".repeat(10_000)),
            "nested more than 100 levels",
        ),
        (format!("{{{{upper {}", "(upper ".repeat(100_000)), "nested more than 32 levels"),
        (
            "{{#*inline \"a\"}}{{> b}}{{/inline}}{{#*inline \"b\"}}{{> a}}{{/inline}}{{> a}}".into(),
            "levels of blocks",
        ),
        ("{{#*inline \"a\"}}{{> a}}{{> a}}{{/inline}}{{> a}}".into(), "levels of blocks"),
        (format!("{}{{{{long}}}}{}", "{{#each list}}".repeat(2), "{{/each}}".repeat(2)), "bytes of text"),
        ("{{ljust \"x\" 1000000000}}".into(), "size is more than 10000"),
        ("{{replace long \"x\" long}}".into(), "the result has more than"),
        ("{{join list long list long}}".into(), "the result has more than"),
        (
            format!("{}{{{{upper long}}}}{}", "{{#each list}}".repeat(9), "{{/each}}".repeat(9)),
            "units of work",
        ),
        (
            format!(
                "{}{{{{#if (upper long)}}}}{{{{/if}}}}{}",
                "{{#each list}}".repeat(9),
                "{{/each}}".repeat(9)
            ),
            "units of work",
        ),
    ] {
        let fault = rendered(&source).expect_err("it must not render");
        assert!(fault.contains(wanted), "{fault}");
    }
    // A million of anything in a row is read in linear time.
    for piece in ["\\", "{{!", "\\{{", "{{a}}", "{", "}}", "{{!---", "\n{{^a}}{{/a}}"] {
        let _ = rendered(&piece.repeat(1_000_000 / piece.len()));
    }
}
