use super::*;

fn router() -> Router<u32> {
    let mut router = Router::new();
    router.add("GET", "/v1/apps", 1);
    router.add("POST", "/v1/apps", 2);
    router.add("GET", "/v1/apps/{application-id}", 3);
    router.add("GET", "/v1/apps/{application-id}/endpoints/{endpoint-id}", 4);
    router.add("GET", "/v1/templates/{template-name}/email", 5);
    router.add("GET", "/v1/templates/{template-name}/{template-type}/versions", 6);
    router.add("GET", "/a/{x}/b", 7);
    router.add("GET", "/{y}/{z}/c", 8);
    router
}

#[track_caller]
fn check(method: &str, path: &str, expected: &Found<'_, u32>) {
    assert_eq!(router().find(method, path), *expected, "{method} {path}");
}

#[test]
fn paths_are_found_by_their_raw_segments() {
    check("GET", "/v1/apps", &Found::Route { route: 1, labels: vec![] });
    check("POST", "/v1/apps/", &Found::Route { route: 2, labels: vec![] });
    check("GET", "/v1/apps/a%2Fb", &Found::Route { route: 3, labels: vec!["a%2Fb"] });
    check(
        "GET",
        "/v1/apps/x/endpoints/a%2Fb%20c",
        &Found::Route { route: 4, labels: vec!["x", "a%2Fb%20c"] },
    );
    check(
        "GET",
        "/v1/apps/apps/endpoints/endpoints",
        &Found::Route { route: 4, labels: vec!["apps", "endpoints"] },
    );
}

#[test]
fn a_literal_that_leads_nowhere_is_taken_as_a_label() {
    check("GET", "/v1/templates/t/email", &Found::Route { route: 5, labels: vec!["t"] });
    check("GET", "/v1/templates/t/email/versions", &Found::Route { route: 6, labels: vec!["t", "email"] });
    check("GET", "/a/1/b", &Found::Route { route: 7, labels: vec!["1"] });
    check("GET", "/a/1/c", &Found::Route { route: 8, labels: vec!["a", "1"] });
}

#[test]
fn other_methods_and_other_paths_are_told_apart() {
    check("DELETE", "/v1/apps", &Found::WrongMethod);
    check("DELETE", "/v1/apps/x/", &Found::WrongMethod);
    check("get", "/v1/apps", &Found::WrongMethod);
    for path in
        ["/", "/v1", "/v1/app", "/v1//apps", "/v1/apps//", "//v1/apps", "/v1/apps/x/endpoints", "v1/apps", ""]
    {
        check("GET", path, &Found::Nothing);
    }
    check("GET", "/v1/apps//endpoints/e", &Found::Nothing);
}

#[test]
fn labels_and_queries_are_decoded() {
    assert_eq!(decode_label("eq%2Fb3%2Bx%20y+z").unwrap(), "eq/b3+x y+z");
    assert!(decode_label("%FF").is_err());
    let pairs = decode_query("tagKeys=a%26b&tagKeys=c+d&&x").unwrap();
    let expected = [("tagKeys", "a&b"), ("tagKeys", "c d"), ("x", "")];
    assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(decode_query("a=%FF").is_err());
    assert_eq!(label_names("/v1/apps/{application-id}/x/{b}"), ["application-id", "b"]);
}
