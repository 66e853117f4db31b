//! Tags, through AWS's SDK.

use aws_sdk_pinpoint::types::{SmsTemplateRequest, TagsModel};

use crate::support::{ACCOUNT, World};

async fn tags(world: &World, arn: &str) -> Vec<(String, String)> {
    let output = world.sdk().list_tags_for_resource().resource_arn(arn).send().await.unwrap();
    let mut tags: Vec<_> = output.tags_model.unwrap().tags.unwrap().into_iter().collect();
    tags.sort();
    tags
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn tags_are_added_overwritten_and_dropped() {
    let world = World::start().await;
    let sdk = world.sdk();
    let app = world.app("a").await;
    let template = SmsTemplateRequest::builder().body("Hello").tags("from", "create").build();
    let created =
        sdk.create_sms_template().template_name("t").sms_template_request(template).send().await.unwrap();
    let template_arn = created.create_template_message_body.unwrap().arn.unwrap();
    assert_eq!(template_arn, format!("arn:aws:mobiletargeting:eu-central-1:{ACCOUNT}:templates/t/SMS"));
    assert_eq!(tags(&world, &template_arn).await, pairs(&[("from", "create")]));

    let arn = format!("arn:aws:mobiletargeting:eu-central-1:{ACCOUNT}:apps/{app}");
    assert_eq!(tags(&world, &arn).await, pairs(&[]));
    for model in [
        TagsModel::builder().tags("Stage", "Test").tags("Team", "Ü b").build(),
        TagsModel::builder().tags("Stage", "Live").tags("a/b+c", "").build(),
    ] {
        sdk.tag_resource().resource_arn(&arn).tags_model(model).send().await.unwrap();
    }
    assert_eq!(tags(&world, &arn).await, pairs(&[("Stage", "Live"), ("Team", "Ü b"), ("a/b+c", "")]));
    let untag = sdk.untag_resource().resource_arn(&arn).tag_keys("a/b+c").tag_keys("Team").tag_keys("no");
    untag.send().await.unwrap();
    assert_eq!(tags(&world, &arn).await, pairs(&[("Stage", "Live")]));
    let read = sdk.get_app().application_id(&app).send().await.unwrap().application_response.unwrap();
    assert_eq!(read.tags.unwrap()["Stage"], "Live");
}

#[tokio::test]
async fn a_resource_has_at_most_fifty_tags() {
    let world = World::start().await;
    let app = world.app("a").await;
    let arn = format!("arn:aws:mobiletargeting:eu-central-1:{ACCOUNT}:apps/{app}");
    let tag = async |from: usize, to: usize| {
        let mut model = TagsModel::builder();
        for number in from..to {
            model = model.tags(format!("k{number}"), "");
        }
        world.sdk().tag_resource().resource_arn(&arn).tags_model(model.build()).send().await
    };
    tag(0, 50).await.unwrap();
    // The same keys again are no more tags.
    tag(10, 20).await.unwrap();
    assert!(tag(50, 51).await.is_err());
    assert_eq!(tags(&world, &arn).await.len(), 50);
}

#[tokio::test]
async fn what_cannot_be_tagged_is_refused() {
    let world = World::start().await;
    let check = async |arn: &str, status: u16| {
        let path = format!("/v1/tags/{}", arn.replace(':', "%3A").replace('/', "%2F"));
        for (method, path) in
            [("GET", path.clone()), ("POST", path.clone()), ("DELETE", format!("{path}?tagKeys=a"))]
        {
            let answer = world.call(method, &path).body(r#"{"tags":{"a":"b"}}"#).send().await;
            assert_eq!(answer.status, status, "{method} {arn}: {answer:?}");
        }
    };
    let prefix = format!("arn:aws:mobiletargeting:eu-central-1:{ACCOUNT}");
    check(&format!("{prefix}:apps/00000000000000000000000000000000"), 404).await;
    check(&format!("{prefix}:templates/t/EMAIL"), 404).await;
    check(&format!("{prefix}:templates/t/FAX"), 404).await;
    check(&format!("{prefix}:apps/a/journeys/b"), 404).await;
    check(&format!("arn:aws:sns:eu-central-1:{ACCOUNT}:apps/a"), 404).await;
    check("bla", 400).await;
    let app = world.app("a").await;
    let path = format!("/v1/tags/{prefix}:apps%2F{app}");
    let answer = world.call("DELETE", &path).send().await;
    answer.assert_error(400, "BadRequestException", "tagKeys is required");
}
