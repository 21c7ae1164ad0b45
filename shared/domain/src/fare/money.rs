//! Money in whole minor units of an ISO 4217 currency, parsed from and formatted as decimal text, never a float.

use std::fmt;

use thiserror::Error;

/// Largest amount, in minor units: beyond any fare in any currency (ten thousand million rials). Multiplied by the
/// 40 000 km around the Earth, or by a multiplier in hundredths, it still fits an `i64`.
pub const MAX_MINOR_UNITS: i64 = 1_000_000_000_000;

/// A currency of ISO 4217, with its number of fraction digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The currency of `code`, in capitals. `None` if the code is unknown, or has no minor unit in ISO 4217, such as
    /// gold (`XAU`).
    #[must_use]
    pub fn new(code: &str) -> Option<Self> {
        let currency = iso_currency::Currency::from_code(code)?;
        currency.exponent().map(|_| Self(currency))
    }

    /// The code: three capitals.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// The number of digits after the decimal point: 0 for JPY, 2 for USD, 3 for KWD.
    #[must_use]
    pub fn digits(self) -> usize {
        // The constructor excludes currencies without a minor unit.
        self.0.exponent().unwrap_or_default().into()
    }

    /// Parses an amount such as `2.50`: digits, optionally followed by a point and at most as many digits as the
    /// currency has.
    ///
    /// # Errors
    /// The fault to correct in `text`.
    pub fn parse(self, text: &str) -> Result<MinorUnits, AmountError> {
        MinorUnits::parse(text, self.digits())
    }

    /// Formats an amount with all of the currency's digits: `12.35`.
    #[must_use]
    pub fn format(self, amount: MinorUnits) -> String {
        self.format_signed(amount.0)
    }

    /// Formats a number of minor units, which may be negative, with all of the currency's digits: `-1.05`.
    #[must_use]
    pub fn format_signed(self, units: i64) -> String {
        let digits = self.digits();
        let all = format!("{:0width$}", units.unsigned_abs(), width = digits + 1);
        let sign = if units < 0 { "-" } else { "" };
        match all.split_at(all.len() - digits) {
            (whole, "") => format!("{sign}{whole}"),
            (whole, fraction) => format!("{sign}{whole}.{fraction}"),
        }
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount of money in the currency's smallest unit, from 0 to [`MAX_MINOR_UNITS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MinorUnits(i64);

impl MinorUnits {
    /// The amount, if `units` are from 0 to [`MAX_MINOR_UNITS`].
    #[must_use]
    pub fn new(units: i64) -> Option<Self> {
        (0..=MAX_MINOR_UNITS).contains(&units).then_some(Self(units))
    }

    /// The number of minor units: cents, if the currency has two digits.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }

    /// Parses an amount with at most `digits` digits after the point; see [`Currency::parse`].
    pub(crate) fn parse(text: &str, digits: usize) -> Result<Self, AmountError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(AmountError::NotDecimal),
            Some(parts) => parts,
            None => (text, ""),
        };
        let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(fraction) {
            return Err(AmountError::NotDecimal);
        }
        if fraction.len() > digits {
            return Err(AmountError::TooManyDigits { digits });
        }

        let units = format!("{whole}{fraction:0<digits$}");
        // Only digits are left, so parsing fails only if they exceed an `i64`.
        units.parse().ok().and_then(Self::new).ok_or(AmountError::TooLarge)
    }
}

