//! Errors and headers, byte for byte.

use std::time::Duration;

use serde_json::json;

use crate::support::{ACCOUNT, World};

#[tokio::test]
async fn unsigned_requests_get_the_gateway_s_answer() {
    let world = World::start().await;
    for (method, path) in [("GET", "/v1/apps"), ("POST", "/v1/nowhere"), ("GET", "/")] {
        let answer = world.call(method, path).unsigned().send().await;
        assert_eq!((answer.status, answer.json()), (403, json!({"message": "Missing Authentication Token"})));
        assert_eq!(answer.header("x-amzn-errortype"), "MissingAuthenticationTokenException");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
}

#[tokio::test]
async fn bad_signatures_are_refused() {
    let world = World::start().await;
    world.put_key("CPKAOFF", ACCOUNT, None, true).await;
    let code = async |call: crate::support::Call<'_>| {
        let answer = call.send().await;
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(answer.json()["message"].is_string(), "{answer:?}");
        answer.header("x-amzn-errortype").to_owned()
    };
    let call = || world.call("GET", "/v1/apps");
    assert_eq!(code(call().secret("another")).await, "InvalidSignatureException");
    assert_eq!(code(call().key("CPKANOBODY")).await, "UnrecognizedClientException");
    assert_eq!(code(call().key("CPKAOFF")).await, "UnrecognizedClientException");
    let skew = Duration::from_mins(6);
    assert_eq!(code(call().at(world.now().minus(skew))).await, "InvalidSignatureException");
    assert_eq!(code(call().at(world.now().plus(skew))).await, "InvalidSignatureException");
    assert_eq!(code(call().service("sms-voice")).await, "IncompleteSignatureException");
    let good = call().at(world.now().minus(Duration::from_mins(4))).send().await;
    // The clock by which the signature was judged: SDKs set theirs by it.
    assert_eq!((good.status, good.header("date")), (200, "Mon, 23 Nov 2026 00:00:00 GMT"));
}

#[tokio::test]
async fn a_disabled_key_counts_at_once() {
    let world = World::start().await;
    world.put_key("CPKAOTHER", ACCOUNT, None, false).await;
    assert_eq!(world.call("GET", "/v1/apps").key("CPKAOTHER").send().await.status, 200);
    world.put_key("CPKAOTHER", ACCOUNT, None, true).await;
    assert_eq!(world.call("GET", "/v1/apps").key("CPKAOTHER").send().await.status, 403);
}

#[tokio::test]
async fn accounts_do_not_see_each_other() {
    let world = World::start().await;
    world.put_key("CPKATHEIRS", "210987654321", None, false).await;
    let app = world.app("ours").await;
    let path = format!("/v1/apps/{app}");
    world.call("GET", &path).key("CPKATHEIRS").send().await.assert_error(
        404,
        "NotFoundException",
        "Application not found",
    );
    let list = world.call("GET", "/v1/apps").key("CPKATHEIRS").send().await;
    assert_eq!(list.json(), json!({"Item": []}));
    let arn = format!("arn%3Aaws%3Amobiletargeting%3Aeu-central-1%3A{ACCOUNT}%3Aapps%2F{app}");
    let tags = format!("/v1/tags/{arn}");
    world.call("GET", &tags).key("CPKATHEIRS").send().await.assert_error(
        404,
        "NotFoundException",
        "Resource not found",
    );
}

