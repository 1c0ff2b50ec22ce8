//! `portico man`: one page for all commands and settings, rendered from the command line's definition.

use super::error::Error;
use crate::config::{PORTAL_KEYS, PORTAL_SETTINGS, PREFIX};
use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::io::{self, Write};
use std::process::ExitCode;

pub(super) fn command() -> Command {
    Command::new("man").about("Print the manual page")
}

/// Prints the page of `all`. `settings` are the flags of the settings.
pub(super) fn run(all: Command, settings: &[Arg]) -> Result<ExitCode, Error> {
    let mut out = std::io::stdout().lock();
    page(all, settings).and_then(|page| out.write_all(&page)).and_then(|()| out.flush()).map_err(Error::Output)?;
    Ok(ExitCode::SUCCESS)
}

fn page(mut all: Command, settings: &[Arg]) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = Man::new(all.clone()).manual("Portico");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;

    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    all.build();
    for command in all.get_subcommands_mut().filter(|command| command.get_name() != "help" && !command.is_hide_set()) {
        let usage = command.render_usage().to_string();
        roff.control("SS", [usage.trim_start_matches("Usage: ")]);
        roff.text([roman(command.get_about().map(ToString::to_string).unwrap_or_default())]);
        let own =
            |arg: &&Arg| arg.get_id() != "help" && settings.iter().all(|setting| setting.get_id() != arg.get_id());
        command.get_arguments().filter(own).for_each(|arg| option(&mut roff, arg));
    }
    roff.control("SH", ["SETTINGS"]);
    let what = format!(
        "A setting is an option of the commands that have [OPTIONS], an environment variable, or a key of the \
         configuration file, in this order of precedence. The variable is {PREFIX} and the key in capitals; the key is the \
         option with underscores."
    );
    roff.text([roman(what)]);
    let mut configured = Command::new("").disable_help_flag(true).args(settings);
    configured.build();
    configured.get_arguments().for_each(|setting| option(&mut roff, setting));
    roff.control("SH", ["PORTALS"]);
    let what = format!(
        "A server may have several portals on one store. Each is an entry [[portals]] of the configuration file, with the \
         following keys, and with those of the settings {} that are its own. Maintenance runs for each. Metrics of a portal \
         have the label portal, which is its host name and prefix.",
        PORTAL_SETTINGS.join(", ")
    );
    roff.text([roman(what)]);
    for (key, help) in PORTAL_KEYS {
        described(&mut roff, key, help);
    }
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in super::error::EXIT_CODES {
        described(&mut roff, code, meaning);
    }
    roff.to_writer(&mut page)?;
    Ok(page)
}

fn option(roff: &mut Roff, arg: &Arg) {
    described(roff, &arg.to_string(), &arg.get_help().map(ToString::to_string).unwrap_or_default());
}

fn described(roff: &mut Roff, what: &str, text: &str) {
    roff.control("TP", []);
    roff.text([bold(what)]);
    roff.text([roman(text)]);
}
