//! Identifiers: every documented form reads back as written, everything else is refused with the right class of error.

use super::*;
use proptest::prelude::*;

const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
const KEY_ARN: &str = "arn:aws:kms:local-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ALIAS_ARN: &str = "arn:aws:kms:local-1:111122223333:alias/team/a:b";

#[test]
fn the_four_documented_forms_are_read_and_written_alike_key_11() {
    let forms = [(ID, false), (KEY_ARN, false), ("alias/team/a:b", true), (ALIAS_ARN, true)];
    for (text, is_alias) in forms {
        let reference = KeyReference::parse(text).unwrap();
        assert_eq!(reference.is_alias(), is_alias, "{text}");
        let written = match &reference {
            KeyReference::Id(id) => id.to_string(),
            KeyReference::Arn(arn) => arn.to_string(),
            KeyReference::Alias(name) => name.to_string(),
            KeyReference::AliasArn(arn) => arn.to_string(),
        };
        assert_eq!(written, text);
    }
}

#[test]
fn only_arns_name_an_account_key_13() {
    let account = "111122223333".parse().ok();
    assert_eq!(KeyReference::parse(KEY_ARN).unwrap().account(), account);
    assert_eq!(KeyReference::parse(ALIAS_ARN).unwrap().account(), account);
    assert_eq!(KeyReference::parse(ID).unwrap().account(), None);
    assert_eq!(KeyReference::parse("alias/x").unwrap().account(), None);
}

#[test]
fn what_begins_like_an_arn_and_is_none_is_a_bad_arn_key_15() {
    let texts = [
        "arn:",
        "arn:aws:kms",
        "arn:aws:s3:local-1:111122223333:key/x",
        "arn:aws:kms:local-1:1111:key/x",
        "arn:aws:kms:local-1:111122223333:key/x",
        "arn:aws:kms:local-1:111122223333:alias/",
        "arn:aws:kms::111122223333:alias/x",
        "arn::kms:local-1:111122223333:alias/x",
        "arn:aws:kms:local-1:111122223333:",
        "arn:aws:kms:local-1:111122223333:KEY/1234abcd-12ab-34cd-56ef-1234567890ab",
    ];
    for text in texts {
        assert_eq!(KeyReference::parse(text), Err(KeyReferenceError::InvalidArn), "{text}");
    }
}

#[test]
fn a_key_id_has_one_spelling() {
    let texts = [
        ID.to_uppercase(),
        ID.replace('-', ""),
        format!("{{{ID}}}"),
        format!(" {ID}"),
        format!("{ID} "),
        ID[1..].to_owned(),
    ];
    for text in texts {
        assert_eq!(KeyReference::parse(&text), Err(KeyReferenceError::Unknown), "{text}");
    }
}

#[test]
fn a_reference_has_1_to_2048_characters() {
    assert_eq!(KeyReference::parse(""), Err(KeyReferenceError::Length));
    assert_eq!(KeyReference::parse(&"a".repeat(2049)), Err(KeyReferenceError::Length));
    assert_eq!(KeyReference::parse(&"a".repeat(2048)), Err(KeyReferenceError::Unknown));
}

#[test]
fn alias_names_follow_key_71() {
    let longest = format!("alias/{}", "a".repeat(250));
    for text in ["alias/a", "alias/A_b-c/d:e", longest.as_str()] {
        assert!(text.parse::<AliasName>().is_ok(), "{text}");
    }
    let too_long = format!("{longest}a");
    for text in ["alias/", "alias", "Alias/a", "alias/a b", "alias/ä", "a", too_long.as_str()] {
        assert!(text.parse::<AliasName>().is_err(), "{text}");
    }
    assert!("alias/aws/s3".parse::<AliasName>().unwrap().is_reserved());
    assert!(!"alias/awsome".parse::<AliasName>().unwrap().is_reserved());
}

#[test]
fn an_account_id_keeps_its_leading_zeros() {
    assert_eq!("000000000012".parse::<AccountId>().unwrap().to_string(), "000000000012");
    for text in ["", "12345678901", "1234567890123", "12345678901a", "+12345678901", "１２３４"] {
        assert!(text.parse::<AccountId>().is_err(), "{text}");
    }
}

#[test]
fn base_32_takes_five_bits_a_character() {
    assert_eq!(base32(&[0; 10], 16), "a".repeat(16));
    assert_eq!(base32(&[0xff; 10], 16), "7".repeat(16));
    // 00001 00010 00011 00100 00101 00110 00111 01000
    assert_eq!(base32(&[0b0000_1000, 0b1000_0110, 0b0100_0010, 0b1001_1000, 0b1110_1000], 8), "bcdefghi");
}

proptest! {
    #[test]
    fn identifiers_made_from_random_bytes_read_back(a in any::<[u8; 16]>(), b in any::<[u8; 10]>(), c in any::<[u8; 9]>(), d in any::<[u8; 8]>()) {
        let key = KeyId::from_random(a);
        prop_assert_eq!(key.to_string().parse(), Ok(key));
        prop_assert_eq!(key.to_string().as_bytes()[14], b'4');
        prop_assert_eq!(KeyId::from_bytes(*key.as_bytes()), key);
        let cluster = ClusterId::from_random(b);
        prop_assert_eq!(cluster.as_str().parse(), Ok(cluster.clone()));
        let hsm = HsmId::from_random(b);
        prop_assert_eq!(hsm.as_str().parse(), Ok(hsm.clone()));
        let store = CustomKeyStoreId::from_random(c);
        prop_assert_eq!(store.as_str().parse(), Ok(store.clone()));
        let account = AccountId::from_random(d);
        prop_assert_eq!(account.to_string().parse(), Ok(account));
    }

    #[test]
    fn no_text_makes_parsing_panic(text in "\\PC{0,80}") {
        let _ = KeyReference::parse(&text);
        let _ = KeyReference::parse(&format!("arn:aws:kms:{text}"));
        let _ = text.parse::<ClusterId>();
        let _ = text.parse::<CustomKeyStoreId>();
    }
}
