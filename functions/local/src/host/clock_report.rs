//! What the console says about the process clock: a folder that is ahead of it, and jumps of the machine's clock.

use std::fmt;
use std::path::Path;

use equilibrium_app::clock::ClockJump;
use equilibrium_app::surge::ports::MapStore;
use equilibrium_domain::policy::Policy;
use equilibrium_embedded::store::Store;

/// A time span in milliseconds, as a person reads it.
struct Span(i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit_ms, unit) = match self.0 {
            ..120_000 => (1_000, "s"),
            120_000..7_200_000 => (60_000, "min"),
            7_200_000.. => (3_600_000, "h"),
        };
        let tenths = (self.0.saturating_mul(10) + unit_ms / 2) / unit_ms;
        write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

/// Lets the store's clock continue from the newest tick of its maps, and describes a folder that is ahead of the
/// machine's clock. `arrival_ms` is the newest arrival in the folder.
pub async fn continue_clock(
    store: &Store,
    policies: &[Policy],
    folder: &Path,
    arrival_ms: i64,
) -> Option<String> {
    let clock = store.clock();
    for policy in policies {
        if let Some(head) = store.head(&policy.city).await.ok().flatten() {
            clock.tick_closed(head.as_of + policy.clock.lateness_ms, policy.clock.tick_ms);
        }
    }
    let folder = folder.display();
    if clock.ahead_ms() > 0 {
        let ahead = Span(clock.ahead_ms());
        return Some(format!(
            "{folder}: its ticks are {ahead} ahead of this machine's clock, and closed ticks cannot be taken back; time \
             continues from there. Events of this machine's time are late until then: name another folder to begin anew.\n"
        ));
    }
    let ahead_ms = arrival_ms - clock.now_ms();
    (ahead_ms > 0).then(|| {
        let ahead = Span(ahead_ms);
        format!(
            "{folder}: its newest event arrived {ahead} ahead of this machine's clock; its ticks are not ahead, and \
             prices follow this machine's clock.\n"
        )
    })
}

/// Describes a jump.
#[must_use]
pub fn jump(ClockJump { by_ms, ahead_ms }: ClockJump) -> String {
    let by = Span(by_ms.abs());
    let direction = if by_ms < 0 { "back" } else { "forward" };
    let rest = if ahead_ms > 0 {
        format!("time continues from the newest tick, {} ahead of it", Span(ahead_ms))
    } else {
        "time follows it".into()
    };
    format!("\nthis machine's clock jumped {direction} by {by}; {rest}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_unit_of_its_size() {
        for (ms, text) in
            [(949, "0.9 s"), (119_000, "119.0 s"), (599_980, "10.0 min"), (86_407_358, "24.0 h")]
        {
            assert_eq!(Span(ms).to_string(), text);
        }
    }

    #[test]
    fn a_jump_says_how_far_and_what_becomes_of_time() {
        let back = jump(ClockJump { by_ms: -600_000, ahead_ms: 593_000 });
        assert!(
            back.contains("jumped back by 10.0 min; time continues from the newest tick, 9.9 min"),
            "{back}"
        );
        let forward = jump(ClockJump { by_ms: 3_000, ahead_ms: 0 });
        assert!(forward.contains("jumped forward by 3.0 s; time follows it"), "{forward}");
    }
}
