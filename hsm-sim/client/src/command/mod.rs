//! One typed method per command, one file per family. Values are plain types; wire messages stay in here.

mod control;
mod crypto;
mod info;
mod keys;
mod users;

pub use crypto::{DataKey, Decrypted};
pub use info::{CommandCount, HsmInfo, HsmState};
pub use keys::{FoundKeys, GeneratedKey, InsertedKey, KeyRecord, KeySearch, NewKey};
pub use users::{LoggedIn, NewUser, PasswordChange, UserInfo, UserSummary, UserType};

/// Random identifier of one operation: sent twice, it is one operation (P1, P2).
pub type OpId = [u8; 16];
