//! The commands beside `serve`.

use crate::config::Config;

pub(crate) mod backup;
pub(crate) mod doctor;
pub(crate) mod keys;

/// `counterpoint config`.
#[expect(clippy::print_stdout, reason = "what the command answers")]
pub(crate) fn show_config(config: &Config, defaults: bool) {
    if defaults {
        print!("{}", crate::config::DEFAULTS);
    } else {
        print!("{config}");
    }
}
