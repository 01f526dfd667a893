//! From the common options to clients, and from the clients' errors to exit codes.

use leasehold_client::{
    AcquireError, Client, ClientConfig, RequestError, StoreClient, StoreConfig, StoreError,
    WatchError,
};
use leasehold_types::{FencingToken, StoreRefusal};

use crate::args::Common;
use crate::exit::Failure;

impl Common {
    /// A client of the lease cluster.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        if self.endpoints.is_empty() {
            return Err(Failure::usage(
                "which cluster? pass --endpoints HOST:PORT,... or set LEASEHOLD_ENDPOINTS",
            ));
        }
        let config = ClientConfig {
            endpoints: self.endpoints.clone(),
            holder: default_holder(),
            request_timeout: self.timeout,
            ..ClientConfig::default()
        };
        Ok(Client::new(config)?)
    }

    /// A client of the store.
    pub(crate) fn store_client(&self, cluster_id: &str) -> Result<StoreClient, Failure> {
        let Some(endpoint) = self.store.clone() else {
            return Err(Failure::usage(
                "which store? pass --store HOST:PORT or set LEASEHOLD_STORE",
            ));
        };
        let config = StoreConfig {
            endpoint,
            cluster_id: cluster_id.to_owned(),
            request_timeout: self.timeout,
            ..StoreConfig::default()
        };
        Ok(StoreClient::with(config)?)
    }
}

/// `host/pid/leasehold`, cut to what a holder may be.
fn default_holder() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host: String = host.chars().filter(|c| !c.is_control()).take(60).collect();
    format!("{host}/{}/leasehold", std::process::id())
}

/// Takes a token from the command line.
pub(crate) fn token(value: u64) -> Result<FencingToken, Failure> {
    Ok(FencingToken::from_wire(value)?)
}

impl From<AcquireError> for Failure {
    fn from(error: AcquireError) -> Self {
        match error {
            AcquireError::BadField(bad) => bad.into(),
            AcquireError::Refused(refusal) => refusal.into(),
            AcquireError::Fault(fault) => fault.into(),
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::BadField(bad) => bad.into(),
            RequestError::Refused(refusal) => refusal.into(),
            RequestError::Fault(fault) => fault.into(),
        }
    }
}

impl From<WatchError> for Failure {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::BadField(bad) => bad.into(),
            WatchError::Refused(refusal) => refusal.into(),
            WatchError::Fault(fault) => fault.into(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::BadField(bad) => bad.into(),
            StoreError::StaleToken { token, mark_token, mark_sequence } => {
                StoreRefusal::StaleToken { token, mark_token, mark_sequence }.into()
            }
            StoreError::Refused(refusal) => refusal.into(),
            StoreError::Lost(reason) => Self::lease_lost(format!("the lease is lost: {reason}")),
            StoreError::Fault(fault) => fault.into(),
        }
    }
}
