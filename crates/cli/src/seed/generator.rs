//! Chance that always falls the same way, and the small inventions that all samples share.

use std::ops::RangeInclusive;

use rand::{
    Rng, SeedableRng,
    distr::uniform::{SampleRange, SampleUniform},
    rngs::StdRng,
};

/// Makes things up, the same ones on every run.
pub(super) struct Generator {
    random: StdRng,
}

impl Generator {
    /// Another seed makes other things up.
    pub(super) fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed) }
    }

    pub(super) fn number<T: SampleUniform>(&mut self, range: impl SampleRange<T>) -> T {
        self.random.random_range(range)
    }

    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    pub(super) fn any<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.number(0..list.len())]
    }

    /// One of `list`, each as often as its weight says.
    pub(super) fn weighted<T: Copy>(&mut self, list: &[T], weight: impl Fn(&T) -> u32) -> T {
        let mut left = self.number(0..list.iter().map(&weight).sum());
        for candidate in list {
            match left.checked_sub(weight(candidate)) {
                Some(rest) => left = rest,
                None => return *candidate,
            }
        }
        // The weights sum to more than what was left.
        list[0]
    }

    /// A text like `pattern`, in which `#` stands for a digit, `(A|B)` for A or B, and `(3..16)` for a number from 3 to
    /// 16, which has as many digits as the first of them at least.
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
        match numbers(choices) {
            Some((range, digits)) => format!("{:0digits$}", self.number(range)),
            None => self.any(&choices.split('|').collect::<Vec<&str>>()).to_owned(),
        }
    }

    pub(super) fn serial(&mut self) -> String {
        let pattern = self.any(&["####", "#####", "SN####", "A####", "UNK-###", "##-####", "B###C", "######"]);
        self.text(pattern)
    }
}

/// What `(3..16)` stands for, and how many digits at least.
fn numbers(choices: &str) -> Option<(RangeInclusive<u32>, usize)> {
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
