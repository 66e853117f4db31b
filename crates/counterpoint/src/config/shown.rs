//! The configuration in force, as TOML without secrets.

use std::fmt;
use std::path::Path;

use api::secrets::Secret;
use engine::dispatch::MissingValues;

use super::{
    Auth, Aws, Config, Deliveries, Email, EmailTransportKind, Log, LogFormat, ObjectsSection, Outbound, Push,
    Quotas, Server, Store, Telemetry,
};

/// Stands for a secret that is set.
const MASKED: &str = "***";

impl fmt::Display for Config {
    /// Names every field, so that a new one must be decided.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            server,
            auth,
            telemetry,
            log,
            store,
            quotas,
            deliveries,
            email,
            objects,
            sms,
            voice,
            push,
            aws,
            outbound,
        } = self;
        let Server { listen, data_dir, throttle_scale } = server;
        writeln!(
            out,
            "[server]\nlisten = \"{listen}\"\ndata_dir = {:?}\nthrottle_scale = {throttle_scale:?}\n",
            text(data_dir)
        )?;
        let Auth { account_id, root_access_key_id, root_secret_access_key, master_key_file: _ } = auth;
        writeln!(out, "[auth]\naccount_id = {account_id:?}\nroot_access_key_id = {root_access_key_id:?}")?;
        writeln!(out, "root_secret_access_key = {:?}", masked(root_secret_access_key))?;
        writeln!(out, "master_key_file = {:?}\n", text(&self.master_key_file()))?;
        let Telemetry { level, format } = telemetry;
        let format = match format {
            LogFormat::Auto => "auto",
            LogFormat::Pretty => "pretty",
            LogFormat::Json => "json",
        };
        writeln!(out, "[telemetry]\nlevel = {level:?}\nformat = {format:?}\n")?;
        let Log { compress, disk_bytes_max } = log;
        writeln!(out, "[log]\ncompress = {compress}\ndisk_bytes_max = {disk_bytes_max}\n")?;
        let Store { cache_bytes, memtable_bytes, reserve_bytes } = store;
        writeln!(
            out,
            "[store]\ncache_bytes = {cache_bytes}\nmemtable_bytes = {memtable_bytes}\nreserve_bytes = {reserve_bytes}\n"
        )?;
        let Quotas { ingest_bytes_per_second, endpoints, index_bytes, outbox_rows } = quotas;
        writeln!(
            out,
            "[quotas]\ningest_bytes_per_second = {ingest_bytes_per_second}\nendpoints = {endpoints}\nindex_bytes = {index_bytes}\noutbox_rows = {outbox_rows}\n"
        )?;
        let Deliveries { retention_days } = deliveries;
        writeln!(out, "[deliveries]\nretention_days = {retention_days}\n")?;
        email_section(email, out)?;
        objects_section(objects, out)?;
        for (name, section) in [("sms", sms), ("voice", voice)] {
            let shown = if section.transport.reveal() == "sandbox" { "sandbox" } else { MASKED };
            writeln!(out, "[{name}]\ntransport = {shown:?}\n")?;
        }
        let Push { apns_endpoint, fcm_endpoint } = push;
        writeln!(out, "[push]\napns_endpoint = {apns_endpoint:?}\nfcm_endpoint = {fcm_endpoint:?}\n")?;
        let Aws { endpoint, access_key_id, secret_access_key } = aws;
        writeln!(
            out,
            "[aws]\nendpoint = {endpoint:?}\naccess_key_id = {access_key_id:?}\nsecret_access_key = {:?}\n",
            masked(secret_access_key)
        )?;
        let Outbound { allow_private_networks } = outbound;
        writeln!(out, "[outbound]\nallow_private_networks = {allow_private_networks}")
    }
}

fn objects_section(objects: &ObjectsSection, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let ObjectsSection { directory, s3_endpoint, s3_access_key_id, s3_secret_access_key, s3_region } =
        objects;
    writeln!(
        out,
        "[objects]\ndirectory = {:?}\ns3_endpoint = {s3_endpoint:?}\ns3_access_key_id = {s3_access_key_id:?}",
        text(directory)
    )?;
    writeln!(out, "s3_secret_access_key = {:?}\ns3_region = {s3_region:?}\n", masked(s3_secret_access_key))
}

fn email_section(email: &Email, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Email {
        transport,
        connections,
        transactional_connections,
        messages_per_second,
        transactional_messages_per_second,
        attempts_max,
        backoff_seconds,
        backoff_seconds_max,
        missing_values,
        list_unsubscribe_url,
        list_unsubscribe_mailto,
        dkim,
    } = email;
    let transport = match transport {
        EmailTransportKind::Sandbox => "sandbox".to_owned(),
        EmailTransportKind::Smtp(options) => options.url(),
    };
    let missing_values = match missing_values {
        MissingValues::Refuse => "refuse",
        MissingValues::Blank => "blank",
    };
    writeln!(out, "[email]\ntransport = {transport:?}\nconnections = {connections}")?;
    writeln!(
        out,
        "transactional_connections = {transactional_connections}\nmessages_per_second = {messages_per_second}"
    )?;
    writeln!(
        out,
        "transactional_messages_per_second = {transactional_messages_per_second}\nattempts_max = {attempts_max}\nbackoff_seconds = {backoff_seconds}\nbackoff_seconds_max = {backoff_seconds_max}"
    )?;
    writeln!(out, "missing_values = {missing_values:?}\nlist_unsubscribe_url = {list_unsubscribe_url:?}")?;
    writeln!(out, "list_unsubscribe_mailto = {list_unsubscribe_mailto:?}")?;
    for key in dkim {
        writeln!(
            out,
            "\n[[email.dkim]]\ndomain = {:?}\nselector = {:?}\nkey_file = {:?}",
            key.domain,
            key.selector,
            text(&key.key_file)
        )?;
    }
    writeln!(out)
}

/// A path as a text that TOML reads.
fn text(path: &Path) -> String {
    path.display().to_string()
}

fn masked(secret: &Secret) -> &'static str {
    if secret.reveal().is_empty() { "" } else { MASKED }
}