#[tokio::test]
async fn a_policy_allows_what_it_says() {
    let world = World::start().await;
    let (app, other) = (world.app("mine").await, world.app("other").await);
    let arn = format!("arn:aws:mobiletargeting:*:{ACCOUNT}:apps/{app}");
    let policy = api::policy::Policy::mobile(&arn).unwrap();
    world.put_key("CPKADEVICE", ACCOUNT, Some(policy.document()), false).await;
    let denied = async |method: &str, path: String, action: &str, resource: String| {
        let answer = world.call(method, &path).key("CPKADEVICE").body("{}").send().await;
        let text = format!(
            "User: arn:aws:iam::{ACCOUNT}:user/tester is not authorized to perform: mobiletargeting:{action} on \
             resource: arn:aws:mobiletargeting:eu-central-1:{ACCOUNT}:{resource}"
        );
        answer.assert_error(403, "AccessDeniedException", &text);
    };
    denied("GET", "/v1/apps".to_owned(), "GetApps", "apps".to_owned()).await;
    denied("GET", format!("/v1/apps/{app}"), "GetApp", format!("apps/{app}")).await;
    denied("POST", format!("/v1/apps/{other}/events"), "PutEvents", format!("apps/{other}/events")).await;
    // Decoded before it is judged: a slash in a label does not lead out of the resource.
    denied(
        "PUT",
        format!("/v1/apps/{other}/endpoints/x%2F..%2F..%2F{app}"),
        "UpdateEndpoint",
        format!("apps/{other}/endpoints/x/../../{app}"),
    )
    .await;
    for (method, path) in
        [("POST", format!("/v1/apps/{app}/events")), ("PUT", format!("/v1/apps/{app}/endpoints/a%2Fb"))]
    {
        let answer = world.call(method, &path).key("CPKADEVICE").body("{}").send().await;
        assert_ne!(answer.status, 403, "{answer:?}");
    }
}

