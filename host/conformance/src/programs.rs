//! The programs of the suite, and the cases that they name.

/// All programs by name, each with its component. They are of the world `portico:conformance/program`.
pub(crate) const PROGRAMS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/programs.rs"));

/// Programs of this prefix fail on purpose: they test the runner.
const SELF_CHECK: &str = "self_";

/// A case of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The program.
    pub program: &'static str,
    /// The name of the case in it.
    pub name: String,
    /// How many instances run at once.
    pub instances: u32,
    /// How many hosts share the store. Instances go to them in turn.
    pub hosts: u32,
    /// What a backend must be able to, `several-hosts` included.
    pub needs: Vec<String>,
}

impl Case {
    /// Whether this case fails on purpose, to test the runner. Its name says how; see `Failure::kind`.
    pub fn is_self_check(&self) -> bool {
        self.program.starts_with(SELF_CHECK)
    }
}

/// The cases that a program has printed.
pub(crate) fn parse(program: &'static str, text: &str) -> Vec<Case> {
    text.lines().map(|line| parse_line(program, line)).collect()
}

fn parse_line(program: &'static str, line: &str) -> Case {
    let mut words = line.split(' ');
    let name = words.next().unwrap_or_default().to_owned();
    let mut case = Case { program, name, instances: 1, hosts: 1, needs: Vec::new() };
    for word in words {
        match word.split_once('=') {
            Some(("instances", count)) => case.instances = count.parse().expect("a number of instances"),
            Some(("hosts", count)) => {
                case.hosts = count.parse().expect("a number of hosts");
                case.needs.push("several-hosts".to_owned());
            }
            Some(("needs", capability)) => case.needs.push(capability.to_owned()),
            _ => panic!("{program} says something unknown of a case: {line}"),
        }
    }
    case
}
