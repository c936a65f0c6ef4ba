//! Characters that have no place in an id: those that show nothing where they stand, and what damage leaves behind.
//!
//! Emoji and some scripts are written with characters that show nothing alone: those are no strays where they belong.

/// What most of them are called, in order. The others are told by [`named`] by their kind.
const NAMES: &[(char, &str)] = &[
    ('\0', "null"),
    ('\t', "tab"),
    ('\n', "line feed"),
    ('\r', "carriage return"),
    (' ', "space"),
    ('\u{85}', "next line"),
    ('\u{a0}', "no-break space"),
    ('\u{ad}', "soft hyphen"),
    ('\u{34f}', "combining grapheme joiner"),
    ('\u{61c}', "Arabic letter mark"),
    ('\u{1680}', "Ogham space mark"),
    ('\u{180e}', "Mongolian vowel separator"),
    ('\u{2002}', "en space"),
    ('\u{2003}', "em space"),
    ('\u{2007}', "figure space"),
    ('\u{2009}', "thin space"),
    ('\u{200a}', "hair space"),
    ('\u{200b}', "zero width space"),
    ('\u{200c}', "zero width non-joiner"),
    ('\u{200d}', "zero width joiner"),
    ('\u{200e}', "left-to-right mark"),
    ('\u{200f}', "right-to-left mark"),
    ('\u{2028}', "line separator"),
    ('\u{2029}', "paragraph separator"),
    ('\u{202a}', "left-to-right embedding"),
    ('\u{202b}', "right-to-left embedding"),
    ('\u{202c}', "pop directional formatting"),
    ('\u{202d}', "left-to-right override"),
    ('\u{202e}', "right-to-left override"),
    ('\u{202f}', "narrow no-break space"),
    ('\u{205f}', "medium mathematical space"),
    ('\u{2060}', "word joiner"),
    ('\u{2066}', "left-to-right isolate"),
    ('\u{2067}', "right-to-left isolate"),
    ('\u{2068}', "first strong isolate"),
    ('\u{2069}', "pop directional isolate"),
    ('\u{2800}', "braille pattern blank"),
    ('\u{3000}', "ideographic space"),
    ('\u{3164}', "Hangul filler"),
    ('\u{feff}', "byte order mark"),
    ('\u{ffa0}', "halfwidth Hangul filler"),
    ('\u{fffc}', "object replacement character"),
    ('\u{fffd}', "replacement character"),
];

/// The strays of a text, with the byte at which each begins. A space inside is none; at the ends it is for
/// [`trim_strays`].
pub fn strays(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut before = None;
    let mut in_flag = false;
    text.char_indices().filter(move |(at, c)| {
        let (at, c) = (*at, *c);
        if matches!(c, '!'..='~' | ' ') {
            (before, in_flag) = (Some(c), false);
            return false;
        }
        in_flag = c == FLAG || (in_flag && is_tag(c));
        let belongs = match c {
            JOINER | NON_JOINER => is_joined(before, c, text[at + c.len_utf8()..].chars().next()),
            '\u{fe00}'..='\u{fe0f}' => match before {
                Some('0'..='9' | '#' | '*') => text[at + c.len_utf8()..].starts_with(KEYCAP),
                Some(before) => !before.is_ascii() && !is_blank(before),
                None => false,
            },
            '\u{e0100}'..='\u{e01ef}' => before.is_some_and(is_ideograph),
            '\u{180b}'..='\u{180f}' => before.is_some_and(is_mongolian),
            c if is_tag(c) => in_flag,
            c => !is_blank(c) && !is_damage(c),
        };
        before = Some(c);
        !belongs
    })
}

