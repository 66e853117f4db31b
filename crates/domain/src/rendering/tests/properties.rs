//! Properties: no template panics or runs on, no value changes a message's structure, and where two Handlebars agree on
//! what a template means, ours agrees with the other.

use handlebars::Handlebars;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::endpoints::{
    Demographic, Endpoint, EndpointStatus, Location, OptOut, Text, User, document, document_read,
};

/// Pieces of templates, so that random text meets the parser's every branch.
fn source() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        5 => proptest::sample::select(&[
            "{{", "}}", "{{{", "}}}", "{{#", "{{/", "{{^", "{{else", "{{>", "{{#*inline ", "{{!", "{{!--", "--}}", "~",
            "{{~", "~}}", "\\", "\"", "'", "(", ")", "[", "]", "..", "../", "@", ".", "=", "|", " as |x|", "\n", "  ", "\r\n",
            "if ", "each ", "with ", "if}}", "each}}", "inline}}", "this", "a", "b.c", "list", "\"n\"", "0", "-1.5",
            "true", "upper ", "add ", "dateFormat ", "inputFormat=", "substring ", "replace ", "lookup ", "now", "{{#if a}}",
            "{{/if}}", "{{#each list}}", "{{/each}}", "{{> n}}", "{{else}}",
        ][..]).prop_map(str::to_owned),
        1 => "\\PC{0,4}",
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[abc.\\[\\] ]{1,3}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Well-formed templates of the common language: the other crate has no `{{.}}`, no fall-back to outer scopes, prints
/// lists in brackets and floats with ".0", and lets a tilde reach beyond a comment, so none of these is asked for.
fn common() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        proptest::sample::select(
            &[
                "{{text}}",
                "{{{text}}}",
                "{{&text}}",
                "{{deep.er.text}}",
                "{{deep/er/text}}",
                "{{@root.text}}",
                "{{none}}",
                "{{deep.[spaced name]}}",
                "text",
                " ",
                "\n",
                "\r\n",
                "  \n",
                "{{~text}}",
                "{{text~}}",
                " {{~text~}} ",
                "\\{{text}}",
                "{{lookup names 1}}",
                "{{names.[0]}}",
                "{{names.length2}}",
                "}}",
                "{",
            ][..]
        )
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let body = proptest::collection::vec(inner, 0..5).prop_map(|parts| parts.concat());
        prop_oneof![
            (body.clone(), body.clone())
                .prop_map(|(a, b)| format!("{{{{#if text}}}}{a}{{{{else}}}}{b}{{{{/if}}}}")),
            (body.clone(), body.clone()).prop_map(|(a, b)| format!(
                "{{{{#if none}}}}{a}{{{{else if zero}}}}{b}{{{{else}}}}{a}{{{{/if}}}}"
            )),
            (body.clone(), body.clone())
                .prop_map(|(a, b)| format!("{{{{#unless none}}}}{a}{{{{^}}}}{b}{{{{/unless}}}}")),
            body.clone().prop_map(|a| format!("\n{{{{#if text}}}}\n{a}\n{{{{/if}}}}\n")),
            body.clone().prop_map(|a| format!("{{{{#if text~}}}} x{a}x {{{{~/if}}}}")),
            body.clone().prop_map(|a| format!(
                "{{{{#each names}}}}{{{{@index}}}}{{{{this}}}}{{{{#if @last}}}}.{{{{/if}}}}{{{{/each}}}}{a}"
            )),
            body.clone()
                .prop_map(|a| format!("{{{{#each names as |n i|}}}}{{{{i}}}}{{{{n}}}}{{{{/each}}}}{a}")),
            body.clone().prop_map(|a| format!("{{{{#with deep}}}}{{{{er.text}}}}{{{{/with}}}}{a}")),
            body,
        ]
    })
}

/// Every way to read a value of the recipient, or what looks like one.
const READING: [&str; 27] = [
    "{{Attributes.a}}{{Attributes.a.[1]}}",
    "{{Attributes.b.c}}",
    "{{Attributes/d}}{{[Attributes].[b.c]}}",
    "{{Attributes}}",
    "{{this.Id}}{{Metrics.m}}",
    "{{./Metrics.m}}{{Metrics.other}}",
    "{{@root.Attributes.d}}",
    "{{@root}}{{this}}{{.}}",
    "{{#each Attributes.a}}{{this}}{{../Id}}{{@root.Attributes.b.c}}{{/each}}",
    "{{#each Attributes}}{{@key}}{{this}}{{/each}}",
    "{{#each this}}{{this}}{{/each}}",
    "{{#with Attributes}}{{a}}{{d}}{{Id}}{{/with}}",
    "{{#with User}}{{UserId}}{{UserAttributes.x}}{{../Metrics.n}}{{/with}}",
    "{{#with User.UserAttributes}}{{x}}{{Id}}{{/with}}",
    "{{#if Attributes.none}}{{Attributes.a}}{{else}}{{Id}}{{/if}}",
    "{{#unless Demographic.Make}}{{Location.City}}{{/unless}}",
    "{{lookup Attributes \"a\"}}{{lookup Attributes.a Id}}",
    "{{lookup this \"Id\"}}{{lookup User \"UserId\"}}",
    "{{upper User.UserAttributes.x}}",
    "{{User.UserId}}{{User.UserAttributes.y.z}}",
    "{{User}}",
    "{{#Attributes.a as |b|}}{{b}}{{b.length}}{{/Attributes.a}}",
    "{{#*inline \"n\"}}{{Attributes.a}}{{x}}{{/inline}}{{> n}}{{> n User.UserAttributes}}",
    "{{#User.UserAttributes}}{{x}}{{Id}}{{/User.UserAttributes}}",
    "{{Attributes.1.2.3.4.5.6.7.8.9}}{{Metrics.m.0}}",
    "{{Attributes.a.length}}{{Attributes-a}}",
    "{{Demographic.Make}}{{Location}}{{OptOut}}{{CohortId}}",
];

