//! The contract of the store of the figures of days.

use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::{Multiplier, Policy};
use equilibrium_domain::surge::daily::{DayFigures, KEPT_DAYS, LocalDay, Sample};

use crate::laws::ports::DayStore;

/// The contract of [`DayStore`].
///
/// # Panics
/// If the adapter breaks it.
pub async fn day_store(store: &impl DayStore) {
    let city = CityId::new("contract").expect("well-formed");
    let other = CityId::new("contract-other").expect("well-formed");
    let day = |number| LocalDay::parse("2026-11-23").expect("a date").plus(number);
    assert_eq!(store.days(&city, day(0), day(9)).await, Ok(Vec::new()), "no days can be read");

    let policy = Policy::open_city(&city);
    let figures = |began_ms, version: u64| {
        let mut figures = DayFigures::default();
        let multiplier = Multiplier::new(100 + u16::try_from(version).expect("small")).expect("in range");
        let sample = Sample { product: 0, zone: None, multiplier, demand: u32::MAX };
        figures.add(&policy, std::iter::once(sample), u64::from(u32::MAX), (began_ms, version));
        figures
    };
    let save = async |number, began_ms, version| {
        let saved = store.save_day(&city, day(number), &figures(began_ms, version)).await;
        saved.expect("a day is saved");
    };
    let read = async |from, to| {
        let days = store.days(&city, day(from), day(to)).await.expect("days are read");
        days.into_iter()
            .map(|(of, figures)| (of.number() - day(0).number(), figures.began_ms, figures.version))
            .collect::<Vec<_>>()
    };
    save(0, 5, 1).await;
    save(2, 5, 3).await;
    store.save_day(&other, day(1), &figures(5, 9)).await.expect("a day of another city is saved");
    assert_eq!(read(0, 2).await, [(0, 5, 1), (2, 5, 3)], "in order, and of one city");
    assert_eq!(read(0, 1).await, [(0, 5, 1)], "both ends are included");
    assert_eq!(read(1, 1).await, []);
    assert_eq!(
        store.days(&city, day(2), day(2)).await,
        Ok(vec![(day(2), figures(5, 3))]),
        "what is read is what was saved"
    );

    save(2, 5, 2).await;
    save(2, 5, 3).await;
    assert_eq!(read(2, 2).await, [(2, 5, 3)], "a later version stays");
    save(2, 5, 4).await;
    assert_eq!(read(2, 2).await, [(2, 5, 4)], "an earlier one is replaced");
    save(2, 6, 1).await;
    assert_eq!(read(2, 2).await, [(2, 6, 1)], "a version of another run is not compared");
    save(KEPT_DAYS, 6, 7).await;
    assert_eq!(
        read(0, KEPT_DAYS).await.first(),
        Some(&(0, 5, 1)),
        "days are kept for the time of the contract"
    );
}
