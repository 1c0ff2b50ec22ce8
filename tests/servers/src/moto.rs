use crate::process::{Missing, Process, find};
use crate::server::Access;
use std::path::PathBuf;
use std::sync::Arc;
pub(crate) fn program() -> Result<PathBuf, Missing> {
    find("PORTICO_TEST_MOTO", "moto/bin/moto")
}
pub(crate) async fn start() -> Result<(Access, Arc<Process>), Missing> {
    program()?;
    Err(Missing(String::new()))
}