/// Policies that were written for Pinpoint name the resources of AWS's developer guide, which are not always those of the
/// path: with each of them the call is allowed, and with the path's it is not.
#[tokio::test]
async fn a_policy_names_the_resources_of_the_guide() {
    let world = World::start().await;
    let app = world.app("a").await;
    let allow = async |action: &str, resource: &str| {
        let policy = json!({"Statement": {
            "Effect": "Allow",
            "Action": format!("mobiletargeting:{action}"),
            "Resource": format!("arn:aws:mobiletargeting:*:{ACCOUNT}:apps/{app}{resource}"),
        }});
        world.put_key("CPKAGUIDE", ACCOUNT, Some(&policy.to_string()), false).await;
    };
    for (action, method, path, resource) in [
        ("CreateImportJob", "POST", "/jobs/import", ""),
        ("CreateSegment", "POST", "/segments", ""),
        ("GetApplicationSettings", "GET", "/settings", ""),
        ("GetCampaignActivities", "GET", "/campaigns/c/activities", "/campaigns/c"),
        ("GetCampaignVersion", "GET", "/campaigns/c/versions/1", "/campaigns/c"),
        ("GetCampaignVersions", "GET", "/campaigns/c/versions", "/campaigns/c"),
        ("GetCampaigns", "GET", "/campaigns", ""),
        ("GetImportJobs", "GET", "/jobs/import", ""),
        ("GetSegmentImportJobs", "GET", "/segments/s/jobs/import", "/segments/s"),
        ("GetSegmentVersion", "GET", "/segments/s/versions/1", "/segments/s"),
        ("GetSegmentVersions", "GET", "/segments/s/versions", "/segments/s"),
        ("GetSegments", "GET", "/segments", ""),
        ("SendUsersMessages", "POST", "/users-messages", "/messages"),
        ("UpdateApplicationSettings", "PUT", "/settings", ""),
        ("UpdateEndpointsBatch", "PUT", "/endpoints", ""),
    ] {
        let target = format!("/v1/apps/{app}{path}");
        let status = async || world.call(method, &target).key("CPKAGUIDE").body("{}").send().await.status;
        allow(action, resource).await;
        assert_ne!(status().await, 403, "{action}");
        allow(action, path).await;
        assert_eq!(status().await, 403, "{action}");
    }
    // The others follow the path.
    allow("CreateCampaign", "/campaigns").await;
    let target = format!("/v1/apps/{app}/campaigns");
    assert_ne!(world.call("POST", &target).key("CPKAGUIDE").body("{}").send().await.status, 403);
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist() {
    let world = World::start().await;
    let app = world.app("a").await;
    let unknown = |path: &'static str| world.call("GET", path).send();
    for path in ["/v1/app", "/v2/apps", "/v1/apps//settings", "/v1/apps/x/y/z", "/counterpoint/v1/x"] {
        unknown(path).await.assert_error(404, "NotFoundException", "Resource not found");
    }
    let wrong = world.call("PATCH", "/v1/apps").send().await;
    wrong.assert_error(405, "MethodNotAllowedException", "Method not allowed");
    let with_slash = format!("/v1/apps/{app}/");
    assert_eq!(world.call("GET", &with_slash).send().await.json()["Id"], json!(app));
    let encoded = "/v1/apps/a%2Fb%20c";
    world.call("GET", encoded).send().await.assert_error(404, "NotFoundException", "Application not found");
    world.call("GET", "/v1/apps/%FF").send().await.assert_error(
        400,
        "BadRequestException",
        "A part of the path is not UTF-8 text",
    );
}

#[tokio::test]
async fn what_is_not_well_formed_is_a_bad_request() {
    let world = World::start().await;
    let app = world.app("a").await;
    let refused = async |method: &str, path: &str, body: &str, message: &str| {
        let answer = world.call(method, path).body(body).send().await;
        let text = answer.json()["Message"].as_str().unwrap_or_default().to_owned();
        assert!(text.contains(message), "{method} {path} {body}: {answer:?}");
        answer.assert_error(400, "BadRequestException", &text);
    };
    refused("POST", "/v1/apps", "{", "EOF while parsing").await;
    refused("POST", "/v1/apps", "", "request body is required").await;
    refused("POST", "/v1/apps", "{}", "missing field `Name`").await;
    refused("POST", "/v1/apps", r#"{"Name":7}"#, "expected a string").await;
    refused("POST", "/v1/apps", r#"{"Name":" "}"#, "Name must have 1 to 256 characters").await;
    let settings = format!("/v1/apps/{app}/settings");
    refused("PUT", &settings, r#"{"CampaignHook":{"Mode":"SOMETIMES"}}"#, "unknown variant `SOMETIMES`")
        .await;
    refused("GET", "/v1/apps?page-size=x", "", "Page size").await;
    refused("GET", "/v1/apps?token=x", "", "Invalid token").await;
    // Unknown members are ignored, and the content type does not count.
    let answer = world.call("POST", "/v1/apps").header("content-type", "text/plain");
    assert_eq!(answer.body(r#"{"Name":"b","Colour":"red"}"#).send().await.status, 201);
}

#[tokio::test]
async fn operations_that_are_not_built_say_so() {
    let world = World::start().await;
    let not_implemented = "/v1/recommenders";
    world.call("GET", not_implemented).send().await.assert_error(
        400,
        "BadRequestException",
        "GetRecommenderConfigurations is not implemented yet in this version",
    );
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let world = World::start().await;
    let padded = |bytes: usize| format!(r#"{{"Name":"x","Padding":"{}"}}"#, " ".repeat(bytes));
    let fits = world.call("POST", "/v1/apps").body(padded((7 << 20) - 64)).send().await;
    assert_eq!(fits.status, 201, "{fits:?}");
    let too_large = world.call("POST", "/v1/apps").body(padded(8 << 20)).send().await;
    too_large.assert_error(413, "PayloadTooLargeException", "Request body is larger than 7340032 bytes");
    let app = world.app("a").await;
    let events = format!("/v1/apps/{app}/events");
    let too_many = world.call("POST", &events).body(padded(4 << 20)).send().await;
    too_many.assert_error(413, "PayloadTooLargeException", "Request body is larger than 4194304 bytes");
    // Before a signature is looked at, so that a stranger learns nothing and costs little.
    let unsigned = world.call("POST", "/v1/apps").unsigned().body(padded(8 << 20)).send().await;
    assert_eq!(unsigned.status, 413);
    let cut = world.call("POST", "/v1/apps").body(r#"{"Name":"x"}"#).bytes();
    let chunked =
        String::from_utf8(cut).unwrap().replace("content-length: 12\r\n", "transfer-encoding: chunked\r\n");
    let (head, body) = chunked.split_once("\r\n\r\n").unwrap();
    let chunks = format!("{head}\r\n\r\n5\r\n{}\r\n7\r\n{}\r\n0\r\n\r\n", &body[..5], &body[5..]);
    assert_eq!(world.exchange(chunks.as_bytes()).await.status, 201);
}

#[tokio::test]
async fn browsers_may_call() {
    let world = World::start().await;
    let preflight = world.call("OPTIONS", "/v1/apps/x/events").unsigned().send().await;
    assert_eq!((preflight.status, preflight.body.as_str()), (200, ""));
    assert_eq!(preflight.header("access-control-allow-origin"), "*");
    for method in ["GET", "POST", "PUT", "DELETE"] {
        assert!(preflight.header("access-control-allow-methods").contains(method));
    }
    for name in ["authorization", "content-type", "x-amz-date", "amz-sdk-invocation-id", "amz-sdk-request"] {
        let allowed = preflight.header("access-control-allow-headers");
        assert!(allowed.split(',').any(|header| header == name), "{name}: {allowed}");
    }
    assert_eq!(preflight.header("access-control-max-age"), "86400");
    let answer = world.call("GET", "/v1/apps").send().await;
    assert!(answer.header("access-control-expose-headers").contains("x-amzn-RequestId"));
}

#[tokio::test]
async fn what_is_open_needs_no_signature() {
    let world = World::start_with(api::Options::default(), |server| {
        server.open("/metrics", async || api::Answer::text("text/plain", "up 1\n"))
    })
    .await;
    let health = world.call("GET", "/health").unsigned().send().await;
    assert_eq!((health.status, health.json()), (200, json!({"status": "ok"})));
    let metrics = world.call("GET", "/metrics").unsigned().send().await;
    assert_eq!((metrics.header("content-type"), metrics.body.as_str()), ("text/plain", "up 1\n"));
    assert_eq!(world.call("POST", "/health").unsigned().send().await.status, 403);
}

#[tokio::test]
async fn our_own_api_is_signed_and_authorised() {
    let world = World::start_with(api::Options::default(), |server| {
        server.own("sandbox/messages", async |cx: api::Cx, request: api::OwnRequest| {
            let seen = json!({
                "path": request.path, "query": request.query, "account": cx.account().as_str(),
                "body": String::from_utf8_lossy(&request.body),
            });
            Ok(api::Answer::json(seen.to_string()))
        })
    })
    .await;
    let path = "/counterpoint/v1/sandbox/messages/7?limit=2";
    let answer = world.call("POST", path).service("counterpoint").body("x").send().await;
    let seen = json!({"path": "/7", "query": [["limit", "2"]], "account": ACCOUNT, "body": "x"});
    assert_eq!((answer.status, answer.json()), (200, seen));
    assert_eq!(world.call("GET", path).send().await.status, 200);
    assert_eq!(world.call("GET", path).unsigned().send().await.status, 403);
    assert_eq!(world.call("GET", "/counterpoint/v1/sandbox/messages2").send().await.status, 404);
    let reads = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "counterpoint:Read",
        "Resource": format!("arn:aws:counterpoint:*:{ACCOUNT}:sandbox/*")}]});
    let reads = reads.to_string();
    world.put_key("CPKAREADS", ACCOUNT, Some(&reads), false).await;
    assert_eq!(world.call("GET", path).key("CPKAREADS").send().await.status, 200);
    assert_eq!(world.call("POST", path).key("CPKAREADS").send().await.status, 403);
}

#[tokio::test]
async fn sms_voice_v2_speaks_json_1_0() {
    let world = World::start().await;
    let call = |target: &str, body: &str| {
        let call = world.call("POST", "/").service("sms-voice").body(body);
        call.header("x-amz-target", &format!("PinpointSMSVoiceV2.{target}"))
            .header("content-type", "application/x-amz-json-1.0")
    };
    let answer = call("DescribePools", "{}").send().await;
    assert_eq!(answer.header("content-type"), "application/x-amz-json-1.0");
    assert_eq!(answer.header("x-amzn-errortype"), "ValidationException");
    let refused = json!({"__type": "ValidationException", "Reason": "UNKNOWN_OPERATION",
        "Message": "DescribePools is not implemented yet in this version"});
    assert_eq!((answer.status, answer.json()), (400, refused));
    let unknown = call("DescribeNothing", "{}").send().await;
    assert_eq!((unknown.status, &unknown.json()["Reason"]), (400, &json!("UNKNOWN_OPERATION")));
    let malformed = call("DescribePools", "{").send().await;
    assert_eq!((malformed.status, &malformed.json()["Reason"]), (400, &json!("OTHER")));
    let missing = call("DeleteOptOutList", "").send().await;
    assert!(missing.json()["Message"].as_str().unwrap().contains("OptOutListName"), "{missing:?}");
    let wrong_secret = call("DescribePools", "{}").secret("x").send().await;
    assert_eq!(
        (wrong_secret.status, &wrong_secret.json()["__type"]),
        (403, &json!("InvalidSignatureException"))
    );
}
