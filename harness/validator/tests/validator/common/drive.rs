//! Driving a validator on the planet.

use std::cell::RefCell;
use std::rc::Rc;

use edgemaxx_seal::Keypair;
use edgemaxx_validator::driver::{Driver, DriverError, Settings, World};
use edgemaxx_validator::store::Store;
use edgemaxx_validator::world::{Bench, Chain, Checkpoints, Clock, Pages};

use super::hand::Hand;
use super::planet::Planet;

pub(crate) fn key() -> Keypair {
    Keypair::from_seed(&[7; 32])
}

/// Five copies of what stands for the whole world; see [`world`].
pub(crate) fn hands<T: Clone>(hand: &T) -> [T; 5] {
    std::array::from_fn(|_| hand.clone())
}

/// A world of which everything but the signer is one thing.
pub(crate) fn world<'a, T: Clock + Chain + Checkpoints + Bench + Pages>(
    hands: &'a mut [T; 5],
    signer: &'a Keypair,
) -> World<'a> {
    let [clock, chain, checkpoints, bench, pages] = hands;
    World { clock, chain, checkpoints, bench, pages, signer }
}

/// Runs a validator on `planet` until `until` says so; it starts from whatever `store` remembers.
pub(crate) fn drive(
    planet: &Rc<RefCell<Planet>>,
    settings: &Settings,
    store: Store,
    mut until: impl FnMut(&Driver<'_>) -> bool,
) -> Result<(), DriverError> {
    let (mut hands, key) = (hands(&Hand(Rc::clone(planet))), key());
    let mut driver = Driver::begin(settings.clone(), store, world(&mut hands, &key), false)?;
    while !until(&driver) {
        let wake = driver.tick()?;
        let mut planet = planet.borrow_mut();
        let now = planet.now + planet.clock_off;
        planet.now += (wake - now).max(0);
    }
    Ok(())
}
