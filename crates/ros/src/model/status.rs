//! What the statuses mean that people type: the one table of their words.

use StatusClass::{
    Approved, BeingRepaired, Ber, Cancelled, Paid, PaymentSent, Rai, Received, Scrapped, Shipping, ToSend, WaitingQuote,
};
use app_core::values::{Day, Text};
use chrono::{Days, NaiveDate};

use super::find_named;

/// The meaning of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// The part is to be sent to the shop.
    ToSend,
    /// The shop has the part and is to quote.
    WaitingQuote,
    /// The quote is approved.
    Approved,
    /// The shop repairs the part.
    BeingRepaired,
    /// The part is on its way.
    Shipping,
    /// The part is back.
    Received,
    /// The repair is paid.
    Paid,
    /// The payment is on its way.
    PaymentSent,
    /// The part was returned as it is.
    Rai,
    /// The part is beyond economic repair.
    Ber,
    /// The part was scrapped.
    Scrapped,
    /// The order was cancelled.
    Cancelled,
}

/// Statuses that begin with these words have the class. A status that begins with several of them has the class of the longest.
const BEGINNINGS: [(&str, StatusClass); 20] = [
    ("TO SEND", ToSend),
    ("WAITING QUOTE", WaitingQuote),
    ("WAITING FOR QUOTE", WaitingQuote),
    ("AWAITING QUOTE", WaitingQuote),
    ("APPROVED", Approved),
    ("BEING REPAIRED", BeingRepaired),
    ("IN WORK", BeingRepaired),
    ("IN PROGRESS", BeingRepaired),
    ("WORKING", BeingRepaired),
    (SHIPPING, Shipping),
    ("SHIPPED", Shipping),
    ("IN TRANSIT", Shipping),
    (CURRENTLY_BEING_SHIPPED, Shipping),
    ("RECEIVED", Received),
    ("PAID", Paid),
    ("PAYMENT SENT", PaymentSent),
    ("RAI", Rai),
    ("BER", Ber),
    (SCRAP, Scrapped),
    (CANCEL, Cancelled),
];

const SHIPPING: &str = "SHIPPING";
const CURRENTLY_BEING_SHIPPED: &str = "CURRENTLY BEING SHIPPED";
const SCRAP: &str = "SCRAP";
const CANCEL: &str = "CANCEL";

/// Returns the status as it is compared: in capitals, with one blank for each run of white space, and without arrows, dashes and
/// blanks at both ends.
fn normalized(status: &str) -> String {
    let is_decoration = |character: char| {
        character.is_whitespace()
            || matches!(character, '-' | '=' | '<' | '>' | '«' | '»' | '‹' | '›' | '\u{2010}'..='\u{2015}' | '\u{2212}')
            // Arrows, and shapes that stand for them.
            || matches!(character, '\u{2190}'..='\u{21ff}' | '\u{25a0}'..='\u{25ff}' | '\u{2794}'..='\u{27bf}')
            || matches!(character, '\u{27f0}'..='\u{27ff}' | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}')
    };
    let visible: String = status.chars().filter(|character| !app_core::values::is_invisible(*character)).collect();
    let words: Vec<&str> = visible.trim_matches(is_decoration).split_whitespace().collect();
    words.join(" ").to_uppercase()
}

/// Returns the words with which a status begins, and its class.
fn beginning_of(normalized: &str) -> Option<(&'static str, StatusClass)> {
    let begins_with = |words: &str| {
        let Some(rest) = normalized.strip_prefix(words) else { return false };
        // Only these two are parts of words: SCRAPPED, CANCELLED.
        matches!(words, SCRAP | CANCEL) || !rest.starts_with(char::is_alphanumeric)
    };
    BEGINNINGS
        .into_iter()
        .filter(|(words, _)| begins_with(words))
        .max_by_key(|(words, _)| words.len())
        .or_else(|| normalized.contains(SHIPPING).then_some((SHIPPING, Shipping)))
}

impl StatusClass {
    pub const ALL: [Self; 12] = [
        ToSend,
        WaitingQuote,
        Approved,
        BeingRepaired,
        Shipping,
        Received,
        Paid,
        PaymentSent,
        Rai,
        Ber,
        Scrapped,
        Cancelled,
    ];

