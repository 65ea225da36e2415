//! Invisible characters, typographic dashes and capitals, by which texts from spreadsheets and mails differ.

/// Unicode's format characters (category Cf), such as the zero-width space and the byte order mark.
const FORMAT_CHARACTERS: [(u32, u32); 21] = [
    (0x00AD, 0x00AD),
    (0x0600, 0x0605),
    (0x061C, 0x061C),
    (0x06DD, 0x06DD),
    (0x070F, 0x070F),
    (0x0890, 0x0891),
    (0x08E2, 0x08E2),
    (0x180E, 0x180E),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x2064),
    (0x2066, 0x206F),
    (0xFEFF, 0xFEFF),
    (0xFFF9, 0xFFFB),
    (0x0001_10BD, 0x0001_10BD),
    (0x0001_10CD, 0x0001_10CD),
    (0x0001_3430, 0x0001_343F),
    (0x0001_BCA0, 0x0001_BCA3),
    (0x0001_D173, 0x0001_D17A),
    (0x000E_0001, 0x000E_0001),
    (0x000E_0020, 0x000E_007F),
];

/// Returns whether `character` is a control character other than white space, or a format character (Cf).
pub fn is_invisible(character: char) -> bool {
    let code = u32::from(character);
    (character.is_control() && !character.is_whitespace())
        || FORMAT_CHARACTERS.iter().any(|(first, last)| (*first..=*last).contains(&code))
}

/// Returns `-` for a typographic dash or minus, and any other character as it is.
pub fn plain_dash(character: char) -> char {
    match character {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        other => other,
    }
}

/// Yields the characters by which numbers and names are told apart: the visible ones without white space, with plain dashes.
pub fn significant_characters(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|character| !character.is_whitespace() && !is_invisible(*character)).map(plain_dash)
}

/// Returns the capital of a letter, if that is one character. The capital of `ß`, `SS`, is not, and the database leaves it, too.
pub fn capital(letter: char) -> char {
    let mut capital = letter.to_uppercase();
    match (capital.next(), capital.next()) {
        (Some(capital), None) => capital,
        _ => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_format_characters_are_invisible() {
        for invisible in ['\0', '\u{1}', '\u{7f}', '\u{ad}', '\u{200b}', '\u{202d}', '\u{feff}', '\u{e0020}'] {
            assert!(is_invisible(invisible), "{invisible:?}");
        }
        for other in [' ', '\t', '\n', '\u{85}', '\u{a0}', '\u{3000}', 'a', '-', '\u{301}', '🛩'] {
            assert!(!is_invisible(other), "{other:?}");
        }
    }
}
