//! What the console says about a folder that is ahead of the machine's clock.

use std::path::Path;

use equilibrium_app::clock::Span;
use equilibrium_app::price::ports::MapStore;
use equilibrium_domain::policy::Policy;
use equilibrium_embedded::store::Store;

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
             continues from there. Events of this machine's time are late until then: name another folder to start afresh.\n"
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