    /// Returns the name that requests use.
    pub fn name(self) -> &'static str {
        match self {
            ToSend => "toSend",
            WaitingQuote => "waitingQuote",
            Approved => "approved",
            BeingRepaired => "beingRepaired",
            Shipping => "shipping",
            Received => "received",
            Paid => "paid",
            PaymentSent => "paymentSent",
            Rai => "rai",
            Ber => "ber",
            Scrapped => "scrapped",
            Cancelled => "cancelled",
        }
    }

    /// Returns the class with that name.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the parameter's name.
    pub fn parse(name: &str) -> Result<Self, String> {
        find_named(Self::ALL, Self::name, name)
    }

    /// Returns the class of a status as people type it, if it has one.
    pub fn of(status: &str) -> Option<Self> {
        beginning_of(&normalized(status)).map(|(_, class)| class)
    }

    /// Returns whether a cost that comes with such a status is a final one. Any other is an estimate.
    pub fn is_final_cost(self) -> bool {
        matches!(self, Shipping | Received | Paid | PaymentSent)
    }
}

app_core::described_as_one_of!(StatusClass, "StatusClass", StatusClass::ALL.map(StatusClass::name));

/// A status that a list is limited to, in the form in which statuses are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusText(String);

impl StatusText {
    /// Reads a status as people type it. One of blanks, arrows and dashes only is `None`.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the parameter's name.
    pub fn parse(status: &str) -> Result<Option<Self>, String> {
        let status = normalized(&Text::<100>::parse(status.to_owned())?);
        Ok(Some(status).filter(|status| !status.is_empty()).map(Self))
    }

    /// Returns the class of the status, if it has one.
    pub fn class(&self) -> Option<StatusClass> {
        StatusClass::of(&self.0)
    }

    /// Returns whether `status`, as an order has it, is the same.
    pub fn is_same(&self, status: &str) -> bool {
        normalized(status) == self.0
    }
}

/// Returns the days until someone asks again about an order with this status and these payment terms; `None` if nobody has to.
pub fn follow_up_days(status: &str, terms: Option<&str>) -> Option<u64> {
    match beginning_of(&normalized(status)) {
        Some((CURRENTLY_BEING_SHIPPED, _)) => Some(5),
        Some((_, ToSend | Shipping | Received)) => Some(3),
        Some((_, WaitingQuote)) | None => Some(7),
        Some((_, Approved | BeingRepaired)) => Some(14),
        Some((_, Paid)) => terms.and_then(days_of_terms),
        Some((_, PaymentSent | Rai | Ber | Scrapped | Cancelled)) => None,
    }
}

/// Returns the day on which someone asks again about an order that got this status `today`; `None` if nobody has to.
pub fn next_update(status: &str, terms: Option<&str>, today: NaiveDate) -> Option<Day> {
    follow_up_days(status, terms).and_then(|days| today.checked_add_days(Days::new(days))).map(Day)
}