fn endpoint_with_everything() -> (Endpoint, User) {
    let values = |entries: &[(&str, &[&str])]| {
        let values = entries
            .iter()
            .map(|(key, list)| (Text::from(*key), list.iter().copied().map(Text::from).collect()));
        values.collect::<std::collections::BTreeMap<_, _>>()
    };
    let attributes = values(&[
        ("a", &["one", "two"]),
        ("b.c", &["dotted"]),
        ("d", &["D"]),
        ("1.2.3.4.5.6.7.8.9", &["deep"]),
    ]);
    let endpoint = Endpoint {
        id: "endpoint".into(),
        ordinal: 0,
        cohort: 7,
        created: Timestamp(0),
        effective_date: Timestamp(1),
        request_id: "request".into(),
        status: EndpointStatus::Active,
        opt_out: OptOut::None,
        channel_type: None,
        address: None,
        user_id: Some("user".into()),
        attributes,
        metrics: [("m".into(), 1.5), ("n".into(), 20.0)].into(),
        demographic: Demographic { make: Some("maker".into()), ..Demographic::default() },
        location: Location::default(),
        loose_user_attributes: std::collections::BTreeMap::new(),
        last_effective_date: None,
    };
    let attributes = values(&[("x", &["X"]), ("y.z", &["YZ"]), ("UserId", &["no id"])]);
    (endpoint, User { attributes, endpoints: std::collections::BTreeSet::new() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_template_ends(source in source(), data in value(), html in any::<bool>()) {
        let escape = if html { Escape::Html } else { Escape::None };
        if let Ok(template) = Template::compile(&source, escape) {
            for missing in [Missing::Blank, Missing::Refuse] {
                let values = Values::new(&data).with_defaults(&data);
                let rendered = template.render(&values, missing, &context());
                prop_assert_eq!(&rendered, &template.render(&values, missing, &context()));
            }
        }
    }

    #[test]
    fn a_template_reads_nothing_but_what_it_tells(tags in proptest::sample::subsequence(&READING[..], 1..5)) {
        let source = tags.concat();
        let template = Template::compile(&source, Escape::None).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let (endpoint, user) = endpoint_with_everything();
        let all = document(&"app".into(), &endpoint, Some(&user));
        let read = document_read(&"app".into(), &endpoint, Some(&user), template.reads());
        for missing in [Missing::Blank, Missing::Refuse] {
            let rendered = template.render(&Values::new(&read), missing, &context());
            prop_assert_eq!(rendered, template.render(&Values::new(&all), missing, &context()), "{}", source);
        }
    }

    #[test]
    fn any_text_ends(source in "\\PC{0,60}") {
        // Text without tags is its own rendering.
        let rendered = render(&source);
        if !source.contains("{{") {
            prop_assert_eq!(rendered, Ok(source));
        }
    }

    #[test]
    fn values_are_never_structure(text in "[{}#/<>&\"'`=a-z \\\\]{0,30}", other in value()) {
        let endpoint = json!({"x": text, "list": [text, text], "o": other});
        let values = Values::new(&endpoint);
        let plain = render_with("{{x}}|{{#each list}}{{this}}{{/each}}", Escape::None, Missing::Blank, values);
        prop_assert_eq!(plain, Ok(format!("{text}|{text}{text}")));
        let html = render_with("<p title=\"{{x}}{{o}}\">{{upper x}}</p>", Escape::Html, Missing::Blank, values);
        let html = html.map_err(TestCaseError::fail)?;
        let inner = html.strip_prefix("<p title=\"").and_then(|it| it.strip_suffix("</p>"));
        let (title, body) = inner.and_then(|it| it.split_once("\">")).ok_or(TestCaseError::fail("structure"))?;
        for part in [title, body] {
            prop_assert!(!part.contains(['<', '>', '"', '\'', '`', '=']), "{}", part);
        }
    }

    #[test]
    fn the_common_language_means_the_same(source in common(), html in any::<bool>()) {
        let data = json!({
            "text": "a<b>&\"c\"", "zero": 0, "names": ["one", "two", "three"],
            "deep": {"er": {"text": "deep"}, "spaced name": "spaced"},
        });
        let mut other = Handlebars::new();
        if !html {
            other.register_escape_fn(handlebars::no_escape);
        }
        // Without a text at its end, white space there is treated differently.
        let source = source + ".";
        let Ok(wanted) = other.render_template(&source, &data) else { return Ok(()) };
        let escape = if html { Escape::Html } else { Escape::None };
        prop_assert_eq!(render_with(&source, escape, Missing::Blank, Values::new(&data)), Ok(wanted), "{}", source);
    }
}
