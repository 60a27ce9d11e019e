//! What all texts have in common: folding, blankness, control characters.

use unicase::UniCase;
use unicode_normalization::UnicodeNormalization;

/// The form under which two names are the same name: NFKC, full case folding, and NFKC again
/// (UAX #15, Unicode's `toNFKC_Casefold`), without the characters that cannot be seen, and with one
/// space for any white space between words.
pub fn fold(text: &str) -> String {
    let visible: String = text.nfkc().filter(|c| !is_invisible(*c)).collect();
    let words: Vec<&str> = visible.split_whitespace().collect();
    let folded = UniCase::unicode(words.join(" ")).to_folded_case();
    folded.nfkc().collect()
}

/// Whether there is nothing in the text that a reader could see.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || is_invisible(c))
}

/// Whether the text has a control character (C0, DEL or C1; Unicode category Cc).
pub fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// Whether the text has a control character other than newline, carriage return and tab.
pub fn has_control_beside_layout(text: &str) -> bool {
    text.chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

/// Characters that take part in no word and leave no mark: Unicode's `Default_Ignorable_Code_Point`
/// as far as it is assigned, and the blank Braille cell. They stay in a text, where they join emoji
/// and shape scripts, but neither make a text non-blank nor one name differ from another.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_the_same_fold_to_the_same() {
        for other in [
            "STRASSE",
            "Straße",
            "ＳＴＲＡＳＳＥ",
            "stra\u{200b}sse",
            "\u{200b} strasse \u{2060}",
            "Stra\u{00ad}ẞe",
        ] {
            assert_eq!(fold(other), "strasse", "{other}");
        }
        assert_eq!(fold("Ångström"), fold("A\u{30a}NGSTRO\u{308}M"));
        assert_eq!(fold("ann  lee"), fold("Ann\u{3000}Lee"));
        assert_ne!(fold("ann"), fold("anne"));
        assert_ne!(fold("ann lee"), fold("annlee"));
    }

    #[test]
    fn a_text_of_spaces_and_invisible_characters_is_blank() {
        for blank in ["", " ", "\n\t", "\u{200b}", "\u{3164} \u{2060}", "\u{2800}"] {
            assert!(is_blank(blank), "{blank:?}");
        }
        assert!(!is_blank("\u{200b}x"));
        assert!(!is_blank("👩‍👩‍👧"));
    }
}
