//! `PutEvents` bodies as a mobile SDK sends them: 100 events of 10 endpoints, about 57 KB.

use std::fmt::Write;

use domain::time::Timestamp;

/// Events of a body.
pub(crate) const EVENTS: usize = 100;
/// Endpoints of a body.
pub(crate) const ENDPOINTS: usize = 10;

/// A body whose event ids are numbered from `first` on, for endpoints out of a population of `population`.
pub(crate) fn events(first: u64, population: u64, now: Timestamp) -> String {
    let mut body = String::with_capacity(60 << 10);
    body.push_str(r#"{"BatchItem":{"#);
    for place in 0..ENDPOINTS as u64 {
        let endpoint = (first / EVENTS as u64 * 7 + place * (population / ENDPOINTS as u64)) % population;
        if place > 0 {
            body.push(',');
        }
        let _ = write!(body, r#""{}":{{"Endpoint":{{}},"Events":{{"#, endpoint_id(endpoint));
        for number in 0..(EVENTS / ENDPOINTS) as u64 {
            if number > 0 {
                body.push(',');
            }
            event(&mut body, first + place * 10 + number, now);
        }
        body.push_str("}}");
    }
    body.push_str("}}");
    body
}

fn event(body: &mut String, id: u64, now: Timestamp) {
    let kind =
        ["_session.start", "product_viewed", "cart_updated", "_monetization.purchase"][(id % 4) as usize];
    let _ = write!(
        body,
        r#""{id:016x}-4b6e-9c0d-000000000000":{{"EventType":"{kind}","Timestamp":"{now}","AppPackageName":"com.example.shop","AppTitle":"Example Shop","AppVersionCode":"4.12.{}","SdkName":"aws-sdk-android","ClientSdkVersion":"2.77.1","Attributes":{{"screen":"product/{}","category":"outdoor","referrer":"newsletter-{}","experiment":"checkout-b","language":"de_DE"}},"Metrics":{{"price":{}.95,"position":{}}},"Session":{{"Id":"{:08x}-20261124-081530","StartTimestamp":"{now}"}}}}"#,
        id % 40,
        id % 5_000,
        id % 52,
        id % 300,
        id % 24,
        id % 100_000,
    );
}

/// The id of an endpoint of the population.
pub(crate) fn endpoint_id(number: u64) -> String {
    format!("device-{number:012x}")
}

/// An endpoint as `UpdateEndpointsBatch` takes it: about 650 bytes.
pub(crate) fn endpoint(number: u64) -> serde_json::Value {
    let country = ["DE", "FR", "US", "JP", "BR", "IN", "GB", "ES"][(number % 8) as usize];
    let plan = ["free", "free", "free", "pro", "team"][(number % 5) as usize];
    serde_json::json!({
        "Id": endpoint_id(number),
        "Address": format!("person{number}@example.com"),
        "ChannelType": "EMAIL",
        "Attributes": {
            "plan": [plan], "interest": [format!("topic-{}", number % 40)], "tier": [format!("t{}", number % 3)],
            "store": [format!("store-{}", number % 700)], "newsletter": [if number.is_multiple_of(3) { "weekly" } else { "daily" }],
        },
        "Metrics": { "orders": number % 50, "value": (number % 10_000) as f64 / 10.0 },
        "Demographic": {
            "AppVersion": format!("4.{}", number % 30), "Locale": "de_DE", "Make": "Example", "Model": format!("M{}", number % 90),
            "Platform": if number.is_multiple_of(2) { "android" } else { "ios" }, "PlatformVersion": "14", "Timezone": "Europe/Berlin",
        },
        "Location": { "Country": country, "City": format!("City{}", number % 2_000), "Latitude": 52.5, "Longitude": 13.4 },
    })
}
