//! A limit of units a second, as a bucket of tokens.

/// Tokens that come back at a rate, up to a capacity.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateLimit {
    per_second: i64,
    capacity_milli: i64,
    tokens_milli: i64,
    at_ms: i64,
}

impl RateLimit {
    /// `per_second` tokens a second, of which those of `seconds` are kept.
    pub(super) fn new(per_second: i64, seconds: i64, now_ms: i64) -> Self {
        let capacity_milli = per_second * 1_000 * seconds;
        Self { per_second, capacity_milli, tokens_milli: capacity_milli, at_ms: now_ms }
    }

    /// Whether so many tokens are there at `now_ms`, or all that there can be.
    pub(super) fn has(&mut self, tokens: i64, now_ms: i64) -> bool {
        let earned = (now_ms - self.at_ms).max(0) * self.per_second;
        self.at_ms = self.at_ms.max(now_ms);
        self.tokens_milli = (self.tokens_milli + earned).min(self.capacity_milli);
        self.tokens_milli >= (tokens * 1_000).min(self.capacity_milli)
    }

    /// Takes so many tokens; where there are fewer, the rest is owed.
    pub(super) fn take(&mut self, tokens: i64) {
        self.tokens_milli -= tokens * 1_000;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_at_the_rate() {
        let mut limit = RateLimit::new(1_000, 1, 0);
        assert!(limit.has(1_000, 0));
        limit.take(1_000);
        assert!(!limit.has(1, 0));
        assert!(limit.has(10, 10) && !limit.has(11, 10));
        limit.take(500);
        assert!(!limit.has(1_000, 1_499) && limit.has(1_000, 1_500));
        let mut burst = RateLimit::new(1_000, 300, 0);
        assert!(burst.has(300_000, 0));
        burst.take(1_000);
        assert!(!burst.has(300_000, 0) && burst.has(299_000, 0));
    }
}
