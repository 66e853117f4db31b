//! AWS's SDK for Python, as its users write it.

use std::process::Stdio;

use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, World, python};

#[tokio::test(flavor = "multi_thread")]
async fn boto3_goes_through_what_an_application_does() {
    let world = World::new();
    let server = world.serve().await;
    let output = python("walkthrough.py")
        .env("AWS_ENDPOINT_URL", format!("http://{}", server.address))
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .await
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`cargo xtask test` fetches the Python package boto3: {complaint}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), "done");
    let page = server.get("/counterpoint/v1/sandbox/messages?recipient=grace@example.com").await;
    assert_eq!(page["Messages"][0]["Subject"], "Hello Grace");
    server.stop().await;
}