/// The text without spaces and strays at its ends, and the first character that was taken off. What damage leaves is
/// not taken off: a character is missing there.
pub fn trim_strays(text: &str) -> (&str, Option<char>) {
    let is_plain = |byte: Option<&u8>| byte.is_none_or(|byte| matches!(byte, b'!'..=b'~'));
    if is_plain(text.as_bytes().first()) && is_plain(text.as_bytes().last()) {
        return (text, None);
    }
    let spaces = text.char_indices().filter(|(_, c)| *c == ' ');
    let mut off: Vec<(usize, char)> = strays(text).filter(|(_, c)| !is_damage(*c)).chain(spaces).collect();
    off.sort_unstable();
    let mut start = 0;
    for (at, c) in &off {
        if *at != start {
            break;
        }
        start += c.len_utf8();
    }
    let mut end = text.len();
    for (at, c) in off.iter().rev() {
        if *at < start || at + c.len_utf8() != end {
            break;
        }
        end = *at;
    }
    let first = text[..start].chars().next().or_else(|| text[end..].chars().next());
    (&text[start..end], first)
}

/// `U+200B (zero width space)`.
pub fn named(c: char) -> String {
    let code = u32::from(c);
    let name = match NAMES.binary_search_by_key(&c, |(known, _)| *known) {
        Ok(at) => NAMES[at].1,
        Err(_) if c.is_control() => "control character",
        Err(_) if c.is_whitespace() => "space",
        Err(_) if is_tag(c) => "tag character",
        Err(_) if is_private(c) => "private use character",
        Err(_) if is_noncharacter(c) => "no character",
        Err(_) => match c {
            '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{180b}'..='\u{180f}' => {
                "variation selector"
            }
            '\u{115f}' | '\u{1160}' => "Hangul filler",
            '\u{2061}'..='\u{2064}' => "invisible operator",
            _ if is_blank(c) => "invisible character",
            _ => return format!("U+{code:04X}"),
        },
    };
    format!("U+{code:04X} ({name})")
}

/// For the use of those who agreed on it: icons of old emoji, a company's own letters.
pub fn is_private(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}')
}

const JOINER: char = '\u{200d}';
const NON_JOINER: char = '\u{200c}';
const KEYCAP: char = '\u{20e3}';
/// The black flag, after which tag characters spell a region.
const FLAG: char = '\u{1f3f4}';

fn is_tag(c: char) -> bool {
    matches!(c, '\u{e0020}'..='\u{e007f}')
}

/// Emoji are joined by one of the two; letters of scripts with joining forms by both.
fn is_joined(before: Option<char>, joiner: char, after: Option<char>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    let emoji = joiner == JOINER && (is_emoji(before) || before == '\u{fe0f}') && is_emoji(after);
    emoji || (has_joining_forms(before) && has_joining_forms(after))
}

fn is_emoji(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{27ff}' | '\u{2900}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}

