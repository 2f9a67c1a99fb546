//! Stand-ins for what is outside: HSMs that keep ciphertexts in a table, RBAC as a list, Kubernetes as a log of writes.
//!
//! They exist for tests of the HTTP layer only; real HSMs and a real API server are used in `e2e`.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use hsm_protocol::{BlobHeader, KeyId};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Shared;
use crate::authorize::{Authorizer, AuthorizerUnavailable, Question};
use crate::control::{ControlError, ControlPlane, KeyObject, KeyOrder};
use crate::crypto::{ConnectedStores, CryptoError, DataKey, StoreCrypto};
use crate::index::{Index, KeyEntry};

/// An audit output in memory that can be made to fail.
#[derive(Clone, Default)]
pub(crate) struct Output(pub(crate) Shared<Vec<u8>>, pub(crate) Arc<AtomicBool>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.1.load(Ordering::SeqCst) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Allows everything but the verbs listed.
#[derive(Default)]
pub(crate) struct Rbac {
    pub(crate) denied: Mutex<HashSet<&'static str>>,
    pub(crate) away: AtomicBool,
    pub(crate) asked: Mutex<Vec<Question>>,
}

impl Authorizer for Rbac {
    fn decide(&self, question: Question) -> BoxFuture<'static, Result<bool, AuthorizerUnavailable>> {
        let allowed = !self.denied.lock().unwrap().contains(question.verb);
        self.asked.lock().unwrap().push(question);
        let away = self.away.load(Ordering::SeqCst);
        async move { if away { Err(AuthorizerUnavailable) } else { Ok(allowed) } }.boxed()
    }
}

/// Plaintext and context by ciphertext.
type Sealed = BTreeMap<Vec<u8>, (Vec<u8>, Vec<u8>)>;

/// HSMs that remember what they sealed.
#[derive(Default)]
pub(crate) struct Hsms {
    sealed: Shared<Sealed>,
    failure: Shared<Option<CryptoError>>,
    pub(crate) calls: Arc<AtomicUsize>,
    disconnected: AtomicBool,
}

impl Hsms {
    /// From now on every request fails like this; `None` heals.
    pub(crate) fn fail(&self, failure: Option<CryptoError>) {
        *self.failure.lock().unwrap() = failure;
    }

    /// From now on this replica has no connection.
    pub(crate) fn disconnect(&self) {
        self.disconnected.store(true, Ordering::SeqCst);
    }
}

struct HsmStore {
    sealed: Shared<Sealed>,
    failure: Shared<Option<CryptoError>>,
    calls: Arc<AtomicUsize>,
}

impl ConnectedStores for Hsms {
    fn store(&self, _namespace: &str, _id: &str, _generation: i64) -> Option<Arc<dyn StoreCrypto>> {
        let (sealed, failure, calls) = (Arc::clone(&self.sealed), Arc::clone(&self.failure), Arc::clone(&self.calls));
        (!self.disconnected.load(Ordering::SeqCst)).then(|| Arc::new(HsmStore { sealed, failure, calls }) as _)
    }
}

impl HsmStore {
    fn begin(&self) -> Result<(), CryptoError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.failure.lock().unwrap().map_or(Ok(()), Err)
    }

    fn seal(&self, key_id: Uuid, plaintext: &[u8], aad: &[u8]) -> Vec<u8> {
        let random = *Uuid::new_v4().as_bytes();
        let header = BlobHeader::new(KeyId(key_id.into_bytes()), [1; 16], random);
        let blob = [&header.encode()[..], &vec![0xee; plaintext.len() + 16]].concat();
        self.sealed.lock().unwrap().insert(blob.clone(), (plaintext.to_vec(), aad.to_vec()));
        blob
    }
}

impl StoreCrypto for HsmStore {
    fn encrypt<'a>(
        &'a self,
        key_id: Uuid,
        plaintext: &'a [u8],
        aad: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, CryptoError>> {
        async move { self.begin().map(|()| self.seal(key_id, plaintext, aad)) }.boxed()
    }