/// Returns the days after which a payment on these terms is made: n for `NET n`, and three for a wire transfer.
fn days_of_terms(terms: &str) -> Option<u64> {
    let terms = terms.to_uppercase();
    let words = |word: &'static str| {
        let begins_a_word = |place: usize| !terms[..place].ends_with(char::is_alphanumeric);
        terms
            .match_indices(word)
            .filter(move |(place, _)| begins_a_word(*place))
            .map(|(place, _)| &terms[place + word.len()..])
    };
    let net = words("NET").find_map(|rest| {
        let rest = rest.trim_start_matches(|character: char| !character.is_alphanumeric());
        let digits = rest.split(|character: char| !character.is_ascii_digit()).next()?;
        digits.parse::<u16>().ok().map(u64::from)
    });
    net.or_else(|| words("WIRE").any(|rest| !rest.starts_with(char::is_alphanumeric)).then_some(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_classified_by_the_words_with_which_they_begin() {
        for (status, class) in [
            ("TO SEND", Some(ToSend)),
            ("WAITING QUOTE ", Some(WaitingQuote)),
            ("waiting\u{a0} quote - called", Some(WaitingQuote)),
            ("WAITING FOR QUOTE", Some(WaitingQuote)),
            ("Awaiting quote", Some(WaitingQuote)),
            ("APPROVED >>>>", Some(Approved)),
            ("==> approved by shop", Some(Approved)),
            ("→ Approved –", Some(Approved)),
            ("Being Repaired", Some(BeingRepaired)),
            ("in work", Some(BeingRepaired)),
            ("IN PROGRESS", Some(BeingRepaired)),
            ("WORKING ON IT", Some(BeingRepaired)),
            ("SHIPPING TO SHOP", Some(Shipping)),
            ("shipped", Some(Shipping)),
            ("IN TRANSIT", Some(Shipping)),
            ("CURRENTLY BEING SHIPPED", Some(Shipping)),
            ("CURRENTLY SHIPPING", Some(Shipping)),
            ("Received", Some(Received)),
            ("PAID >>>> TRACKING NUMBER RECEIVED", Some(Paid)),
            ("Paid", Some(Paid)),
            ("PAYMENT SENT", Some(PaymentSent)),
            ("Rai - no fault found", Some(Rai)),
            ("BER", Some(Ber)),
            ("Scrap", Some(Scrapped)),
            ("SCRAPPED", Some(Scrapped)),
            ("canceled", Some(Cancelled)),
            ("CANCELLED BY CUSTOMER", Some(Cancelled)),
            ("\u{feff}RAI\u{200b}", Some(Rai)),
            // The words end where a word ends.
            ("RAISED", None),
            ("BERTH", None),
            ("RECEIVEDX", None),
            ("UNPAID", None),
            ("PREPAID QUOTE", None),
            ("ON HOLD", None),
            ("NOT RAI", None),
            (">>>>", None),
            ("", None),
            // SHIPPING elsewhere counts only where nothing else fits.
            ("APPROVED, SHIPPING", Some(Approved)),
            ("NOT YET SHIPPING", Some(Shipping)),
        ] {
            assert_eq!(StatusClass::of(status), class, "{status:?}");
        }
    }

    #[test]
    fn decoration_and_case_make_no_other_status() {
        let status = StatusText::parse("=> on hold ").unwrap().unwrap();
        for same in ["ON HOLD", "On  hold >>>", "-- on\u{a0}hold --", "on hold\u{200b}"] {
            assert!(status.is_same(same), "{same:?}");
        }
        for other in ["HOLD", "ON HOLD 2", ""] {
            assert!(!status.is_same(other), "{other:?}");
        }
        for text in ["", ">>>", "\u{200b}"] {
            assert_eq!(StatusText::parse(text), Ok(None), "{text:?}");
        }
    }

    #[test]
    fn a_cost_is_final_from_the_shipment_on() {
        let is_final = |status| StatusClass::of(status).is_some_and(StatusClass::is_final_cost);
        for status in ["Paid", "PAYMENT SENT", "CURRENTLY BEING SHIPPED", "SHIPPING", "received"] {
            assert!(is_final(status), "{status}");
        }
        for status in ["UNPAID", "PREPAID QUOTE", "APPROVED", "BEING REPAIRED", "RAI", "CANCELLED", "SCRAP", "BER"] {
            assert!(!is_final(status), "{status}");
        }
    }

    #[test]
    fn the_days_until_someone_asks_again_follow_from_status_and_terms() {
        for (status, terms, days) in [
            ("TO SEND", None, Some(3)),
            ("WAITING QUOTE", Some("NET 30"), Some(7)),
            ("APPROVED >>>>", None, Some(14)),
            ("being repaired", None, Some(14)),
            ("SHIPPING", None, Some(3)),
            ("SHIPPED", None, Some(3)),
            ("Currently Being Shipped >>>", None, Some(5)),
            ("RECEIVED", None, Some(3)),
            ("ON HOLD", None, Some(7)),
            ("UNPAID", Some("NET 30"), Some(7)),
            ("PAID", Some("NET 30"), Some(30)),
            ("PAID", Some("Net30"), Some(30)),
            ("PAID", Some("2% 10, net-60 days"), Some(60)),
            ("PAID", Some("WIRE"), Some(3)),
            ("PAID", Some("wire transfer"), Some(3)),
            ("PAID", Some("WIRELESS"), None),
            ("PAID", Some("NET"), None),
            ("PAID", Some("PLANET 5"), None),
            ("PAID", Some("NET 99999999999999999999"), None),
            ("PAID", Some("C.O.D."), None),
            ("PAID", Some("CREDIT CARD"), None),
            ("PAID", None, None),
            ("PAYMENT SENT", Some("NET 30"), None),
            ("BER", None, None),
            ("RAI", None, None),
            ("SCRAPPED", None, None),
            ("CANCELLED", None, None),
        ] {
            assert_eq!(follow_up_days(status, terms), days, "{status} {terms:?}");
        }
    }
}
