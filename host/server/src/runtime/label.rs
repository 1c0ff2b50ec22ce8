//! The label that tells portals apart in metrics.

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use std::fmt;
use std::sync::Arc;

/// The label `portal`. Absent if the server has one portal. Its values come from the configuration, so they are few.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PortalLabel(Option<Arc<str>>);

impl PortalLabel {
    /// Creates the label of one of several portals.
    pub fn new(name: &str) -> PortalLabel {
        PortalLabel(Some(name.into()))
    }

    /// Returns the portal's name, if the server has several portals.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl EncodeLabelSet for PortalLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        match &self.0 {
            Some(name) => [("portal", &**name)].encode(encoder),
            None => Ok(()),
        }
    }
}
