//! Lists the server's files, and removes files.

use super::retry::{Tries, retry_until_done};
use crate::client::Client;
use crate::error::Error;
use crate::event::Observer;
use crate::remote::Receipt;
use portico_store::FileId;

/// Files per page.
const PAGE: u32 = 500;

impl Client {
    /// Calls `each` for every file of the server, in the server's order.
    ///
    /// # Errors
    /// [`Error`], or the first error of `each`.
    pub async fn list<E: From<Error>>(
        &self,
        observer: &dyn Observer,
        mut each: impl FnMut(Receipt) -> Result<(), E>,
    ) -> Result<(), E> {
        let patience = self.patience();
        let mut after: Option<String> = None;
        loop {
            let page = retry_until_done(&patience, observer, || self.page(after.as_deref(), PAGE)).await?;
            patience.renew();
            page.files.into_iter().try_for_each(&mut each)?;
            if page.next.is_some() && page.next == after {
                return Err(self.server.unexpected("a page whose cursor leads back to it").into());
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Deletes a file. Returns false if the file did not exist.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn remove_file(&self, id: &str, observer: &dyn Observer) -> Result<bool, Error> {
        FileId::parse(id).map_err(|_| Error::Id(id.to_owned()))?;
        let patience = self.patience();
        let mut tries = Tries::new(&patience, observer);
        let mut unsure = false;
        loop {
            match self.delete(id).await {
                Ok(()) => return Ok(true),
                // Gone after a lost answer means that the lost attempt has deleted the file.
                Err(error) if error.is_absent() => return Ok(unsure && error.is_problem("gone")),
                Err(error) => {
                    unsure |= !matches!(error, Error::Unreachable { .. });
                    tries.again(error).await?;
                }
            }
        }
    }
}
