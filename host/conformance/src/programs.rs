//! The programs of the suite, and the cases that they define.

use crate::stores::TestBackend;

/// The name and component of each program. All are of the world `portico:conformance/program`.
pub(crate) const PROGRAMS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/programs.rs"));

/// Name prefix of programs that fail on purpose, to test the runner.
pub(crate) const SELF_CHECK: &str = "self_";

/// A test case of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The program's name.
    pub program: &'static str,
    /// The name of the case within its program.
    pub name: String,
    /// Instances that run at once.
    pub instances: u32,
    /// Hosts that share the store. Instances are assigned to hosts in turn.
    pub hosts: u32,
    /// Capabilities that a backend needs for the case, `several-hosts` included.
    pub needs: Vec<String>,
}

impl Case {
    /// Returns the name of the case as a test: `BACKEND::PROGRAM::CASE`.
    pub fn test_name(&self, backend: &str) -> String {
        format!("{backend}::{}::{}", self.program, self.name)
    }

    /// Returns a capability that the case needs and the backend lacks.
    pub fn lacks(&self, backend: &dyn TestBackend) -> Option<&str> {
        self.needs.iter().map(String::as_str).find(|needs| !backend.capabilities().contains(needs))
    }

    /// Reports whether the case fails on purpose. Its name begins with the expected `CaseFailure::kind`.
    pub fn is_self_check(&self) -> bool {
        self.program.starts_with(SELF_CHECK)
    }
}

/// Parses the list of cases that a program prints.
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
            _ => panic!("{program} printed an unknown property of a case: {line}"),
        }
    }
    case
}
