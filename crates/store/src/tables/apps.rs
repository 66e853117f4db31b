//! Everything that is kept for an application: what its deletion clears.

use domain::audience::AppKey;

use super::definitions::settings;
use super::outbox::{Lane, pages_of_app};
use crate::key::{Key, Scope, Table};
use crate::log::Shard;

/// What the keys of all rows of an application begin with, in key order. Left out is what ends by itself: due rows and
/// intents, whose work finds nothing to do any more, and the requests of direct messages, which expire. Left out is the
/// summary of the audience too: it says that the application is deleted, to records that come late.
pub fn all(shard: Shard, app: &AppKey) -> Vec<Key> {
    let (account, id) = (app.account.as_str(), app.app.as_str());
    let of_app =
        Table::ALL.into_iter().filter(|table| table.scope() == Scope::App && *table != Table::Audiences);
    let mut prefixes: Vec<Key> = of_app.map(|table| Key::new(table).text(account).text(id)).collect();
    prefixes.extend(settings(account).rows_of(id));
    prefixes.extend(Lane::ALL.map(|lane| pages_of_app(shard, lane, app)));
    prefixes.sort();
    prefixes
}