    fn decrypt<'a>(&'a self, blob: &'a [u8], aad: &'a [u8]) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, CryptoError>> {
        async move {
            self.begin()?;
            let sealed = self.sealed.lock().unwrap();
            let (plaintext, bound) = sealed.get(blob).ok_or(CryptoError::CiphertextInvalid)?;
            if bound == aad { Ok(Zeroizing::new(plaintext.clone())) } else { Err(CryptoError::CiphertextInvalid) }
        }
        .boxed()
    }

    fn generate_data_key<'a>(
        &'a self,
        key_id: Uuid,
        length: usize,
        aad: &'a [u8],
        with_plaintext: bool,
    ) -> BoxFuture<'a, Result<DataKey, CryptoError>> {
        async move {
            self.begin()?;
            let mut plaintext = Zeroizing::new(vec![0; length]);
            aws_lc_rs::rand::fill(&mut plaintext).unwrap();
            let blob = self.seal(key_id, &plaintext, aad);
            Ok(DataKey { blob, plaintext: with_plaintext.then_some(plaintext) })
        }
        .boxed()
    }

    fn generate_random(&self, length: usize) -> BoxFuture<'_, Result<Zeroizing<Vec<u8>>, CryptoError>> {
        async move { self.begin().map(|()| Zeroizing::new(vec![0xab; length])) }.boxed()
    }
}

/// What a stand-in controller does with a new key object.
pub(crate) type Controller = Box<dyn Fn(&Index, &str, KeyEntry) + Send + Sync>;

/// Kubernetes as a log of writes, with a controller that can be scripted.
#[derive(Default)]
pub(crate) struct Kube {
    pub(crate) index: Arc<Index>,
    pub(crate) log: Mutex<Vec<String>>,
    pub(crate) orders: Mutex<Vec<KeyOrder>>,
    pub(crate) failure: Mutex<Option<ControlError>>,
    pub(crate) controller: Mutex<Option<Controller>>,
    pub(crate) unseen: Mutex<Vec<(String, KeyEntry)>>,
}

impl Kube {
    fn write(&self, entry: String) -> Result<(), ControlError> {
        let failure = self.failure.lock().unwrap().clone();
        failure.map_or_else(
            || {
                self.log.lock().unwrap().push(entry);
                Ok(())
            },
            Err,
        )
    }

    pub(crate) fn written(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

impl ControlPlane for Kube {
    fn create_key<'a>(&'a self, namespace: &'a str, order: KeyOrder) -> BoxFuture<'a, Result<KeyObject, ControlError>> {
        async move {
            // The API server makes a name once.
            if self.orders.lock().unwrap().iter().any(|made| made.name == order.name) {
                return Err(ControlError::Exists);
            }
            self.write(format!("create {namespace}"))?;
            self.orders.lock().unwrap().push(order);
            let (name, uid) = ("key-new".to_owned(), "uid-new".to_owned());
            let entry = KeyEntry {
                name: name.as_str().into(),
                uid: uid.clone(),
                resource_version: "5".to_owned(),
                ordered: false,
                rejection: None,
                published: None,
            };
            self.index.put_key(namespace, entry.clone());
            if let Some(controller) = self.controller.lock().unwrap().as_ref() {
                controller(&self.index, namespace, entry);
            }
            Ok(KeyObject { name, uid })
        }
        .boxed()
    }

    fn delete_key<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        uid: &'a str,
        version: &'a str,
    ) -> BoxFuture<'a, Result<(), ControlError>> {
        async move { self.write(format!("delete {namespace}/{name} {uid}@{version}")) }.boxed()
    }

    fn find_key<'a>(&'a self, namespace: &'a str, id: Uuid) -> BoxFuture<'a, Result<Option<KeyEntry>, ControlError>> {
        async move {
            let unseen = self.unseen.lock().unwrap();
            let found = unseen
                .iter()
                .find(|(owner, key)| owner == namespace && key.published.as_ref().is_some_and(|key| key.key_id == id));
            Ok(found.map(|(_, key)| key.clone()))
        }
        .boxed()
    }

    fn connect<'a>(&'a self, namespace: &'a str, store_name: &'a str) -> BoxFuture<'a, Result<(), ControlError>> {
        async move { self.write(format!("connect {namespace}/{store_name}")) }.boxed()
    }

    fn disconnect<'a>(
        &'a self,
        namespace: &'a str,
        store_name: &'a str,
        by: &'a str,
    ) -> BoxFuture<'a, Result<(), ControlError>> {
        async move { self.write(format!("disconnect {namespace}/{store_name} by {by}")) }.boxed()
    }
}
