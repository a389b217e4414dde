//! Tokens that this database made, and all others.

use keyward::store::grants::tokens::ForgedOrForeign;

use super::sample::{Dice, opened};

#[test]
fn a_token_names_its_grant_and_no_two_are_equal() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = opened(folder.path()).0.tokens;
    for id in ["", "a", "1b2c3d4e", &"f".repeat(128), "grant/with:signs", "ключ"] {
        let (one, other) = (tokens.mint(id).expect("a token"), tokens.mint(id).expect("a token"));
        assert_ne!(one, other);
        assert_eq!(tokens.read(&one).as_deref(), Ok(id));
        assert_eq!(tokens.read(&other).as_deref(), Ok(id));
        assert!(one.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{one}");
    }
}

#[test]
fn a_token_of_another_database_is_refused() {
    let (ours, theirs) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (ours, theirs) = (opened(ours.path()).0.tokens, opened(theirs.path()).0.tokens);
    let token = theirs.mint("grant").expect("a token");
    assert_eq!(ours.read(&token), Err(ForgedOrForeign));
    assert_eq!(theirs.read(&token).as_deref(), Ok("grant"));
}

#[test]
fn a_token_that_was_altered_in_any_way_is_refused() {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = opened(folder.path()).0.tokens;
    let refused = |text: &str| assert_eq!(tokens.read(text), Err(ForgedOrForeign), "{text}");
    // Of every length modulo three: base64 has spare bits in two of them.
    for id in ["0123456789abcdef", "0123456789abcde", "0123456789abcd"] {
        let token = tokens.mint(id).expect("a token");
        (0..token.len()).for_each(|end| refused(&token[..end]));
        (1..token.len()).for_each(|start| refused(&token[start..]));
        for at in 0..token.len() {
            for letter in ALPHABET.iter().filter(|letter| **letter != token.as_bytes()[at]) {
                let mut altered = token.clone().into_bytes();
                altered[at] = *letter;
                refused(std::str::from_utf8(&altered).expect("ASCII"));
            }
        }
        for more in ["=", "==", "A", "AAAA", " ", "\n", "\0", "ü"] {
            refused(&format!("{token}{more}"));
            refused(&format!("{more}{token}"));
        }
        refused(&format!("{token}{token}"));
    }
    for text in ["", "token", "....", &"A".repeat(8192), &"A".repeat(1_000_000)] {
        refused(text);
    }
    let mut dice = Dice(1);
    let one = tokens.mint("one").expect("a token");
    let other = tokens.mint("other").expect("a token");
    for _ in 0..5_000 {
        // Heads and tails of two true tokens, and letters in between.
        let (cut, from) = (dice.below(one.len()), dice.below(other.len()));
        let middle: String =
            (0..dice.below(8)).map(|_| char::from(ALPHABET[dice.below(64)])).collect();
        let text = format!("{}{middle}{}", &one[..cut], &other[from..]);
        if text != one && text != other {
            refused(&text);
        }
    }
}
