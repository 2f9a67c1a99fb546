//! One file per command of port 2223. Each checks what only it can know; role and state were checked before.

pub(crate) mod acquire_fence;
pub(crate) mod change_password;
pub(crate) mod claim;
pub(crate) mod create_user;
pub(crate) mod decrypt;
pub(crate) mod delete_user;
pub(crate) mod drop_generation;
pub(crate) mod encrypt;
pub(crate) mod find_keys;
pub(crate) mod generate_data_key;
pub(crate) mod generate_key;
pub(crate) mod generate_random;
pub(crate) mod hello;
pub(crate) mod hsm_info;
pub(crate) mod key_use;
pub(crate) mod list_users;
pub(crate) mod login;
pub(crate) mod masked_key;
pub(crate) mod open_delegation;
pub(crate) mod read_key;
pub(crate) mod register_delegates;
pub(crate) mod set_key_state;
pub(crate) mod user_info;
