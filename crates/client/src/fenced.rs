//! Writing under a lease.

use bytes::Bytes;
use leasehold_types::FencingToken;

use crate::StoreError;
use crate::store::{Entry, Mutation, Written};

#[derive(Debug, Default)]
pub(crate) struct Lanes {}

/// A store under one lease.
#[derive(Clone, Debug)]
pub struct FencedStore {}

impl FencedStore {
    /// The token under which this writes.
    pub fn token(&self) -> FencingToken {
        todo!()
    }

    /// Sets a value.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put(&self, key: &str, value: impl Into<Bytes>) -> Result<Written, StoreError> {
        self.write(vec![Mutation::put(key, value)]).await
    }

    /// Removes a key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete(&self, key: &str) -> Result<Written, StoreError> {
        self.write(vec![Mutation::delete(key)]).await
    }

    /// Adds bytes to the end of a value.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn append(&self, key: &str, value: impl Into<Bytes>) -> Result<Written, StoreError> {
        self.write(vec![Mutation::append(key, value)]).await
    }

    /// Applies mutations atomically. An empty list only raises the mark.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn write(&self, mutations: Vec<Mutation>) -> Result<Written, StoreError> {
        todo!("{mutations:?}")
    }

    /// Reads one key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        todo!("{key}")
    }

    /// Reads the keys that start with `prefix`, all pages.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        todo!("{prefix}")
    }
}
