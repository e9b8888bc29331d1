//! The time of this machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use edgemaxx_validator::world::Clock;

/// The wall clock; sleeps end when the program is asked to.
pub struct WallClock(pub Arc<AtomicBool>);

impl Clock for WallClock {
    fn now(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
    }

    fn sleep(&mut self, seconds: u64) -> bool {
        let began = Instant::now();
        while !self.0.load(Ordering::Relaxed) {
            let left = Duration::from_secs(seconds).saturating_sub(began.elapsed());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
        false
    }
}
