//! What comes with the command line: completions and the manual page.

use crate::fixture::{portico, run};
use portico_cli::config::KEYS;
use std::io::Write;
use std::process::{Command, Stdio};

/// The commands, in the words of `--help`.
fn commands() -> Vec<String> {
    let help = run(portico(["--help"])).out;
    let (_, list) = help.split_once("Commands:\n").expect("a list of commands");
    let lines = list.lines().take_while(|line| !line.is_empty());
    let names: Vec<String> = lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    assert!(["serve", "check", "sweep", "man"].iter().all(|name| names.iter().any(|known| known == name)), "{names:?}");
    names
}

fn printed(arguments: &[&str]) -> String {
    let said = run(portico(arguments));
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{arguments:?}");
    said.out
}

#[test]
fn each_shell_completes_each_command_and_setting() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completions", shell]);
        for name in commands() {
            assert!(script.contains(&name), "{shell}: no {name}");
        }
        for key in KEYS {
            assert!(script.contains(&key.flag()), "{shell}: no {}", key.flag());
        }
        if !["bash", "fish", "zsh"].contains(&shell) {
            continue;
        }
        // Where the shell is there, it says whether it can read that.
        let Ok(mut reader) = Command::new(shell).arg("-n").stdin(Stdio::piped()).spawn() else { continue };
        reader.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("a shell that reads");
        assert!(reader.wait().expect("a shell").success(), "{shell}");
    }
    let said = run(portico(["completions", "cmd"]));
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("bash"), "{}", said.err);
}

#[test]
fn bash_completes() {
    let script = printed(&["completions", "bash"]);
    let completed = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        let ask = format!(
            "{script}\nCOMP_WORDS=({line}); COMP_CWORD={}; _portico portico '{last}' '{before}'; echo \"${{COMPREPLY[*]}}\"",
            words.len() - 1
        );
        let said = run({
            let mut bash = Command::new("bash");
            bash.args(["--norc", "-c", &ask]).stdin(Stdio::null());
            bash
        });
        assert_eq!((said.code, &*said.err), (Some(0), ""), "{line}");
        said.out
    };
    assert_eq!(completed("portico con"), "conformance\n");
    assert_eq!(completed("portico serve --max-r"), "--max-requests\n");
}

#[test]
fn the_manual_page_has_each_command_and_setting() {
    // As it is read: in roff a dash and a quote that are to stay so are escaped.
    let page = printed(&["man"]).replace("\\-", "-").replace("\\*(Aq", "'");
    assert!(page.contains("\n.TH portico 1 "), "{page}");
    for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "SETTINGS", "\"EXIT STATUS\""] {
        assert!(page.contains(&format!("\n.SH {section}\n")), "no {section} in {page}");
    }
    for name in commands().iter().filter(|name| *name != "help") {
        assert!(page.contains(&format!("\n.SS \"portico {name}")), "no {name} in {page}");
    }
    assert!(page.contains("--rebuild") && page.contains("<SHELL>"), "{page}");
    for key in KEYS {
        for word in [format!("--{} <{}>", key.flag(), key.value), key.variable(), key.help.to_owned()] {
            assert!(page.contains(&word), "no {word} in {page}");
        }
    }
    // Where there is one, a formatter says whether it can read that.
    let formatter = Command::new("groff")
        .args(["-man", "-Tutf8", "-ww", "-z"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut formatter) = formatter else { return };
    formatter.stdin.take().expect("a pipe").write_all(printed(&["man"]).as_bytes()).expect("a formatter that reads");
    let said = formatter.wait_with_output().expect("a formatter");
    assert!(said.status.success() && said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
}
