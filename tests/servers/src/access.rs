//! Where a server is, who may use it, and whether it has conditional writes.

/// Where a server is and who may use it.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

/// Whether the server of a name of [`wanted`](crate::wanted) has conditional writes, without which a store is for one process: Garage has
/// none, versitygw looks and writes in two steps, and one of the environment is said to have none by
/// `PORTICO_TEST_S3_SINGLE_RUNNER=true`.
pub(crate) fn has_conditions(name: &str) -> bool {
    match name {
        "garage" | "versitygw" => false,
        "env" => std::env::var_os("PORTICO_TEST_S3_SINGLE_RUNNER").is_none_or(|value| value != "true"),
        _ => true,
    }
}