/// Arabic, Syriac, the scripts of India and South East Asia, Mongolian.
fn has_joining_forms(c: char) -> bool {
    let near = matches!(c, '\u{600}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{1a20}'..='\u{1cff}');
    let far = matches!(c, '\u{a800}'..='\u{abff}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}');
    (near || far || matches!(c, '\u{10a00}'..='\u{11fff}')) && !is_blank(c)
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{2fff}' | '\u{3005}'..='\u{3007}' | '\u{3400}'..='\u{9fff}')
        || matches!(c, '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn is_mongolian(c: char) -> bool {
    matches!(c, '\u{1820}'..='\u{18aa}')
}

/// Shows nothing: controls, blanks, and what Unicode lets a program ignore where it cannot show it
/// (`Default_Ignorable_Code_Point`).
fn is_blank(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}')
        || matches!(c, '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}')
        || matches!(c, '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Stands where a character was that could not be read, or is none.
fn is_damage(c: char) -> bool {
    matches!(c, '\u{fffc}' | '\u{fffd}') || is_noncharacter(c)
}

fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        strays(text).map(|(at, c)| format!("{at}: {}", named(c))).collect()
    }

    #[test]
    fn names_are_in_order() {
        assert!(NAMES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn what_shows_nothing_is_a_stray_and_named() {
        for (c, name) in [
            ('\0', "U+0000 (null)"),
            ('\u{1}', "U+0001 (control character)"),
            ('\t', "U+0009 (tab)"),
            ('\u{7f}', "U+007F (control character)"),
            ('\u{a0}', "U+00A0 (no-break space)"),
            ('\u{ad}', "U+00AD (soft hyphen)"),
            ('\u{115f}', "U+115F (Hangul filler)"),
            ('\u{180b}', "U+180B (variation selector)"),
            ('\u{180e}', "U+180E (Mongolian vowel separator)"),
            ('\u{2000}', "U+2000 (space)"),
            ('\u{200b}', "U+200B (zero width space)"),
            ('\u{200d}', "U+200D (zero width joiner)"),
            ('\u{202e}', "U+202E (right-to-left override)"),
            ('\u{2062}', "U+2062 (invisible operator)"),
            ('\u{2069}', "U+2069 (pop directional isolate)"),
            ('\u{206a}', "U+206A (invisible character)"),
            ('\u{3000}', "U+3000 (ideographic space)"),
            ('\u{fe0f}', "U+FE0F (variation selector)"),
            ('\u{feff}', "U+FEFF (byte order mark)"),
            ('\u{fffd}', "U+FFFD (replacement character)"),
            ('\u{ffff}', "U+FFFF (no character)"),
            ('\u{e0041}', "U+E0041 (tag character)"),
            ('\u{e0101}', "U+E0101 (variation selector)"),
            ('\u{e0fff}', "U+E0FFF (invisible character)"),
        ] {
            assert_eq!(told(&format!("al{c}ice")), [format!("2: {name}")]);
            assert_eq!(
                told(&format!("用{c}户")).len(),
                usize::from(c != '\u{fe0f}' && c != '\u{e0101}'),
                "{name}"
            );
        }
        assert_eq!(named('\u{e000}'), "U+E000 (private use character)");
        assert_eq!(named('\u{201c}'), "U+201C");
    }

    #[test]
    fn emoji_and_scripts_are_written_with_what_shows_nothing_alone() {
        for text in [
            "alice bob",
            "用户一",
            "é ツ Ж ß",
            "👨‍👩‍👧",
            "❤\u{fe0f}",
            "❤\u{fe0f}\u{200d}🔥",
            "👩🏽\u{200d}🚀",
            "1\u{fe0f}\u{20e3}",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "می\u{200c}خواهم",
            "क\u{94d}\u{200d}ष",
            "葛\u{e0100}",
            "ᠠ\u{180b}",
        ] {
            assert_eq!(told(text), [""; 0], "{text}");
            assert_eq!(trim_strays(text), (text, None));
        }
        for text in [
            "a\u{200d}b",
            "张\u{200d}三",
            "1\u{fe0f}",
            "a\u{fe0f}",
            "🏴a\u{e0067}",
            "❤\u{200d}",
            "\u{200d}👩",
        ] {
            assert_eq!(told(text).len(), 1, "{text:?}");
        }
    }

    #[test]
    fn strays_come_off_at_the_ends_and_nowhere_else() {
        for (text, left, first) in [
            ("alice", "alice", None),
            ("", "", None),
            (" alice", "alice", Some(' ')),
            ("\u{feff}\u{a0} alice\r\n", "alice", Some('\u{feff}')),
            ("alice\u{200b}", "alice", Some('\u{200b}')),
            ("a\u{200b}b c\u{200d}", "a\u{200b}b c", Some('\u{200d}')),
            ("❤\u{fe0f} ", "❤\u{fe0f}", Some(' ')),
            ("\u{200b} \u{3000}", "", Some('\u{200b}')),
            ("alice\u{fffd}", "alice\u{fffd}", None),
            ("\u{e0041}a\u{e0041}", "a", Some('\u{e0041}')),
        ] {
            assert_eq!(trim_strays(text), (left, first), "{text:?}");
        }
    }
}
