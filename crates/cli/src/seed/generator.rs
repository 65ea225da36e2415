//! Seeded random values for the sample data.

use std::ops::RangeInclusive;

use rand::{
    Rng, SeedableRng,
    distr::uniform::{SampleRange, SampleUniform},
    rngs::StdRng,
    seq::IndexedRandom,
};

/// A seeded random number generator: equal seeds give equal values on every run.
pub(super) struct Generator {
    random: StdRng,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed) }
    }

    pub(super) fn number<T: SampleUniform>(&mut self, range: impl SampleRange<T>) -> T {
        self.random.random_range(range)
    }

    /// Returns true in `percent` of 100 cases.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    /// Returns an item of `list`, each with the same probability.
    pub(super) fn any<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.number(0..list.len())]
    }

    /// Returns an item of `list` with a probability in proportion to its weight.
    pub(super) fn weighted<T: Copy>(&mut self, list: &[T], weight: impl Fn(&T) -> u32) -> T {
        // It fails only for weights that sum to zero or overflow, and those of the vocabularies do neither.
        *list.choose_weighted(&mut self.random, weight).unwrap_or(&list[0])
    }

    /// Returns a text for `pattern`, in which `#` stands for a digit, `(A|B)` for A or B, and `(3..16)` for a number
    /// from 3 to 16. Numbers are padded with zeros to the length of the first one.
    pub(super) fn text(&mut self, pattern: &str) -> String {
        let mut text = String::with_capacity(pattern.len());
        let mut rest = pattern.chars();
        while let Some(character) = rest.next() {
            match (character, rest.as_str().split_once(')')) {
                ('#', _) => text.push(char::from(b'0' + self.number(0..=9))),
                ('(', Some((choices, after))) => {
                    text.push_str(&self.choice(choices));
                    rest = after.chars();
                }
                (other, _) => text.push(other),
            }
        }
        text
    }

    fn choice(&mut self, choices: &str) -> String {
        match parse_range(choices) {
            Some((range, digits)) => format!("{:0digits$}", self.number(range)),
            None => self.any(&choices.split('|').collect::<Vec<&str>>()).to_owned(),
        }
    }

    pub(super) fn serial(&mut self) -> String {
        let pattern = self.any(&["####", "#####", "SN####", "A####", "UNK-###", "##-####", "B###C", "######"]);
        self.text(pattern)
    }
}

/// Parses `3..16` into the range and the least number of digits.
fn parse_range(choices: &str) -> Option<(RangeInclusive<u32>, usize)> {
    let (first, last) = choices.split_once("..")?;
    Some((first.parse().ok()?..=last.parse().ok()?, first.len()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn patterns_become_texts() {
        let mut generator = Generator::new(1);
        let mut texts = |pattern| -> BTreeSet<String> { (0..200).map(|_| generator.text(pattern)).collect() };
        let is = |texts: BTreeSet<String>, expected: &[&str]| assert!(texts.iter().eq(expected), "{texts:?}");
        is(texts("AN960-(3|10)(|L)"), &["AN960-10", "AN960-10L", "AN960-3", "AN960-3L"]);
        is(texts("A-(9..11)"), &["A-10", "A-11", "A-9"]);
        is(texts("A-(09..11)B"), &["A-09B", "A-10B", "A-11B"]);
        is(texts("#)("), &["0)(", "1)(", "2)(", "3)(", "4)(", "5)(", "6)(", "7)(", "8)(", "9)("]);
    }
}
