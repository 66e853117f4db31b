//! The commands beside `serve`.

use aws_sdk_pinpoint::error::ProvideErrorMetadata as _;

use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, World, app, people};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_makes_an_account_and_shows_its_key_once() {
    let world = World::new()
        .without("AUTH__ACCOUNT_ID")
        .without("AUTH__ROOT_ACCESS_KEY_ID")
        .without("AUTH__ROOT_SECRET_ACCESS_KEY");
    let (server, printed) = world.serve_and_read().await;
    let exported = |name: &str| {
        let line = printed.iter().find_map(|line| line.strip_prefix(&format!("export {name}=")));
        line.unwrap_or_else(|| panic!("no {name}: {printed:?}")).to_owned()
    };
    let (id, secret) = (exported("AWS_ACCESS_KEY_ID"), exported("AWS_SECRET_ACCESS_KEY"));
    app(&server.sdk_of(&id, &secret)).await;
    server.stop().await;
    let (server, printed) = world.serve_and_read().await;
    assert_eq!(printed, Vec::<String>::new());
    let apps = server.sdk_of(&id, &secret).get_apps().send().await.unwrap();
    assert_eq!(apps.applications_response.unwrap().item.unwrap().len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_is_not_lost_with_a_start_that_fails() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let world = World::new()
        .without("AUTH__ACCOUNT_ID")
        .without("AUTH__ROOT_ACCESS_KEY_ID")
        .without("AUTH__ROOT_SECRET_ACCESS_KEY")
        .with("SERVER__LISTEN", &taken.local_addr().unwrap().to_string());
    let complaint = world.complaint(&["serve"], &[]).await;
    assert!(complaint.contains("cannot listen on"), "{complaint}");
    let (server, printed) = world.with("SERVER__LISTEN", "127.0.0.1:0").serve_and_read().await;
    assert!(printed.iter().any(|line| line.starts_with("export AWS_SECRET_ACCESS_KEY=")), "{printed:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_and_disabled_beside_a_running_server_and_without_one() {
    let world = World::new();
    let complaint = world.complaint(&["keys", "list"], &[]).await;
    assert!(complaint.contains("there is no data directory"), "{complaint}");
    let server = world.serve().await;
    let app = app(&server.sdk()).await;
    let url = format!("http://{}", server.address);
    let running = [
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
    ];
    let printed = world.printed(&["keys", "create", "--name", "phone", "--mobile", &app], &running).await;
    let (id, secret) = exported(&printed);

    // A phone's key may send events of its application, and nothing else.
    let phone = server.sdk_of(&id, &secret);
    let refused = phone.get_apps().send().await.unwrap_err();
    assert_eq!(refused.into_service_error().code(), Some("AccessDeniedException"));
    let endpoint = aws_sdk_pinpoint::types::EndpointRequest::builder().build();
    let update =
        || phone.update_endpoint().application_id(&app).endpoint_id("e").endpoint_request(endpoint.clone());
    update().send().await.unwrap();

    world.printed(&["keys", "disable", &id], &running).await;
    let refused = update().send().await.unwrap_err();
    assert_eq!(refused.into_service_error().code(), Some("UnrecognizedClientException"));
    server.stop().await;

    let listed = world.printed(&["keys", "list"], &[]).await;
    assert!(listed.contains("disabled") && listed.contains("root") && !listed.contains(&secret), "{listed}");
    world.printed(&["keys", "enable", &id], &[]).await;
    let (other, other_secret) = exported(
        &world.printed(&["keys", "create", "--name", "other", "--account", "999900001111"], &[]).await,
    );
    world.printed(&["keys", "delete", &id], &[]).await;
    let complaint = world.complaint(&["keys", "delete", &id], &[]).await;
    assert!(complaint.contains("no access key"), "{complaint}");

    // Another account sees nothing of the first one.
    let server = world.serve().await;
    let apps = server.sdk_of(&other, &other_secret).get_apps().send().await.unwrap();
    assert_eq!(apps.applications_response.unwrap().item.unwrap().len(), 0);
    let missing =
        server.sdk_of(&other, &other_secret).get_app().application_id(&app).send().await.unwrap_err();
    assert!(missing.into_service_error().is_not_found_exception());
    server.stop().await;
}

fn exported(printed: &str) -> (String, String) {
    let value = |name: &str| {
        let line = printed.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")));
        line.unwrap_or_else(|| panic!("no {name}: {printed}")).to_owned()
    };
    (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_server_is_restored_elsewhere() {
    let world = World::new();
    let server = world.serve().await;
    let app = app(&server.sdk()).await;
    people(&server.sdk(), &app, 30).await;
    let url = format!("http://{}", server.address);
    let running = [
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
    ];
    let backup = world.path("backup").display().to_string();
    let printed = world.printed(&["backup", &backup], &running).await;
    assert!(printed.starts_with("backed up: "), "{printed}");
    let complaint = world.complaint(&["backup", &backup], &running).await;
    assert!(complaint.contains("not empty"), "{complaint}");
    server.stop().await;

    let restored = world.path("restored").display().to_string();
    let key = world.path("data").join("keys").join("master.key").display().to_string();
    let world = world.with("SERVER__DATA_DIR", &restored).with("AUTH__MASTER_KEY_FILE", &key);
    world.printed(&["restore", &backup], &[]).await;
    let complaint = world.complaint(&["restore", &backup], &[]).await;
    assert!(complaint.contains("not empty"), "{complaint}");

    // What was not sent when the backup was taken may have been sent since: nothing leaves until the operator says so.
    let server = world.serve().await;
    assert_eq!(server.get("/status").await["outbox"]["held"], true);
    let endpoint =
        server.sdk().get_endpoint().application_id(&app).endpoint_id("person-7").send().await.unwrap();
    assert_eq!(endpoint.endpoint_response.unwrap().address.as_deref(), Some("person-7@example.com"));
    server.stop().await;
    world.printed(&["resume"], &[]).await;
    let server = world.serve().await;
    assert_eq!(server.get("/status").await["outbox"]["held"], false);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_shown_without_secrets_and_the_doctor_looks() {
    let world = World::new().with("EMAIL__TRANSPORT", "smtp://me:very-secret@127.0.0.1:1");
    let shown = world.printed(&["config"], &[]).await;
    assert!(shown.contains("transport = \"smtp://me:***@127.0.0.1:1\""), "{shown}");
    assert!(!shown.contains("very-secret") && !shown.contains(SECRET_ACCESS_KEY), "{shown}");
    let documented = world.printed(&["config", "--defaults"], &[]).await;
    assert!(documented.contains("[email]\n# \"sandbox\""), "{documented}");
    let output = world.run(&["doctor"], &[]).await;
    let found = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && found.contains("BAD  mail: smtp://me:***@127.0.0.1:1"), "{found}");
    let complaint = world.complaint(&["serve", "--set", "email.conections=3"], &[]).await;
    assert!(complaint.contains("email.conections"), "{complaint}");
    let world = world.with("EMAIL__TRANSPORT", "smtp://127.0.0.1:1?tls=none&hello=shop%2Eexample");
    let shown = world.printed(&["config"], &[]).await;
    assert!(shown.contains("transport = \"smtp://127.0.0.1:1?tls=none&hello=shop%2Eexample\""), "{shown}");
    let world = world
        .with("EMAIL__TRANSPORT", "sandbox")
        .with("TELEMETRY__LEVEL", "info,engine=loud")
        .with("OBJECTS__DIRECTORY", "")
        .with("OBJECTS__S3_ENDPOINT", "http://127.0.0.1:1");
    let output = world.run(&["doctor"], &[]).await;
    let found = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success(), "{found}");
    assert!(found.contains("BAD  logs: telemetry.level") && found.contains("BAD  objects: s3://"), "{found}");
    let world = world.with("TELEMETRY__LEVEL", "warn").with("OBJECTS__S3_ENDPOINT", "");
    let found = world.printed(&["doctor"], &[]).await;
    assert!(found.contains("ok   data directory") || found.contains("note data directory"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_status_and_metrics_need_no_signature() {
    let world = World::new();
    let server = world.serve().await;
    app(&server.sdk()).await;
    for (path, part) in [
        ("/health", "\"status\":\"ok\""),
        ("/status", "\"projection\""),
        ("/metrics", "counterpoint_api_requests_total{operation=\"CreateApp\",status=\"201\"} 1"),
    ] {
        let (status, body) = server.call("GET", path, "").await;
        assert!(status == 200 && body.contains(part), "{path}: {status} {body}");
    }
    server.stop().await;
}