/// Why a text is not an amount in a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Anything but digits around at most one point, a sign included.
    #[error("must be a decimal number without a sign, such as 2.50")]
    NotDecimal,
    /// More digits after the point than the currency has.
    #[error("must have at most {digits} digits after the point")]
    TooManyDigits {
        /// The digits of the currency.
        digits: usize,
    },
    /// Above [`MAX_MINOR_UNITS`].
    #[error("must be at most {MAX_MINOR_UNITS} of the currency's smallest units")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::new(code).unwrap()
    }

    #[test]
    fn a_currency_has_the_digits_of_iso_4217() {
        for (code, digits) in
            [("JPY", 0), ("ISK", 0), ("USD", 2), ("MGA", 2), ("KWD", 3), ("TND", 3), ("CLF", 4)]
        {
            assert_eq!(currency(code).digits(), digits, "{code}");
            assert_eq!(currency(code).code(), code);
            assert_eq!(format!("{:?}", currency(code)), code);
        }
    }

    #[test]
    fn a_code_without_a_minor_unit_is_refused() {
        for code in ["", "usd", "US", "USDX", "ABC", " USD", "XAU", "XXX", "XTS"] {
            assert_eq!(Currency::new(code), None, "{code}");
        }
    }

    #[test]
    fn an_amount_is_parsed_in_the_currencys_digits() {
        for (code, text, units) in [
            ("USD", "2.50", 250),
            ("USD", "2.5", 250),
            ("USD", "2", 200),
            ("USD", "0.05", 5),
            ("USD", "0", 0),
            ("USD", "007.00", 700),
            ("JPY", "350", 350),
            ("KWD", "1.005", 1_005),
            ("USD", "10000000000.00", MAX_MINOR_UNITS),
            ("JPY", "1000000000000", MAX_MINOR_UNITS),
        ] {
            assert_eq!(currency(code).parse(text), Ok(MinorUnits(units)), "{text} {code}");
        }
    }

    #[test]
    fn a_text_that_is_not_an_amount_is_refused_with_its_fault() {
        for text in
            ["", ".", "2.", ".5", "-1", "+1", "1e3", " 1", "1 ", "1,50", "1.2.3", "1.-2", "٣", "0x1", "1_0"]
        {
            assert_eq!(currency("USD").parse(text), Err(AmountError::NotDecimal), "{text}");
        }
        for (code, text, digits) in
            [("USD", "2.505", 2), ("USD", "2.500", 2), ("JPY", "2.0", 0), ("KWD", "1.0005", 3)]
        {
            assert_eq!(currency(code).parse(text), Err(AmountError::TooManyDigits { digits }), "{text}");
        }
        for text in ["10000000000.01", "92233720368547758.08", &"9".repeat(400)] {
            assert_eq!(currency("USD").parse(text), Err(AmountError::TooLarge), "{text}");
        }
    }

    #[test]
    fn an_amount_is_formatted_with_all_its_digits() {
        for (code, units, text) in [
            ("USD", 1_235, "12.35"),
            ("USD", 5, "0.05"),
            ("USD", 0, "0.00"),
            ("USD", 100, "1.00"),
            ("JPY", 0, "0"),
            ("JPY", 1_235, "1235"),
            ("KWD", 12, "0.012"),
            ("CLF", 10_000, "1.0000"),
        ] {
            assert_eq!(currency(code).format(MinorUnits(units)), text, "{units} {code}");
        }
        for (code, units, text) in
            [("USD", -5, "-0.05"), ("USD", -1_235, "-12.35"), ("JPY", -7, "-7"), ("KWD", -1, "-0.001")]
        {
            assert_eq!(currency(code).format_signed(units), text);
        }
    }

    #[test]
    fn minor_units_have_a_range() {
        assert_eq!(MinorUnits::new(-1), None);
        assert_eq!(MinorUnits::new(0), Some(MinorUnits::default()));
        assert_eq!(MinorUnits::new(MAX_MINOR_UNITS).unwrap().get(), MAX_MINOR_UNITS);
        assert_eq!(MinorUnits::new(MAX_MINOR_UNITS + 1), None);
    }

    #[test]
    fn an_error_names_the_limit() {
        assert_eq!(
            AmountError::TooManyDigits { digits: 2 }.to_string(),
            "must have at most 2 digits after the point"
        );
        assert!(AmountError::TooLarge.to_string().contains("1000000000000"));
    }

    proptest! {
        #[test]
        fn a_formatted_amount_parses_back(units in 0..=MAX_MINOR_UNITS, code in prop::sample::select(vec!["JPY", "USD", "KWD", "CLF"])) {
            let currency = currency(code);
            let amount = MinorUnits(units);
            prop_assert_eq!(currency.parse(&currency.format(amount)), Ok(amount));
        }

        #[test]
        fn any_text_is_an_amount_or_an_error(text in ".*", digits in 0_usize..5) {
            if let Ok(amount) = MinorUnits::parse(&text, digits) {
                prop_assert!((0..=MAX_MINOR_UNITS).contains(&amount.0));
            }
        }
    }
}
